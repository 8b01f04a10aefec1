#pragma once

#include <stdbool.h>

#include "tensor/shape.h"

/* U-Net's way up: a 3 x 3 convolution over the channels of a, enlarged twice by nearest neighbour,
 * and then those of skip.
 *
 *   Shapes    a       N x H x W x Ca
 *             skip    N x 2H x 2W x Cs; absent where skip_channels is 0
 *             weight  out_channels x (a_channels + skip_channels) x 3 x 3, float32; a's channels
 *                     first
 *             bias    out_channels, float32; only if bias is set
 *             y       N x 2H x 2W x Co
 *   Formula   y = relu(conv3x3([nearest2x(a), skip], weight, pad 1) + bias); relu only where set
 *             (inference)
 *   Gradient  da and dskip are written or added to, as asked; dweight is added to
 *   Rounding  as conv2d, but a's part is rounded to y's element before skip's is added
 *   NaN       as conv2d
 *   Errors    in plan only: STATUS_BAD_SHAPE
 *   Note      a 3 x 3 convolution of an enlarged image equals a transposed 4 x 4 convolution of
 *             stride 2 of the small one, whose weights are sums of the 3 x 3 ones: 4/9 of the
 *             products, and neither the enlarged nor the joined image need exist
 *   Source    Ronneberger, Fischer and Brox, "U-Net", 2015, section 2, in the form of
 *             segmentation_models_pytorch */
typedef struct DecoderConv2d {
  int32_t a_channels;
  int32_t skip_channels;
  int32_t out_channels;
  bool bias;
  bool relu;
} DecoderConv2d;

typedef struct DecoderConv2dPlan {
  DecoderConv2d conv;
  Shape a;
  Shape skip; /* channels 0 where there is none */
  Shape y;
  bool backward;
} DecoderConv2dPlan;

Status decoder_conv2d_plan(DecoderConv2d conv, Shape a, Shape skip, int32_t channel_multiple,
                           bool backward, DecoderConv2dPlan *plan);
