#pragma once

#include "launch.cuh"

#include "box_lists.h"

/* Candidates in lists, on a GPU: a list is filled in any order, sorted, decoded, and suppressed by
 * one block; what is kept finds its place among all of its image by searching in the other lists.
 * Nothing depends on the order of threads. */
enum { LIST_THREADS = 512, LIST_TILE = 64 };

/* A block for each list and each THREADS of up to most candidates. Lists stand along x, of which a GPU
 * takes more. */
static inline dim3 lists_grid(int64_t most, int32_t list_count)
{
  return dim3((unsigned)list_count, blocks_for(most));
}

/* The candidate that a thread of such a grid has. */
__device__ inline int32_t list_place(void)
{
  return (int32_t)(blockIdx.y * THREADS + threadIdx.x);
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

/* Sorts ranked into sorted by falling keys, equal ones by rising indices. Lists of up to longest
 * candidates. */
void lists_sort(Device *device, BoxLists lists, int32_t list_count, int64_t longest);
/* Lists of up to longest candidates, decoded: suppresses, and writes what is kept. */
void lists_finish(Device *device, BoxLists lists, int32_t images, int64_t longest, float iou_most,
                  ListOutput output);
