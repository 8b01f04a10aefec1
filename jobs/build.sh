#!/usr/bin/env bash
# Installs what a build needs and this machine lacks, and builds into ./build: all that jobs/first_run.sh, tests/run.sh and
# .ci/run have in common. Works without questions as root or with sudo on Debian 12 and Ubuntu 22.04 and later.
#
#   jobs/build.sh [--tests] [--clang] [--folder=build] [--target=NAME] [-DNAME=VALUE ...]
#
#   --tests        builds the tests as well, and installs what they need
#   --clang        installs clang as well (for the fuzzers, and for clang-format)
#   --folder=…     where to build
#   --target=…     builds only this, such as quadrat, or bundle, the archive for machines where nothing can be installed
#   --packages     installs, and builds nothing
#   -D…            goes to CMake. Without -DQUADRAT_CUDA the CUDA plug-in is built if this machine has a GPU and a toolkit.
set -euo pipefail
cd "$(dirname "$0")/.."

build_packages=(gcc libc6-dev cmake ninja-build pkg-config openmpi-bin libopenmpi-dev libgdal-dev libhdf5-dev
  libjansson-dev libinih-dev zlib1g-dev libdnnl-dev)
test_packages=(libcmocka-dev g++ python3 gdal-bin)
bundle_packages=(patchelf binutils xz-utils)
clang_packages=(clang clang-format libclang-rt-dev libomp-dev)

packages=("${build_packages[@]}")
folder=build
tests=OFF
target=()
only_packages=no
definitions=()
for argument in "$@"; do
  case $argument in
    --tests) tests=ON; packages+=("${test_packages[@]}") ;;
    --clang) packages+=("${clang_packages[@]}") ;;
    --folder=*) folder=${argument#*=} ;;
    --target=bundle) target+=(--target bundle); packages+=("${bundle_packages[@]}") ;;
    --target=*) target+=(--target "${argument#*=}") ;;
    --packages) only_packages=yes ;;
    -D*) definitions+=("$argument") ;;
    *) sed -n '2,/^set/{/^#/p}' "$0" | sed 's/^# \{0,1\}//'; [[ $argument == --help ]] && exit 0 || exit 2 ;;
  esac
done

missing_packages() {
  local package
  for package in "${packages[@]}"; do
    [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || echo "$package"
  done
}

# As root, with sudo, or not at all: then it says what to install.
install_packages() {
  local as_root=()
  if [[ $(id -u) != 0 ]]; then
    if ! command -v sudo >/dev/null; then
      echo "These packages are missing, and only root can install them: apt-get install $*" >&2
      exit 3
    fi
    as_root=(sudo)
  fi
  echo "-- installing $*"
  local quiet=(-qq -o Dpkg::Use-Pty=0 -o APT::Install-Recommends=false)
  # A package index that cannot be reached is no reason to stop as long as the packages can.
  "${as_root[@]}" apt-get "${quiet[@]}" update </dev/null || true
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get "${quiet[@]}" install --yes "$@" </dev/null >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    echo "apt-get could not install $*" >&2
    exit 3
  }
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
  mapfile -t missing < <(missing_packages)
  [[ ${#missing[@]} == 0 ]] || install_packages "${missing[@]}"
else
  echo "-- no apt-get here: what is missing, CMake will say; on Debian it is ${packages[*]}"
fi
[[ $only_packages == no ]] || exit 0

if [[ " ${definitions[*]} " != *" -DQUADRAT_CUDA="* ]]; then
  if [[ -e /dev/nvidiactl ]]; then cuda=AUTO; else cuda=OFF; fi
  definitions+=("-DQUADRAT_CUDA=$cuda")
fi
# A folder that another generator made keeps its own.
generator=()
[[ -e $folder/CMakeCache.txt ]] || generator=(-G Ninja)
echo "-- building into $folder"
cmake -S . -B "$folder" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DQUADRAT_TESTS=$tests "${definitions[@]}" >"$log" || {
  cat "$log"
  exit 1
}
grep -E '^-- .*CUDA plug-in' "$log" || true
# To a terminal ninja writes one line that counts; a file gets what went wrong only.
if [[ -t 1 ]]; then
  cmake --build "$folder" --parallel "$(nproc)" "${target[@]}"
else
  cmake --build "$folder" --parallel "$(nproc)" "${target[@]}" >"$log" || {
    tail -n 60 "$log"
    exit 1
  }
fi
