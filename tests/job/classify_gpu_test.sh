#!/usr/bin/env bash
# classify on the emulated GPU, whose streams run as late and in as odd an order as they may: batches that overlap give the same
# bytes in any order, on one rank and two, and the same map as the CPU.
#
#   classify_gpu_test.sh QUADRAT MAKE_SCENE      (run by ctest; the emulated plug-in lies beside QUADRAT)
set -uo pipefail
quadrat=$1
make_scene=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMP_NUM_THREADS=1 QUADRAT_CACHE=
failures=0

fail() {
  echo "FAILED: $*: $(tail -n 3 out.txt)"
  failures=$((failures + 1))
}

"$make_scene" --out=. --size=192 --seed=11 >out.txt 2>&1 || fail "no scene"
"$quadrat" export --raster=scene.tif --labels=scene.gpkg --class_field=class_id --tile_size=64 --all_tiles=yes \
  --output=chips.h5 >out.txt 2>&1 || fail "no chips"
"$quadrat" train --chips=chips.h5 --encoder=resnet18 --crop_size=64 --batch_size=2 --epochs=1 --device=cpu \
  --validation_share=0 --output=model.dlpk >out.txt 2>&1 || fail "no model"

# classify DEVICE RANKS SEED OUTPUT
classify() {
  QUADRAT_EMULATOR_SEED=$3 mpirun -n "$2" --bind-to none "$quadrat" classify --raster=scene.tif --model=model.dlpk --device="$1" \
    --precision=float32 --tile_size=64 --padding=16 --batch_size=1 --reader_threads=2 --output="$4" >out.txt 2>&1
}

classify cpu 1 1 cpu.tif || fail "on the CPU"
for seed in 1 2 3; do
  classify gpu 1 $seed gpu$seed.tif || fail "on the emulated GPU, order $seed"
  cmp cpu.tif gpu$seed.tif >out.txt 2>&1 || fail "order $seed gives other bytes"
done
classify gpu 2 4 two.tif || fail "on two emulated GPUs"
cmp cpu.tif two.tif >out.txt 2>&1 || fail "two ranks give other bytes"

[ $failures = 0 ] || exit 1
