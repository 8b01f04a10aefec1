#pragma once

#include "op/conv2d.h"
#include "op/conv_transpose2d.h"
#include "tensor/bf16.h"

/* A transposed convolution of 2 x 2 and stride 2 is a convolution of 1 x 1 that gives every pixel
 * its four, side by side (row by row, each with y's channels), which are then moved apart. */

/* The place of a weight in the flat block, in channels x out channels x 2 x 2; place: 2 row +
 * column. */
SHARED_INLINE int64_t conv_transpose2d_weight_index(ConvTranspose2d conv, int32_t in, int32_t out,
                                                    int32_t place)
{
  return ((int64_t)in * conv.out_channels + out) * 4 + place;
}

/* The first of the two neighbours of y that a pixel of x, counted over all images, has in its upper
 * (0) or lower (1) row. */
SHARED_INLINE int64_t conv_transpose2d_pixel(Shape x, int64_t pixel, int32_t lower)
{
  const int64_t row = pixel / x.width;
  return (2 * row + lower) * 2 * x.width + 2 * (pixel % x.width);
}

/* The convolution of 1 x 1. */
SHARED_INLINE Conv2dPlan conv_transpose2d_product(ConvTranspose2dPlan plan)
{
  Conv2dPlan product;
  product.conv.in_channels = plan.conv.in_channels;
  product.conv.out_channels = 4 * plan.y.channels;
  product.conv.kernel_height = product.conv.kernel_width = 1;
  product.conv.stride = product.conv.dilation = product.conv.groups = 1;
  product.conv.pad = 0;
  product.conv.bias = true;
  product.conv.add = false;
  product.conv.relu = plan.conv.relu;
  product.x = product.y = plan.x;
  product.y.channels = product.conv.out_channels;
  product.backward = product.dx = plan.backward;
  return product;
}
