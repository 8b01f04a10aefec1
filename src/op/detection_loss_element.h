#pragma once

#include <math.h>
#include <stdint.h>

#include "box_element.h"
#include "loss_scale_element.h"
#include "softmax_element.h"

/* Losses of the detector's heads for one number, and their slopes by it. A NaN goes through. */
#define SMOOTH_L1_BETA (1.0F / 9.0F)

/* difference: prediction - target. */
SHARED_INLINE float smooth_l1_element(float difference)
{
  const float size = fabsf(difference);
  return size < SMOOTH_L1_BETA ? 0.5F * size * size / SMOOTH_L1_BETA : size - 0.5F * SMOOTH_L1_BETA;
}

SHARED_INLINE float smooth_l1_slope(float difference)
{
  if (fabsf(difference) < SMOOTH_L1_BETA) return difference / SMOOTH_L1_BETA;
  return difference > 0.0F ? 1.0F : difference < 0.0F ? -1.0F : difference;
}

/* Binary cross-entropy of a logit against a target of 0 … 1. */
SHARED_INLINE float bce_logits_element(float logit, float target)
{
  const float least = logit < 0.0F ? 0.0F : logit;
  return least - logit * target + log1pf(expf(-fabsf(logit)));
}

/* Sigmoid of the logit, without an exponential that overflows, less the target. */
SHARED_INLINE float bce_logits_slope(float logit, float target)
{
  const float small = expf(-fabsf(logit));
  const float sigmoid = logit < 0.0F ? small / (1.0F + small) : 1.0F / (1.0F + small);
  return sigmoid - target;
}

/* What a mean over count elements is multiplied by; 0 of none. */
SHARED_INLINE float mean_scale(float scale, float count)
{
  return count > 0.0F ? scale / count : 0.0F;
}

/* Minus log of the softmax at the label; z: logits in, probabilities out. */
SHARED_INLINE float cross_entropy_element(int32_t class_count, int32_t label, float *z)
{
  const float logit = z[label];
  return softmax_element(class_count, z) - logit;
}

/* z: logits in, slopes times scale out. */
SHARED_INLINE void cross_entropy_slopes(int32_t class_count, int32_t label, float scale, float *z)
{
  softmax_element(class_count, z);
  for (int32_t k = 0; k < class_count; ++k)
    z[k] = scale * (z[k] - (k == label ? 1.0F : 0.0F));
}

/* Smooth L1 of the four deltas of a box against their target. */
SHARED_INLINE float box_code_loss(const float *deltas, BoxCode target)
{
  return smooth_l1_element(deltas[0] - target.x) + smooth_l1_element(deltas[1] - target.y) +
         smooth_l1_element(deltas[2] - target.w) + smooth_l1_element(deltas[3] - target.h);
}

SHARED_INLINE void box_code_slopes(const float *deltas, BoxCode target, float scale, float *slopes)
{
  slopes[0] = scale * smooth_l1_slope(deltas[0] - target.x);
  slopes[1] = scale * smooth_l1_slope(deltas[1] - target.y);
  slopes[2] = scale * smooth_l1_slope(deltas[2] - target.w);
  slopes[3] = scale * smooth_l1_slope(deltas[3] - target.h);
}

SHARED_INLINE BoxCode box_code_load(const float *codes, int64_t row)
{
  const float *from = codes + 4 * row;
  const BoxCode code = {from[0], from[1], from[2], from[3]};
  return code;
}

SHARED_INLINE void box_code_store(float *codes, int64_t row, BoxCode code)
{
  float *to = codes + 4 * row;
  to[0] = code.x;
  to[1] = code.y;
  to[2] = code.w;
  to[3] = code.h;
}

/* What an anchor's deltas should be; object: its index in the image's truth. */
SHARED_INLINE BoxCode rpn_target(const Rpn *rpn, AnchorPlace place, const Truth *truth,
                                 int32_t image, int32_t object)
{
  const Box box = box_load(truth->boxes, (int64_t)image * truth->capacity + object);
  return box_encode(anchor_box(rpn, place), box, rpn_weights());
}

/* Whether a row of the box head has a class that the loss knows. */
SHARED_INLINE bool box_row_counts(const BoxHead *head, int32_t of_class)
{
  return of_class >= 0 && of_class < head->class_count;
}
