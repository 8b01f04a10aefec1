#pragma once

#include <stdbool.h>

#include "tensor/shape.h"

/* Transposed convolution with a 2 x 2 kernel and stride 2: every pixel becomes four.
 *
 *   Shapes    x       N x H x W x C, C >= in_channels
 *             weight  in_channels x out_channels x 2 x 2, float32
 *             bias    out_channels, float32
 *             y       N x 2 H x 2 W x Co, Co out_channels rounded up to channel_multiple
 *   Formula   y[2 i + r, 2 j + s, o] = relu(bias[o] + sum over c of x[i, j, c] weight[c, o, r, s]);
 *             relu only where set
 *   Rounding  products and sums in float32, one rounding to y's element
 *   NaN       spreads to the four pixels of its own
 *   Gradient  of all three; with relu the caller hands dy masked by y (relu_backward). dx is written
 *             or added to, as asked; dweight and dbias are added to, in float32
 *   Errors    in plan only: STATUS_BAD_SHAPE
 *   Source    Zeiler et al., "Deconvolutional networks", 2010; PyTorch's ConvTranspose2d */
typedef struct ConvTranspose2d {
  int32_t in_channels;
  int32_t out_channels;
  bool relu; /* for inference */
} ConvTranspose2d;

typedef struct ConvTranspose2dPlan {
  ConvTranspose2d conv;
  Shape x;
  Shape y;
  bool backward;
} ConvTranspose2dPlan;

Status conv_transpose2d_plan(ConvTranspose2d conv, Shape x, int32_t channel_multiple, bool backward,
                             ConvTranspose2dPlan *plan);
