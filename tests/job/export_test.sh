#!/usr/bin/env bash
# The whole program from outside: what export promises about ranks, formats, interruption and bad input.
#
#   export_test.sh QUADRAT MAKE_SCENE      (run by ctest)
set -uo pipefail
quadrat=$1
make_scene=$2
folder=$(mktemp -d)
mounted=
trap '[ -z "$mounted" ] || umount "$mounted"; rm -rf "$folder"' EXIT
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

# left_clean WHAT: nothing is left of an output that did not come to be; its folder is new/.
left_clean() {
  [ -z "$(ls -A new)" ] || fail "$1 left $(ls -A new | tr '\n' ' ')"
  rm -rf new
  mkdir new
}

ranks() {
  local count=$1
  shift
  mpirun -n "$count" --bind-to none --map-by :OVERSUBSCRIBE "$quadrat" "$@"
}

pixels_of() { awk -v name="$1" '$2 == name {print $3}' "$2"; }

"$make_scene" --out=. --size=640x512 --seed=5 >scene.txt || fail "no scene"
"$make_scene" --out=. --size=640x512 --seed=5 --name=degrees --labels=geojson >/dev/null || fail "no scene"
"$make_scene" --out=. --size=256 --seed=5 --left=80000 --name=far >/dev/null || fail "no scene"
mkdir new
inputs=(--raster=scene.tif --labels=scene.gpkg --class_field=class_id --tile_size=128)

# The same set on any number of ranks: by the digest of its chips that is reported, and the folder of ArcGIS byte by byte.
variants=("--stride=0" "--stride=96 --grid=esri --rotation=120 --minimum_label_share=0.1")
for variant in 0 1; do
  for count in 1 2 3 4; do
    mkdir -p "v$variant/$count"
    (
      cd "v$variant/$count" || exit 1
      # shellcheck disable=SC2086
      ranks "$count" export --raster=../../scene.tif --labels=../../scene.gpkg --class_field=class_id --tile_size=128 \
        ${variants[$variant]} --output=chips.h5 >chips.txt 2>err.txt &&
        ranks "$count" export --raster=../../scene.tif --labels=../../scene.gpkg --class_field=class_id --tile_size=128 \
          ${variants[$variant]} --format=classified_tiles --output=tiles >tiles.txt 2>>err.txt
    ) || fail "variant $variant on $count ranks: $(tail -n 1 "v$variant/$count/err.txt")"
  done
  for count in 2 3 4; do
    for what in chips.txt tiles tiles.txt; do
      diff -rq "v$variant/1/$what" "v$variant/$count/$what" >out.txt ||
        fail "$what on $count ranks differs: $(head -n 1 out.txt)"
    done
  done
  chips=$(awk '$1 == "images" {print $3}' "v$variant/1/tiles/stats.txt")
  [ "$chips" -gt 4 ] || fail "variant $variant has $chips chips"
  [ "$(ls v$variant/1/tiles/images/*.tif | wc -l)" = "$chips" ] || fail "not $chips images"
  [ "$(ls v$variant/1/tiles/labels/*.tif | wc -l)" = "$chips" ] || fail "not $chips labels"
  [ -e "v$variant/1/tiles/images/$(printf %09d $((chips - 1))).tif" ] || fail "numbers have gaps"
  [ "$(wc -l <v$variant/1/tiles/map.txt)" = "$chips" ] || fail "map.txt has not $chips lines"
  [ "$(head -n -1 v$variant/1/tiles.txt)" = "$(head -n -1 v$variant/1/chips.txt)" ] || fail "the two formats report differently"
done

# Labels in degrees are taken into the raster's system: all but the same pixels.
"$quadrat" export --raster=scene.tif --labels=degrees.geojson --class_field=class_id --tile_size=128 --output=degrees.h5 \
  >degrees.txt 2>out.txt || fail "labels in degrees: $(tail -n 1 out.txt)"
awk -v a="$(pixels_of building v0/1/chips.txt)" -v b="$(pixels_of building degrees.txt)" \
  'BEGIN {exit !(a > 1000 && (a - b) ^ 2 < (a / 500) ^ 2)}' ||
  fail "labels in degrees: $(pixels_of building degrees.txt) pixels, not $(pixels_of building v0/1/chips.txt)"

# Several rasters make one set.
ranks 3 export --raster="scene.tif;scene.tif" --labels=scene.gpkg --class_field=class_id --tile_size=128 --output=twice.h5 \
  >twice.txt 2>out.txt || fail "two rasters: $(tail -n 1 out.txt)"
[ "$(pixels_of building twice.txt)" = $((2 * $(pixels_of building v0/1/chips.txt))) ] ||
  fail "two rasters: $(pixels_of building twice.txt) pixels, not twice $(pixels_of building v0/1/chips.txt)"

# A signal stops it with 99 and a kill at any moment leaves no output; the same command then goes on and makes the same bytes. Parts of
# another job are not taken for its own.
many=("${inputs[@]}" --stride=16 --all_tiles)
"$quadrat" export "${many[@]}" --output=whole.h5 >whole.txt 2>out.txt || fail "whole: $(tail -n 1 out.txt)"
"$quadrat" export "${many[@]}" --output=whole --format=classified_tiles >out.txt 2>&1 || fail "whole: $(tail -n 1 out.txt)"
for format in chips classified_tiles; do
  name=new/set
  [ $format = classified_tiles ] || name=new/set.h5
  for signal in TERM KILL; do
    "$quadrat" export "${many[@]}" --format=$format --output=$name >out.txt 2>&1 &
    pid=$!
    for _ in $(seq 400); do [ -e new/.set.work/part-0002.h5 ] && break; sleep 0.02; done
    kill -$signal $pid
    wait $pid
    code=$?
    [ $signal = KILL ] || [ $code = 99 ] || fail "SIGTERM gave exit code $code: $(tail -n 1 out.txt)"
    [ ! -e $name ] || fail "$format after SIG$signal"
    [ -e new/.set.work/part-0002.h5 ] || fail "SIG$signal left no part to go on from"
    [ $signal = TERM ] || "$quadrat" export "${inputs[@]}" --stride=64 --format=$format --output=$name >out.txt 2>&1 ||
      fail "another job after SIG$signal: $(tail -n 1 out.txt)"
    ranks 2 export "${many[@]}" --format=$format --output=$name --overwrite >set.txt 2>out.txt || fail "resumed: $(tail -n 1 out.txt)"
    [ "$(head -n -1 set.txt)" = "$(head -n -1 whole.txt)" ] || fail "another report after SIG$signal: $(diff set.txt whole.txt)"
    [ $format = chips ] || diff -rq whole new/set >diff.txt || fail "files differ after SIG$signal: $(head -n 1 diff.txt)"
    [ "$(ls -A new | grep -c '^\.')" = 0 ] || fail "$format left $(ls -A new | tr '\n' ' ')"
    rm -rf new/*
  done
done

# What is there stays, unless it may go; and only a chip set ever goes.
cp -r v0/1/tiles new/tiles
cp v0/1/chips.h5 new/chips.h5
expect 2 "--overwrite=yes" "$quadrat" export "${inputs[@]}" --output=new/chips.h5
expect 2 "--overwrite=yes" "$quadrat" export "${inputs[@]}" --format=classified_tiles --output=new/tiles/
cmp -s new/chips.h5 v0/1/chips.h5 || fail "a refused output was touched"
"$quadrat" export "${inputs[@]}" --stride=64 --format=classified_tiles --output=new/tiles --overwrite >out.txt 2>&1 || fail "overwrite"
[ "$(wc -l <new/tiles/map.txt)" -gt "$(wc -l <v0/1/tiles/map.txt)" ] || fail "not overwritten"
mkdir new/folder
echo mine >new/folder/file
expect 2 "no chip set" "$quadrat" export "${inputs[@]}" --format=classified_tiles --output=new/folder --overwrite
[ "$(cat new/folder/file)" = mine ] || fail "a folder that is no chip set was touched"
rm -rf new/*

# Inputs that are missing, damaged or do not fit: on one rank and on three.
head -c "$(($(stat -c %s scene.tif) / 2))" scene.tif >cut.tif
head -c 3000 scene.gpkg >cut.gpkg
for count in 1 3; do
  tool=(ranks "$count" export)
  expect 3 nothere.tif "${tool[@]}" --raster=nothere.tif --labels=scene.gpkg --output=new/c.h5
  expect 3 nothere.gpkg "${tool[@]}" --raster=scene.tif --labels=nothere.gpkg --output=new/c.h5
  expect 3 nothere.shp "${tool[@]}" "${inputs[@]}" --mask=nothere.shp --output=new/c.h5
  expect 4 cut.tif "${tool[@]}" --raster=cut.tif --labels=scene.gpkg --class_field=class_id --output=new/c.h5
  expect 4 cut.gpkg "${tool[@]}" --raster=scene.tif --labels=cut.gpkg --output=new/c.h5
  expect 4 scene.txt "${tool[@]}" --raster=scene.txt --labels=scene.gpkg --output=new/c.h5
  expect 5 far.gpkg "${tool[@]}" --raster=scene.tif --labels=far.gpkg --output=new/c.h5
  expect 5 far.tif "${tool[@]}" --raster="scene.tif;far.tif" --labels=scene.gpkg --output=new/c.h5
  expect 3 "nowhere" "${tool[@]}" "${inputs[@]}" --output=new/nowhere/c.h5
  expect 3 "/proc/" "${tool[@]}" "${inputs[@]}" --output=/proc/c.h5
  left_clean "bad input on $count ranks"
done

# Labels that touch the raster but hold no pixel's centre burn nothing: an error, on any rank count and in both formats.
read -r step_x _ _ step_y x y <<<"$(tr '\n' ' ' <v0/1/tiles/images/000000000.tfw)"
awk -v x="$x" -v y="$y" -v dx="$step_x" -v dy="$step_y" 'BEGIN {
  printf "{\"type\":\"FeatureCollection\",\"crs\":{\"type\":\"name\",\"properties\":{\"name\":\"urn:ogc:def:crs:EPSG::32645\"}},"
  printf "\"features\":[{\"type\":\"Feature\",\"properties\":{\"class_id\":1},\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[["
  printf "[%.4f,%.4f],[%.4f,%.4f],[%.4f,%.4f],", x + 20.2 * dx, y + 20.2 * dy, x + 20.8 * dx, y + 20.2 * dy, x + 20.8 * dx, y + 20.8 * dy
  printf "[%.4f,%.4f]]]}}]}", x + 20.2 * dx, y + 20.2 * dy}' >sliver.geojson
for count in 1 2; do
  for format in chips classified_tiles; do
    name=new/set
    [ $format = classified_tiles ] || name=new/set.h5
    expect 5 "labels no pixel" ranks $count export --raster=scene.tif --labels=sliver.geojson --format=$format --output=$name
    expect 5 "labels no pixel" ranks $count export --raster=scene.tif --labels=sliver.geojson --all_tiles --format=$format --output=$name
    left_clean "labels that burn nothing ($format)"
  done
done
expect 5 "too few labels" "$quadrat" export "${inputs[@]}" --minimum_label_share=1 --output=new/c.h5

# Options.
expect 2 "did you mean --tile_size" "$quadrat" export "${inputs[@]}" --tile_siz=3 --output=new/c.h5
expect 2 "out of range" "$quadrat" export "${inputs[@]}" --minimum_label_share=1.5 --output=new/c.h5
expect 2 "--rotation=0.5" "$quadrat" export "${inputs[@]}" --rotation=0.5 --output=new/c.h5
expect 2 "exclude each other" "$quadrat" export "${inputs[@]}" --all_tiles --minimum_label_share=0.5 --output=new/c.h5
expect 2 "stride" "$quadrat" export "${inputs[@]}" --grid=esri --stride=129 --output=new/c.h5
expect 2 "ends in .h5" "$quadrat" export "${inputs[@]}" --output=new/c.tif
expect 2 "is a folder" "$quadrat" export "${inputs[@]}" --format=classified_tiles --output=new/c.h5
expect 2 "band 9" "$quadrat" export "${inputs[@]}" --bands=1,9 --output=new/c.h5
expect 2 "--extent" "$quadrat" export "${inputs[@]}" --extent=4,3,2,1 --output=new/c.h5
expect 5 "extent" "$quadrat" export "${inputs[@]}" --extent=0,0,1,1 --output=new/c.h5
expect 2 "needs --labels" "$quadrat" export --raster=scene.tif --output=new/c.h5
expect 2 "class_id" "$quadrat" export "${inputs[@]}" --class_field=nofield --output=new/c.h5
left_clean "bad options"

# A full disk: a small one where it may be mounted, else a limit on the size of files.
mkdir disk
if mount -t tmpfs -o size=2m none disk 2>/dev/null; then
  mounted=$folder/disk
  for format in chips classified_tiles; do
    name=disk/set
    [ $format = classified_tiles ] || name=disk/set.h5
    expect 3 set "$quadrat" export "${many[@]}" --compress=0 --format=$format --output=$name
    expect 3 set ranks 3 export "${many[@]}" --compress=0 --format=$format --output=$name
    [ -z "$(ls -A disk)" ] || fail "a full disk left $(ls -A disk | tr '\n' ' ')"
  done
else
  limited() { (trap '' XFSZ; ulimit -f 200; "$@" | cat); }
  expect 3 set limited "$quadrat" export "${many[@]}" --compress=0 --output=new/set.h5
  left_clean "a limit on the size of files"
fi

echo "$failures failed"
[ $failures = 0 ]
