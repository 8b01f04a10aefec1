#pragma once

/* What all kernels share: element types, eight channels at a time, launches and their errors. */
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The program's own headers are C. So this file comes first in every .cu. */
extern "C" {
#include "base/memory.h"
#include "base/status.h"
#include "cuda_ops.h"
#include "device/device.h"
}

#include "cuda_device.h"

enum { THREADS = 256 };

/* float32, bfloat16 and float16 in registers are float32; rounding is to nearest, ties to even. */
__device__ inline float widen(float x)
{
  return x;
}

__device__ inline float widen(__nv_bfloat16 x)
{
  return __bfloat162float(x);
}

__device__ inline float widen(__half x)
{
  return __half2float(x);
}

__device__ inline void narrow(float *to, float x)
{
  *to = x;
}

__device__ inline void narrow(__nv_bfloat16 *to, float x)
{
  *to = __float2bfloat16_rn(x);
}

__device__ inline void narrow(__half *to, float x)
{
  *to = __float2half_rn(x);
}

/* Eight neighbouring elements, from and to 16-byte boundaries. */
typedef struct Eight {
  float v[8];
} Eight;

template <typename T> struct alignas(16) EightStored {
  T v[8];
};

template <typename T> __device__ inline Eight load8(const T *from)
{
  const EightStored<T> stored = *reinterpret_cast<const EightStored<T> *>(from);
  Eight eight;
#pragma unroll
  for (int k = 0; k < 8; ++k)
    eight.v[k] = widen(stored.v[k]);
  return eight;
}

template <typename T> __device__ inline void store8(T *to, Eight eight)
{
  EightStored<T> stored;
#pragma unroll
  for (int k = 0; k < 8; ++k)
    narrow(&stored.v[k], eight.v[k]);
  *reinterpret_cast<EightStored<T> *>(to) = stored;
}

/* Sets, or adds to what is there with one rounding. */
template <typename T> __device__ inline void put8(T *to, Eight eight, Write write)
{
  if (write == WRITE_ADD) {
    const Eight before = load8(to);
#pragma unroll
    for (int k = 0; k < 8; ++k)
      eight.v[k] += before.v[k];
  }
  store8(to, eight);
}

/* The place of this thread among all of a one-dimensional launch. */
__device__ inline int64_t thread_index(void)
{
  return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}

static inline unsigned blocks_for(int64_t threads)
{
  return (unsigned)((threads + THREADS - 1) / THREADS);
}

/* A failure becomes the device's, with the kernel's name. */
static inline void launched(Device *device, const char *kernel, dim3 grid, dim3 block)
{
  const cudaError_t code = cuda_outcome(device);
  char what[160];
  if (code == cudaSuccess) return;
  (void)snprintf(what, sizeof what, "%s, %u x %u blocks of %u x %u threads", kernel, grid.x, grid.y,
                 block.x, block.y);
  device_fail(device, cuda_status(code, what));
}

/* LAUNCH(device, kernel, grid, block, arguments …), on the compute stream. Where no CUDA compiler
 * reads this, the tests' emulator runs the same kernel on the host, later. */
#ifdef __CUDACC__
#define LAUNCH(device, kernel, grid, block, ...)                                                   \
  do {                                                                                             \
    kernel<<<(grid), (block), 0, cuda_stream_of(device)>>>(__VA_ARGS__);                           \
    launched((device), #kernel, (grid), (block));                                                  \
  } while (0)
#else
#define LAUNCH(device, kernel, grid, block, ...)                                                   \
  do {                                                                                             \
    emulate_launch(                                                                                \
        cuda_stream_of(device), (grid), (block), [](auto... arguments) { kernel(arguments...); },  \
        __VA_ARGS__);                                                                              \
    launched((device), #kernel, (grid), (block));                                                  \
  } while (0)
#endif

/* BY_ELEMENT(element, T, statement) runs the statement with T as the element's type. */
#define BY_ELEMENT(element, T, ...)                                                                \
  do {                                                                                             \
    if ((element) == ELEMENT_F32) {                                                                \
      typedef float T;                                                                             \
      __VA_ARGS__;                                                                                 \
    } else if ((element) == ELEMENT_BF16) {                                                        \
      typedef __nv_bfloat16 T;                                                                     \
      __VA_ARGS__;                                                                                 \
    } else {                                                                                       \
      typedef __half T;                                                                            \
      __VA_ARGS__;                                                                                 \
    }                                                                                              \
  } while (0)
