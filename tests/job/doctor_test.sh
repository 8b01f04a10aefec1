#!/usr/bin/env bash
# The whole program from outside: what doctor says, on one rank and on two, and where it refuses.
#
#   doctor_test.sh QUADRAT [PLUGIN]     (run by ctest) PLUGIN: the emulated plug-in, a GPU for where there is none
set -uo pipefail
quadrat=$1
plugin=${2:-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMP_NUM_THREADS=1
failures=0

fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

ranks() {
  local count=$1
  shift
  mpirun -n "$count" --bind-to none "$@"
}

# expect CODE WORDS COMMAND...: the exit code, and words in the one sentence that says why.
expect() {
  local code=$1 words=$2
  shift 2
  "$@" >out.txt 2>&1
  local found=$?
  [ "$found" = "$code" ] || fail "exit code $found, not $code: $*: $(tail -n 3 out.txt)"
  grep -qF -- "$words" out.txt || fail "“$words” is not said: $*: $(tail -n 3 out.txt)"
  [ "$(grep -c '^quadrat doctor: ' out.txt)" = 1 ] || fail "not one sentence: $*: $(cat out.txt)"
}

# Every op that the table of backends declares; what opens, packs, closes and sizes belongs to another.
ops=$(sed -n '/^typedef struct Backend {/,/^} Backend;/p' "$(dirname "$(readlink -f "$0")")/../../include/op/backend.h" |
  grep -oE '^ +[A-Za-z0-9_]+ \*?\(\*[a-z0-9_]+\)' | sed -E 's/.*\(\*([a-z0-9_]+)\)/\1/' |
  grep -vE '_open$|_close$|_pack$|_scratch_bytes$|^preferred_element$|^library$|^autotune$')
[ "$(echo "$ops" | wc -w)" -ge 50 ] || fail "only $(echo "$ops" | wc -w) ops are read from backend.h"

# table DEVICE OUTPUT: all ops of the table pass on the device.
table() {
  local op
  for op in $ops; do
    grep -Eq "^$op +$1 +float32 +PASS +[0-9.e+-]+ +[0-9.e+-]+$" "$2" || fail "no PASS of $op on the $1: $(grep "^$op " "$2")"
  done
  grep -Eq "^relu_forward +$1 +bfloat16 +PASS" "$2" || fail "no bfloat16 on the $1"
  grep -q FAIL "$2" && fail "$(grep FAIL "$2")"
}

# report FILE RANKS: the report is JSON and says what the table says.
report() {
  python3 - "$1" "$2" <<'PYTHON' || fail "$1 is not as it should be"
import json
import sys

found = json.load(open(sys.argv[1]))
ranks = int(sys.argv[2])
assert found["healthy"] is True and found["checks_failed"] == 0
tested = [line for line in found["self_test"] if line["result"] != "NONE"]
assert found["checks"] == len(tested) > 80
assert all(line["result"] == "PASS" and line["difference"] <= line["allowed"] and line["failed_ranks"] == []
           and line["ranks"] == ranks for line in tested)
assert all(line["precision"] == "bfloat16" and line["refused_ranks"] == ranks
           for line in found["self_test"] if line not in tested)
assert [place["rank"] for place in found["ranks"]] == list(range(ranks))
assert all(place["cores"] > 0 and place["threads"] == 1 for place in found["ranks"])
speeds = {speed["what"]: speed for speed in found["speeds"]}
for name in ["memory_copy", "disk_write", "disk_read"] + ["all_reduce"] * (ranks > 1):
    speed = speeds[name]
    assert speed["unit"] == "GB/s" and 0 < speed["least"] <= speed["mean"] <= speed["most"], speed
assert ("all_reduce" in speeds) == (ranks > 1)
for name in ["quadrat", "GDAL", "HDF5", "jansson", "zlib", "MPI", "oneDNN", "OpenMP", "CUDA plug-in"]:
    assert found["libraries"][name], name
PYTHON
}

for count in 1 2; do
  if ranks $count "$quadrat" doctor --device=cpu --disk_size=8 --json=report$count.json >out$count.txt 2>err$count.txt; then
    table cpu out$count.txt
    report report$count.json $count
    grep -Eq '^MPI +[A-Z]' out$count.txt || fail "no MPI: $(cat out$count.txt)"
    grep -q '^rank  *host' err$count.txt || fail "no table of ranks: $(cat err$count.txt)"
    grep -q '^self-test: [0-9]* checks, 0 failed$' out$count.txt || fail "no total: $(tail -n 3 out$count.txt)"
  else
    fail "$count ranks: $(tail -n 3 err$count.txt)"
  fi
done

# The job file that is shown to users.
jobs=$(dirname "$(readlink -f "$0")")/../../jobs
"$quadrat" doctor "$jobs/doctor.ini" --device=cpu --disk_size=1 --json=report.json >out.txt 2>&1 || fail "doctor.ini: $(tail -n 3 out.txt)"

# Without mpirun, and without the disk.
"$quadrat" doctor --device=cpu --disk_size=0 >alone.txt 2>&1 || fail "alone: $(tail -n 3 alone.txt)"
grep -q '^disk' alone.txt && fail "the disk was measured unasked"
[ -z "$(ls -A | grep -vE '^(out|err|report|alone)')" ] || fail "left over: $(ls -A)"

# Processors without bfloat16, and old ones.
for set in AVX2 AVX SSE41; do
  ONEDNN_MAX_CPU_ISA=$set "$quadrat" doctor --device=cpu --disk_size=0 >old.txt 2>&1 || fail "$set: $(tail -n 3 old.txt)"
  table cpu old.txt
done
if grep -q '^oneDNN .*SSE4.1' old.txt; then
  grep -Eq '^conv2d_forward +cpu +bfloat16 +NONE' old.txt || fail "bfloat16 by SSE4.1: $(grep ^conv2d_forward old.txt)"
  grep -q '^NONE: ' old.txt || fail "NONE is not explained"
fi
rm -f old.txt

# A GPU, played by the host: held against the CPU, and part of all that is said.
if [ -f "$plugin" ]; then
  mkdir gpu
  cp "$quadrat" gpu/quadrat
  cp "$plugin" gpu/quadrat_cuda.so
  for count in 1 2; do
    if ranks $count gpu/quadrat doctor --device=gpu --disk_size=0 >gpu.txt 2>gpu.err; then
      table gpu gpu.txt
      table cpu gpu.txt
      for words in "CUDA plug-in  found, 1 GPU on this node" "cuDNN         emulated" "GPU to host, pinned"; do
        grep -qF "$words" gpu.txt || fail "“$words” is not said: $(cat gpu.txt)"
      done
    else
      fail "the emulated GPU, $count ranks: $(tail -n 3 gpu.err) $(grep FAIL gpu.txt)"
    fi
  done
else
  echo "no emulated plug-in"
fi

mkdir bare
cp "$quadrat" bare/quadrat
for run in "" "ranks 2"; do
  expect 3 "nowhere" $run bare/quadrat doctor --json=nowhere/report.json
  # What was found before goes into the report, and what does not need the folder is examined all the same.
  rm -f bad.json
  expect 3 "choose another --folder" $run bare/quadrat doctor --device=cpu --folder=nowhere --json=bad.json
  grep -q '"healthy": false' bad.json && grep -q '"checks_failed": 0' bad.json && grep -q memory_copy bad.json ||
    fail "the report of a bad folder: $(head -c 200 bad.json)"
  rm -f bad.json
  expect 7 "there is no CUDA plug-in" $run bare/quadrat doctor --device=gpu --json=bad.json
  grep -q '"finding": "device=gpu' bad.json || fail "the report without a GPU: $(head -c 200 bad.json)"
  expect 2 "out of range" $run bare/quadrat doctor --disk_size=-1
done

echo "$failures failed"
[ $failures = 0 ]
