#include "block_sums.cuh"
#include "tiles.cuh"

#include "detection_loss_element.h"

/* Sums by block, then over the blocks in order: partial is blocks x BOX_SUMS. */
template <typename T>
__global__ void box_loss_sums_kernel(Tiles cut, BoxHead head, const T *logits, const T *deltas,
                                     const int32_t *classes, const float *targets, float *partial)
{
  __shared__ float z[TILE_FLOATS];
  __shared__ float room[THREADS];
  float sums[BOX_SUMS] = {0.0F, 0.0F, 0.0F, 0.0F};
  const int64_t step = (int64_t)gridDim.x * cut.tile_pixels;
  for (int64_t first = (int64_t)blockIdx.x * cut.tile_pixels; first < cut.pixels; first += step) {
    tile_load(cut, first, logits, z);
    const int64_t row = first + threadIdx.x;
    const bool inside = (int32_t)threadIdx.x < tile_count(cut, first);
    const int32_t of_class = inside ? classes[row] : -1;
    if (box_row_counts(&head, of_class)) {
      sums[0] += cross_entropy_element(cut.class_count, of_class, z + threadIdx.x * cut.stride);
      sums[2] += 1.0F;
      if (of_class > 0) {
        const T *from = deltas + row * head.deltas.channels + 4 * (int64_t)of_class;
        const float own[4] = {widen(from[0]), widen(from[1]), widen(from[2]), widen(from[3])};
        sums[1] += box_code_loss(own, box_code_load(targets, row));
        sums[3] += 1.0F;
      }
    }
    __syncthreads();
  }
  for (int32_t k = 0; k < BOX_SUMS; ++k) {
    const float sum = block_sum(sums[k], room);
    if (threadIdx.x == 0) partial[(int64_t)blockIdx.x * BOX_SUMS + k] = sum;
  }
}

template <typename T>
__global__ void box_logits_gradient_kernel(Tiles cut, BoxHead head, const int32_t *classes,
                                           const float *sums, const float *scale, const T *logits,
                                           T *dlogits)
{
  __shared__ float z[TILE_FLOATS];
  const float share = mean_scale(loss_scale_value(scale), sums[2]);
  const int64_t step = (int64_t)gridDim.x * cut.tile_pixels;
  for (int64_t first = (int64_t)blockIdx.x * cut.tile_pixels; first < cut.pixels; first += step) {
    tile_load(cut, first, logits, z);
    if ((int32_t)threadIdx.x < tile_count(cut, first)) {
      const int32_t of_class = classes[first + threadIdx.x];
      float *own = z + threadIdx.x * cut.stride;
      if (box_row_counts(&head, of_class))
        cross_entropy_slopes(cut.class_count, of_class, share, own);
      else
        for (int32_t k = 0; k < cut.class_count; ++k)
          own[k] = 0.0F;
    }
    tile_store(cut, first, z, dlogits);
  }
}

/* A thread for each box of each row, also of those that only fill up the channels. */
template <typename T>
__global__ void box_deltas_gradient_kernel(BoxHead head, const int32_t *classes,
                                           const float *targets, const float *sums,
                                           const float *scale, const T *deltas, T *ddeltas)
{
  const int32_t boxes = head.deltas.channels / 4;
  const int64_t i = thread_index();
  if (i >= (int64_t)head.deltas.images * boxes) return;
  const int64_t row = i / boxes;
  const int32_t of_class = classes[row];
  float slopes[4] = {0.0F, 0.0F, 0.0F, 0.0F};
  if (of_class > 0 && of_class == (int32_t)(i % boxes) && box_row_counts(&head, of_class)) {
    const T *from = deltas + 4 * i;
    const float own[4] = {widen(from[0]), widen(from[1]), widen(from[2]), widen(from[3])};
    box_code_slopes(own, box_code_load(targets, row), mean_scale(loss_scale_value(scale), sums[2]),
                    slopes);
  }
  for (int32_t k = 0; k < 4; ++k)
    narrow(ddeltas + 4 * i + k, slopes[k]);
}

size_t box_loss_scratch_bytes_cuda(const BoxHead *head)
{
  return tiles_blocks(tiles_of(head->logits, head->class_count)) * BOX_SUMS * sizeof(float);
}

void box_loss_sums_cuda(Device *device, const BoxHead *head, const void *logits, const void *deltas,
                        const int32_t *classes, const float *targets, float *sums, void *scratch)
{
  const Tiles cut = tiles_of(head->logits, head->class_count);
  const unsigned blocks = tiles_blocks(cut);
  BY_ELEMENT(head->logits.element, T,
             LAUNCH(device, box_loss_sums_kernel<T>, blocks, THREADS, cut, *head, (const T *)logits,
                    (const T *)deltas, classes, targets, (float *)scratch));
  LAUNCH(device, block_totals_kernel<float>, 1, THREADS, (int32_t)blocks, (int32_t)BOX_SUMS,
         (const float *)scratch, sums);
}

void box_loss_backward_cuda(Device *device, const BoxHead *head, const void *logits,
                            const void *deltas, const int32_t *classes, const float *targets,
                            const float *sums, const float *scale, void *dlogits, void *ddeltas)
{
  const Tiles cut = tiles_of(head->logits, head->class_count);
  const int64_t boxes = (int64_t)head->deltas.images * (head->deltas.channels / 4);
  BY_ELEMENT(head->logits.element, T,
             LAUNCH(device, box_logits_gradient_kernel<T>, tiles_blocks(cut), THREADS, cut, *head,
                    classes, sums, scale, (const T *)logits, (T *)dlogits));
  BY_ELEMENT(head->deltas.element, T,
             LAUNCH(device, box_deltas_gradient_kernel<T>, blocks_for(boxes), THREADS, *head,
                    classes, targets, sums, scale, (const T *)deltas, (T *)ddeltas));
}
