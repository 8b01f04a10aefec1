#!/usr/bin/env bash
# The whole way on a fresh machine: installs what is missing, builds, makes imagery with labels, trains a small U-Net and a
# small Mask R-CNN on it, maps a second scene that neither has seen and finds its objects, and says how right both are. About
# six minutes on two cores.
#
#   jobs/first_run.sh [--anew] [--folder=build/first_run]
#
#   --anew       removes what an earlier run left; without it, a run that was stopped goes on where it was
#   --folder=…   where scenes, chips, model and maps lie
#
# In a bundle, which holds the programs, nothing is installed or built, and the folder is ./first_run.
set -euo pipefail
caller=$PWD
cd "$(dirname "$0")/.."

if [[ -x bin/quadrat && -x bin/make_scene ]]; then
  in_bundle=yes quadrat=bin/quadrat make_scene=bin/make_scene folder=$caller/first_run
  [[ ! -d openmpi ]] || PATH=$PWD/bin:$PATH # else the mpirun of this machine
else
  in_bundle=no quadrat=build/quadrat make_scene=build/datasets/make_scene folder=build/first_run
fi
anew=no
for argument in "$@"; do
  case $argument in
    --anew) anew=yes ;;
    --folder=/*) folder=${argument#*=} ;;
    --folder=*) if [[ $in_bundle == yes ]]; then folder=$caller/${argument#*=}; else folder=${argument#*=}; fi ;;
    *) sed -n '2,/^set/{/^#/p}' "$0" | sed 's/^# \{0,1\}//'; [[ $argument == --help ]] && exit 0 || exit 2 ;;
  esac
done

step() { printf '\n== %s  (%d:%02d)\n' "$1" $((SECONDS / 60)) $((SECONDS % 60)); }

step "1/9 what is missing, and the program"
if [[ $in_bundle == no ]]; then
  jobs/build.sh --target=quadrat --target=make_scene
else
  "$quadrat" --version
fi
[[ $anew == no ]] || rm -rf "$folder"
mkdir -p "$folder"

# All cores: one rank each up to four, then more threads per rank.
cores=$(nproc)
ranks=$((cores < 4 ? cores : 4))
on_all_cores=(mpirun -n "$ranks" --bind-to none --map-by :OVERSUBSCRIBE -x "OMP_NUM_THREADS=$((cores / ranks))")
[[ $(id -u) != 0 ]] || on_all_cores+=(--allow-run-as-root)

step "2/9 two scenes of other worlds: one to learn from, one to be tested on"
[[ -e $folder/train.tif && -e $folder/train.gpkg ]] ||
  "$make_scene" --out="$folder" --name=train --seed=7 --size=2048 --cell=0.3
[[ -e $folder/test.tif && -e $folder/test.gpkg ]] ||
  "$make_scene" --out="$folder" --name=test --seed=8 --size=1280 --cell=0.3

step "3/9 export: chips to learn from, on $ranks ranks"
[[ -e $folder/chips.h5 ]] ||
  "${on_all_cores[@]}" "$quadrat" export jobs/first_run.ini --raster="$folder/train.tif" --labels="$folder/train.gpkg" \
    --output="$folder/chips.h5"

step "4/9 train: a U-Net from random weights, on $cores cores"
[[ -e $folder/model.dlpk ]] ||
  OMP_NUM_THREADS=$cores "$quadrat" train jobs/first_run.ini --chips="$folder/chips.h5" --output="$folder/model.dlpk"

step "5/9 classify: the other scene, on $ranks ranks"
"${on_all_cores[@]}" "$quadrat" classify jobs/first_run.ini --raster="$folder/test.tif" --model="$folder/model.dlpk" \
  --output="$folder/map.tif" --polygons="$folder/map.gpkg" --quicklook="$folder/map.png" --overwrite

step "6/9 the map held against the truth"
"$quadrat" accuracy jobs/first_run.ini --result="$folder/map.tif" --truth="$folder/test.gpkg"

step "7/9 export and train: objects, and a Mask R-CNN that begins with the U-Net's encoder"
[[ -e $folder/objects.h5 ]] ||
  "${on_all_cores[@]}" "$quadrat" export jobs/first_run_objects.ini --raster="$folder/train.tif" --labels="$folder/train.gpkg" \
    --output="$folder/objects.h5"
[[ -e $folder/objects.dlpk ]] ||
  OMP_NUM_THREADS=$cores "$quadrat" train jobs/first_run_objects.ini --chips="$folder/objects.h5" --start="$folder/model.dlpk" \
    --output="$folder/objects.dlpk"

step "8/9 detect: the objects of the other scene, on $ranks ranks"
"${on_all_cores[@]}" "$quadrat" detect jobs/first_run_objects.ini --raster="$folder/test.tif" --model="$folder/objects.dlpk" \
  --output="$folder/objects.gpkg" --quicklook="$folder/objects.png" --overwrite

step "9/9 the objects held against the truth"
"$quadrat" accuracy jobs/first_run_objects.ini --result="$folder/objects.gpkg" --truth="$folder/test.gpkg" \
  --output="$folder/objects_accuracy.json"

printf '\nDone in %d:%02d. Here lie\n' $((SECONDS / 60)) $((SECONDS % 60))
printf '  %-24s %s\n' "the map (GeoTIFF)" "$folder/map.tif" "its polygons" "$folder/map.gpkg" \
  "a picture of it" "$folder/map.png" "the U-Net" "$folder/model.dlpk" "the objects" "$folder/objects.gpkg" \
  "a picture of them" "$folder/objects.png" "the Mask R-CNN" "$folder/objects.dlpk" "the scene that was mapped" "$folder/test.tif"
