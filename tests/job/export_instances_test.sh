#!/usr/bin/env bash
# The whole program from outside: what export promises about objects, in every format that has them.
#
#   export_instances_test.sh QUADRAT MAKE_SCENE      (run by ctest)
set -uo pipefail
quadrat=$1
make_scene=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1 QUADRAT_QUIET=1
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
  [ "$(grep -c '^quadrat export: ' out.txt)" = 1 ] || fail "not one sentence: $*: $(cat out.txt)"
}

ranks() {
  local count=$1
  shift
  mpirun -n "$count" --bind-to none --map-by :OVERSUBSCRIBE "$quadrat" "$@"
}

name_of() { [ "$1" = instances ] && echo set.h5 || echo set; }

"$make_scene" --out=. --size=512x384 --seed=5 >scene.txt || fail "no scene"
"$make_scene" --out=. --size=128 --seed=5 --left=80000 --name=far >/dev/null || fail "no scene"
mkdir new
inputs=(--raster=../../scene.tif --labels=../../scene.gpkg --class_field=class_id --tile_size=96 --stride=64
  --min_polygon_overlap_ratio=0.1)

# The same set on any number of ranks; all formats report the same objects.
for format in instances rcnn_masks pascal_voc_rectangles coco; do
  for count in 1 2 3 4; do
    mkdir -p "$format/$count"
    (
      cd "$format/$count" || exit 1
      ranks "$count" export "${inputs[@]}" --format="$format" --output="$(name_of $format)" >report.txt 2>err.txt
    ) || fail "$format on $count ranks: $(tail -n 1 "$format/$count/err.txt")"
    [ "$format" = instances ] || diff -rq "$format/1/set" "$format/$count/set" >out.txt ||
      fail "$format on $count ranks differs: $(head -n 1 out.txt)"
    cmp -s "$format/1/report.txt" "$format/$count/report.txt" || fail "$format on $count ranks reports differently"
  done
  [ "$(head -n -1 $format/1/report.txt)" = "$(head -n -1 instances/1/report.txt)" ] || fail "$format reports differently"
done
objects=$(awk '$1 == "objects:" {print $2}' instances/1/report.txt)
[ "$objects" -gt 20 ] || fail "$objects objects"
grep -q 'left out: [1-9][0-9]* with too small a share' instances/1/report.txt || fail "no small share is counted"
[ "$(awk '$1 == "features" && $2 == "=" {print $3}' rcnn_masks/1/set/stats.txt)" = "$objects" ] || fail "stats.txt counts differently"
[ "$(grep -o '"image_id"' coco/1/set/annotations.json | wc -l)" = "$objects" ] || fail "annotations.json counts differently"
[ "$(cat pascal_voc_rectangles/1/set/labels/*.xml | grep -c '<object>')" = "$objects" ] || fail "the XML files count differently"
for mode in rcnn_masks:RCNN_Masks pascal_voc_rectangles:PASCAL_VOC_rectangles; do
  grep -q "\"MetaDataMode\" : \"${mode#*:}\"" "${mode%:*}/1/set/esri_model_definition.emd" || fail "MetaDataMode of ${mode%:*}"
done

# A kill at any moment leaves no output; the same command then goes on and makes the same bytes.
many=(--raster=scene.tif --labels=scene.gpkg --class_field=class_id --tile_size=96 --stride=16 --all_tiles)
for format in instances rcnn_masks pascal_voc_rectangles coco; do
  name=new/$(name_of $format)
  "$quadrat" export "${many[@]}" --format=$format --output="whole_$(name_of $format)" >whole.txt 2>out.txt ||
    fail "whole $format: $(tail -n 1 out.txt)"
  "$quadrat" export "${many[@]}" --format=$format --output="$name" >out.txt 2>&1 &
  pid=$!
  for _ in $(seq 400); do [ -e new/.set.work/part-0001.h5 ] && break; sleep 0.02; done
  kill -KILL $pid
  wait $pid 2>/dev/null
  [ ! -e "$name" ] || fail "$format after a kill"
  ranks 2 export "${many[@]}" --format=$format --output="$name" --overwrite >set.txt 2>out.txt || fail "resumed: $(tail -n 1 out.txt)"
  [ "$(head -n -1 set.txt)" = "$(head -n -1 whole.txt)" ] || fail "another report after a kill: $(diff set.txt whole.txt)"
  [ $format = instances ] || diff -rq whole_set new/set >diff.txt || fail "files differ after a kill: $(head -n 1 diff.txt)"
  [ "$(ls -A new | grep -c '^\.')" = 0 ] || fail "$format left $(ls -A new | tr '\n' ' ')"
  rm -rf new/* whole_set whole_set.h5 whole_set.shards
done

# A set is replaced by one of another format only when it may be.
expect 2 "--overwrite=yes" "$quadrat" export "${many[@]}" --format=coco --output=coco/1/set
# Labels that cannot be objects.
"$quadrat" export "${many[@]}" --format=classified_tiles --output=classes >out.txt 2>&1 || fail "classes: $(tail -n 1 out.txt)"
expect 7 "tell objects apart" "$quadrat" export --raster=scene.tif --labels=classes/labels/000000000.tif --format=coco --output=new/set
expect 5 far.gpkg "$quadrat" export --raster=scene.tif --labels=far.gpkg --format=instances --output=new/set.h5
expect 2 "has no objects" "$quadrat" export "${many[@]}" --min_polygon_overlap_ratio=0.5 --output=new/set.h5
expect 2 "ends in .h5" "$quadrat" export "${many[@]}" --format=instances --output=new/set
expect 2 "is a folder" "$quadrat" export "${many[@]}" --format=coco --output=new/set.h5
expect 2 "out of range" "$quadrat" export "${many[@]}" --format=coco --min_polygon_overlap_ratio=1.5 --output=new/set

# Features of which none can be an object: points, and what is smaller than a pixel; on any rank count.
read -r step_x _ _ step_y x y <<<"$(tr '\n' ' ' <classes/images/000000000.tfw)"
awk -v x="$x" -v y="$y" -v dx="$step_x" -v dy="$step_y" 'BEGIN {
  printf "{\"type\":\"FeatureCollection\",\"crs\":{\"type\":\"name\",\"properties\":{\"name\":\"urn:ogc:def:crs:EPSG::32645\"}},"
  printf "\"features\":[{\"type\":\"Feature\",\"properties\":{\"class_id\":1},\"geometry\":{\"type\":\"Point\",\"coordinates\":"
  printf "[%.4f,%.4f]}},", x + 9 * dx, y + 9 * dy
  printf "{\"type\":\"Feature\",\"properties\":{\"class_id\":1},\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[["
  printf "[%.4f,%.4f],[%.4f,%.4f],[%.4f,%.4f],", x + 20.2 * dx, y + 20.2 * dy, x + 20.8 * dx, y + 20.2 * dy, x + 20.8 * dx, y + 20.8 * dy
  printf "[%.4f,%.4f]]]}}]}", x + 20.2 * dx, y + 20.2 * dy}' >sliver.geojson
for count in 1 2; do
  for format in instances coco; do
    expect 5 "1 no pixel that is data, 1 no area" ranks $count export --raster=scene.tif --labels=sliver.geojson --format=$format \
      --output="new/$(name_of $format)"
  done
done
[ -z "$(ls -A new)" ] || fail "bad input left $(ls -A new | tr '\n' ' ')"
# With a buffer the point is an object.
"$quadrat" export --raster=scene.tif --labels=sliver.geojson --buffer=3 --format=instances --output=new/set.h5 >report.txt 2>out.txt ||
  fail "buffer: $(tail -n 1 out.txt)"
grep -q '^objects: 2 written' report.txt || fail "buffer: $(grep '^objects' report.txt)"

echo "$failures failed"
[ $failures = 0 ]
