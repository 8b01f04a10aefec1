#pragma once

#include <math.h>

#include "op/loss_scale.h"
#include "optimizer_step_element.h"

/* What the gradients of a loss are multiplied by. */
SHARED_INLINE float loss_scale_value(const float *scale)
{
  return scale == NULL ? 1.0F : *scale;
}

SHARED_INLINE void loss_scale_step_element(float norm_limit, float *norm, float *scale,
                                           float *state)
{
  const float by = state[0];
  if (!isfinite(*norm)) {
    *scale = 0.0F;
    state[0] = by > 1.0F ? by * 0.5F : 1.0F;
    state[1] = 0.0F;
    return;
  }
  *norm /= by;
  *scale = clip_scale_element(*norm, norm_limit) / by;
  state[1] += 1.0F;
  if (state[1] < (float)LOSS_SCALE_STEPS) return;
  state[0] = by < LOSS_SCALE_MOST ? by * 2.0F : by;
  state[1] = 0.0F;
}
