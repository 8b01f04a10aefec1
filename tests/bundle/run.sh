#!/usr/bin/env bash
# Builds the bundle and holds it against what it promises: it is small; it runs in a root that holds nothing but the C library,
# on one rank and on two, for a user who is not root, from a folder with a space in its name, whatever the environment says of
# other versions' data; and on a machine that has the same libraries it still takes its own.
#
#   tests/bundle/run.sh [--cuda=auto|on|off] [--folder=build]
#
# Needs root, or user namespaces; without, what wants a root of its own is left out, and it says so.
set -euo pipefail
cd "$(dirname "$0")/../.."

cuda=auto
folder=build
for argument in "$@"; do
  case $argument in
    --cuda=auto | --cuda=on | --cuda=off) cuda=${argument#*=} ;;
    --folder=*) folder=${argument#*=} ;;
    *) sed -n '2,/^set/{/^#/p}' "$0" | sed 's/^# \{0,1\}//'; [[ $argument == --help ]] && exit 0 || exit 2 ;;
  esac
done
most_mib=60

fail() { echo "bundle: $1" >&2; exit 1; }

jobs/build.sh --target=bundle --folder="$folder" -DQUADRAT_CUDA="${cuda^^}"
archives=("$folder"/quadrat-*.tar.xz)
[[ ${#archives[@]} == 1 ]] || fail "there are several archives: ${archives[*]}; remove the old ones"
archive=${archives[0]}
bytes=$(stat --format=%s "$archive")
echo "$archive: $((bytes / 1048576)) MiB"
((bytes < most_mib * 1048576)) || fail "the archive has $bytes bytes, more than $most_mib MiB"

# The bundle in a root of its own, beside the C library as the machine has it.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
root=$scratch/root
home="/home/two words"
mkdir -p "$root$home" "$root"/{proc,sys,dev,etc,tmp}
tar --extract --file="$archive" --directory="$root$home" --no-same-owner
bundle=$(cd "$root$home"/quadrat-* && pwd)
inside=${bundle#"$root"}
loader=$(readelf --program-headers "$bundle/bin/quadrat" | sed -n 's/.*interpreter: \(.*\)]/\1/p')
for library in "$loader" $(ldconfig -p |
  sed -nE 's/^\t(libc|libm|libmvec|libdl|libpthread|librt|libresolv|libutil|libanl)\.so\.[0-9]+ \(libc6,x86-64.* => //p;
           s/^\t(libc|libm|libmvec|libdl|libpthread|librt|libresolv|libutil|libanl)\.so\.[0-9]+ \(libc6,AArch64.* => //p'); do
  install -D "$(readlink -f "$library")" "$root$library"
done
echo 'guest:x:65534:65534::/tmp:/bin/false' >"$root/etc/passwd"
chmod 1777 "$root/tmp"
chmod 755 "$scratch" "$root"

# What other versions' data and parts are to no avail.
foreign=(OPAL_PREFIX=/nowhere OPAL_PKGLIBDIR=/nowhere PMIX_PREFIX=/nowhere GDAL_DATA=/nowhere PROJ_LIB=/nowhere PROJ_DATA=/nowhere
  GDAL_DRIVER_PATH=/nowhere)
namespaces=(unshare --mount)
user=(--userspec=65534:65534)
if [[ $(id -u) != 0 ]]; then
  namespaces=(unshare --user --map-root-user --mount)
  user=()
  foreign+=(OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1)
fi
in_root() {
  # shellcheck disable=SC2016
  "${namespaces[@]}" bash -c 'for folder in proc sys dev; do mount --rbind "/$folder" "$0/$folder"; done; exec "$@"' "$root" \
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp OMP_NUM_THREADS=1 "${foreign[@]}" chroot "${user[@]}" "$root" "$@" || fail "$* fails"
}
two_ranks=("$inside/bin/mpirun" -n 2 --bind-to none --map-by :OVERSUBSCRIBE)

if "${namespaces[@]}" true 2>/dev/null; then
  echo "-- in a root with the C library only"
  in_root "$inside/bin/make_scene" --out=/tmp --name=scene --size=320 --seed=7 --labels=geojson
  in_root "$inside/bin/quadrat" export "$inside/jobs/first_run.ini" --raster=/tmp/scene.tif --labels=/tmp/scene.geojson --output=/tmp/one.h5 |
    tee "$scratch/one"
  in_root "${two_ranks[@]}" "$inside/bin/quadrat" export "$inside/jobs/first_run.ini" --raster=/tmp/scene.tif \
    --labels=/tmp/scene.geojson --output=/tmp/two.h5 >"$scratch/two" 2>"$scratch/words"
  [[ -n $(grep '^content' "$scratch/one") && $(grep '^content' "$scratch/one") == $(grep '^content' "$scratch/two") ]] ||
    fail "one rank and two do not write the same"
  ! grep -i -E 'sorry|cannot open|help file' "$scratch/words" || fail "Open MPI misses parts of itself"
  in_root "${two_ranks[@]}" "$inside/bin/quadrat" doctor --device=cpu --disk_size=0 | tail -n 1
else
  echo "-- not tried in a root with the C library only: unshare is not allowed here"
fi

echo "-- on a machine that has the libraries"
env OMP_NUM_THREADS=1 LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu LD_DEBUG=libs "$bundle/bin/quadrat" doctor --device=cpu --disk_size=0 \
  2>"$scratch/loaded" >/dev/null || fail "the program fails on this machine"
# NVIDIA's libraries are the site's.
strangers=$(sed -n 's/.*calling init: //p' "$scratch/loaded" | grep -v -F "$bundle/" |
  grep -v -E '/(ld-linux[^/]*|libc|libm|libmvec|libdl|libpthread|librt|libresolv|libutil|libanl)\.so\.[0-9]+$' |
  grep -v -E '/lib(cuda|cudart|cudnn[^/]*|nccl|cublas[^/]*|nvrtc[^/]*|nvJitLink)\.so\.[0-9]+$' || true)
[[ -z $strangers ]] || fail "taken from the machine: $strangers"
echo "the bundle is as promised"
