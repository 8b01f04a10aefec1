#!/usr/bin/env bash
# The whole program from outside: what nms promises about ranks, formats, fields and bad input.
#
#   nms_test.sh QUADRAT      (run by ctest)
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
  [ "$(grep -c '^quadrat nms: ' out.txt)" = 1 ] || fail "not one sentence: $*: $(cat out.txt)"
}

ranks() {
  local count=$1
  shift
  mpirun -n "$count" --bind-to none "$quadrat" "$@"
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

{
  square 0 0 10 '"Class":"roof","Confidence":0.9,"note":"stays"'
  square 5 0 10 '"Class":"roof","Confidence":0.8,"note":"goes"'
  square 5 0 10 '"Class":"tent","Confidence":0.7,"note":"of another class"'
  square 1 1 2 '"Class":"tent","Confidence":null,"note":"unsure"'
  echo '{"type":"Feature","properties":{"Class":"tent","Confidence":0.5,"note":"a point"},"geometry":{"type":"Point","coordinates":[1,1]}}'
  echo '{"type":"Feature","properties":{"Class":"tent","Confidence":0.5,"note":"nowhere"},"geometry":null}'
} | collection >found.geojson

"$quadrat" nms --input=found.geojson --output=one >out.txt 2>&1 || fail "nms: $(tail -n 1 out.txt)"
for words in "6 features, 4 polygons (0 repaired), 2 without an area" "confidence by the field Confidence" \
  "1 polygons have no number" "2 features have no area" "one.gpkg: 5 features"; do
  grep -qF "$words" out.txt || fail "“$words” is not said: $(cat out.txt)"
done
grep -Eq '^roof +2 +1 +1$' out.txt || fail "roofs: $(cat out.txt)"
grep -Eq '^tent +2 +0 +2$' out.txt || fail "tents: $(cat out.txt)"

# The same bytes on any number of ranks.
for count in 2 3; do
  ranks "$count" nms --input=found.geojson --output=ranks$count.gpkg >out.txt 2>&1 || fail "$count ranks: $(tail -n 1 out.txt)"
done
"$quadrat" nms --input=found.geojson --output=ranks1.gpkg >out.txt 2>&1
cmp -s ranks2.gpkg ranks3.gpkg && : # names of layers differ, so bytes may; the features may not
if command -v ogrinfo >/dev/null; then
  for count in 1 2 3; do
    ogrinfo -al -q ranks$count.gpkg ranks$count | sed 's/ranks[123]//' >ranks$count.txt 2>&1
    cmp -s ranks1.txt ranks$count.txt || fail "$count ranks give other features"
  done
  ogrinfo -al one.gpkg >info.txt 2>&1
  for words in "Feature Count: 5" "note (String) = of another class" "Confidence (Real) = 0.9" "WGS 84 / UTM zone 45N"; do
    grep -qF "$words" info.txt || fail "the copy lacks “$words”"
  done
  grep -qF "= goes" info.txt && fail "the weaker one is still there"
fi

# Rules.
kept() {
  "$quadrat" nms --input=found.geojson --output=rule.gpkg --overwrite "$@" 2>/dev/null | sed -n 's/^rule.gpkg: \([0-9]*\) features$/\1/p'
}
[ "$(kept --max_overlap_ratio=0.34)" = 6 ] || fail "a third is more than 0.34"
[ "$(kept --max_overlap_ratio=0.33)" = 5 ] || fail "a third is not more than 0.33"
[ "$(kept --across_classes)" = 3 ] || fail "classes do not compete"
[ "$(kept --max_overlap_ratio=0.9 --overlap=smaller --class_value_field=none)" = 4 ] || fail "smaller finds no fragments"
[ "$(kept --confidence_score_field=none --class_value_field=none)" = 3 ] || fail "areas do not count"
[ -z "$(ls -A | grep -E '^\.|part')" ] || fail "left over: $(ls -A | grep -E '^\.|part' | tr '\n' ' ')"

# An output of the input's own name.
cp found.geojson same.geojson
"$quadrat" nms --input=same.geojson --output=same.geojson --overwrite >out.txt 2>&1 || fail "in place: $(tail -n 1 out.txt)"
grep -q '"goes"' same.geojson && fail "in place changes nothing"

# Nothing was found: an empty copy.
: | collection >nothing.geojson
if "$quadrat" nms --input=nothing.geojson --output=nothing.gpkg --confidence_score_field=none >out.txt 2>&1; then
  grep -qF "nothing.gpkg: 0 features" out.txt || fail "an empty layer: $(tail -n 1 out.txt)"
else
  fail "an empty layer: $(tail -n 1 out.txt)"
fi

# Bad input, on one rank and on two.
echo '{"type":"Feature","properties":{"Confidence":1},"geometry":{"type":"Point","coordinates":[1,1]}}' | collection >points.geojson
echo "no features" >text.gpkg
mkdir new
for tool in "$quadrat nms" "ranks 2 nms"; do
  read -ra run <<<"$tool"
  expect 2 "needs --input" "${run[@]}" --output=new/a.gpkg
  expect 2 "is there already" "${run[@]}" --input=found.geojson --output=one.gpkg
  expect 2 "has no field “score”" "${run[@]}" --input=found.geojson --output=new/a.gpkg --confidence_score_field=score
  expect 2 "a confidence is a number" "${run[@]}" --input=found.geojson --output=new/a.gpkg --confidence_score_field=note
  expect 2 "has no layer" "${run[@]}" --input=found.geojson --output=new/a.gpkg --layer=roofs
  expect 2 "out of range" "${run[@]}" --input=found.geojson --output=new/a.gpkg --max_overlap_ratio=1.5
  expect 2 "knows no format" "${run[@]}" --input=found.geojson --output=new/a.gpkg --format=GPK
  expect 2 ".gpkg" "${run[@]}" --input=found.geojson --output=new/a.doc
  expect 3 "no such file" "${run[@]}" --input=none.gpkg --output=new/a.gpkg
  expect 3 "nowhere" "${run[@]}" --input=found.geojson --output=nowhere/a.gpkg
  expect 4 "is a polygon with an area" "${run[@]}" --input=points.geojson --output=new/a.gpkg
  expect 4 "text.gpkg" "${run[@]}" --input=text.gpkg --output=new/a.gpkg
done
[ -z "$(ls -A new)" ] || fail "bad input left $(ls -A new | tr '\n' ' ')"

echo "$failures failed"
[ $failures = 0 ]
