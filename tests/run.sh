#!/usr/bin/env bash
# Installs what is missing, builds the program with its tests, and runs all tests that need no GPU.
#
#   tests/run.sh [--quick] [--sanitize] [--fuzz=SECONDS] [--cuda=auto|on|off] [--folder=build] [NAME]
#
#   NAME           runs only the tests whose names match this regular expression, such as store_ or comm_
#   --quick        leaves out the tests that run the whole program or train a network
#   --sanitize     with the address and undefined-behaviour sanitizers, in build-sanitize; on 1 and 2 ranks, not on 3 and 4,
#                  and without the comparison of loss curves
#   --fuzz=…       afterwards, runs the fuzzers of the file readers for so many seconds in all (installs clang)
#   --cuda=…       whether the CUDA plug-in is built and its tests without a GPU are run (auto: if there is a toolkit)
#   --folder=…     where to build
# The suite for machines with a GPU is tests/gpu/run.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=
cuda=auto
fuzz_s=0
build_options=(--tests)
names=()
labels=()
excluded=()
quick=
sanitize=
for argument in "$@"; do
  case $argument in
    --quick) quick=yes; labels+=(--label-exclude program); excluded+=('^model_unet' '^op_training_emulated') ;;
    --sanitize) sanitize=yes; build_options+=(-DQUADRAT_SANITIZE=ON); excluded+=('_[34]_ranks$' '^model_unet_curve' '^op_training_emulated') ;;
    --fuzz=*) fuzz_s=${argument#*=}; build_options+=(--clang) ;;
    --cuda=auto | --cuda=on | --cuda=off) cuda=${argument#*=} ;;
    --folder=*) folder=${argument#*=} ;;
    -*) sed -n '2,/^set/{/^#/p}' "$0" | sed 's/^# \{0,1\}//'; [[ $argument == --help ]] && exit 0 || exit 2 ;;
    *) names+=(--tests-regex "$argument") ;;
  esac
done
folder=${folder:-build${sanitize:+-sanitize}}

jobs/build.sh "${build_options[@]}" --folder="$folder" -DQUADRAT_CUDA="${cuda^^}"

echo "-- testing"
test_options=(--test-dir "$folder" --parallel "$(nproc)" --timeout 900 --output-on-failure "${names[@]}")
[[ ${#excluded[@]} == 0 ]] || test_options+=(--exclude-regex "$(IFS='|'; echo "${excluded[*]}")")
status=0
if [[ -z $sanitize ]]; then
  ctest "${test_options[@]}" "${labels[@]}" || status=1
else
  # Open MPI unloads what it has not freed, so a leak in its processes cannot be told from one of its own.
  ctest "${test_options[@]}" --label-exclude 'ranks|program' || status=1
  [[ -n $quick ]] || ASAN_OPTIONS=detect_leaks=0 ctest "${test_options[@]}" --label-regex 'ranks|program' || status=1
fi
# The time is for all of them; there are six.
[[ $fuzz_s == 0 ]] || tests/fuzz/run.sh $(((fuzz_s + 8) / 9)) || status=1
exit $status
