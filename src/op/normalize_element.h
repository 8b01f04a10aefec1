#pragma once

#include <stdbool.h>

#include "tensor/bf16.h"

/* One band of one pixel of the network's input: NoData and NaN become 0. */
SHARED_INLINE float normalize_element(float x, bool valid, float mean, float inverse_std)
{
  return valid && x == x ? (x - mean) * inverse_std : 0.0F;
}
