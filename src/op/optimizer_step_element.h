#pragma once

#include <math.h>

#include "op/optimizer_step.h"
#include "tensor/bf16.h"

/* One step of one parameter; scale is what clipping leaves of the gradients, not 0. */
SHARED_INLINE void sgd_step_element(SgdStep step, float scale, float g, float *w, float *v)
{
  const float velocity = step.momentum * *v + (scale * g + step.weight_decay * *w);
  *v = velocity;
  *w -= step.rate * velocity;
}

SHARED_INLINE void adamw_step_element(AdamwStep step, float scale, float g, float *w, float *m,
                                      float *v)
{
  const float gradient = scale * g;
  const float decayed = *w * (1.0F - step.rate * step.weight_decay);
  const float first = step.beta1 * *m + (1.0F - step.beta1) * gradient;
  const float second = step.beta2 * *v + (1.0F - step.beta2) * gradient * gradient;
  *m = first;
  *v = second;
  *w = decayed -
       step.rate * (first / step.correction1) / (sqrtf(second / step.correction2) + step.eps);
}

/* What clipping leaves: 1 without a limit. */
SHARED_INLINE float clip_scale_element(float norm, float norm_limit)
{
  if (norm_limit > 0.0F && !isfinite(norm)) return NAN; /* 0 would leave the step out */
  const float scale = norm_limit / (norm + 1e-6F);
  return norm_limit > 0.0F && !(scale >= 1.0F) ? scale : 1.0F;
}
