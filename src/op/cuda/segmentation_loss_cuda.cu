#include "block_sums.cuh"
#include "tiles.cuh"

#include "segmentation_loss_element.h"

/* Sums by block, then over the blocks in order: partial is blocks x (2 + 3 classes). */

enum { NO_LABEL = -1 };

/* The label of this thread's pixel of a tile, or NO_LABEL. */
__device__ inline int32_t own_label(Tiles cut, int64_t first, const uint8_t *labels)
{
  if ((int32_t)threadIdx.x >= tile_count(cut, first)) return NO_LABEL;
  const int32_t label = labels[first + threadIdx.x];
  return segmentation_has_label(cut.class_count, label) ? label : NO_LABEL;
}

/* Threads are dealt out to classes: thread t has class t % lanes and every (THREADS / lanes)-th
 * pixel of a tile, lanes being a power of two that is not below the number of classes. */
template <typename T>
__global__ void loss_sums_kernel(Tiles cut, SegmentationLoss loss, int32_t lanes,
                                 const float *class_weights, const T *logits, const uint8_t *labels,
                                 float *partial)
{
  __shared__ float z[TILE_FLOATS];
  __shared__ float room[THREADS];
  __shared__ int32_t tile_labels[THREADS];
  const int32_t k = (int32_t)threadIdx.x % lanes;
  const int32_t groups = THREADS / lanes;
  const int64_t step = (int64_t)gridDim.x * cut.tile_pixels;
  float cross = 0.0F;
  float weight = 0.0F;
  float sums[3] = {0.0F, 0.0F, 0.0F}; /* I, P, T of class k */
  for (int64_t first = (int64_t)blockIdx.x * cut.tile_pixels; first < cut.pixels; first += step) {
    const int32_t label = own_label(cut, first, labels);
    tile_labels[threadIdx.x] = label;
    tile_load(cut, first, logits, z);
    if (label != NO_LABEL) {
      cross += segmentation_cross_element(loss, class_weights, label, z + threadIdx.x * cut.stride);
      weight += class_weights[label];
    }
    __syncthreads();
    for (int32_t i = (int32_t)threadIdx.x / lanes; k < cut.class_count && i < cut.tile_pixels;
         i += groups) {
      if (tile_labels[i] == NO_LABEL) continue;
      const float p = z[i * cut.stride + k];
      sums[1] += p;
      if (tile_labels[i] == k) {
        sums[0] += p;
        sums[2] += 1.0F;
      }
    }
    __syncthreads();
  }
  float *mine = partial + (int64_t)blockIdx.x * segmentation_sum_index(cut.class_count, 0);
  const float all_cross = block_sum(cross, room);
  const float all_weight = block_sum(weight, room);
  if (threadIdx.x == 0) {
    mine[0] = all_cross;
    mine[1] = all_weight;
  }
  for (int32_t which = 0; which < 3; ++which) {
    room[threadIdx.x] = sums[which];
    __syncthreads();
    float sum = 0.0F;
    for (int32_t group = 0; group < groups; ++group)
      sum += room[group * lanes + k];
    if ((int32_t)threadIdx.x < cut.class_count) mine[segmentation_sum_index(k, which)] = sum;
    __syncthreads();
  }
}

template <typename T>
__global__ void loss_gradient_kernel(Tiles cut, SegmentationLoss loss, const float *class_weights,
                                     const float *sums, const float *scale, const T *logits,
                                     const uint8_t *labels, T *dlogits)
{
  __shared__ float z[TILE_FLOATS];
  const float factor = loss_scale_value(scale);
  const int64_t step = (int64_t)gridDim.x * cut.tile_pixels;
  for (int64_t first = (int64_t)blockIdx.x * cut.tile_pixels; first < cut.pixels; first += step) {
    tile_load(cut, first, logits, z);
    if ((int32_t)threadIdx.x < tile_count(cut, first))
      segmentation_gradient_element(loss, class_weights, sums, factor, labels[first + threadIdx.x],
                                    z + threadIdx.x * cut.stride);
    tile_store(cut, first, z, dlogits);
  }
}

size_t segmentation_loss_scratch_bytes_cuda(SegmentationLoss loss, Shape logits_shape)
{
  const Tiles cut = tiles_of(logits_shape, loss.class_count);
  return tiles_blocks(cut) * (size_t)segmentation_sum_index(loss.class_count, 0) * sizeof(float);
}

void segmentation_loss_sums_cuda(Device *device, SegmentationLoss loss, const float *class_weights,
                                 Shape logits_shape, const void *logits, const uint8_t *labels,
                                 float *sums, void *scratch)
{
  const Tiles cut = tiles_of(logits_shape, loss.class_count);
  const unsigned blocks = tiles_blocks(cut);
  const int32_t entries = (int32_t)segmentation_sum_index(loss.class_count, 0);
  int32_t lanes = 1;
  while (lanes < loss.class_count)
    lanes *= 2;
  BY_ELEMENT(logits_shape.element, T,
             LAUNCH(device, loss_sums_kernel, blocks, THREADS, cut, loss, lanes, class_weights,
                    (const T *)logits, labels, (float *)scratch));
  LAUNCH(device, block_totals_kernel<float>, blocks_for((int64_t)entries * 32), THREADS,
         (int32_t)blocks, entries, (const float *)scratch, sums);
}

void segmentation_loss_backward_cuda(Device *device, SegmentationLoss loss,
                                     const float *class_weights, const float *sums,
                                     const float *scale, Shape logits_shape, const void *logits,
                                     const uint8_t *labels, void *dlogits)
{
  const Tiles cut = tiles_of(logits_shape, loss.class_count);
  BY_ELEMENT(logits_shape.element, T,
             LAUNCH(device, loss_gradient_kernel, tiles_blocks(cut), THREADS, cut, loss,
                    class_weights, sums, scale, (const T *)logits, labels, (T *)dlogits));
}
