#!/usr/bin/env bash
# Compares Quadrat with PyTorch on this machine, in one run: both sides take turns, round by round, with the same number of
# threads, bound to the same cores, or on the same GPU; medians. Nothing here passes or fails on a time.
#
#   tests/bench/run.sh [--device cpu|gpu] [--only PREFIX] [--json FILE] [--rounds N] [--threads N] [--python PROGRAM] ...
#
# Needs a python3 with torch and torchvision (the peer; --python names another one), on a CPU segmentation_models_pytorch too, and
# a machine that does nothing else. With a GPU it builds only what the GPU suite builds (tests/gpu/README.md). All options:
# tests/bench/run.py --help; columns: tests/bench/README.md.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
python=python3
device=cpu
arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    --python) python=$2; shift 2 ;;
    --device) device=$2; arguments+=(--device "$2"); shift 2 ;;
    --device=*) device=${1#*=}; arguments+=("$1"); shift ;;
    *) arguments+=("$1"); shift ;;
  esac
done
if [ "$device" = gpu ]; then
  exec "$root/tests/gpu/run.sh" --python "$python" --only bench --bench "${arguments[*]}"
fi
build=${QUADRAT_BENCH_BUILD:-$root/build}
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$build" --target unet_bench --target detector_bench --target peak_bench >/dev/null
exec "$python" "$root/tests/bench/run.py" --ours "$build/tests/bench" --cases "$build/tests/bench/cases" "${arguments[@]}"
