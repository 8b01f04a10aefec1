#!/usr/bin/env bash
# Installs what is missing, builds the program with its tests, and runs all tests that need no GPU.
#
#   tests/run.sh [--quick] [--sanitize] [--fuzz=SECONDS] [--cuda=auto|on|off] [--folder=build] [NAME]
#
#   NAME           runs only the tests whose names match this regular expression, such as store_ or comm_
#   --quick        leaves out the tests that run the whole program or train a network
#   --sanitize     with the address and undefined-behaviour sanitizers, in build-sanitize; on 1 and 2 ranks, not 3 and 4
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
choice=(--output-on-failure)
for argument in "$@"; do
  case $argument in
    --quick) choice+=(--label-exclude slow) ;;
    --sanitize) sanitize=yes; build_options+=(-DQUADRAT_SANITIZE=ON); choice+=(--exclude-regex '_[34]_ranks$') ;;
    --fuzz=*) fuzz_s=${argument#*=}; build_options+=(--clang) ;;
    --cuda=auto | --cuda=on | --cuda=off) cuda=${argument#*=} ;;
    --folder=*) folder=${argument#*=} ;;
    -*) sed -n '2,/^set/{/^#/p}' "$0" | sed 's/^# \{0,1\}//'; [[ $argument == --help ]] && exit 0 || exit 2 ;;
    *) choice+=(--tests-regex "$argument") ;;
  esac
done
folder=${folder:-build${sanitize:+-sanitize}}

jobs/build.sh "${build_options[@]}" --folder="$folder" -DQUADRAT_CUDA="${cuda^^}"

# Open MPI, GDAL and their libraries keep memory until the end on purpose.
export LSAN_OPTIONS="suppressions=$PWD/tests/leaks.supp:print_suppressions=0:${LSAN_OPTIONS:-}"
echo "-- testing"
ctest --test-dir "$folder" --parallel "$(nproc)" --timeout 900 "${choice[@]}"
[[ $fuzz_s == 0 ]] || tests/fuzz/run.sh "$fuzz_s"
