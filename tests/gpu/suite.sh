# shellcheck shell=bash disable=SC2154
# What tests/gpu/run.sh consists of; sourced by it. Uses its variables root, build, out, python, deadline_s, jobs_most,
# bench_options and stages.

# --- the machine ---

# Sets CUDNN_PATH, NCCL_HOME, PATH and LD_LIBRARY_PATH, where the user has not, to what the toolkit or wheels hold.
find_libraries() {
  local folder folders=() chosen=() libraries=()
  mapfile -t folders < <(
    printf '%s\n' "${CUDNN_PATH:-}" "${NCCL_HOME:-}" "${CUDA_HOME:-}" "${CUDA_PATH:-}" /usr/local/cuda
    "$python" -c 'import os, site, sys
folders = list(sys.path) + site.getsitepackages() + [site.getusersitepackages()]
for folder in dict.fromkeys(folders):
    for part in ("cudnn", "nccl", "cu13", "cu12", "cuda_nvcc", "cuda_nvrtc", "cublas"):
        path = os.path.join(folder, "nvidia", part)
        if os.path.isdir(path):
            print(path)' 2>/dev/null
    echo /usr
  )
  for folder in "${folders[@]}"; do
    [[ -n $folder && -d $folder ]] || continue
    [[ -z ${CUDNN_PATH:-} && -e $folder/include/cudnn.h ]] && export CUDNN_PATH=$folder
    [[ -z ${NCCL_HOME:-} && -e $folder/include/nccl.h ]] && export NCCL_HOME=$folder
    [[ -x $folder/bin/nvcc ]] && ! command -v nvcc >/dev/null && PATH=$folder/bin:$PATH
    [[ $folder == /usr ]] && continue
    [[ -d $folder/lib64 ]] && libraries+=("$folder/lib64")
    [[ -d $folder/lib ]] && libraries+=("$folder/lib")
  done
  export PEER_LIBRARY_PATH=${LD_LIBRARY_PATH:-} # PyTorch knows where its own are
  # What was built against comes first; cuDNN opens nvrtc and others by name when it compiles.
  for folder in "${CUDNN_PATH:-}" "${NCCL_HOME:-}"; do
    [[ -n $folder && $folder != /usr ]] && chosen+=("$folder/lib64" "$folder/lib")
  done
  LD_LIBRARY_PATH=$(IFS=:; echo "${chosen[*]:+${chosen[*]}:}${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}${libraries[*]}")
  export PATH LD_LIBRARY_PATH
}

cached() { sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt" 2>/dev/null; }

# The GPU's compute capability, such as 90; "": all that the plug-in knows. What cannot be built does not keep the rest.
build_suite() {
  local start=$SECONDS keep_going=(-k)
  echo "-- building in $build"
  {
    cmake -S "$root/tests/gpu" -B "$build" ${1:+-DCMAKE_CUDA_ARCHITECTURES="$1"} && {
      [[ $(cached CMAKE_GENERATOR) != Ninja ]] || keep_going=(-k 0)
      cmake --build "$build" --parallel "$(nproc)" -- "${keep_going[@]}"
    }
  } >"$build/build.log" 2>&1 || {
    { grep -E 'rror:|CMake Error' "$build/build.log" || tail -n 20 "$build/build.log"; } | head -n 20 >&2
    return 1
  }
  echo "-- built in $((SECONDS - start)) s"
}

# "9.13.0" from the three numbers of a header.
version_in() {
  local header=$1 prefix=$2
  sed -nE "s/^#define +${prefix}_(MAJOR|MINOR|PATCHLEVEL|PATCH) +([0-9]+).*/\2/p" "$header" 2>/dev/null | head -n 3 | paste -sd .
}

# --- results: a line per test, "stage TAB test TAB result TAB seconds TAB figure or reason" ---

start_results() {
  rows=$build/rows
  logs=$build/logs
  rm -rf "$rows" "$logs"
  mkdir -p "$rows" "$logs"
  row_count=0
  bench_files=()
  printf '\n%-10s %-34s %-6s %8s  %s\n' stage test result seconds figure
}

left_s() { echo $((deadline_s - SECONDS)); }

# A row of its own file, so that tests side by side do not write into each other's.
put_row() {
  local file=$1 stage=$2 name=$3 result=$4 seconds=$5 words=$6
  words=$(tr '\t\r\n' '   ' <<<"$words" | sed 's/ *$//')
  printf '%s\t%s\t%s\t%s\t%s\n' "$stage" "$name" "$result" "$seconds" "$words" >"$file"
  printf '%-10s %-34s %-6s %8s  %s\n' "$stage" "$name" "$result" "$seconds" "${words:0:160}"
}

cores=$(nproc)

next_row() { printf -v row_file '%s/%04d' "$rows" $((row_count++)); }

skip() { # stage name why
  next_row
  put_row "$row_file" "$1" "$2" SKIP 0 "$3"
}

# What a log says first of a failure.
reason_in() {
  grep -m 1 -E '^========= (Invalid|Error|Race|Uninit|Barrier|ERROR|Program hit)|(error|ERROR|rror:)|not ok|\.c:[0-9]+: |expected' "$1" ||
    tail -n 1 "$1"
}

# Runs one test with a limit of its own; its words are the log's line "figure: ...". A program that ends with 77 skips itself,
# and one that the sanitizer slows beyond its limit is no failure.
judge() {
  local file=$1 stage=$2 name=$3 limit_s=$4 code=0 result=PASS words start
  local log=$logs/$stage.$name.log
  shift 4
  start=$(date +%s.%N)
  timeout --kill-after=10 "$limit_s" "$@" >"$log" 2>&1 </dev/null || code=$?
  local seconds
  seconds=$(awk -v start="$start" -v end="$(date +%s.%N)" 'BEGIN {printf "%.1f", end - start}')
  words=$(sed -n 's/^figure: //p' "$log" | paste -sd ';' | sed 's/;/; /g')
  case $code in
    0) ;;
    77) result=SKIP; words=$(tail -n 1 "$log") ;;
    124 | 137) result=FAIL; words="not done within $limit_s s"; [[ $stage != sanitizer ]] || result=SKIP ;;
    *) result=FAIL; words="exit code $code: $(reason_in "$log")" ;;
  esac
  put_row "$file" "$stage" "$name" "$result" "$seconds" "$words"
}

# run_test STAGE NAME SECONDS COMMAND...: beside up to jobs_most - 1 others; finish_tests waits for the last.
run_test() {
  local stage=$1 name=$2 limit_s=$3 left
  shift 3
  while (($(jobs -rp | wc -l) >= jobs_most)); do wait -n; done
  left=$(left_s)
  if ((left < 5)); then
    skip "$stage" "$name" "no time was left"
    return
  fi
  next_row
  OMP_NUM_THREADS=${threads:-$(((cores + jobs_most - 1) / jobs_most))} \
    judge "$row_file" "$stage" "$name" $((limit_s < left ? limit_s : left)) "$@" 2>/dev/null & # of a crash the shell has words
}

finish_tests() { wait; }

run_alone() {
  finish_tests
  threads=$cores run_test "$@"
  finish_tests
}

json_text() { printf '"%s"' "$(sed 's/\\/\\\\/g; s/"/\\"/g' <<<"$1" | tr -d '\000-\037')"; }

write_result() {
  local stage name result seconds words separator='' file gpu driver memory
  IFS=, read -r gpu driver memory < <(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | sed 's/, /,/g')
  {
    printf '{\n  "date": %s,\n' "$(json_text "$(date -u +%Y-%m-%dT%H:%M:%SZ)")"
    printf '  "gpu": %s,\n  "memory": %s,\n  "driver": %s,\n' "$(json_text "$gpu")" "$(json_text "$memory")" "$(json_text "$driver")"
    printf '  "cuda": %s,\n' "$(json_text "$(cuda_version)")"
    printf '  "cudnn": %s,\n' "$(json_text "$(version_in "$(cached CUDNN_INCLUDE)/cudnn_version.h" CUDNN)")"
    printf '  "nccl": %s,\n' "$(json_text "$(version_in "$(cached NCCL_INCLUDE)/nccl.h" NCCL)")"
    printf '  "commit": %s,\n' "$(json_text "$(git -C "$root" describe --always --dirty --exclude '*' 2>/dev/null || echo unknown)")"
    printf '  "cpu": %s,\n  "threads": %d,\n' "$(json_text "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)")" "$(nproc)"
    printf '  "tests": ['
    for file in "$rows"/*; do
      [[ -e $file ]] || continue
      IFS=$'\t' read -r stage name result seconds words <"$file"
      printf '%s\n    {"stage": %s, "test": %s, "result": %s, "seconds": %s, "figure": %s}' "$separator" "$(json_text "$stage")" \
        "$(json_text "$name")" "$(json_text "$result")" "$seconds" "$(json_text "$words")"
      separator=,
    done
    printf '\n  ],\n  "bench": ['
    separator=''
    for file in "${bench_files[@]}"; do # each holds a list of one row
      [[ -s $file ]] && grep -q name "$file" || continue
      printf '%s\n' "$separator"
      sed '1d;$d' "$file"
      separator=,
    done
    printf '  ]\n}\n'
  } >"$out.part" && mv "$out.part" "$out"
}

cuda_version() {
  local nvcc
  nvcc=$(cached CMAKE_CUDA_COMPILER)
  "${nvcc:-nvcc}" --version 2>/dev/null | sed -nE 's/.*release ([0-9.]+),.*/\1/p'
}

summary() {
  local passed failed skipped
  passed=$(cat "$rows"/* 2>/dev/null | cut -f 3 | grep -c PASS)
  failed=$(cat "$rows"/* 2>/dev/null | cut -f 3 | grep -c FAIL)
  skipped=$(cat "$rows"/* 2>/dev/null | cut -f 3 | grep -c SKIP)
  printf '\n%d passed, %d failed, %d skipped, %d s; %s\n' "$passed" "$failed" "$skipped" "$SECONDS" "$out"
  if ((failed > 0)); then
    echo "logs of what failed:"
    awk -F '\t' -v logs="$logs" '$3 == "FAIL" {print "  " logs "/" $1 "." $2 ".log"}' "$rows"/*
    return 1
  fi
}

# --- stages ---

# Tests of ops, as CMake knows them: "gpu_conv2d_test".
op_tests() {
  local source name
  for source in "$root"/tests/op/*_test.c; do
    name=gpu_$(basename "$source" .c)
    [[ -x $build/$name ]] && echo "$name"
  done
}

stage_ops() {
  local name
  for name in $(op_tests); do
    run_test ops "$name" 150 "$build/$name"
  done
  finish_tests
  run_alone ops gpu_autotune_test 120 "$build/gpu_autotune_test"
}

find_sanitizer() {
  local toolkit
  command -v compute-sanitizer && return
  for toolkit in "${CUDA_HOME:-/usr/local/cuda}" /usr/local/cuda /usr/local/cuda-*; do
    find -L "$toolkit/bin" "$toolkit/compute-sanitizer" -maxdepth 1 -name compute-sanitizer 2>/dev/null | grep -m 1 . && return
  done
  return 1
}

stage_sanitizer() {
  local tool name sanitizer said
  if ! sanitizer=$(find_sanitizer); then
    skip sanitizer compute-sanitizer "compute-sanitizer is not here: it comes with the CUDA toolkit"
    return
  fi
  said=$(timeout 120 "$sanitizer" --tool memcheck "$build/gpu_max_pool2d_test" 2>&1)
  if [[ $said == *"Device not supported"* ]]; then
    skip sanitizer compute-sanitizer "compute-sanitizer cannot be used on this machine: Device not supported"
    return
  fi
  # Those that spend most of their time in cuDNN come last.
  for name in $(op_tests | grep -v conv; op_tests | grep conv); do
    for tool in memcheck racecheck synccheck initcheck; do
      # shellcheck disable=SC2086 # options may be several words
      run_test sanitizer "$tool.$name" 120 "$sanitizer" --tool "$tool" --error-exitcode 99 --print-limit 10 \
        ${SANITIZER_OPTIONS:-} "$build/$name"
    done
  done
  finish_tests
}

stage_steps() {
  run_test steps gpu_unet_test 240 "$build/gpu_unet_test"
  run_test steps gpu_mask_rcnn_test 240 "$build/gpu_mask_rcnn_test"
  run_test steps gpu_repeat_test 120 "$build/gpu_repeat_test"
  run_test steps gpu_order_test 120 "$build/gpu_order_test"
  finish_tests
}

stage_curve() {
  run_alone curve gpu_curve_test 240 "$build/gpu_curve_test"
}

stage_ranks() {
  if [[ -x $build/gpu_nccl_test ]]; then
    run_alone ranks gpu_nccl_test 180 "$build/gpu_nccl_test"
  else
    skip ranks gpu_nccl_test "built without NCCL"
  fi
}

stage_bench() {
  local name file driver=("$python" "$root/tests/bench/run.py" --ours "$build" --cases "$build/cases" --device gpu)
  if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 7))' 2>/dev/null; then
    skip bench run.py "no $python here"
    return
  fi
  if ! "$python" -c 'import torch, torchvision, safetensors; assert torch.cuda.is_available()' 2>/dev/null; then
    echo "   $python has no torch, torchvision and safetensors for this GPU: no peer, and no Mask R-CNN without its weights"
    bench_options="--peer no $bench_options"
  fi
  # shellcheck disable=SC2206 # options are several words
  driver+=(--rounds 5 --seconds 1 --budget 60 --patience 170 $bench_options)
  for name in $("${driver[@]}" --list); do
    file=$build/bench.$name.json
    rm -f "$file"
    bench_files+=("$file")
    run_alone bench "$name" 200 env QUADRAT_CACHE="$build/plans" "$here/bench_case.sh" "$file" "${driver[@]}" --only "$name" --json "$file"
  done
}

stage_first_run() {
  local bundle=${QUADRAT:-}
  if [[ -z $bundle ]]; then
    skip first_run first_run "no bundle is given (QUADRAT=FOLDER)"
    return
  fi
  if [[ -f $bundle && $bundle == *.tar* ]]; then
    mkdir -p "$build/bundle" && tar -C "$build/bundle" -xf "$bundle"
    bundle=$(dirname "$(dirname "$(find "$build/bundle" -path '*/bin/quadrat' | head -n 1)")")
  fi
  if [[ -d $bundle ]]; then
    run_alone first_run doctor 120 "$bundle/bin/quadrat" doctor --device=gpu
    run_alone first_run first_run 400 "$bundle/jobs/first_run.sh" --anew --folder="$build/first_run"
  else
    run_alone first_run doctor 120 "$bundle" doctor --device=gpu
  fi
}
