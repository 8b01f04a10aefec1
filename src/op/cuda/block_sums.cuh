#pragma once

#include "launch.cuh"

/* Sums in an order that does not depend on the GPU: over the threads of a block by a tree, then over
 * the blocks' partial sums, blocks x entries. */

/* Adds one value of each thread; right in all of them. room: THREADS floats in shared memory. */
__device__ inline float block_sum(float mine, float *room)
{
  room[threadIdx.x] = mine;
  __syncthreads();
  for (int32_t half = THREADS / 2; half > 0; half /= 2) {
    if ((int32_t)threadIdx.x < half) room[threadIdx.x] += room[threadIdx.x + half];
    __syncthreads();
  }
  const float sum = room[0];
  __syncthreads();
  return sum;
}

/* A warp adds one entry over all blocks. */
template <typename T>
__global__ void block_totals_kernel(int32_t blocks, int32_t entries, const T *partial, T *sums)
{
  const int32_t entry = (int32_t)(thread_index() / 32);
  const int32_t lane = (int32_t)threadIdx.x % 32;
  if (entry >= entries) return; /* whole warps leave together */
  double sum = 0.0;
  for (int32_t block = lane; block < blocks; block += 32)
    sum += (double)partial[(int64_t)block * entries + entry];
  for (int32_t half = 16; half > 0; half /= 2)
    sum += __shfl_down_sync(0xFFFFFFFFU, sum, (unsigned)half);
  if (lane == 0) sums[entry] = (T)sum;
}
