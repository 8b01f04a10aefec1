#!/usr/bin/env bash
# The whole program from outside, with an oracle in place of the network: what detect promises about objects across tiles, ranks,
# interruption, outputs and bad input.
#
#   detect_test.sh DETECT_ORACLE MAKE_SHAPES CHECK_SHAPES QUADRAT MAKE_MODEL      (run by ctest)
set -uo pipefail
oracle=$1
make_shapes=$2
check_shapes=$3
quadrat=$4
make_model=$5
folder=$(mktemp -d)
mounted=
trap '[ -z "$mounted" ] || umount "$mounted"; rm -rf "$folder"' EXIT
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
  [ "$(grep -c '^quadrat detect: ' out.txt)" = 1 ] || fail "not one sentence: $*: $(cat out.txt)"
}

ranks() {
  local count=$1
  shift
  if [ "$count" = 1 ]; then
    "$oracle" "$@"
  else
    mpirun -n "$count" --bind-to none "$oracle" "$@"
  fi
}

# detect NAME ARGUMENTS...: one rank; the log in NAME.log.
detect() {
  local name=$1
  shift
  "$oracle" "${inputs[@]}" "$@" >"$name.log" 2>&1 || fail "$name: $(tail -n 1 "$name.log")"
}

# whole FEATURES [LAYER]: each shape is one feature, pixel by pixel.
whole() {
  "$check_shapes" shapes.tif "$@" >shapes.txt || fail "$*: $(cat shapes.txt)"
}

# counter NAME FEATURES.gpkg
counter() {
  ogrinfo -al -so "$2" 2>/dev/null | sed -nE "s/.*quadrat_counters=(.*; )?$1=([0-9]+).*/\\2/p"
}

"$make_shapes" shapes.tif 600 450 280 5 || fail "no shapes"
echo "pieces=4" >m.txt
inputs=(--raster=shapes.tif --model=m.txt --device=cpu --precision=float32 --result=none)

# Every shape is one feature, whatever the tiles, and however the detector cuts them.
for tiles in "64 0" "64 16" "112 8" "256 64" "1024 0"; do
  for pieces in 4 0; do
    read -r size padding <<<"$tiles"
    echo "pieces=$pieces" >p.txt
    detect "t$size-$padding-$pieces" --model=p.txt --tile_size="$size" --padding="$padding" --output=whole.gpkg --overwrite
    whole whole.gpkg
  done
done
shapes=$(sed 's/ .*//' shapes.txt)
[ "$shapes" -gt 1000 ] || fail "only $shapes shapes"

# The same bytes on any number of ranks, with any number of tiles at a time; the counters add up.
for count in 1 2 3 4; do
  mkdir r$count
  (cd r$count && ln -s ../shapes.tif ../m.txt . && ranks "$count" "${inputs[@]}" --result=o.h5 --output=o.gpkg --quicklook=o.png \
    --regularize >out.txt 2>&1) || fail "on $count ranks: $(tail -n 1 r$count/out.txt)"
  for made in o.gpkg o.h5 o.png; do cmp -s r1/$made r$count/$made || fail "$made on $count ranks differs"; done
  [ -z "$(ls -A r$count | grep -E '^\.|\.part')" ] || fail "left over: $(ls -A r$count | tr '\n' ' ')"
done
whole r1/o.gpkg o
if command -v ogrinfo >/dev/null; then
  [ "$(counter kept r1/o.gpkg)" = "$shapes" ] || fail "the counters say $(counter kept r1/o.gpkg) objects"
  [ "$(counter found r1/o.gpkg)" = $(($(counter kept r1/o.gpkg) + $(counter merged r1/o.gpkg) + $(counter suppressed r1/o.gpkg))) ] ||
    fail "counters do not add up"
  ogrinfo -al -so r1/o.gpkg o_regular 2>/dev/null | grep -q "Feature Count: $shapes" || fail "no second layer"
  ogrinfo r1/o.gpkg layer_styles 2>/dev/null | grep -q 'attr="class_value"' || fail "no style"
fi
grep -qE "found [0-9]+ = kept $shapes \+ merged [0-9]+ \+ suppressed 0" r1/out.txt || fail "counts: $(cat r1/out.txt)"
(cd r1 && OMP_NUM_THREADS=2 "$oracle" "${inputs[@]}" --output=b.gpkg --batch_size=7 --reader_threads=3 >out.txt 2>&1) ||
  fail "batches: $(tail -n 1 r1/out.txt)"
whole r1/b.gpkg

# Other formats hold the same.
for made in o.fgb o.geojson o.shp; do
  detect "$made" --output=$made
  [ "$made" = o.geojson ] || whole $made
done
[ "$(ogrinfo -al -so o.geojson 2>/dev/null | sed -n 's/Feature Count: //p')" = "$shapes" ] || fail "o.geojson lacks features"
detect tab --output=o.tab "--format=MapInfo File"
[ "$(ogrinfo -al -so o.tab 2>/dev/null | sed -n 's/Feature Count: //p')" = "$shapes" ] || fail "o.tab lacks features"

# Tiles that hold more than the network gives at once are looked at closer, and named; nothing is lost.
echo "pieces=4 limit=150" >few.txt
for augments in no yes; do
  detect "few-$augments" --model=few.txt --tile_size=256 --padding=64 --output=few.gpkg --overwrite --test_time_augmentation=$augments
  whole few.gpkg
  grep -qE 'tile 0 \(column 0, row 0 of the raster, 2[0-9]+ x 2[0-9]+ px\) holds more than the network finds at once: looked at in [0-9]+ parts$' \
    "few-$augments.log" || fail "no word of full tiles: $(cat "few-$augments.log")"
done
echo "pieces=4 limit=1" >one.txt
detect one --model=one.txt --output=one.gpkg
grep -q "still full in some" one.log || fail "no word of tiles that stay full"

# Augmented, all views agree, so nothing changes but the order.
detect tta --test_time_augmentation --merge_policy=min --output=tta.gpkg
whole tta.gpkg

# What is cut at a tile's side and seen nowhere else may be left out; then long shapes are lost, and nothing else is.
detect pad --tile_size=64 --padding=0 --exclude_pad_detections --output=pad.gpkg
grep -qE "suppressed: .* [1-9][0-9]* excluded at tiles' sides" pad.log || fail "pad: $(cat pad.log)"

# Classes, areas, thresholds, boxes, scales.
if command -v ogrinfo >/dev/null; then
  sql() { ogrinfo -q -dialect SQLite -sql "$2" "$1" 2>/dev/null | sed -nE 's/^ +n \(.*\) = (.*)/\1/p'; }
  all=r1/o.gpkg
  detect class "--classes=kind 2;kind 1" --output=class.gpkg
  [ "$(sql class.gpkg 'select count(*) n from class')" = "$(sql $all 'select count(*) n from o where class_value in (10, 20)')" ] ||
    fail "classes are not filtered"
  detect area --min_area=12 --output=area.gpkg
  [ "$(sql area.gpkg 'select count(*) n from area')" = "$(sql $all 'select count(*) n from o where area_m2 >= 12')" ] ||
    fail "areas are not filtered"
  [ "$(sql area.gpkg 'select count(*) n from area')" -lt "$shapes" ] || fail "no small shapes"
  detect sure --threshold=0.5 --output=sure.gpkg --confidence_scale=100
  [ "$(sql sure.gpkg 'select count(*) n from sure')" = "$(sql $all 'select count(*) n from o where Confidence >= 0.5')" ] ||
    fail "the threshold is not kept"
  [ "$(sql sure.gpkg 'select min(Confidence) >= 50 n from sure')" = 1 ] || fail "confidence is not in per cent"
  detect boxes --return_bboxes --output=boxes.gpkg
  [ "$(sql boxes.gpkg 'select sum(ST_Area(geom) = (ST_MaxX(geom) - ST_MinX(geom)) * (ST_MaxY(geom) - ST_MinY(geom))) n from boxes')" = "$shapes" ] ||
    fail "boxes are not rectangles"
  detect simple --simplify=1.2m --output=simple.gpkg
  [ "$(sql simple.gpkg 'select sum(ST_NPoints(geom)) n from simple')" -lt "$(sql $all 'select sum(ST_NPoints(geom)) n from o')" ] ||
    fail "nothing is simplified"
  [ "$(sql simple.gpkg 'select sum(ST_IsValid(geom)) n from simple')" = "$shapes" ] || fail "simplified outlines are not valid"
fi

# A part of the raster: what reaches into it, and no more.
detect part --extent=300050,3059900,300150,3059950 --output=part.gpkg
grep -q "extent: 200 x 100 px" part.log || fail "extent: $(cat part.log)"

# Things where there are no data are left out: ghosts in the upper left of every tile, the left columns without data.
"$make_shapes" west.tif 600 450 280 5 300 || fail "no shapes"
echo "pieces=4 ghosts=yes" >ghosts.txt
detect west --raster=west.tif --model=ghosts.txt --output=west.gpkg
grep -qE "suppressed: .* [1-9][0-9]* without data" west.log || fail "ghosts: $(cat west.log)"
grep -q "NoData: 50.00 %" west.log || fail "NoData: $(cat west.log)"

# Nothing found is an empty layer.
detect none --threshold=1 --output=none.gpkg
grep -q "0 objects; the layer is empty" none.log || fail "nothing: $(cat none.log)"
[ "$(ogrinfo -so none.gpkg none 2>/dev/null | sed -n 's/Feature Count: //p')" = 0 ] || fail "none.gpkg is not empty"

# Without a georeference: pixels, and no areas.
"$make_shapes" nowhere.tif 300 200 100 5 0 nowhere || fail "no shapes"
detect nowhere --raster=nowhere.tif --model=p.txt --output=nowhere.gpkg
grep -q "has no georeference; so will the outputs" nowhere.log || fail "nowhere: $(cat nowhere.log)"
"$check_shapes" nowhere.tif nowhere.gpkg >shapes.txt || fail "nowhere: $(cat shapes.txt)"

# A signal stops it with 99, a kill at any moment leaves nothing; the same command then goes on, on another number of ranks, and makes
# the same bytes, though a shard was damaged meanwhile.
echo "pieces=4 slow=20" >slow.txt
slow=(--raster=../shapes.tif --model=../slow.txt --device=cpu --precision=float32 --batch_size=1 --checkpoint_every=0 --output=o.gpkg)
mkdir uncut new
echo chips >uncut/o.h5 # of the same name: a chip set that was exported before
(cd uncut && "$oracle" "${slow[@]}" >out.txt 2>&1) || fail "uncut: $(tail -n 1 uncut/out.txt)"
[ "$(cat uncut/o.h5)" = chips ] || fail "the result took the place of another file"
for signal in TERM KILL; do
  cd new || exit 1
  "$oracle" "${slow[@]}" >../out.txt 2>&1 &
  pid=$!
  for _ in $(seq 1000); do [ -e .o.work/shard_0_0_2.h5 ] && break; sleep 0.01; done
  kill -$signal $pid
  wait $pid 2>/dev/null
  code=$?
  [ $signal = KILL ] || [ $code = 99 ] || fail "SIGTERM gave exit code $code: $(tail -n 1 ../out.txt)"
  [ ! -e o.gpkg ] || fail "features after SIG$signal"
  [ -e .o.work/shard_0_0_2.h5 ] || fail "SIG$signal left nothing to go on from"
  printf x | dd of=.o.work/shard_0_0_1.h5 bs=1 seek=1000 conv=notrunc 2>/dev/null
  expect 5 "another job" "$oracle" "${slow[@]}" --padding=16
  rm -f out.txt
  ranks 2 "${slow[@]}" >../out.txt 2>&1 || fail "resumed: $(tail -n 1 ../out.txt)"
  grep -q 'shard_0_0_1.h5 is gone or damaged' ../out.txt || fail "the damaged shard was not seen: $(cat ../out.txt)"
  cd ..
  for made in o.gpkg o.result.h5; do cmp -s uncut/$made new/$made || fail "$made differs after SIG$signal"; done
  [ "$(ls -A new | tr '\n' ' ')" = "o.gpkg o.result.h5 " ] || fail "left over: $(ls -A new | tr '\n' ' ')"
  rm -rf new/o* new/.o*
done

# What is there stays, unless it may go.
cp r1/o.gpkg new/o.gpkg
expect 2 "--overwrite=yes" "$oracle" "${inputs[@]}" --output=new/o.gpkg
cmp -s new/o.gpkg r1/o.gpkg || fail "a refused output was touched"
detect over --output=new/o.gpkg --overwrite
whole new/o.gpkg
expect 2 "the raster itself" "$oracle" "${inputs[@]}" --output=shapes.tif --format=GPKG --overwrite
rm -rf new/*

# Inputs that are missing, damaged or do not fit: on one rank and on three.
head -c "$(($(stat -c %s shapes.tif) / 2))" shapes.tif >cut.tif
echo "masks=no" >boxes.txt
gdal_translate -q -b 1 -b 2 shapes.tif two.tif 2>/dev/null
gdal_translate -q -ot Byte shapes.tif byte.tif 2>/dev/null
for count in 1 3; do
  tool=(ranks "$count" "${inputs[@]}" --output=new/o.gpkg)
  expect 3 nothere.tif "${tool[@]}" --raster=nothere.tif
  expect 4 cut.tif "${tool[@]}" --raster=cut.tif
  expect 3 nothere.txt "${tool[@]}" --model=nothere.txt
  expect 5 "gives boxes and no masks; --return_bboxes=yes" "${tool[@]}" --model=boxes.txt
  [ ! -e two.tif ] || expect 5 "wants band 3; the raster two.tif has 2" "${tool[@]}" --raster=two.tif
  [ ! -e byte.tif ] || expect 5 "byte.tif is uint8, the model m.txt was trained on uint16" "${tool[@]}" --raster=byte.tif
  expect 5 "extent" "${tool[@]}" --extent=0,0,1,1
  expect 3 nowhere/ "${tool[@]}" --output=nowhere/o.gpkg
  expect 3 /proc/ "${tool[@]}" --output=/proc/o.gpkg
  rm -rf new/.o.work # a raster that breaks off in the middle leaves what was done before
  [ -z "$(ls -A new)" ] || fail "bad input left $(ls -A new | tr '\n' ' ')"
done
"$oracle" "${inputs[@]}" --model=boxes.txt --return_bboxes --output=b.gpkg >out.txt 2>&1 || fail "boxes: $(tail -n 1 out.txt)"

# Options.
tool=("$oracle" "${inputs[@]}" --output=new/o.gpkg)
expect 2 "did you mean --tile_size" "${tool[@]}" --tile_siz=3
expect 2 "out of range" "${tool[@]}" --threshold=1.5
expect 2 "multiple of 16" "${tool[@]}" --tile_size=100
expect 2 "0 to 56 px" "${tool[@]}" --padding=57
expect 2 "has no class kind 99, it has kind 1, kind 2" "${tool[@]}" "--classes=kind 1;kind 99"
expect 2 "as 1.5px or 0.3m" "${tool[@]}" --simplify=3ft
expect 2 "has this ending" "${tool[@]}" --output=new/o.foo
expect 2 "no format of the name Foo" "${tool[@]}" --format=Foo
expect 2 "must end in .h5" "${tool[@]}" --result=new/o.txt
expect 2 "must end in .png" "${tool[@]}" --quicklook=new/o.jpg
expect 2 "nothing to simplify" "${tool[@]}" --return_bboxes --regularize
expect 7 "only a .gpkg has" "${tool[@]}" --output=new/o.fgb --regularize
expect 5 "--bands names 2 bands" "${tool[@]}" --bands=1,2
expect 5 "min_area in m2 means nothing there" "${tool[@]}" --raster=nowhere.tif --min_area=1
expect 5 "give it in px" "${tool[@]}" --raster=nowhere.tif --simplify=1m
[ -z "$(ls -A new)" ] || fail "bad options left $(ls -A new | tr '\n' ' ')"

# The program itself, with a model that finds no objects.
"$make_model" unet.dlpk 3 4 4 uint16 || fail "no model"
expect 5 unet.dlpk "$quadrat" detect --raster=shapes.tif --model=unet.dlpk --output=new/o.gpkg --device=cpu

# A full disk: a small one where it may be mounted, else a limit on the size of files.
mkdir disk
if mount -t tmpfs -o size=400k none disk 2>/dev/null; then
  mounted=$folder/disk
  expect 3 "disk/" "$oracle" "${inputs[@]}" --output=disk/o.gpkg
  expect 3 "disk/" ranks 3 "${inputs[@]}" --output=disk/o.gpkg
  [ "$(ls disk)" = "" ] || fail "a full disk left $(ls disk | tr '\n' ' ')"
else
  limited() { (trap '' XFSZ; ulimit -f 400; "$@" | cat); }
  expect 3 new/ limited "$oracle" "${inputs[@]}" --output=new/o.gpkg
  [ -z "$(ls new)" ] || fail "a limit on the size of files left $(ls new | tr '\n' ' ')"
fi

echo "$failures failed"
[ $failures = 0 ]
