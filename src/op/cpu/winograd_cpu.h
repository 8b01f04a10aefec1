#pragma once

#include <stdbool.h>

#include "op/backend.h"

/* A 3 x 3 convolution of stride 1 for inference by Winograd's minimal filtering (winograd_tile.h):
 * the image's tiles are transformed, multiplied as one matrix product per point by the library, and
 * transformed back. The result differs from the direct one by roundings: at most 1e-5 of the
 * largest value in float32, and by that of the transformed image to 8 bits in bfloat16. A NaN
 * spreads to the whole of each tile that sees it. */
typedef struct Winograd Winograd;

/* Whether it is the faster way. */
bool winograd_suits(const Conv2dPlan *plan);
Status winograd_open(Device *device, const Conv2dPlan *plan, Winograd **winograd, OpBytes *bytes);
void winograd_close(Winograd *winograd); /* accepts NULL */
/* out_stride: floats from one output channel's weights to the next one's. bias: NULL where the
 * convolution has none. */
void winograd_pack(Winograd *winograd, const float *weight, int64_t out_stride, const float *bias,
                   void *packed);
void winograd_forward(Winograd *winograd, const void *packed, const void *x, const void *add,
                      void *y, void *scratch);
