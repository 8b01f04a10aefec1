#!/bin/sh
# Runs every fuzzer for SECONDS (default 600), one after another, from its seeds: tests/fuzz/run.sh [SECONDS [NAME …]]
# Builds them first, with clang, in build-fuzz (or $QUADRAT_FUZZ_BUILD). Ends with an error at the first finding, which then
# lies in that folder as crash-…, and is shown again by running the fuzzer with that file.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${QUADRAT_FUZZ_BUILD:-$root/build-fuzz}
seconds=${1:-600}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- coco coco_score document journal mask_runs package pickle plans pth safetensors

cmake -S "$root" -B "$build" -G Ninja -DCMAKE_C_COMPILER=clang -DQUADRAT_FUZZ=ON -DQUADRAT_CUDA=OFF \
  -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_C_FLAGS=-Wno-unknown-warning-option >/dev/null
for name in "$@"; do
  cmake --build "$build" --target "fuzz_$name" >/dev/null
done
cd "$build"
for name in "$@"; do
  corpus=$build/corpus/$name
  mkdir -p "$corpus"
  seeds=$root/tests/fuzz/seeds/$name
  case $name in
  pth | safetensors) seeds="$seeds $root/tests/golden/weights" ;;
  esac
  echo "fuzz_$name: $seconds s"
  # shellcheck disable=SC2086 # several folders
  "tests/fuzz/fuzz_$name" -max_total_time="$seconds" -max_len=8192 -timeout=20 -rss_limit_mb=2048 \
    -print_final_stats=1 "$corpus" $seeds >"fuzz_$name.log" 2>&1 || {
    tail -40 "fuzz_$name.log"
    exit 1
  }
  grep -E '^(stat::number_of_executed_units|stat::peak_rss_mb)' "fuzz_$name.log"
done
echo "no findings"
