#include <string.h>

#include "cpu_backend.h"
#include "op/segmentation_loss_element.h"
#include "span.h"

/* Sums are taken in chunks that do not depend on the number of threads, in double. */
enum { CHUNKS = 64, SUMS_MOST = 2 + 3 * CLASS_COUNT_MOST };

size_t segmentation_loss_scratch_bytes_cpu(SegmentationLoss loss, Shape logits_shape)
{
  return CHUNKS * (size_t)segmentation_sums_count(loss.class_count) * sizeof(double);
}

static void add_pixel(SegmentationLoss loss, const float *class_weights, int32_t label, float *z,
                      double *sums)
{
  sums[0] += (double)segmentation_cross_element(loss, class_weights, label, z);
  sums[1] += (double)class_weights[label];
  sums[segmentation_sum_index(label, 0)] += (double)z[label];
  sums[segmentation_sum_index(label, 2)] += 1;
  for (int32_t c = 0; c < loss.class_count; ++c)
    sums[segmentation_sum_index(c, 1)] += (double)z[c];
}

/* Pixels first … end - 1, a span at a time. */
static void add_pixels(SegmentationLoss loss, const float *class_weights, Shape shape,
                       const void *logits, const uint8_t *labels, int64_t first, int64_t end,
                       double *sums)
{
  const int64_t channels = shape.channels;
  const int64_t span_pixels = SPAN_MOST / channels;
  for (; first < end; first += span_pixels) {
    float buffer[SPAN_MOST];
    const int64_t count = end - first < span_pixels ? end - first : span_pixels;
    const float *span =
        span_load(shape.element, logits, first * channels, count * channels, buffer);
    for (int64_t p = 0; p < count; ++p) {
      if (!segmentation_has_label(loss.class_count, labels[first + p])) continue;
      float z[CLASS_COUNT_MOST];
      memcpy(z, span + p * channels, (size_t)loss.class_count * sizeof *z);
      add_pixel(loss, class_weights, labels[first + p], z, sums);
    }
  }
}

void segmentation_loss_sums_cpu(Device *device, SegmentationLoss loss, const float *class_weights,
                                Shape logits_shape, const void *logits, const uint8_t *labels,
                                float *sums, void *scratch)
{
  const int64_t pixels = shape_pixels(logits_shape);
  const int64_t count = segmentation_sums_count(loss.class_count);
  double *chunks = scratch;
#pragma omp parallel for schedule(static)
  for (int64_t chunk = 0; chunk < CHUNKS; ++chunk) {
    double totals[SUMS_MOST] = {0};
    add_pixels(loss, class_weights, logits_shape, logits, labels, pixels * chunk / CHUNKS,
               pixels * (chunk + 1) / CHUNKS, totals);
    memcpy(chunks + chunk * count, totals, (size_t)count * sizeof *totals);
  }
  for (int64_t i = 0; i < count; ++i) {
    double total = 0;
    for (int64_t chunk = 0; chunk < CHUNKS; ++chunk)
      total += chunks[chunk * count + i];
    sums[i] = (float)total;
  }
}

void segmentation_loss_backward_cpu(Device *device, SegmentationLoss loss,
                                    const float *class_weights, const float *sums,
                                    const float *scale, Shape logits_shape, const void *logits,
                                    const uint8_t *labels, void *dlogits)
{
  const float factor = loss_scale_value(scale);
  const int64_t pixels = shape_pixels(logits_shape);
  const int64_t channels = logits_shape.channels;
  const int64_t span_pixels = SPAN_MOST / channels;
#pragma omp parallel for schedule(static)
  for (int64_t first = 0; first < pixels; first += span_pixels) {
    float buffer[SPAN_MOST], gradients[SPAN_MOST] = {0}; /* channels past the classes get 0 */
    const int64_t count = pixels - first < span_pixels ? pixels - first : span_pixels;
    const float *span =
        span_load(logits_shape.element, logits, first * channels, count * channels, buffer);
    for (int64_t p = 0; p < count; ++p) {
      float *z = gradients + p * channels;
      memcpy(z, span + p * channels, (size_t)loss.class_count * sizeof *z);
      segmentation_gradient_element(loss, class_weights, sums, factor, labels[first + p], z);
    }
    span_store(logits_shape.element, dlogits, first * channels, count * channels, gradients);
  }
}
