#include "tiles.cuh"

#include "prediction_element.h"
#include "softmax_element.h"

template <typename T>
__global__ void softmax_kernel(Tiles cut, const T *logits, float *probabilities)
{
  __shared__ float z[TILE_FLOATS];
  const int64_t step = (int64_t)gridDim.x * cut.tile_pixels;
  for (int64_t first = (int64_t)blockIdx.x * cut.tile_pixels; first < cut.pixels; first += step) {
    const int32_t count = tile_count(cut, first);
    tile_load(cut, first, logits, z);
    if ((int32_t)threadIdx.x < count)
      (void)softmax_element(cut.class_count, z + threadIdx.x * cut.stride);
    __syncthreads();
    float *to = probabilities + first * cut.class_count;
    for (int32_t i = (int32_t)threadIdx.x; i < count * cut.class_count; i += THREADS)
      to[i] = z[i / cut.class_count * cut.stride + i % cut.class_count];
    __syncthreads(); /* before the next tile overwrites this one */
  }
}

template <typename T> __global__ void argmax_kernel(Tiles cut, const T *logits, uint8_t *classes)
{
  __shared__ float z[TILE_FLOATS];
  const int64_t step = (int64_t)gridDim.x * cut.tile_pixels;
  for (int64_t first = (int64_t)blockIdx.x * cut.tile_pixels; first < cut.pixels; first += step) {
    tile_load(cut, first, logits, z);
    if ((int32_t)threadIdx.x < tile_count(cut, first))
      classes[first + threadIdx.x] = argmax_element(cut.class_count, z + threadIdx.x * cut.stride);
    __syncthreads();
  }
}

enum { SHARED_COUNTERS = 4096, CONFUSION_BLOCKS_MOST = 512 };

/* Integer sums do not depend on their order. Counters of a block are in shared memory where all of
 * them fit; a block counts fewer than 2^32 pixels as long as there are fewer than 2^41. */
__global__ void confusion_kernel(int64_t count, const uint8_t *classes, const uint8_t *labels,
                                 int32_t class_count, unsigned long long *counts)
{
  __shared__ unsigned counters[SHARED_COUNTERS];
  const int32_t cells = class_count * class_count;
  const bool shared = cells <= SHARED_COUNTERS;
  for (int32_t i = (int32_t)threadIdx.x; shared && i < cells; i += THREADS)
    counters[i] = 0;
  __syncthreads();
  for (int64_t i = thread_index(); i < count; i += (int64_t)gridDim.x * THREADS) {
    const int32_t label = labels[i];
    const int32_t found = classes[i];
    if (label >= class_count || found >= class_count) continue;
    if (shared)
      atomicAdd(&counters[label * class_count + found], 1U);
    else
      atomicAdd(&counts[label * class_count + found], 1ULL);
  }
  __syncthreads();
  for (int32_t i = (int32_t)threadIdx.x; shared && i < cells; i += THREADS)
    if (counters[i] > 0) atomicAdd(&counts[i], (unsigned long long)counters[i]);
}

void softmax_cuda(Device *device, Shape logits_shape, const void *logits, int32_t class_count,
                  float *probabilities)
{
  const Tiles cut = tiles_of(logits_shape, class_count);
  BY_ELEMENT(logits_shape.element, T,
             LAUNCH(device, softmax_kernel, tiles_blocks(cut), THREADS, cut, (const T *)logits,
                    probabilities));
}

void argmax_cuda(Device *device, Shape logits_shape, const void *logits, int32_t class_count,
                 uint8_t *classes)
{
  const Tiles cut = tiles_of(logits_shape, class_count);
  BY_ELEMENT(
      logits_shape.element, T,
      LAUNCH(device, argmax_kernel, tiles_blocks(cut), THREADS, cut, (const T *)logits, classes));
}

void confusion_cuda(Device *device, int64_t count, const uint8_t *classes, const uint8_t *labels,
                    int32_t class_count, int64_t *counts)
{
  if (count < 1) return;
  const unsigned wanted = blocks_for(count);
  const unsigned blocks =
      wanted < (unsigned)CONFUSION_BLOCKS_MOST ? wanted : (unsigned)CONFUSION_BLOCKS_MOST;
  LAUNCH(device, confusion_kernel, blocks, THREADS, count, classes, labels, class_count,
         (unsigned long long *)counts);
}
