#!/usr/bin/env bash
# The whole program from outside: what classify promises about ranks, interruption, outputs and bad input.
#
#   classify_test.sh QUADRAT MAKE_SCENE MAKE_MODEL      (run by ctest)
set -uo pipefail
quadrat=$1
make_scene=$2
make_model=$3
folder=$(mktemp -d)
mounted=
trap '[ -z "$mounted" ] || umount "$mounted"; rm -rf "$folder"' EXIT
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
  grep -qF -- "$words" out.txt || fail "“$words” is not said: $*: $(tail -n 1 out.txt)"
  [ "$(grep -c '^quadrat classify: ' out.txt)" = 1 ] || fail "not one sentence: $*: $(cat out.txt)"
}

ranks() {
  local count=$1
  shift
  mpirun -n "$count" --bind-to none "$quadrat" "$@"
}

"$make_scene" --out=. --size=600x500 --seed=3 >/dev/null || fail "no scene"
"$make_model" m.dlpk 3 4 4 uint8 || fail "no model"
"$make_model" four.dlpk 4 2 1 uint8 || fail "no model"
"$make_model" wide.dlpk 3 2 1 uint16 || fail "no model"
inputs=(--raster=scene.tif --model=m.dlpk --tile_size=128 --device=cpu --precision=float32)
mkdir new

# The same bytes on any number of ranks, by any number of threads, and whatever is written besides.
for merge in crop blend; do
  for count in 1 2 3 4; do
    ranks "$count" classify "${inputs[@]}" --merge=$merge --output=$merge$count.tif --probability=p_$merge$count.tif >out.txt 2>&1 ||
      fail "$merge on $count ranks: $(tail -n 1 out.txt)"
    cmp -s ${merge}1.tif $merge$count.tif || fail "$merge on $count ranks differs"
    cmp -s p_${merge}1.tif p_$merge$count.tif || fail "probabilities of $merge on $count ranks differ"
  done
  OMP_NUM_THREADS=2 "$quadrat" classify "${inputs[@]}" --merge=$merge --output=$merge.tif --reader_threads=3 --result=$merge.h5 \
    --polygons=$merge.gpkg --quicklook=$merge.png >out.txt 2>&1 || fail "$merge with all outputs: $(tail -n 1 out.txt)"
  cmp -s ${merge}1.tif $merge.tif || fail "$merge with all outputs differs"
  for made in $merge.h5 $merge.gpkg $merge.png; do [ -s $made ] || fail "no $made"; done
done
cmp -s crop1.tif blend1.tif && fail "blending changes nothing"
[ -z "$(ls -A | grep -E '^\.|\.part')" ] || fail "left over: $(ls -A | grep -E '^\.|\.part' | tr '\n' ' ')"
[ "$(ls blend.shards)" = joined.h5 ] || fail "blend.shards holds $(ls blend.shards | tr '\n' ' ')"

# What GDAL finds in the outputs.
if command -v gdalinfo >/dev/null; then
  gdalinfo -checksum crop.tif >info.txt 2>&1
  for words in LAYOUT=COG "NoData Value=255" "Overviews" "0: 225,225,225" "class 3"; do
    grep -qF "$words" info.txt || fail "gdalinfo does not find $words"
  done
  for merge in crop blend; do
    gdalinfo -checksum $merge.tif >info.txt 2>&1
    gdalinfo -checksum NETCDF:\"$merge.h5\":class >result.txt 2>&1
    [ "$(grep Checksum= result.txt)" = "$(grep Checksum= info.txt)" ] || fail "$merge.h5 holds other pixels than $merge.tif"
    grep -qF 'UTM zone 45N' result.txt || fail "$merge.h5 lies nowhere"
  done
fi

# An extent is a part of its own; the log's counts make up the whole.
unset QUADRAT_QUIET
read -r x y <<<"$(gdalinfo scene.tif 2>/dev/null | sed -n 's/^Origin = (\([0-9.]*\),\([0-9.]*\))/\1 \2/p')"
if [ -n "$x" ]; then
  extent=$(awk -v x="$x" -v y="$y" 'BEGIN {printf "%f,%f,%f,%f", x + 40, y - 70, x + 100, y - 30}')
  "$quadrat" classify "${inputs[@]}" --extent="$extent" --output=part.tif >out.txt 2>&1 || fail "extent: $(tail -n 1 out.txt)"
  [ "$(awk '/^ +[0-9]+ .* px /{n += $(NF - 3)} END {print n}' out.txt)" = 60000 ] || fail "the counts do not make 300 x 200 px"
fi
"$quadrat" classify "${inputs[@]}" --predict_background=no --output=fore.tif >out.txt 2>&1 || fail "fore: $(tail -n 1 out.txt)"
grep -qE '^ +0 background +0 px' out.txt || fail "background is still predicted"
[ "$(awk '/^ +[0-9]+ .* px /{n += $(NF - 3)} END {print n}' out.txt)" = 300000 ] || fail "the counts do not make 600 x 500 px"
export QUADRAT_QUIET=1

# A signal stops it with 99, a kill at any moment leaves no map; the same command then goes on, on another number of ranks, and
# makes the same bytes, though a shard was damaged meanwhile.
slow=("${inputs[@]}" --batch_size=1 --checkpoint_every=0 --padding=40)
"$quadrat" classify "${slow[@]}" --output=whole.tif >out.txt 2>&1 || fail "whole: $(tail -n 1 out.txt)"
for signal in TERM KILL; do
  "$quadrat" classify "${slow[@]}" --output=new/map.tif >out.txt 2>&1 &
  pid=$!
  for _ in $(seq 1000); do [ -e new/.map.work/shard_0_0_2.h5 ] && break; sleep 0.01; done
  kill -$signal $pid
  wait $pid
  code=$?
  [ $signal = KILL ] || [ $code = 99 ] || fail "SIGTERM gave exit code $code: $(tail -n 1 out.txt)"
  [ ! -e new/map.tif ] || fail "a map after SIG$signal"
  [ -e new/.map.work/shard_0_0_2.h5 ] || fail "SIG$signal left nothing to go on from"
  printf x | dd of=new/.map.work/shard_0_0_1.h5 bs=1 seek=1000 conv=notrunc 2>/dev/null
  expect 5 "another job" "$quadrat" classify "${slow[@]}" --padding=32 --output=new/map.tif
  ranks 2 classify "${slow[@]}" --output=new/map.tif >out.txt 2>&1 || fail "resumed: $(tail -n 1 out.txt)"
  grep -q 'shard_0_0_1.h5 is gone or damaged' out.txt || fail "the damaged shard was not seen: $(cat out.txt)"
  cmp -s whole.tif new/map.tif || fail "the map differs after SIG$signal"
  [ "$(ls -A new | grep -v '^map.tif')" = "" ] || fail "left over: $(ls -A new | tr '\n' ' ')"
  rm -rf new/map*
done

# What is there stays, unless it may go.
cp crop1.tif new/map.tif
expect 2 "--overwrite=yes" "$quadrat" classify "${inputs[@]}" --output=new/map.tif
cmp -s new/map.tif crop1.tif || fail "a refused output was touched"
"$quadrat" classify "${inputs[@]}" --merge=blend --output=new/map.tif --overwrite >out.txt 2>&1 || fail "overwrite: $(tail -n 1 out.txt)"
cmp -s new/map.tif blend1.tif || fail "not overwritten"
expect 2 "the raster itself" "$quadrat" classify "${inputs[@]}" --output=./scene.tif --overwrite
rm -rf new/*

# Inputs that are missing, damaged or do not fit: on one rank and on three.
head -c "$(($(stat -c %s scene.tif) / 2))" scene.tif >cut.tif
head -c 100000 m.dlpk >cut.dlpk
echo "no raster" >scene.txt
for count in 1 3; do
  tool=(ranks "$count" classify)
  expect 3 nothere.tif "${tool[@]}" "${inputs[@]}" --raster=nothere.tif --output=new/c.tif
  expect 4 cut.tif "${tool[@]}" "${inputs[@]}" --raster=cut.tif --output=new/c.tif
  expect 4 scene.txt "${tool[@]}" "${inputs[@]}" --raster=scene.txt --output=new/c.tif
  expect 3 nothere.dlpk "${tool[@]}" "${inputs[@]}" --model=nothere.dlpk --output=new/c.tif
  expect 4 cut.dlpk "${tool[@]}" "${inputs[@]}" --model=cut.dlpk --output=new/c.tif
  expect 5 "wants band 4; the raster scene.tif has 3" "${tool[@]}" "${inputs[@]}" --model=four.dlpk --output=new/c.tif
  expect 5 "scene.tif is uint8, the model wide.dlpk was trained on uint16" "${tool[@]}" "${inputs[@]}" --model=wide.dlpk --output=new/c.tif
  expect 5 "extent" "${tool[@]}" "${inputs[@]}" --extent=0,0,1,1 --output=new/c.tif
  expect 3 nowhere "${tool[@]}" "${inputs[@]}" --output=nowhere/c.tif
  expect 3 /proc/ "${tool[@]}" "${inputs[@]}" --output=/proc/c.tif
  rm -rf new/.c.work # a raster that breaks off in the middle leaves what was done before
  [ -z "$(ls -A new)" ] || fail "bad input left $(ls -A new | tr '\n' ' ')"
done

# Options.
expect 2 "did you mean --tile_size" "$quadrat" classify "${inputs[@]}" --tile_siz=3 --output=new/c.tif
expect 2 "out of range" "$quadrat" classify "${inputs[@]}" --padding=-2 --output=new/c.tif
expect 2 "multiple of 32" "$quadrat" classify "${inputs[@]}" --tile_size=100 --output=new/c.tif
expect 2 "0 to 48 px" "$quadrat" classify "${inputs[@]}" --padding=49 --output=new/c.tif
expect 2 "up to a quarter" "$quadrat" classify "${inputs[@]}" --padding=40 --merge=blend --output=new/c.tif
expect 2 "must end in .tif" "$quadrat" classify "${inputs[@]}" --output=new/c.png
expect 2 "must end in .gpkg" "$quadrat" classify "${inputs[@]}" --output=new/c.tif --polygons=new/c.txt
expect 2 "--extent" "$quadrat" classify "${inputs[@]}" --extent=4,3,2,1 --output=new/c.tif
expect 5 "--bands names 2 bands" "$quadrat" classify "${inputs[@]}" --bands=1,2 --output=new/c.tif
expect 5 "wants band 9" "$quadrat" classify "${inputs[@]}" --bands=1,2,9 --output=new/c.tif
expect 7 "float16" "$quadrat" classify "${inputs[@]}" --precision=float16 --output=new/c.tif
[ -z "$(ls -A new)" ] || fail "bad options left $(ls -A new | tr '\n' ' ')"

# A full disk: a small one where it may be mounted, else a limit on the size of files.
mkdir disk
if mount -t tmpfs -o size=400k none disk 2>/dev/null; then
  mounted=$folder/disk
  expect 3 "disk/" "$quadrat" classify "${inputs[@]}" --probability=disk/p.tif --output=disk/c.tif
  expect 3 "disk/" ranks 3 classify "${inputs[@]}" --probability=disk/p.tif --output=disk/c.tif
  [ -z "$(ls disk)" ] || fail "a full disk left $(ls disk | tr '\n' ' ')"
else
  limited() { (trap '' XFSZ; ulimit -f 100; "$@" | cat); }
  expect 3 new/ limited "$quadrat" classify "${inputs[@]}" --probability=new/p.tif --output=new/c.tif
  [ -z "$(ls new)" ] || fail "a limit on the size of files left $(ls new | tr '\n' ' ')"
fi

echo "$failures failed"
[ $failures = 0 ]
