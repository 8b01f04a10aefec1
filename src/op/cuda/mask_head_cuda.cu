#include "block_scan.cuh"
#include "block_sums.cuh"

#include "mask_head_element.h"

/* A thread has one bin of one target. */
__global__ void mask_targets_kernel(Regions positives, const int32_t *matches, Truth truth,
                                    int32_t height_px, int32_t width_px, int32_t mask_px,
                                    float *targets)
{
  const int64_t index = thread_index();
  const int64_t row = index / (mask_px * mask_px);
  if (row >= positives.capacity) return;
  const float *box = positives.boxes + 4 * row;
  const float all = box[0] + box[1] + box[2] + box[3];
  float sum = 0.0F;
  targets[index] = 0.0F;
  if (positives.images[row] < 0 || matches[row] < 0 || all != all) return;
  const int32_t p = (int32_t)(index / mask_px % mask_px), q = (int32_t)(index % mask_px);
  const MaskWindow mask = mask_window(&truth, positives.images[row], matches[row]);
  const RoiBins bins = roi_align_bins(box, 1.0F, mask_px);
  const int32_t down = mask_samples(bins.height), across = mask_samples(bins.width);
  for (int32_t i = 0; i < down; ++i) {
    const RoiTap tap = roi_align_tap(bins.y, bins.height, p, i, down, height_px);
    if (!mask_window_has_row(&mask, tap.low) && !mask_window_has_row(&mask, tap.high)) continue;
    for (int32_t j = 0; j < across; ++j)
      sum += mask_sample(&mask, tap, roi_align_tap(bins.x, bins.width, q, j, across, width_px));
  }
  targets[index] = sum / (float)(down * across);
}

__device__ inline int64_t mask_pixels(const MaskHead &head)
{
  return (int64_t)head.logits.height * head.logits.width;
}

/* A block has one row: partial is rows x MASK_SUMS. */
template <typename T>
__global__ void mask_loss_sums_kernel(MaskHead head, const T *logits, Regions positives,
                                      const int32_t *classes, const float *targets, float *partial)
{
  __shared__ float room[THREADS];
  const int32_t row = (int32_t)blockIdx.x;
  const int64_t pixels = mask_pixels(head);
  const bool counts = mask_row_counts(&head, &positives, classes, row);
  float mine = 0.0F;
  for (int64_t i = threadIdx.x; counts && i < pixels; i += THREADS) {
    const int64_t pixel = row * pixels + i;
    const float logit = widen(logits[pixel * head.logits.channels + classes[row]]);
    mine += bce_logits_element(logit, targets[pixel]);
  }
  const float sum = block_sum(mine, room);
  if (threadIdx.x != 0) return;
  partial[(int64_t)row * MASK_SUMS] = sum / (float)pixels;
  partial[(int64_t)row * MASK_SUMS + 1] = counts ? 1.0F : 0.0F;
}

/* A thread writes eight channels of one pixel. */
template <typename T>
__global__ void mask_loss_gradient_kernel(MaskHead head, const T *logits, Regions positives,
                                          const int32_t *classes, const float *targets,
                                          const float *row_count, const float *scale, T *dlogits)
{
  const int64_t index = thread_index();
  const int32_t eighths = head.logits.channels / 8;
  const int64_t pixel = index / eighths;
  const int64_t pixels = mask_pixels(head);
  const int32_t row = (int32_t)(pixel / pixels);
  if (row >= head.logits.images) return;
  Eight eight = {{0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F}};
  const int32_t first = (int32_t)(index % eighths) * 8;
  const int32_t own = classes[row] - first;
  if (own >= 0 && own < 8 && mask_row_counts(&head, &positives, classes, row)) {
    const float logit = widen(logits[pixel * head.logits.channels + classes[row]]);
    const float slope = mean_scale(loss_scale_value(scale), *row_count * (float)pixels) *
                        bce_logits_slope(logit, targets[pixel]);
#pragma unroll
    for (int k = 0; k < 8; ++k)
      if (k == own) eight.v[k] = slope;
  }
  store8(dlogits + index * 8, eight);
}

template <typename T>
__global__ void mask_select_kernel(MaskHead head, const T *logits, Regions regions,
                                   const int32_t *classes, float *masks)
{
  const int64_t pixel = thread_index();
  const int32_t row = (int32_t)(pixel / mask_pixels(head));
  if (row >= head.logits.images) return;
  masks[pixel] =
      mask_row_counts(&head, &regions, classes, row)
          ? bce_logits_slope(widen(logits[pixel * head.logits.channels + classes[row]]), 0.0F)
          : 0.0F;
}

__global__ void paste_windows_kernel(Regions regions, int32_t mask_px, const float *image_sizes,
                                     int32_t *windows)
{
  const int64_t row = thread_index();
  if (row < regions.capacity)
    paste_window(&regions, image_sizes, (int32_t)row, mask_px, windows + 4 * row);
}

/* Rows of which some find no room, one after the other. */
__device__ inline void paste_crowded(PastedMasks pasted, int32_t first, int32_t end, int64_t *next,
                                     int32_t *missing)
{
  for (int32_t row = first; row < end; ++row) {
    pasted.offsets[row] = *next;
    paste_take_room(pasted.windows + 4 * (int64_t)row, pasted.pixels_most, next, missing);
  }
}

/* One block: every row begins where the one before it ends. */
__global__ void paste_offsets_kernel(int32_t rows, PastedMasks pasted)
{
  __shared__ int64_t next;
  __shared__ int32_t missing;
  if (threadIdx.x == 0) {
    next = 0;
    missing = 0;
  }
  __syncthreads();
  for (int32_t first = 0; first < rows; first += THREADS) {
    const int32_t row = first + (int32_t)threadIdx.x;
    const int32_t *window = pasted.windows + 4 * (int64_t)row;
    const int64_t start = next;
    int64_t wanted;
    const int64_t before =
        block_sum_before<THREADS>(row < rows ? (int64_t)window[2] * window[3] : 0, &wanted);
    if (wanted <= pasted.pixels_most - start) {
      if (row < rows) pasted.offsets[row] = start + before;
      if (threadIdx.x == 0) next = start + wanted;
    } else if (threadIdx.x == 0) {
      paste_crowded(pasted, first, min(first + THREADS, rows), &next, &missing);
    }
    __syncthreads();
  }
  if (threadIdx.x != 0) return;
  pasted.offsets[rows] = next;
  *pasted.missing = missing;
}

/* A pixel of a row's mask, which has a pixel of 0 around it. */
__device__ inline float padded_value(const float *mask, int32_t mask_px, int32_t row,
                                     int32_t column)
{
  if (row < 1 || row > mask_px || column < 1 || column > mask_px) return 0.0F;
  return mask[(int64_t)(row - 1) * mask_px + column - 1];
}

/* Of one row: many where rows are few. */
enum { PASTE_BLOCKS = 16, PASTE_BLOCKS_WANTED = 4096 };

static inline unsigned paste_blocks(int32_t rows)
{
  const int32_t blocks = PASTE_BLOCKS_WANTED / rows;
  return blocks < 1 ? 1U : blocks < PASTE_BLOCKS ? (unsigned)blocks : (unsigned)PASTE_BLOCKS;
}

__global__ void paste_kernel(Regions regions, const float *masks, int32_t mask_px, float threshold,
                             PastedMasks pasted)
{
  const int64_t of_row = blockIdx.x;
  const int32_t *window = pasted.windows + 4 * of_row;
  const int64_t count = (int64_t)window[2] * window[3];
  const PasteBox box = paste_box(regions.boxes + 4 * of_row, mask_px);
  const bool small = paste_is_small(box);
  const float *mask = masks + of_row * mask_px * mask_px;
  const int64_t first = pasted.offsets[of_row];
  for (int64_t i = (int64_t)blockIdx.y * THREADS + threadIdx.x; i < count;
       i += (int64_t)gridDim.y * THREADS) {
    const int32_t y = window[1] + (int32_t)(i / window[2]) - box.y;
    const int32_t x = window[0] + (int32_t)(i % window[2]) - box.x;
    const RoiTap row = resize_tap(mask_px + 2, box.height, y, small);
    const RoiTap column = resize_tap(mask_px + 2, box.width, x, small);
    const float a = padded_value(mask, mask_px, row.low, column.low);
    const float b = padded_value(mask, mask_px, row.low, column.high);
    const float c = padded_value(mask, mask_px, row.high, column.low);
    const float d = padded_value(mask, mask_px, row.high, column.high);
    const float value =
        small ? resize_small(a, b, c, d, row, column) : resize_large(a, b, c, d, row, column);
    pasted.pixels[first + i] = value > threshold;
    if (pasted.values != NULL) pasted.values[first + i] = value;
  }
}

void mask_targets_cuda(Device *device, const Regions *positives, const int32_t *matches,
                       const Truth *truth, int32_t height_px, int32_t width_px, int32_t mask_px,
                       float *targets)
{
  const int64_t bins = (int64_t)positives->capacity * mask_px * mask_px;
  LAUNCH(device, mask_targets_kernel, blocks_for(bins), THREADS, *positives, matches, *truth,
         height_px, width_px, mask_px, targets);
}

size_t mask_loss_scratch_bytes_cuda(const MaskHead *head)
{
  return (size_t)head->logits.images * MASK_SUMS * sizeof(float);
}

void mask_loss_sums_cuda(Device *device, const MaskHead *head, const void *logits,
                         const Regions *positives, const int32_t *classes, const float *targets,
                         float *sums, void *scratch)
{
  const int32_t rows = head->logits.images;
  BY_ELEMENT(head->logits.element, T,
             LAUNCH(device, mask_loss_sums_kernel<T>, (unsigned)rows, THREADS, *head,
                    (const T *)logits, *positives, classes, targets, (float *)scratch));
  LAUNCH(device, block_totals_kernel<float>, 1, THREADS, rows, (int32_t)MASK_SUMS,
         (const float *)scratch, sums);
}

void mask_loss_backward_cuda(Device *device, const MaskHead *head, const void *logits,
                             const Regions *positives, const int32_t *classes, const float *targets,
                             const float *row_count, const float *scale, void *dlogits)
{
  const unsigned blocks = blocks_for(shape_elements(head->logits) / 8);
  BY_ELEMENT(head->logits.element, T,
             LAUNCH(device, mask_loss_gradient_kernel<T>, blocks, THREADS, *head, (const T *)logits,
                    *positives, classes, targets, row_count, scale, (T *)dlogits));
}

void mask_select_cuda(Device *device, const MaskHead *head, const void *logits,
                      const Regions *regions, const int32_t *classes, float *masks)
{
  const unsigned blocks = blocks_for(shape_pixels(head->logits));
  BY_ELEMENT(head->logits.element, T,
             LAUNCH(device, mask_select_kernel<T>, blocks, THREADS, *head, (const T *)logits,
                    *regions, classes, masks));
}

void mask_paste_cuda(Device *device, const Regions *regions, const float *masks, int32_t mask_px,
                     const float *image_sizes, float threshold, PastedMasks *pasted)
{
  const int32_t rows = regions->capacity;
  LAUNCH(device, paste_windows_kernel, blocks_for(rows), THREADS, *regions, mask_px, image_sizes,
         pasted->windows);
  LAUNCH(device, paste_offsets_kernel, 1, THREADS, rows, *pasted);
  LAUNCH(device, paste_kernel, dim3((unsigned)rows, paste_blocks(rows)), THREADS, *regions, masks,
         mask_px, threshold, *pasted);
}
