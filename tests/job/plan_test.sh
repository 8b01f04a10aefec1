#!/usr/bin/env bash
# plan from outside: what it predicts is what runs take, on one rank and on two; it refuses what cannot fit, and writes nothing.
#
#   plan_test.sh QUADRAT MAKE_SCENE MAKE_MODEL SANITIZED PLUGIN      (run by ctest)      PLUGIN: emulated GPUs
set -uo pipefail
quadrat=$1
make_scene=$2
make_model=$3
sanitized=$4
plugin=$5
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

# expect CODE WORDS COMMAND...: the exit code, and words in the one sentence that says why.
expect() {
  local code=$1 words=$2
  shift 2
  "$@" >out.txt 2>&1
  local found=$?
  [ "$found" = "$code" ] || fail "exit code $found, not $code: $*: $(tail -n 1 out.txt)"
  grep -qF -- "$words" out.txt || fail "“$words” is not said: $*: $(tail -n 1 out.txt)"
}

# close NAME RANKS TOOL OPTIONS...: the plan's peak is within 3 % of what the run then takes (a sanitizer takes as much again).
close() {
  local name=$1 ranks=$2
  shift 2
  mpirun -n "$ranks" --bind-to none "$quadrat" plan "$@" --measure=no >plan.txt 2>err.txt || fail "plan of $name: $(tail -n 1 err.txt)"
  mpirun -n "$ranks" --bind-to none "$quadrat" "$@" >out.txt 2>&1 || fail "$name: $(tail -n 1 out.txt)"
  local predicted measured
  predicted=$(sed -nE 's/^  peak +([0-9.]+).*/\1/p' plan.txt)
  measured=$(sed -nE 's/^peak memory of a rank: ([0-9.]+) MiB$/\1/p' out.txt)
  echo "$name on $ranks: predicted $predicted MiB, measured $measured MiB"
  [ "$sanitized" = 0 ] || return
  awk -v p="$predicted" -v m="$measured" 'BEGIN {exit !(p > 0 && m > 0 && p < 1.03 * m && p > 0.97 * m)}' ||
    fail "$name: predicted $predicted MiB, measured $measured MiB: $(cat plan.txt)"
}

mkdir wide
"$make_scene" --out=. --size=512 --seed=11 >/dev/null || fail "no scene"
"$quadrat" export --raster=scene.tif --labels=scene.gpkg --class_field=class_id --tile_size=128 --all_tiles=yes \
  --output=chips.h5 >out.txt 2>&1 || fail "no chips: $(tail -n 1 out.txt)"
"$quadrat" export --raster=scene.tif --labels=scene.gpkg --class_field=class_id --tile_size=128 --all_tiles=yes --format=instances \
  --output=objects.h5 >out.txt 2>&1 || fail "no objects: $(tail -n 1 out.txt)"
"$make_model" m.dlpk 3 4 4 uint8 || fail "no model"
"$make_model" d.dlpk 3 2 4 uint8 mask_rcnn || fail "no model"
on_cpu=(--device=cpu --precision=float32)
unet=(--chips=chips.h5 --encoder=resnet18 --batch_size=4 --epochs=1 --crop_size=128 --crops_per_chip=1 "${on_cpu[@]}")
rcnn=(--chips=objects.h5 --encoder=resnet18 --batch_size=2 --epochs=1 --crops_per_chip=1 --proposals=200 --box_batch_size=32
  "${on_cpu[@]}")
map=(--raster=scene.tif --model=m.dlpk --tile_size=256 "${on_cpu[@]}")
find=(--raster=scene.tif --model=d.dlpk --tile_size=256 --threshold=0.5 "${on_cpu[@]}")

close "a U-Net" 1 train "${unet[@]}" --output=u1.dlpk
close "a U-Net" 2 train "${unet[@]}" --output=u2.dlpk
close "a Mask R-CNN" 1 train "${rcnn[@]}" --output=r1.dlpk
close "classify" 1 classify "${map[@]}" --output=c1.tif
close "classify" 2 classify "${map[@]}" --output=c2.tif
# Each reader keeps blocks of its own: on a raster of many blocks they are what counts.
"$make_scene" --out=wide --size=2048 --seed=12 >/dev/null || fail "no wide scene"
wide=(--raster=wide/scene.tif --model=m.dlpk --tile_size=512 --reader_threads=4 "${on_cpu[@]}")
close "classify with four readers" 1 classify "${wide[@]}" --output=c3.tif
close "detect" 1 detect "${find[@]}" --output=o1.gpkg

# The job file and the options of the run work as they are, plan's own anywhere among them; nothing is written.
printf '[train]\nencoder = resnet18\ncrop_size = 128\ncrops_per_chip = 1\nepochs = 1\n' >job.ini
mkdir new
"$quadrat" plan train job.ini --ranks 2 --chips chips.h5 --memory=1000 --output=new/a.dlpk --device=cpu --measure=no >plan.txt 2>err.txt ||
  fail "with a job file: $(tail -n 1 err.txt)"
grep -q "4 on each of 2 ranks" plan.txt || fail "ranks have no say: $(cat plan.txt)"
"$quadrat" plan classify "${map[@]}" --output=new/a.tif >plan.txt 2>err.txt || fail "classify: $(tail -n 1 err.txt)"
grep -q "megapixels/s" plan.txt || fail "nothing is measured: $(cat plan.txt)"
"$quadrat" plan train "${unet[@]}" --output=new/a.dlpk >plan.txt 2>err.txt || fail "train: $(tail -n 1 err.txt)"
grep -q "per step of 4 samples" plan.txt || fail "nothing is measured: $(cat plan.txt)"
[ -z "$(ls -A new)" ] || fail "plan left $(ls -A new | tr '\n' ' ')"

# On a GPU that nobody has here a time is predicted, and called that.
for gpu in h200 t4; do
  "$quadrat" plan classify "${map[@]}" --output=new/a.tif --measure=no --gpu=$gpu >$gpu.txt 2>err.txt || fail "on a $gpu: $(tail -n 1 err.txt)"
  grep -q "^gpu .*predicted, not measured: .* ms for a batch of .* megapixels/s" $gpu.txt || fail "no time on a $gpu: $(cat $gpu.txt)"
done
rate() { sed -nE 's/^gpu .* ([0-9.e+]+) megapixels.s$/\1/p' "$1"; }
awk -v h="$(rate h200.txt)" -v t="$(rate t4.txt)" 'BEGIN {exit !(t > 0 && h > 3 * t)}' || fail "an H200 is no faster: $(cat h200.txt t4.txt)"
"$quadrat" plan detect "${find[@]}" --output=new/a.gpkg --measure=no --gpu=a100 >plan.txt 2>err.txt || fail "detect: $(tail -n 1 err.txt)"
grep -q "^gpu .*NVIDIA A100" plan.txt || fail "no time of detect: $(cat plan.txt)"
mpirun -n 2 --bind-to none "$quadrat" plan train "${unet[@]}" --output=new/a.dlpk --measure=no --gpu=h100 >plan.txt 2>err.txt ||
  fail "train: $(tail -n 1 err.txt)"
grep -q "^gpu .*a step of 2 samples on each rank on one NVIDIA H100" plan.txt || fail "no time of train: $(cat plan.txt)"
"$quadrat" plan train "${rcnn[@]}" --output=new/a.dlpk --measure=no --gpu=l40s >plan.txt 2>err.txt || fail "train: $(tail -n 1 err.txt)"
grep -q "^gpu .*NVIDIA L40S" plan.txt || fail "no time of a detector's training: $(cat plan.txt)"
"$quadrat" plan train "${unet[@]}" --output=new/a.dlpk --measure=no >plan.txt 2>err.txt || fail "train: $(tail -n 1 err.txt)"
grep -q "^gpu" plan.txt && fail "a GPU's time that nobody asked for: $(cat plan.txt)"

# What it calls the largest batch fits, and one more does not.
plan_batch() { "$quadrat" plan train "${unet[@]}" --output=new/a.dlpk --measure=no --memory=1.2 "$@"; }
largest=$(plan_batch 2>/dev/null | sed -nE 's/^batch +batch_size may be up to ([0-9]+):.*/\1/p')
[ "${largest:-0}" -gt 4 ] || fail "no largest batch: $(plan_batch 2>&1)"
plan_batch --batch_size="$largest" >out.txt 2>&1 || fail "the largest batch, $largest, does not fit: $(tail -n 1 out.txt)"
expect 6 "give a batch_size of at most" plan_batch --batch_size=$((largest + 2))
expect 6 "does not fit: a rank takes" "$quadrat" plan train "${unet[@]}" --output=new/a.dlpk --memory=0.02
expect 6 "give a smaller tile_size" "$quadrat" plan classify "${map[@]}" --output=new/a.tif --memory=0.02
expect 6 "does not fit: a rank takes" mpirun -n 2 --bind-to none "$quadrat" plan detect "${find[@]}" --output=new/a.gpkg --memory=0.02
[ "$(grep -c '^quadrat plan: ' out.txt)" = 1 ] || fail "not one sentence: $(cat out.txt)"

# GPUs: memory that the plug-in would give is counted apart, and never touched; without one it is reckoned from the CPU.
expect 0 "GPU (guessed)" env CUDA_VISIBLE_DEVICES= "$quadrat" plan train --chips=chips.h5 --encoder=resnet18 --crop_size=32 --batch_size=2 \
  --output=new/a.dlpk --device=gpu
if [ -f "$plugin" ]; then
  mkdir with && ln "$quadrat" with/quadrat 2>/dev/null || cp "$quadrat" with/quadrat
  cp "$plugin" with/quadrat_cuda.so
  expect 0 " GPU" with/quadrat plan train --chips=chips.h5 --encoder=resnet18 --crop_size=32 --batch_size=2 --output=new/a.dlpk --device=gpu \
    --measure=no
  grep -qE '^  activations +0\.0 +[1-9]' out.txt || fail "activations are not the GPU's: $(cat out.txt)"
  expect 0 " GPU" with/quadrat plan classify --raster=scene.tif --model=m.dlpk --tile_size=64 --output=new/a.tif --device=gpu --measure=no
fi

expect 2 "one of train, classify, detect" "$quadrat" plan
expect 2 "not “nms”" "$quadrat" plan nms --input=a.gpkg
expect 2 "did you mean --epochs" "$quadrat" plan train "${unet[@]}" --output=new/a.dlpk --epoch=3
expect 2 "out of range" "$quadrat" plan train "${unet[@]}" --output=new/a.dlpk --ranks=-1
expect 2 "does not divide by 3 ranks" "$quadrat" plan train "${unet[@]}" --output=new/a.dlpk --ranks=3
expect 3 missing.h5 "$quadrat" plan train --chips=missing.h5 --output=new/a.dlpk
expect 3 missing.tif "$quadrat" plan classify --raster=missing.tif --model=m.dlpk --output=new/a.tif
expect 5 "makes maps and finds no objects" "$quadrat" plan detect --raster=scene.tif --model=m.dlpk --output=new/a.gpkg
[ -z "$(ls -A new)" ] || fail "bad input left $(ls -A new | tr '\n' ' ')"

echo "$failures failed"
[ $failures = 0 ]
