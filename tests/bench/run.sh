#!/usr/bin/env bash
# Compares Quadrat with PyTorch on this machine, in one run: both sides take turns, round by round, with the same number of
# threads, bound to the same cores; medians. Nothing here passes or fails.
#
#   tests/bench/run.sh [--only PREFIX] [--json FILE] [--rounds N] [--threads N] [--python PROGRAM]
#
# Needs a python3 with torch, torchvision and segmentation_models_pytorch (the peer; --python names another one), and a machine
# that does nothing else. The columns are explained in tests/bench/README.md.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${QUADRAT_BENCH_BUILD:-$root/build}
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$build" --target unet_bench --target detector_bench >/dev/null
python=python3
arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    --python) python=$2; shift 2 ;;
    *) arguments+=("$1"); shift ;;
  esac
done
exec "$python" "$root/tests/bench/run.py" --ours "$build/tests/bench" --cases "$build/tests/bench/cases" "${arguments[@]}"
