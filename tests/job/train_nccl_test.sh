#!/usr/bin/env bash
# A U-Net trained on two ranks with an emulated GPU each: over NCCL, and over MPI where NCCL refuses, it ends with the same bytes;
# and a sum that hangs ends it. Of its four steps the first two are issued op by op, the others are played from a recording where
# the sums go over NCCL.
#
#   train_nccl_test.sh QUADRAT MAKE_SCENE      (run by ctest; the emulated plug-in lies beside QUADRAT)
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

# train FAULT OUTPUT
train() {
  EMULATED_NCCL_FAULT=$1 timeout 400 mpirun -n 2 --bind-to none "$quadrat" train --chips=chips.h5 --encoder=resnet18 --crop_size=32 \
    --crops_per_chip=1 --batch_size=4 --epochs=2 --device=gpu --precision=float32 --shared_norm=yes --validation_share=0 \
    --checkpoint_every=0 --output="$2" >out.txt 2>&1
}

"$make_scene" --out=. --size=192 --seed=11 >out.txt 2>&1 || fail "no scene"
"$quadrat" export --raster=scene.tif --labels=scene.gpkg --class_field=class_id --tile_size=64 --all_tiles=yes \
  --output=chips.h5 >out.txt 2>&1 || fail "no chips"

train "" nccl.dlpk || fail "over NCCL"
grep -q "gradients are summed by NCCL 2.0.0" out.txt || fail "not over NCCL"
train refuse mpi.dlpk || fail "over MPI"
grep -q "gradients are summed by MPI on the host, since NCCL, connect the ranks: invalid usage" out.txt || fail "not over MPI"
for run in nccl mpi; do
  mkdir $run && (cd $run && python3 -m zipfile -e ../$run.dlpk .)
done
cmp nccl/*.safetensors mpi/*.safetensors >out.txt 2>&1 || fail "weights differ"

# hang NUMBER WORDS: all ranks say where.
hang() {
  QUADRAT_NCCL_TIMEOUT_S=20 train "hang:$1@1" hung.dlpk
  local code=$? rank
  [ $code = 9 ] || fail "exit code $code, not 9"
  for rank in 0 1; do
    grep -q "rank $rank on [^ ]*: $2 (sum $1 of this run): NCCL has not ended it after 20 s" out.txt ||
      fail "rank $rank does not say where it hangs"
  done
  [ ! -e hung.dlpk ] || fail "a package of a run that hung"
}

# A step has some 65 sums: of 30 norms each way, the losses', and a few buckets.
hang 3 "step 1, the sum of batch norm's statistics"
hang 240 "step 4, the sum of batch norm's gradients"

[ $failures = 0 ] || exit 1
