#!/usr/bin/env bash
# detect with networks of random weights: the same bytes on one rank and on three, and masks only where there are some.
#
#   detect_network_test.sh QUADRAT MAKE_MODEL MAKE_SCENE      (run by ctest)
set -uo pipefail
quadrat=$1
make_model=$2
make_scene=$3
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

"$make_scene" --out=. --size=360x330 --seed=3 >/dev/null || fail "no scene"
for kind in mask_rcnn faster_rcnn; do
  "$make_model" $kind.dlpk 3 2 4 uint8 $kind || fail "no $kind"
  boxes=no
  [ $kind = mask_rcnn ] || boxes=yes
  for count in 1 3; do
    mkdir -p n$count
    (cd n$count && mpirun -n $count --bind-to none "$quadrat" detect --raster=../scene.tif --model=../$kind.dlpk --output=$kind.gpkg --device=cpu \
      --precision=float32 --tile_size=256 --padding=32 --threshold=0.48 --return_bboxes=$boxes >out.txt 2>&1) ||
      fail "$kind on $count ranks: $(tail -n 1 n$count/out.txt)"
    cmp -s n1/$kind.gpkg n$count/$kind.gpkg || fail "$kind on $count ranks differs"
  done
  grep -qE "$kind.gpkg: [1-9][0-9]* objects" n1/out.txt || fail "$kind: $(cat n1/out.txt)"
done
"$quadrat" detect --raster=scene.tif --model=faster_rcnn.dlpk --output=o.gpkg --device=cpu >out.txt 2>&1
[ $? = 5 ] || fail "masks of a model without: $(cat out.txt)"
grep -qF "gives boxes and no masks; --return_bboxes=yes" out.txt || fail "not said: $(cat out.txt)"

echo "$failures failed"
[ $failures = 0 ]
