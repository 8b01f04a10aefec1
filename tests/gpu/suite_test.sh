#!/usr/bin/env bash
# What tests/gpu/run.sh makes of tests that pass, fail, hang and skip themselves, on a machine that is played: nvidia-smi, cmake,
# nvcc, compute-sanitizer and the programs are small scripts.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PATH=$folder/bin:$PATH CUDA_HOME=$folder/none FAKE=$folder
export GPU=90
mkdir -p "$folder/bin"

play() { cat >"$folder/bin/$1"; chmod +x "$folder/bin/$1"; }
fail() { echo "$1"; [[ ! -e ${2:-} ]] || cat "$2"; exit 1; }
expect() { grep -qE "$1" "$2" || fail "no <$1> in" "$2"; }
refuse() { ! grep -qE "$1" "$2" || fail "<$1> is in" "$2"; }

play nvidia-smi <<'END'
#!/bin/sh
[ -n "$GPU" ] || exit 1
case $* in *compute_cap*) echo 9.0 ;; *) echo "NVIDIA \"Played\", 580.1, 81559 MiB" ;; esac
END
play cmake <<'END'
#!/bin/sh
case $1 in
  --build) folder=$2 ;;
  *) echo "$@" >"$FAKE/configured"; exit 0 ;;
esac
[ "$BROKEN" != yes ] || { echo "error: it does not compile"; exit 1; }
echo "CMAKE_CUDA_COMPILER:FILEPATH=$FAKE/bin/nvcc" >"$folder/CMakeCache.txt"
program() { printf '#!/bin/sh\n%s\n' "$2" >"$folder/$1"; chmod +x "$folder/$1"; }
program gpu_conv2d_test 'echo fine'
program gpu_resize_test 'echo "resize_test.c:12: error: value 3 is \"4\", expected 5"; exit 1'
program gpu_max_pool2d_test 'echo fine'
program gpu_autotune_test 'echo "there is only one engine"; exit 77'
program gpu_curve_test 'echo "figure: unet: losses at most 1e-05 apart"; echo "figure: mask_rcnn: 2e-05"'
program gpu_unet_test 'kill -SEGV $$'
program gpu_mask_rcnn_test 'sleep 100'
program gpu_repeat_test 'echo fine'
program gpu_order_test 'echo fine'
[ -z "$BROKEN" ] || { echo "error: one test does not compile"; exit 1; }
END
play nvcc <<'END'
#!/bin/sh
echo "Cuda compilation tools, release 13.0, V13.0.48"
END
play compute-sanitizer <<'END'
#!/bin/sh
[ -z "$UNSUPPORTED" ] || { echo "========= Error: Device not supported. Please refer to"; exit 1; }
case $* in *racecheck*conv2d*) echo "========= Error: Race reported between Write access"; exit 99 ;; esac
END

# No GPU: it is built for the wanted chip, and nothing else happens.
GPU='' CUDAARCHS=90 "$here/run.sh" "$folder/build" >"$folder/log"
expect 'There is no GPU here' "$folder/log"
expect 'CMAKE_CUDA_ARCHITECTURES=90' "$folder/configured"
BROKEN=yes "$here/run.sh" "$folder/build" >"$folder/log" 2>&1 && fail "a build that fails passes"
expect 'does not compile' "$folder/log"

touch "$folder/build/quadrat_cuda.so"
BROKEN=partly "$here/run.sh" --only curve "$folder/build" >"$folder/log" 2>&1 && fail "half a build passes"
expect '^build +suite +FAIL' "$folder/log"
expect '^curve +gpu_curve_test +PASS' "$folder/log"
rm "$folder/build/quadrat_cuda.so"

# A stage of good tests.
"$here/run.sh" --only curve,ranks,first_run --out "$folder/good.json" "$folder/build" >"$folder/log" || fail "it fails" "$folder/log"
expect '^curve +gpu_curve_test +PASS .*1e-05 apart; mask_rcnn' "$folder/log"
expect '^ranks +gpu_nccl_test +SKIP .*without NCCL' "$folder/log"
expect '^first_run +first_run +SKIP' "$folder/log"
expect '1 passed, 0 failed, 2 skipped' "$folder/log"
expect '"gpu": "NVIDIA ."Played.""' "$folder/good.json"
expect '"cuda": "13.0"' "$folder/good.json"
expect '"driver": "580.1"' "$folder/good.json"

# Failures of every kind, in whatever order they end; what was left unfinished is told, and the rest is there.
"$here/run.sh" --only=ops,steps --deadline=25 --jobs=3 "$folder/build" >"$folder/log" && fail "failures pass"
expect '^ops +gpu_conv2d_test +PASS' "$folder/log"
expect '^ops +gpu_resize_test +FAIL .*exit code 1: .*expected 5' "$folder/log"
expect '^ops +gpu_autotune_test +SKIP .*only one engine' "$folder/log"
expect '^steps +gpu_unet_test +FAIL .*exit code 139' "$folder/log"
expect '^steps +gpu_mask_rcnn_test +FAIL .*not done within' "$folder/log"
expect '4 passed, 3 failed, 1 skipped' "$folder/log"
expect 'logs/steps.gpu_unet_test.log' "$folder/log"
"$here/run.sh" --only ops --deadline 0 "$folder/build" >"$folder/log"
expect 'gpu_conv2d_test +SKIP .*no time was left' "$folder/log"

# The sanitizer's tools over all tests of ops.
"$here/run.sh" --only sanitizer --jobs 2 --out "$folder/bad.json" "$folder/build" >"$folder/log" && fail "a race passes"
expect 'racecheck.gpu_conv2d_test +FAIL .*Race reported' "$folder/log"
expect '11 passed, 1 failed, 0 skipped' "$folder/log"
UNSUPPORTED=yes "$here/run.sh" --only sanitizer "$folder/build" >"$folder/log"
expect 'SKIP .*Device not supported' "$folder/log"
rm "$folder/bin/compute-sanitizer"
if ! command -v compute-sanitizer >/dev/null; then
  "$here/run.sh" --only sanitizer "$folder/build" >"$folder/log"
  expect 'SKIP .*compute-sanitizer is not here' "$folder/log"
fi

"$here/run.sh" --list >"$folder/log"
expect '^sanitizer$' "$folder/log"
"$here/run.sh" --only nothing "$folder/build" 2>"$folder/log" && fail "an unknown stage passes"
expect 'no stage nothing' "$folder/log"
if command -v python3 >/dev/null; then
  for file in good bad; do
    python3 -m json.tool "$folder/$file.json" >"$folder/log" || fail "not JSON" "$folder/$file.json"
  done
  refuse FAIL "$folder/good.json"
fi
