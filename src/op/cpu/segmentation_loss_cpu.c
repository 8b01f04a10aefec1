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

/* The logits of one pixel, to be changed. */
static void load_pixel(Shape shape, const void *logits, int64_t pixel, int32_t class_count,
                       float *z)
{
  float buffer[CLASS_COUNT_MOST];
  const float *there =
      span_load(shape.element, logits, pixel * shape.channels, class_count, buffer);
  memcpy(z, there, (size_t)class_count * sizeof *z);
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
    for (int64_t p = pixels * chunk / CHUNKS; p < pixels * (chunk + 1) / CHUNKS; ++p) {
      if (!segmentation_has_label(loss.class_count, labels[p])) continue;
      float z[CLASS_COUNT_MOST];
      load_pixel(logits_shape, logits, p, loss.class_count, z);
      add_pixel(loss, class_weights, labels[p], z, totals);
    }
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
                                    const float *class_weights, const float *sums, float scale,
                                    Shape logits_shape, const void *logits, const uint8_t *labels,
                                    void *dlogits)
{
  const int64_t pixels = shape_pixels(logits_shape);
#pragma omp parallel for schedule(static)
  for (int64_t p = 0; p < pixels; ++p) {
    float z[CLASS_COUNT_MOST + 8] = {0}; /* channels past the classes get 0 */
    load_pixel(logits_shape, logits, p, loss.class_count, z);
    segmentation_gradient_element(loss, class_weights, sums, scale, labels[p], z);
    span_store(logits_shape.element, dlogits, p * logits_shape.channels, logits_shape.channels, z);
  }
}
