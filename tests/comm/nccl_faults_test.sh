#!/usr/bin/env bash
# A whole job from outside, when a rank or its NCCL fails: all ranks leave in time, with the exit code and the sentence that the
# README promises.
#
#   nccl_faults_test.sh NCCL_JOB      (run by ctest; the emulated plug-in lies beside NCCL_JOB)
set -uo pipefail
job=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMP_NUM_THREADS=1 QUADRAT_QUIET=1 QUADRAT_NCCL_TIMEOUT_S=2
launch=()
failures=0

fail() {
  echo "FAILED: $*"
  sed 's/^/    /' out.txt
  failures=$((failures + 1))
}

any_left() {
  local process
  for process in /proc/[0-9]*; do
    tr '\0' ' ' 2>/dev/null <"$process/cmdline" | grep -q "^$job sums" && return 0
  done
  return 1
}

# expect CODE SECONDS_MOST RANKS NCCL_FAULT ARGUMENTS...: how the job ends; none of its processes stays.
expect() {
  local code=$1 most=$2 ranks=$3 fault=$4 start=$SECONDS
  shift 4
  what="$ranks ranks, NCCL ${fault:-well}, $*"
  EMULATED_NCCL_FAULT=$fault timeout -k 5 90 mpirun -n "$ranks" --bind-to none "${launch[@]}" "$job" sums "$@" >out.txt 2>&1
  local found=$?
  [ "$found" = "$code" ] || fail "exit code $found, not $code: $what"
  [ $((SECONDS - start)) -le "$most" ] || fail "it took $((SECONDS - start)) s: $what"
  sleep 0.3
  ! any_left || fail "a process stayed: $what"
}

# says COUNT WORDS: so many lines say this.
says() {
  local found
  found=$(grep -cE "$2" out.txt)
  [ "$found" = "$1" ] || fail "$found lines, not $1, say “$2”: $what"
}

named='quadrat( sums)?: rank [0-9]+ on [^ :]+: step'

for ranks in 1 2 3 4; do
  expect 0 10 $ranks ""
  says 0 .
done
expect 0 10 2 slow
expect 0 10 2 refuse # over the host

# The GPU of one rank hangs: every rank says where, and the job ends with 9.
expect 9 15 3 hang:5@1
says 3 "$named 2, the sum of gradients, bucket 2 \(sum 5 of this run\): NCCL has not ended it after 2 s; all ranks came to it"

# NCCL finds a failure in the background.
expect 9 15 2 remote:5@1
says 1 "rank 1 on [^ ]+ step 2, the sum of gradients, bucket 2 .*remote process exited or there was a network error"

# The host of one rank does not come back from NCCL, or stands elsewhere; its own watchdog still answers.
expect 9 15 3 stuck:5@2
says 2 "$named 2, the sum of gradients, bucket 2 .* after 2 s; rank 2 on [^ ]+ has not come to it: its host is behind sum 4, the sum of gradients, bucket 1, of step 2"
expect 9 15 2 "" --fault=sleep --rank=1 --step=6
says 1 "$named 7, the sum of gradients, bucket 2 .* after 2 s; rank 1 on [^ ]+ has not come to it: its host is behind sum 19, the sum of gradients, bucket 1, of step 7"

# A rank that is stopped answers nothing. Its GPU is the same process here, so it stops as well.
expect 9 20 3 "" --fault=stop --rank=1 --step=6
says 2 "$named [567], the sum of gradients, bucket [123] .* after 2 s; no word from rank 1$"

# A rank is killed. mpirun ends the others, and says so; where the launcher does not, they end themselves (it has no exit code to
# give then, so each rank's own is looked at).
expect 137 20 3 "" --fault=kill --rank=1 --step=6
launch=(--enable-recovery sh -c '"$0" "$@"; echo "left with code $?"')
expect 0 20 3 die:5@1
says 1 "left with code 137"
says 2 "left with code 9"
says 2 "$named 2, the sum of gradients, bucket 2 \(sum 5 of this run\): NCCL has not ended it after 2 s; no word from rank 1$"
launch=()

# A rank that fails by itself, while the others wait for it in NCCL, says why and ends them.
QUADRAT_NCCL_TIMEOUT_S=60 expect 3 30 2 "" --fault=error --rank=1 --step=6
says 1 "^quadrat sums: rank 1 on [^ ]+: chips.h5 cannot be read$"

[ $failures = 0 ] || exit 1
