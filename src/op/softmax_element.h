#pragma once

#include <math.h>
#include <stdint.h>

#include "tensor/bf16.h"

/* Softmax of one pixel, in place: logits in, probabilities out. Returns the log of the sum that
 * they were divided by, so that log p[k] = logits[k] - what is returned. A NaN spreads to all. */
SHARED_INLINE float softmax_element(int32_t class_count, float *z)
{
  float largest = z[0];
  for (int32_t k = 1; k < class_count; ++k)
    largest = z[k] > largest ? z[k] : largest;
  float sum = 0.0F;
  for (int32_t k = 0; k < class_count; ++k) {
    z[k] = expf(z[k] - largest);
    sum += z[k];
  }
  const float inverse = 1.0F / sum;
  for (int32_t k = 0; k < class_count; ++k)
    z[k] *= inverse;
  return largest + logf(sum);
}
