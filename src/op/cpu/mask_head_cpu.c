#include <string.h>

#include "cpu_backend.h"
#include "op/mask_head_element.h"
#include "span.h"

/* Samples of all bins along a row of a target, as far as the table holds them. */
enum { TABLE_MOST = 2048 };

typedef struct Sampling {
  RoiBins bins;
  int32_t mask_px, height_px, width_px;
  int32_t row_samples, column_samples;
  RoiTap columns[TABLE_MOST];
} Sampling;

static RoiTap compute_column(const Sampling *s, int32_t index)
{
  return roi_align_tap(s->bins.x, s->bins.width, index / s->column_samples,
                       index % s->column_samples, s->column_samples, s->width_px);
}

static void lay_sampling(const float *box, Sampling *s)
{
  s->bins = roi_align_bins(box, 1.0F, s->mask_px);
  s->row_samples = mask_samples(s->bins.height);
  s->column_samples = mask_samples(s->bins.width);
  const int64_t all = (int64_t)s->mask_px * s->column_samples;
  for (int32_t i = 0; i < TABLE_MOST && i < all; ++i)
    s->columns[i] = compute_column(s, i);
}

/* Adds one row of samples to a row of bins. */
static void add_samples(const Sampling *s, const MaskWindow *mask, RoiTap row, float *sums)
{
  for (int32_t q = 0; q < s->mask_px; ++q)
    for (int32_t i = 0; i < s->column_samples; ++i) {
      const int32_t index = q * s->column_samples + i;
      const RoiTap column = index < TABLE_MOST ? s->columns[index] : compute_column(s, index);
      sums[q] += mask_sample(mask, row, column);
    }
}

static void sample_row(const Sampling *s, const MaskWindow *mask, int32_t p, float *targets)
{
  const int32_t samples = s->row_samples;
  memset(targets, 0, (size_t)s->mask_px * sizeof *targets);
  for (int32_t i = 0; i < samples; ++i) {
    const RoiTap row = roi_align_tap(s->bins.y, s->bins.height, p, i, samples, s->height_px);
    if (mask_window_has_row(mask, row.low) || mask_window_has_row(mask, row.high))
      add_samples(s, mask, row, targets);
  }
  for (int32_t q = 0; q < s->mask_px; ++q)
    targets[q] /= (float)(samples * s->column_samples);
}

void mask_targets_cpu(Device *device, const Regions *positives, const int32_t *matches,
                      const Truth *truth, int32_t height_px, int32_t width_px, int32_t mask_px,
                      float *targets)
{
#pragma omp parallel for schedule(dynamic)
  for (int32_t row = 0; row < positives->capacity; ++row) {
    const float *box = positives->boxes + 4 * (int64_t)row;
    const int32_t image = positives->images[row];
    float *own = targets + (int64_t)row * mask_px * mask_px;
    const float sum = box[0] + box[1] + box[2] + box[3];
    if (image < 0 || matches[row] < 0 || sum != sum) {
      memset(own, 0, (size_t)mask_px * (size_t)mask_px * sizeof *own);
      continue;
    }
    Sampling s = {.mask_px = mask_px, .height_px = height_px, .width_px = width_px};
    const MaskWindow mask = mask_window(truth, image, matches[row]);
    lay_sampling(box, &s);
    for (int32_t p = 0; p < mask_px; ++p)
      sample_row(&s, &mask, p, own + (int64_t)p * mask_px);
  }
}

/* The logit of a row's class in a pixel, pixels counted over all rows. */
static float logit_at(const MaskHead *head, const void *logits, int64_t pixel, int32_t of_class)
{
  float room;
  return *span_load(head->logits.element, logits, pixel * head->logits.channels + of_class, 1,
                    &room);
}

static int64_t mask_pixels(const MaskHead *head)
{
  return (int64_t)head->logits.height * head->logits.width;
}

size_t mask_loss_scratch_bytes_cpu(const MaskHead *head)
{
  return (size_t)head->logits.images * sizeof(double);
}

void mask_loss_sums_cpu(Device *device, const MaskHead *head, const void *logits,
                        const Regions *positives, const int32_t *classes, const float *targets,
                        float *sums, void *scratch)
{
  const int64_t pixels = mask_pixels(head);
  double *rows = scratch;
#pragma omp parallel for schedule(static)
  for (int32_t row = 0; row < head->logits.images; ++row) {
    rows[row] = 0;
    if (!mask_row_counts(head, positives, classes, row)) continue;
    for (int64_t pixel = row * pixels; pixel < (row + 1) * pixels; ++pixel)
      rows[row] +=
          (double)bce_logits_element(logit_at(head, logits, pixel, classes[row]), targets[pixel]);
  }
  double total = 0;
  int32_t count = 0;
  for (int32_t row = 0; row < head->logits.images; ++row) {
    total += rows[row] / (double)pixels;
    count += mask_row_counts(head, positives, classes, row);
  }
  sums[0] = (float)total;
  sums[1] = (float)count;
}

void mask_loss_backward_cpu(Device *device, const MaskHead *head, const void *logits,
                            const Regions *positives, const int32_t *classes, const float *targets,
                            const float *row_count, const float *scale, void *dlogits)
{
  const int64_t pixels = mask_pixels(head);
  const int64_t channels = head->logits.channels;
  const float share = mean_scale(loss_scale_value(scale), *row_count * (float)pixels);
  const size_t row_bytes = (size_t)(pixels * channels) * element_bytes(head->logits.element);
#pragma omp parallel for schedule(static)
  for (int32_t row = 0; row < head->logits.images; ++row) {
    memset((char *)dlogits + (size_t)row * row_bytes, 0, row_bytes);
    if (!mask_row_counts(head, positives, classes, row)) continue;
    for (int64_t pixel = row * pixels; pixel < (row + 1) * pixels; ++pixel) {
      const float logit = logit_at(head, logits, pixel, classes[row]);
      const float slope = share * bce_logits_slope(logit, targets[pixel]);
      span_store(head->logits.element, dlogits, pixel * channels + classes[row], 1, &slope);
    }
  }
}

void mask_select_cpu(Device *device, const MaskHead *head, const void *logits,
                     const Regions *regions, const int32_t *classes, float *masks)
{
  const int64_t pixels = mask_pixels(head);
#pragma omp parallel for schedule(static)
  for (int32_t row = 0; row < head->logits.images; ++row) {
    const bool counts = mask_row_counts(head, regions, classes, row);
    for (int64_t pixel = row * pixels; pixel < (row + 1) * pixels; ++pixel)
      masks[pixel] =
          counts ? bce_logits_slope(logit_at(head, logits, pixel, classes[row]), 0.0F) : 0.0F;
  }
}
