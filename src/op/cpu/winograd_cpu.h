#pragma once

#include <stdbool.h>

#include "op/backend.h"
#include "packed_weights.h"

/* A 3 x 3 convolution of stride 1 by Winograd's minimal filtering (winograd_tile.h):
 * the image's tiles are transformed, multiplied as one matrix product per point by the library, and
 * transformed back. The result differs from the direct one by roundings: at most 1e-5 of the
 * largest value in float32, and by that of the transformed image to 8 bits in bfloat16. A NaN
 * spreads to the whole of each tile that sees it. */
typedef struct Winograd Winograd;

/* Whether it is the way for inference. In training, roundings that differ would switch single relus,
 * and with them gradients, so forward stays direct there. */
bool winograd_suits_forward(const Conv2dPlan *plan);
/* The gradient of x of such a convolution, as a convolution of y's gradient of its own; its weights
 * are turned. */
Conv2dPlan winograd_gradient_plan(const Conv2dPlan *plan);
/* Whether it is the way for a gradient, planned as above: the weights are transformed
 * in each step, which in bfloat16 takes what it saves. */
bool winograd_suits_gradient(const Conv2dPlan *plan);
Status winograd_open(Device *device, const Conv2dPlan *plan, Winograd **winograd, OpBytes *bytes);
void winograd_close(Winograd *winograd); /* accepts NULL */
/* bias: NULL where the convolution has none. */
void winograd_pack(Winograd *winograd, const float *weight, PlainWeights plain, const float *bias,
                   void *packed);
/* add: added before relu, may be y; NULL: nothing is. */
void winograd_forward(Winograd *winograd, const void *packed, const void *x, const void *add,
                      void *y, void *scratch);
