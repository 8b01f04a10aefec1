#pragma once

#include "launch.cuh"

#include "box_lists.h"

/* Candidates in lists, on a GPU: a list is filled in the order of indices, ranked by counting who
 * goes before whom, decoded, and suppressed by one block; what is kept finds its place among all of
 * its image by searching in the other lists. Nothing depends on the order of threads. */
enum { LIST_THREADS = 512, LIST_TILE = 64 };

/* The sum of what the threads before this one have; all of a block of LIST_THREADS call it. total
 * may be NULL. */
__device__ inline unsigned long long list_sum_before(unsigned long long mine,
                                                     unsigned long long *total)
{
  __shared__ unsigned long long sums[LIST_THREADS];
  const int32_t thread = (int32_t)threadIdx.x;
  sums[thread] = mine;
  __syncthreads();
  for (int32_t step = 1; step < LIST_THREADS; step *= 2) {
    const unsigned long long before = thread >= step ? sums[thread - step] : 0;
    __syncthreads();
    sums[thread] += before;
    __syncthreads();
  }
  const unsigned long long sum = sums[thread];
  if (total != NULL) *total = sums[LIST_THREADS - 1];
  __syncthreads();
  return sum - mine;
}

/* Blocks along x for lists of up to this many candidates. */
static inline dim3 lists_grid(int64_t most, int32_t list_count)
{
  return dim3(blocks_for(most), (unsigned)list_count);
}

/* Where the best of an image's lists are written: most for each image. */
typedef struct ListOutput {
  int32_t lists_per_image;
  int32_t most;
  int32_t class_count; /* tie modulo this is the class */
  float *boxes;
  float *scores;
  int32_t *classes; /* NULL where there are none */
  int32_t *counts;
  int32_t *dropped; /* NULL where nobody asks */
} ListOutput;

/* Sorts ranked into sorted by falling keys; equal ones stay in their order. Lists of up to longest
 * candidates. */
void lists_sort(Device *device, BoxLists lists, int32_t list_count, int64_t longest);
/* Lists of up to longest candidates, decoded: suppresses, and writes what is kept. */
void lists_finish(Device *device, BoxLists lists, int32_t images, int64_t longest, float iou_most,
                  ListOutput output);
