#pragma once

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "loss_scale_element.h"
#include "op/segmentation_loss.h"
#include "softmax_element.h"
#include "tensor/bf16.h"

/* The loss of one pixel, whose logits lie one after the other in z. Sums are laid out as
 * segmentation_loss.h has them: [0] cross, [1] weight, then I, P, T of each class in turn. */
SHARED_INLINE int64_t segmentation_sum_index(int32_t class_index, int32_t which) /* 0 I, 1 P, 2 T */
{
  return 2 + 3 * (int64_t)class_index + which;
}

/* Whether a pixel has a say. A label past the classes has none, like LABEL_IGNORE. */
SHARED_INLINE bool segmentation_has_label(int32_t class_count, int32_t label)
{
  return label < class_count;
}

/* (1 - p)^gamma, with 0^0 = 1 as for plain cross-entropy. A p that rounding brought above 1 is 1.
 */
SHARED_INLINE float segmentation_focus(float one_minus_p, float gamma)
{
  return gamma == 0.0F ? 1.0F : powf(one_minus_p < 0.0F ? 0.0F : one_minus_p, gamma);
}

/* z: logits in, probabilities out. Returns the pixel's part of sums[0], for a pixel with a label;
 * its part of sums[1] is class_weights[label]. */
SHARED_INLINE float segmentation_cross_element(SegmentationLoss loss, const float *class_weights,
                                               int32_t label, float *z)
{
  const float logit = z[label];
  const float minus_log_p = softmax_element(loss.class_count, z) - logit;
  return class_weights[label] * segmentation_focus(1.0F - z[label], loss.focal_gamma) * minus_log_p;
}

/* The slope of dice by this pixel's probability of class k. */
SHARED_INLINE float segmentation_dice_slope(SegmentationLoss loss, const float *sums, int32_t k,
                                            bool is_label)
{
  const float both = sums[segmentation_sum_index(k, 0)];
  const float present = sums[segmentation_sum_index(k, 2)];
  const float cardinal = sums[segmentation_sum_index(k, 1)] + present;
  if (!(present > 0.0F)) return 0.0F; /* such a class is no part of the loss */
  const float own = is_label ? cardinal : 0.0F;
  return -2.0F * (own - both) / (cardinal * cardinal * (float)loss.class_count);
}

/* The slope of -(1 - p)^gamma log p by logit k is this times (1 where k is the label) - p[k]. */
SHARED_INLINE float segmentation_cross_slope(float p, float log_p, float gamma)
{
  const float rest = 1.0F - p;
  if (gamma == 0.0F) return -1.0F;
  if (rest <= 0.0F) return 0.0F;
  return gamma * powf(rest, gamma - 1.0F) * p * log_p - powf(rest, gamma);
}

/* z: logits in, gradient out, times scale; sums are those of all ranks. label may be one without a
 * say: the gradient is 0. */
SHARED_INLINE void segmentation_gradient_element(SegmentationLoss loss, const float *class_weights,
                                                 const float *sums, float scale, int32_t label,
                                                 float *z)
{
  if (!segmentation_has_label(loss.class_count, label)) {
    for (int32_t k = 0; k < loss.class_count; ++k)
      z[k] = 0.0F;
    return;
  }
  const float logit = z[label];
  const float log_p = logit - softmax_element(loss.class_count, z);
  const float weight_sum = sums[1];
  const float cross = weight_sum > 0.0F
                          ? (1.0F - loss.dice_fraction) * class_weights[label] *
                                segmentation_cross_slope(z[label], log_p, loss.focal_gamma) /
                                weight_sum
                          : 0.0F;
  float dice_mean = 0.0F; /* sum over j of p[j] times the slope by p[j] */
  if (loss.dice_fraction > 0.0F)
    for (int32_t k = 0; k < loss.class_count; ++k)
      dice_mean += z[k] * segmentation_dice_slope(loss, sums, k, k == label);
  for (int32_t k = 0; k < loss.class_count; ++k) {
    const float p = z[k];
    const float own = k == label ? 1.0F : 0.0F;
    float gradient = cross * (own - p);
    if (loss.dice_fraction > 0.0F)
      gradient +=
          loss.dice_fraction * p * (segmentation_dice_slope(loss, sums, k, k == label) - dice_mean);
    z[k] = scale * gradient;
  }
}
