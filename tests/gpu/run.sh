#!/bin/sh
# Builds and runs the tests that want a GPU. Needs a C compiler, CMake 3.20, nvcc, cuDNN 9.8 and NCCL.
#   tests/gpu/run.sh [build folder]
# Where there is no GPU it only builds, and says so.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${1:-$here/../../build-gpu}

capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d .) || capability=
cmake -S "$here" -B "$build" ${capability:+-DCMAKE_CUDA_ARCHITECTURES=$capability}
cmake --build "$build" --parallel "$(nproc)"
if [ -z "$capability" ]; then
  echo "There is no GPU here (nvidia-smi finds none): the suite was built, no test was run."
  exit 0
fi
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
"$build/describe_gpu"
ctest --test-dir "$build" --output-on-failure
