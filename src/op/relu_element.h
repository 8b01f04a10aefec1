#pragma once

#include "tensor/bf16.h"

/* relu of one value: NaN and -0 stay as they are. */
SHARED_INLINE float relu_element(float x)
{
  return x < 0.0F ? 0.0F : x;
}

/* dx of one value, from the output; the slope at 0 is 0. */
SHARED_INLINE float relu_gradient_element(float y, float dy)
{
  return y > 0.0F ? dy : 0.0F;
}
