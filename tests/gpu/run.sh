#!/usr/bin/env bash
# Builds and runs the tests and the benchmark that want a GPU, on a bare machine: a C compiler, CMake 3.20, nvcc, and cuDNN 9.8
# and NCCL wherever the toolkit or Python's wheels put them. Where there is no GPU it only builds, and says so.
#
#   tests/gpu/run.sh [--only STAGE[,STAGE...]] [--out FILE.json] [--python PROGRAM] [--deadline SECONDS] [--jobs N]
#                    [--bench "OPTIONS"] [--list] [BUILD FOLDER]
#
#   --only       some of the stages; --list says which there are
#   --out        the machine-readable result, written anew after each stage (BUILD FOLDER/result.json)
#   --python     whose wheels may hold cuDNN and NCCL, and whose PyTorch is the peer (python3)
#   --deadline   what does not fit into so many seconds is skipped (3600)
#   --jobs       tests of a stage that run at a time, but for the benchmark (a quarter of the cores)
#   --bench      options for tests/bench/run.py, such as "--only unet --rounds 3"
#   QUADRAT=...  the folder or archive of a bundle, for the first run from end to end, or a program, for its doctor
# Exit code: 0 only if nothing failed. See README.md beside this file.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
all_stages=(ops sanitizer steps curve ranks bench first_run)

build=$root/build-gpu
only=
out=
python=python3
deadline_s=3600
jobs_most=$((($(nproc) + 3) / 4))
bench_options=
usage() { sed -n '2,/^set/{/^#/p}' "${BASH_SOURCE[0]}" | sed 's/^# \{0,1\}//'; exit "$1"; }
while [[ $# -gt 0 ]]; do
  option=$1
  case $1 in
    --list) printf '%s\n' "${all_stages[@]}"; exit 0 ;;
    --help) usage 0 ;;
    --*=*) option=${1%%=*}; set -- "$option" "${1#*=}" "${@:2}" ;;
    --*) [[ $# -gt 1 ]] || usage 2 ;;
    *) build=$1; shift; continue ;;
  esac
  case $option in
    --only) only=$2 ;;
    --out) out=$2 ;;
    --python) python=$2 ;;
    --deadline) deadline_s=$2 ;;
    --jobs) jobs_most=$2 ;;
    --bench) bench_options=$2 ;;
    *) usage 2 ;;
  esac
  shift 2
done
IFS=, read -ra stages <<<"${only:-$(IFS=,; echo "${all_stages[*]}")}"
for stage in "${stages[@]}"; do
  [[ " ${all_stages[*]} " == *" $stage "* ]] || { echo "no stage $stage; there are ${all_stages[*]}" >&2; exit 2; }
done
mkdir -p "$build" || exit 1
build=$(cd "$build" && pwd)
out=${out:-$build/result.json}
# shellcheck source=suite.sh
. "$here/suite.sh"

find_libraries
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d .) || capability=
built=yes
build_suite "${capability:-${CUDAARCHS:-}}" || built=no
if [[ $built == no && (-z $capability || ! -e $build/quadrat_cuda.so) ]]; then
  echo "The suite was not built; see $build/build.log." >&2
  exit 1
fi
if [[ -z $capability ]]; then
  echo "There is no GPU here (nvidia-smi finds none): the suite was built, no test was run."
  exit 0
fi
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader

# Each test chooses its engines anew; the benchmark may remember them.
export QUADRAT_CACHE=
# Without it a test that sees no GPU would pass.
export QUADRAT_TESTS_WANT_GPU=1
start_results
if [[ $built == no ]]; then
  next_row
  cp "$build/build.log" "$logs/build.suite.log"
  put_row "$row_file" build suite FAIL "$SECONDS" "not all of it was built; what was is tested"
fi
for stage in "${stages[@]}"; do
  "stage_$stage"
  write_result
done
summary
