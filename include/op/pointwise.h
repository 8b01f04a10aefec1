#pragma once

#include "tensor/shape.h"

/* Ops of one element, and those that only move elements. All take any shape; channels of x and y as
 * stated.
 *
 *   relu              y = max(x, 0); a NaN stays; slope 0 at 0. Backward: dx = dy where y > 0, else 0
 *   add               y = a + b, rounded once. Backward: da and db are dy, written or added to
 *   upsample_nearest  y[2i + r, 2j + s, offset + c] = x[i, j, c] for r, s in 0, 1: y has twice x's
 *                     height and width, and may have more channels (its part of a concatenation).
 *                     Backward: dx is the sum of the four dy, in float32
 *   concat            y[…, offset + c] = x[…, c]: x's part of a concatenation along the channels.
 *                     Backward: dx = its part of dy
 *   convert           y = x in y's element type; float16 overflow becomes infinity
 *
 *   Errors in the plans below: STATUS_BAD_SHAPE. */
Status add_plan(Shape a, Shape b, Shape *y);
Status upsample_nearest_plan(Shape x, Shape *y);
/* y takes the channels of count inputs, one after the other. */
Status concat_plan(const Shape *inputs, int32_t count, Shape *y);
