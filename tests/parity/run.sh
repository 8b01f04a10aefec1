#!/usr/bin/env bash
# Compares our networks, stage by stage, with torchvision and segmentation_models_pytorch: see README.md beside this file.
#
#   tests/parity/run.sh [--seed N] [--weights FILE.pth [--norm-eps E] [--size PX]] [--model PREFIX] [--golden] [--json FILE]
#                       [--keep FOLDER] [--python PROGRAM]
#
# Ends with 1 if a stage is above its tolerance.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${QUADRAT_PARITY_BUILD:-$root/build}
python=python3
arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    --python) python=$2; shift 2 ;;
    *) arguments+=("$1"); shift ;;
  esac
done
cmake -S "$root" -B "$build" -G Ninja >/dev/null
cmake --build "$build" --target parity >/dev/null
exec "$python" "$root/tests/parity/run.py" --program "$build/tests/parity/parity" "${arguments[@]}"
