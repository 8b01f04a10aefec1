#include <math.h>

#include "naive_parts.h"

/* Probabilities of one pixel. */
static void pixel_softmax(Shape shape, const void *logits, int64_t pixel, int32_t class_count,
                          double *p)
{
  double largest = -HUGE_VAL;
  double sum = 0.0;
  for (int32_t k = 0; k < class_count; ++k) {
    p[k] = naive_get(logits, shape.element, pixel * shape.channels + k);
    largest = p[k] > largest ? p[k] : largest;
  }
  for (int32_t k = 0; k < class_count; ++k)
    sum += exp(p[k] - largest);
  for (int32_t k = 0; k < class_count; ++k)
    p[k] = exp(p[k] - largest) / sum;
}

size_t naive_segmentation_loss_scratch_bytes(SegmentationLoss loss, Shape logits_shape)
{
  return 0;
}

void naive_segmentation_loss_sums(Device *device, SegmentationLoss loss, const float *class_weights,
                                  Shape logits_shape, const void *logits, const uint8_t *labels,
                                  float *sums, void *scratch)
{
  double total[2 + 3 * CLASS_COUNT_MOST] = {0};
  double p[CLASS_COUNT_MOST];
  for (int64_t pixel = 0; pixel < shape_pixels(logits_shape); ++pixel) {
    const int32_t label = labels[pixel];
    if (label == LABEL_IGNORE) continue;
    pixel_softmax(logits_shape, logits, pixel, loss.class_count, p);
    total[0] += (double)class_weights[label] * pow(1.0 - p[label], (double)loss.focal_gamma) *
                -log(p[label]);
    total[1] += (double)class_weights[label];
    total[2 + 3 * label] += p[label];
    total[2 + 3 * label + 2] += 1.0;
    for (int32_t k = 0; k < loss.class_count; ++k)
      total[2 + 3 * k + 1] += p[k];
  }
  for (int64_t i = 0; i < segmentation_sums_count(loss.class_count); ++i)
    sums[i] = (float)total[i];
}

/* The slope of the whole loss by one pixel's probability of class k. */
static double slope_by_p(SegmentationLoss loss, const float *class_weights, const float *sums,
                         int32_t label, int32_t k, double p)
{
  const double gamma = (double)loss.focal_gamma;
  const double dice = (double)loss.dice_fraction;
  const double both = (double)sums[2 + 3 * k];
  const double cardinal = (double)sums[2 + 3 * k + 1] + (double)sums[2 + 3 * k + 2];
  double slope = 0.0;
  if (k == label) {
    const double focal = gamma > 0.0 ? gamma * pow(1.0 - p, gamma - 1.0) * log(p) : 0.0;
    slope += (1.0 - dice) * (double)class_weights[k] * (focal - pow(1.0 - p, gamma) / p) /
             (double)sums[1];
  }
  if (sums[2 + 3 * k + 2] > 0.0F)
    slope += dice / loss.class_count *
             (2.0 * both / (cardinal * cardinal) - (k == label ? 2.0 / cardinal : 0.0));
  return slope;
}

void naive_segmentation_loss_backward(Device *device, SegmentationLoss loss,
                                      const float *class_weights, const float *sums,
                                      const float *scale, Shape logits_shape, const void *logits,
                                      const uint8_t *labels, void *dlogits)
{
  double p[CLASS_COUNT_MOST];
  for (int64_t pixel = 0; pixel < shape_pixels(logits_shape); ++pixel) {
    const int32_t label = labels[pixel];
    double mean = 0.0;
    pixel_softmax(logits_shape, logits, pixel, loss.class_count, p);
    for (int32_t k = 0; label != LABEL_IGNORE && k < loss.class_count; ++k)
      mean += p[k] * slope_by_p(loss, class_weights, sums, label, k, p[k]);
    for (int32_t k = 0; k < logits_shape.channels; ++k) {
      const bool counts = label != LABEL_IGNORE && k < loss.class_count;
      const double slope =
          counts ? slope_by_p(loss, class_weights, sums, label, k, p[k]) - mean : 0.0;
      naive_set(dlogits, logits_shape.element, pixel * logits_shape.channels + k,
                counts ? (scale == NULL ? 1.0 : (double)*scale) * p[k] * slope : 0.0);
    }
  }
}

void naive_softmax(Device *device, Shape logits_shape, const void *logits, int32_t class_count,
                   float *probabilities)
{
  double p[CLASS_COUNT_MOST];
  for (int64_t pixel = 0; pixel < shape_pixels(logits_shape); ++pixel) {
    pixel_softmax(logits_shape, logits, pixel, class_count, p);
    for (int32_t k = 0; k < class_count; ++k)
      probabilities[pixel * class_count + k] = (float)p[k];
  }
}

void naive_argmax(Device *device, Shape logits_shape, const void *logits, int32_t class_count,
                  uint8_t *classes)
{
  for (int64_t pixel = 0; pixel < shape_pixels(logits_shape); ++pixel) {
    const int64_t first = pixel * logits_shape.channels;
    int32_t best = 0;
    for (int32_t k = 0; k < class_count && best != LABEL_IGNORE; ++k) {
      const double value = naive_get(logits, logits_shape.element, first + k);
      if (isnan(value))
        best = LABEL_IGNORE;
      else if (value > naive_get(logits, logits_shape.element, first + best))
        best = k;
    }
    classes[pixel] = (uint8_t)best;
  }
}

void naive_confusion(Device *device, int64_t count, const uint8_t *classes, const uint8_t *labels,
                     int32_t class_count, int64_t *counts)
{
  for (int64_t i = 0; i < count; ++i)
    if (labels[i] < class_count && classes[i] < class_count)
      counts[labels[i] * class_count + classes[i]] += 1;
}

size_t naive_clip_scratch_bytes(int64_t count)
{
  return 0;
}

void naive_clip_scale(Device *device, int64_t count, const float *g, float norm_limit, float *norm,
                      float *scale, void *scratch)
{
  double squares = 0.0;
  for (int64_t i = 0; i < count; ++i)
    squares += (double)g[i] * (double)g[i];
  const double root = sqrt(squares);
  *norm = (float)root;
  *scale = norm_limit > 0.0F ? (float)fmin(1.0, (double)norm_limit / (root + 1e-6)) : 1.0F;
  if (norm_limit > 0.0F && !isfinite(root)) *scale = NAN;
}

void naive_loss_scale_step(Device *device, float norm_limit, float *norm, float *scale,
                           float *state)
{
  const double by = (double)state[0];
  if (isnan(*norm) || isinf(*norm)) {
    *scale = 0.0F;
    state[0] = (float)fmax(1.0, by / 2.0);
    state[1] = 0.0F;
    return;
  }
  const double root = (double)*norm / by;
  const double clipped = norm_limit > 0.0F ? fmin(1.0, (double)norm_limit / (root + 1e-6)) : 1.0;
  const bool doubles = state[1] + 1.0F >= 2000.0F;
  *norm = (float)root;
  *scale = (float)(clipped / by);
  state[0] = (float)(doubles ? fmin(16777216.0, 2.0 * by) : by);
  state[1] = doubles ? 0.0F : state[1] + 1.0F;
}

void naive_sgd_step(Device *device, const SgdStep *step, int64_t count, const float *scale,
                    const float *g, float *w, float *v)
{
  if (*scale == 0.0F) return;
  for (int64_t i = 0; i < count; ++i) {
    const double velocity = (double)step->momentum * (double)v[i] + (double)*scale * (double)g[i] +
                            (double)step->weight_decay * (double)w[i];
    v[i] = (float)velocity;
    w[i] = (float)((double)w[i] - (double)step->rate * velocity);
  }
}

void naive_adamw_step(Device *device, const AdamwStep *step, int64_t count, const float *scale,
                      const float *g, float *w, float *m, float *v)
{
  if (*scale == 0.0F) return;
  for (int64_t i = 0; i < count; ++i) {
    const double gradient = (double)*scale * (double)g[i];
    const double first =
        (double)step->beta1 * (double)m[i] + (1.0 - (double)step->beta1) * gradient;
    const double second =
        (double)step->beta2 * (double)v[i] + (1.0 - (double)step->beta2) * gradient * gradient;
    const double decayed = (double)w[i] * (1.0 - (double)step->rate * (double)step->weight_decay);
    m[i] = (float)first;
    v[i] = (float)second;
    w[i] = (float)(decayed - (double)step->rate * (first / (double)step->correction1) /
                                 (sqrt(second / (double)step->correction2) + (double)step->eps));
  }
}
