#pragma once

#include <cub/block/block_scan.cuh>

#include "launch.cuh"

/* The sum of what the threads before this one in the block have; *total: of all. Integers only, whose
 * sums have no order. All of a block of BLOCK_THREADS call it; ends with a barrier. */
template <int BLOCK_THREADS, typename T> __device__ inline T block_sum_before(T mine, T *total)
{
  typedef cub::BlockScan<T, BLOCK_THREADS> Scan;
  __shared__ typename Scan::TempStorage room;
  T before;
  T all;
  Scan(room).ExclusiveSum(mine, before, all);
  __syncthreads();
  *total = all;
  return before;
}
