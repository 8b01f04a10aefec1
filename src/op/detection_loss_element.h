#pragma once

#include <math.h>
#include <stdint.h>

#include "tensor/bf16.h"

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
