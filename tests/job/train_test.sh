#!/usr/bin/env bash
# The whole program from outside: what train promises about ranks, repetition, interruption and bad input.
#
#   train_test.sh QUADRAT MAKE_SCENE      (run by ctest)
set -uo pipefail
quadrat=$1
make_scene=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMP_NUM_THREADS=1 QUADRAT_QUIET=1
failures=0

fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

# expect CODE WORDS COMMAND...: the exit code, and words in the one sentence that says why.
expect() {
  local code=$1 words=$2
  shift 2
  "$@" >out.txt 2>&1
  local found=$?
  [ "$found" = "$code" ] || fail "exit code $found, not $code: $*: $(tail -n 1 out.txt)"
  grep -qF "$words" out.txt || fail "“$words” is not said: $*: $(tail -n 1 out.txt)"
}

losses() { grep -o '"loss":[^,]*' "$1" | cut -d: -f2; }

"$make_scene" --out=. --size=512 --seed=11 >/dev/null || fail "no scene"
"$quadrat" export --raster=scene.tif --labels=scene.gpkg --class_field=class_id --tile_size=128 --all_tiles=yes \
  --output=chips.h5 >export.txt 2>&1 || fail "no chips: $(tail -n 1 export.txt)"

common=(--chips=chips.h5 --encoder=resnet18 --crop_size=64 --crops_per_chip=2 --batch_size=4 --epochs=1 --device=cpu
  --precision=float32 --validation_share=0.2 --checkpoint_every=0)

# The same global batch gives the same losses on 1, 2 and 4 ranks, when norms share their statistics. The first two steps agree
# to rounding; after that training magnifies rounding (AdamW's first steps are all but signs, so this is SGD).
for ranks in 1 2 4; do
  mpirun -n $ranks --bind-to none "$quadrat" train "${common[@]}" --crop_size=128 --optimizer=sgd --learning_rate=0.001 \
    --shared_norm=yes --output=ranks$ranks.dlpk \
    >out.txt 2>&1 || fail "$ranks ranks: $(tail -n 1 out.txt)"
done
for ranks in 2 4; do
  paste <(losses ranks1.dlpk.log.jsonl) <(losses ranks$ranks.dlpk.log.jsonl) |
    awk '{limit = NR < 3 ? 1e-5 : 2e-3} NF < 2 || ($1 - $2) ^ 2 > (limit * $1) ^ 2 {bad = 1} END {exit bad || NR < 3}' ||
    fail "losses on $ranks ranks differ from those on one: $(paste <(losses ranks1.dlpk.log.jsonl) <(losses ranks$ranks.dlpk.log.jsonl) | head -n 3 | tr '\n' ' ')"
done

# The same command gives the same bytes.
"$quadrat" train "${common[@]}" --output=a.dlpk >out.txt 2>&1 || fail "first run: $(tail -n 1 out.txt)"
"$quadrat" train "${common[@]}" --output=a.dlpk --resume=no --checkpoint=again.h5 --log=again.jsonl >out.txt 2>&1
cp a.dlpk first.dlpk
rm a.dlpk a.dlpk.checkpoint.h5
unzip -o -qq -d first first.dlpk 2>/dev/null || (mkdir -p first && cd first && python3 -m zipfile -e ../first.dlpk .)

# A signal stops it after a step, with 99 and a checkpoint; a kill at any moment leaves no package; and the next run of the same
# command ends with the same weights.
for signal in TERM KILL; do
  rm -rf b.dlpk* second
  "$quadrat" train "${common[@]}" --output=b.dlpk >out.txt 2>&1 &
  pid=$!
  for _ in $(seq 200); do [ -s b.dlpk.log.jsonl ] && break; sleep 0.05; done
  kill -$signal $pid 2>/dev/null
  wait $pid
  code=$?
  [ $signal = KILL ] || [ $code = 99 ] || [ $code = 0 ] || fail "SIGTERM gave exit code $code: $(tail -n 1 out.txt)"
  [ $code = 0 ] || [ ! -e b.dlpk ] || fail "a package of a run that was stopped"
  "$quadrat" train "${common[@]}" --output=b.dlpk >out.txt 2>&1 || fail "resumed: $(tail -n 1 out.txt)"
  mkdir -p second && (cd second && python3 -m zipfile -e ../b.dlpk .)
  cmp -s first/*.safetensors second/*.safetensors || fail "weights differ after SIG$signal"
done

expect 3 missing.h5 "$quadrat" train --chips=missing.h5 --output=c.dlpk
expect 3 nowhere "$quadrat" train "${common[@]}" --output=nowhere/c.dlpk
expect 2 "did you mean --epochs" "$quadrat" train "${common[@]}" --output=c.dlpk --epoch=3
expect 2 "out of range" "$quadrat" train "${common[@]}" --output=c.dlpk --learning_rate=-1
expect 2 "multiples of 32" "$quadrat" train "${common[@]}" --output=c.dlpk --crop_size=50
expect 2 "does not divide by 3 ranks" mpirun -n 3 --bind-to none "$quadrat" train "${common[@]}" --output=c.dlpk
expect 2 "class_weights has 2 numbers" "$quadrat" train "${common[@]}" --output=c.dlpk --class_weights=1,2
head -c 5000 chips.h5 >cut.h5
expect 4 cut.h5 "$quadrat" train --chips=cut.h5 --output=c.dlpk
head -c 5000 first.dlpk >cut.dlpk
expect 4 cut.dlpk mpirun -n 2 --bind-to none "$quadrat" train "${common[@]}" --output=c.dlpk --start=cut.dlpk
expect 5 "" "$quadrat" train "${common[@]}" --output=c.dlpk --start=first.dlpk --start_part=whole --encoder=resnet34
expect 7 "no GPU can be used" env CUDA_VISIBLE_DEVICES= "$quadrat" train "${common[@]}" --output=c.dlpk --device=gpu
[ ! -e c.dlpk ] || fail "a package after an error"

echo "$failures failed"
[ $failures = 0 ]
