#pragma once

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "roi_align_element.h"

/* Bilinear resizing as PyTorch's CPU does it, align_corners false. It has two kernels, which round
 * differently: small images go through one that takes four weights, large ones through one that
 * takes an axis after the other (unless it runs on one thread and has three bands). Both fuse
 * products with sums, and so does this. */
SHARED_INLINE bool resize_is_small(int32_t out_height, int32_t out_width)
{
  return out_height + out_width <= 128;
}

/* Pixel i of out along one axis of an image of in pixels. */
SHARED_INLINE RoiTap resize_tap(int32_t in, int32_t out, int32_t i, bool small)
{
  const float scale = (float)in / (float)out;
  const float middle = (float)i + 0.5F;
  const float at = small ? fmaf(scale, middle, -0.5F) : scale * middle - 0.5F;
  const float inside = at < 0.0F ? 0.0F : at;
  RoiTap tap;
  tap.low = (int32_t)inside < in - 1 ? (int32_t)inside : in - 1;
  tap.high = tap.low < in - 1 ? tap.low + 1 : in - 1;
  const float share = inside - (float)tap.low;
  tap.high_weight = share > 1.0F ? 1.0F : share;
  tap.low_weight = 1.0F - tap.high_weight;
  return tap;
}

/* a b above c d. */
SHARED_INLINE float resize_small(float a, float b, float c, float d, RoiTap row, RoiTap column)
{
  const float first =
      fmaf(a, row.low_weight * column.low_weight, b * (row.low_weight * column.high_weight));
  return fmaf(d, row.high_weight * column.high_weight,
              fmaf(c, row.high_weight * column.low_weight, first));
}

SHARED_INLINE float resize_large(float a, float b, float c, float d, RoiTap row, RoiTap column)
{
  const float above = fmaf(a, column.low_weight, b * column.high_weight);
  const float below = fmaf(c, column.low_weight, d * column.high_weight);
  return fmaf(above, row.low_weight, below * row.high_weight);
}
