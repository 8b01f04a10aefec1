#!/usr/bin/env bash
# The whole program from outside: what accuracy says of features, COCO's files and maps, by hand numbers, and of bad input.
#
#   accuracy_test.sh QUADRAT      (run by ctest)
set -uo pipefail
quadrat=$1
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
  [ "$(grep -c '^quadrat accuracy: ' out.txt)" = 1 ] || fail "not one sentence: $*: $(cat out.txt)"
}

ranks() {
  local count=$1
  shift
  mpirun -n "$count" --bind-to none "$quadrat" "$@"
}

# judge ARGUMENTS...: what is said, in out.txt.
judge() {
  "$quadrat" accuracy "$@" >out.txt 2>&1 || fail "accuracy $*: $(tail -n 1 out.txt)"
}

# says ROW...: a line of the table whose words are these.
says() {
  tr -s ' ' <out.txt | sed 's/ $//' | grep -qxF -- "$*" || fail "“$*” is not in: $(cat out.txt)"
}

# square X Y SIDE PROPERTIES: a feature.
square() {
  local right=$(($1 + $3)) top=$(($2 + $3))
  echo "{\"type\":\"Feature\",\"properties\":{$4},\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[[$1,$2],[$right,$2],[$right,$top],[$1,$top],[$1,$2]]]}}"
}

collection() {
  local first=yes line
  echo '{"type":"FeatureCollection","crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::32645"}},"features":['
  while IFS= read -r line; do
    [ $first = yes ] || echo ","
    first=no
    echo "$line"
  done
  echo ']}'
}

x=300000
y=3000000
{
  square $x $y 10 '"Class":"roof"'
  square $((x + 20)) $y 10 '"Class":"roof"'
  square $((x + 40)) $y 10 '"Class":"tent"'
} | collection >truth.geojson
{
  square $((x + 2)) $y 10 '"Class":"roof","Confidence":0.8' # IoU 2/3 with the first, which is taken
  square $x $y 10 '"Class":"roof","Confidence":0.9'
  square $((x + 20)) $y 8 '"Class":"roof","Confidence":0.7' # 0.64
  square $((x + 45)) $y 10 '"Class":"tent","Confidence":0.6' # 1/3
} | collection >found.geojson

# Polygons, as SpaceNet counts them: right, wrong, right.
judge --result=found.geojson --truth=truth.geojson --output=a.json
says roof 0.6667 1.0000 0.8000 0.8333 2 1 0
says tent 0.0000 0.0000 0.0000 0.0000 0 1 1
says all 0.5000 0.6667 0.5714 0.4167 2 2 1
says AP50 0.4175 0.4175 # (51 + 50 * 2 / 3) / 101 / 2
says AP of roof 0.6040 0.6040 # from 0.65 on one of two is found: 51 / 101
grep -q '"f1_score": 0.8' a.json || fail "a.json: $(cat a.json)"
grep -q '"ap_small"' a.json && fail "sizes without a cell size"
judge --result=found.geojson --truth=truth.geojson --cell_size=1 --output=sizes.json
says AP small 0.3020 0.3020
grep -q '"ap_small"' sizes.json || fail "no sizes with a cell size"

# A limit, one class, a mask.
judge --result=found.geojson --truth=truth.geojson --min_iou=0.65
says roof 0.3333 0.5000 0.4000 0.5000 1 2 1
judge --result=found.geojson --truth=truth.geojson --ground_truth_class_value_field=none
says all 0.5000 0.6667 0.5714 0.5556 2 2 1
square $((x - 5)) $((y - 5)) 12 '"n":1' | collection >mask.geojson
judge --result=found.geojson --truth=truth.geojson --mask_features=mask.geojson
says roof 0.5000 1.0000 0.6667 1.0000 1 1 0

# Half of a square is a polygon of IoU 0.5 whose box has IoU 1.
echo "{\"type\":\"Feature\",\"properties\":{\"Class\":\"roof\",\"Confidence\":0.5},\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[[$x,$y],[$((x + 10)),$y],[$x,$((y + 10))],[$x,$y]]]}}" |
  collection >half.geojson
square $x $y 10 '"Class":"roof"' | collection >one.geojson
judge --result=half.geojson --truth=one.geojson
[ "$(tr -s ' ' <out.txt | grep -c '^all 1.0000 1.0000 1.0000 1.0000 1 0 0$')" = 2 ] || fail "half: $(cat out.txt)"
judge --result=half.geojson --truth=one.geojson --min_iou=0.51
[ "$(tr -s ' ' <out.txt | grep -c '^all 1.0000 1.0000 1.0000 1.0000 1 0 0$')" = 1 ] || fail "half: $(cat out.txt)"
says AP50 1.0000 1.0000
says AP75 1.0000 0.0000

# Any number of ranks.
judge --result=found.geojson --truth=truth.geojson
ranks 3 accuracy --result=found.geojson --truth=truth.geojson >ranks.txt 2>/dev/null || fail "3 ranks: $(cat ranks.txt)"
"$quadrat" accuracy --result=found.geojson --truth=truth.geojson 2>/dev/null >alone.txt
cmp -s alone.txt ranks.txt || fail "3 ranks say something else"

# A truth in degrees is compared in the result's metres; a result in degrees in the truth's.
if command -v ogr2ogr >/dev/null; then
  ogr2ogr -t_srs EPSG:4326 degrees.gpkg truth.geojson && ogr2ogr -t_srs EPSG:4326 found.gpkg found.geojson
  judge --result=found.geojson --truth=degrees.gpkg
  says all 0.5000 0.6667 0.5714 0.4167 2 2 1
  grep -qF "compared in EPSG:32645" out.txt || fail "degrees: $(cat out.txt)"
  judge --result=found.gpkg --truth=truth.geojson
  says all 0.5000 0.6667 0.5714 0.4167 2 2 1
fi

# Nothing found, nothing there.
: | collection >nothing.geojson
judge --result=nothing.geojson --truth=truth.geojson
says all 0.0000 0.0000 0.0000 0.0000 0 0 3
judge --result=found.geojson --truth=nothing.geojson
says all 0.0000 0.0000 0.0000 - 0 4 0
says AP50 -1.0000 -1.0000

# Maps: ten pixels are compared, two are NoData in either.
map() {
  {
    printf 'ncols 4\nnrows 3\nxllcorner %s\nyllcorner %s\ncellsize 2\n' "$4" $y
    cat
  } >"$1.asc"
  cat >"$1.vrt" <<EOF
<VRTDataset rasterXSize="4" rasterYSize="3"><SRS>EPSG:32645</SRS><GeoTransform>$4, 2, 0, $((y + 6)), 0, -2</GeoTransform>
<VRTRasterBand dataType="$2" band="1">$3<SimpleSource><SourceFilename relativeToVRT="1">$1.asc</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>
EOF
}
nine="<NoDataValue>9</NoDataValue>"
printf '1 1 0 0\n1 2 2 0\n9 2 2 0\n' | map result Byte "$nine" $x
printf '1 1 1 0\n1 2 0 0\n1 2 2 9\n' | map there Int16 "$nine" $x
judge --result=result.vrt --truth=there.vrt --output=map.json
says " 0 0 3 3 0.667 0.667 0.667 0.500"
says " 1 1 4 3 1.000 0.750 0.857 0.750"
says " 2 2 3 4 0.750 1.000 0.857 0.750"
says "0 2 0 1"
says "1 1 3 0"
says "2 0 0 3"
says "mean IoU 0.6667, without class 0 0.7500, mean F1 0.7937, kappa 0.7015"
says "80.00 % of 10 pixels are right; 2 are NoData"
grep -q '"confusion": \[2, 0, 1, 1, 3, 0, 0, 0, 3\]' map.json || fail "map.json: $(cat map.json)"

# The truth may cover a part, and lie on the same lattice only.
printf '1 0 0 0\n2 2 0 0\n2 2 0 0\n' | map part Byte "" $((x + 4))
judge --result=result.vrt --truth=part.vrt
says "50.00 % of 6 pixels are right; 0 are NoData"
printf '1 0 0 0\n2 2 0 0\n2 2 0 0\n' | map shifted Byte "" $((x + 1))
printf '1.5 0 0 0\n2 2 0 0\n2 2 0 0\n' | map real Float32 "" $x

# Polygons are burnt onto the map's grid: the two columns on the left, class 1.
{
  square $x $y 4 '"value":1'
  square $x $((y + 2)) 4 '"value":1'
} | collection >area.geojson
judge --result=result.vrt --truth=area.geojson
says " 1 1 5 3 1.000 0.600 0.750 0.600"
grep -q background out.txt || fail "no background: $(cat out.txt)"

# COCO: one right, one wrong of two.
images='"images":[{"id":1,"width":50,"height":50},{"id":2,"width":50,"height":50}],"categories":[{"id":3,"name":"roof"}]'
echo "{$images,\"annotations\":[{\"id\":1,\"image_id\":1,\"category_id\":3,\"area\":100,\"iscrowd\":0,\"bbox\":[0,0,10,10]},{\"id\":2,\"image_id\":2,\"category_id\":3,\"area\":100,\"iscrowd\":0,\"bbox\":[0,0,10,10]}]}" >t.json
echo '[{"image_id":1,"category_id":3,"score":0.9,"bbox":[0,0,10,10]},{"image_id":2,"category_id":3,"score":0.8,"bbox":[30,30,5,5]},{"image_id":2,"category_id":4,"score":0.8,"bbox":[0,0,10,10]}]' >r.json
judge --result=r.json --truth=t.json --output=coco.json
says AP50 0.5050
says AR1 0.5000
says roof 0.5000 0.5000 0.5000 0.5000 1 1 1
grep -qF "1 results of categories that are not listed" out.txt || fail "a lost category: $(cat out.txt)"
grep -q '"ap50": 0.50495' coco.json || fail "coco.json: $(cat coco.json)"

# Bad input, on one rank and on two.
{
  square $x $y 10 '"Class":"house","Confidence":0.5'
} | collection >other.geojson
echo '{"type":"Feature","properties":{},"geometry":{"type":"Point","coordinates":[1,1]}}' | collection >points.geojson
echo '[{"image_id":7,"category_id":3,"score":1,"bbox":[0,0,1,1]}]' >lost.json
echo '[{"image_id":' >cut.json
mkdir new
for tool in "$quadrat accuracy" "ranks 2 accuracy"; do
  read -ra run <<<"$tool"
  expect 2 "needs --truth" "${run[@]}" --result=found.geojson
  expect 2 "out of range" "${run[@]}" --result=found.geojson --truth=truth.geojson --min_iou=0
  expect 2 ".json file" "${run[@]}" --result=found.geojson --truth=truth.geojson --output=new/a.txt
  expect 2 "has no field “kind”" "${run[@]}" --result=found.geojson --truth=truth.geojson --detected_class_value_field=kind
  expect 2 "a mask chooses features" "${run[@]}" --result=result.vrt --truth=there.vrt --mask_features=mask.geojson
  expect 3 "no such file" "${run[@]}" --result=none.gpkg --truth=truth.geojson --output=new/a.json
  expect 3 "no such file" "${run[@]}" --result=found.geojson --truth=none.gpkg --output=new/a.json
  expect 3 nowhere "${run[@]}" --result=found.geojson --truth=truth.geojson --output=nowhere/a.json
  expect 4 "is a polygon with an area" "${run[@]}" --result=points.geojson --truth=truth.geojson --output=new/a.json
  expect 4 "cut.json" "${run[@]}" --result=cut.json --truth=t.json --output=new/a.json
  expect 5 "is not in the truth" "${run[@]}" --result=lost.json --truth=t.json --output=new/a.json
  expect 5 "“house”" "${run[@]}" --result=other.geojson --truth=truth.geojson --output=new/a.json
  expect 5 "not the other way round" "${run[@]}" --result=found.geojson --truth=there.vrt --output=new/a.json
  expect 5 "" "${run[@]}" --result=result.vrt --truth=shifted.vrt --output=new/a.json
  expect 7 "float32" "${run[@]}" --result=real.vrt --truth=there.vrt --output=new/a.json
done
[ -z "$(ls -A new)" ] || fail "bad input left $(ls -A new | tr '\n' ' ')"

echo "$failures failed"
[ $failures = 0 ]
