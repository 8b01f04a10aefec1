#pragma once

#include <stdint.h>

/* One step over flat float32 blocks: parameters w, gradients g, optimiser state.
 *
 *   sgd     v = momentum v + (s g + weight_decay w);  w -= rate v. The state is v, 0 before the first
 *           step
 *   adamw   w *= 1 - rate weight_decay; m = beta1 m + (1 - beta1) s g; v = beta2 v + (1 - beta2) (s
 *           g)^2; w -= rate (m / c1) / (sqrt(v / c2) + eps), c = 1 - beta^step. The state is m, then
 *           v
 *   step    its numbers lie in device memory, so that a step that was recorded can be played with others
 *   s       the gradients' scale: what clipping leaves of them; read from device memory so that no
 *           step waits for the host. 0: the step is left out, parameters and state stay as they are
 *   clip    s = min(1, norm_limit / (norm + 1e-6)); no limit (0): s = 1; norm = sqrt of the sum of
 *           squares. Under a limit a norm that is not finite makes s NaN, so that the failure
 *           is seen
 *   Source  Sutskever et al., 2013 (as PyTorch's SGD); Loshchilov and Hutter, "Decoupled weight
 *           decay", 2019, algorithm 2 */
typedef struct SgdStep {
  float rate;
  float momentum;
  float weight_decay;
} SgdStep;

typedef struct AdamwStep {
  float rate;
  float beta1, beta2;
  float eps;
  float weight_decay;
  float correction1; /* 1 - beta1^step */
  float correction2;
} AdamwStep;
