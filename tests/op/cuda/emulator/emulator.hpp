#pragma once

#include "emulated_streams.hpp"

#include <functional>

/* Runs a kernel on the host: block after block, and in a block every thread as a fibre that gives
 * way at barriers. Ends the program where the threads of a block do not all come to the same
 * barrier, which on a GPU would hang or go wrong unseen. Shared memory is static: blocks never
 * overlap. */
#define __global__ static
#define __device__
#define __host__
#define __shared__ static
#define __grid_constant__
#define __launch_bounds__(...)

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned width = 1, unsigned height = 1, unsigned depth = 1) : x(width), y(height), z(depth)
  {
  }
};

extern dim3 threadIdx, blockIdx, blockDim, gridDim;

void emulate(dim3 grid, dim3 block, const std::function<void()> &kernel);

/* In the order of a stream; the arguments are those of now. */
template <typename Kernel, typename... Arguments>
void emulate_launch(CUstream_st *stream, dim3 grid, dim3 block, Kernel kernel,
                    Arguments... arguments)
{
  emulate_later(stream, [=]() { emulate(grid, block, [&]() { kernel(arguments...); }); });
}
void __syncthreads(void);
double __shfl_down_sync(unsigned mask, double value, unsigned distance);

/* Fibres do not interrupt each other. */
template <typename T> T atomicAdd(T *place, T value)
{
  const T before = *place;
  *place = before + value;
  return before;
}

template <typename T> T atomicOr(T *place, T value)
{
  const T before = *place;
  *place = before | value;
  return before;
}

inline int min(int a, int b)
{
  return a < b ? a : b;
}

inline int __popcll(unsigned long long bits)
{
  return __builtin_popcountll(bits);
}
