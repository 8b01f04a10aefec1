#pragma once

#include <math.h>
#include <stdint.h>

#include "tensor/bf16.h"

/* Batch normalisation of one channel and of one value. A "sum about a shift" is sum (x - shift) and
 * sum (x - shift)^2; the shift is the running mean before it is updated. */
typedef struct BatchNorm2dMoments {
  float mean;
  float variance; /* biased */
} BatchNorm2dMoments;

SHARED_INLINE BatchNorm2dMoments batch_norm2d_moments(double sum, double sum_of_squares,
                                                      float shift, int64_t count)
{
  const double offset = sum / (double)count;
  const double variance = sum_of_squares / (double)count - offset * offset;
  BatchNorm2dMoments moments;
  moments.mean = (float)((double)shift + offset);
  moments.variance = variance < 0.0 ? 0.0F : (float)variance; /* a NaN stays */
  return moments;
}

SHARED_INLINE float batch_norm2d_rstd(float variance, float eps)
{
  return 1.0F / sqrtf(variance + eps);
}

/* Running statistics after one batch. */
SHARED_INLINE float batch_norm2d_running(float running, float statistic, float momentum)
{
  return (1.0F - momentum) * running + momentum * statistic;
}

/* The unbiased variance; a count of 1 has none and keeps the biased one. */
SHARED_INLINE float batch_norm2d_unbiased(float variance, int64_t count)
{
  return count > 1 ? (float)((double)variance * (double)count / (double)(count - 1)) : variance;
}

/* y before add and relu; scale = weight * rstd. */
SHARED_INLINE float batch_norm2d_element(float x, float mean, float scale, float bias)
{
  return (x - mean) * scale + bias;
}

/* dx of one value in training: dz is the gradient behind add and relu; mean_dz and mean_dz_xhat are
 * the two sums divided by the count of all ranks. When frozen both are 0. */
SHARED_INLINE float batch_norm2d_gradient_element(float dz, float xhat, float scale, float mean_dz,
                                                  float mean_dz_xhat)
{
  return scale * (dz - mean_dz - xhat * mean_dz_xhat);
}
