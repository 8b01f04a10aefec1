#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "tensor/shape.h"

/* Convolution (cross-correlation, as everywhere in deep learning), with what inference fuses into
 * it.
 *
 *   Shapes    x       N x H x W x C     C >= in_channels
 *             weight  out_channels x in_channels / groups x kernel_height x kernel_width, float32
 *             bias    out_channels, float32; only if bias is set
 *             add     as y; only if add is set; may be y itself, which is faster
 *             y       N x Ho x Wo x Co; Ho = (H + 2 pad - dilation (kernel_height - 1) - 1) / stride
 *                     + 1, Wo likewise
 *   Formula   y = relu(conv(x, weight) + bias + add); relu and add only where set
 *   Units     pad, stride, dilation in pixels of x; zero padding on all sides
 *   Rounding  products and sums in float32, one rounding to y's element at the end. In inference and
 *             for the gradient of x a backend may save products of a 3 x 3 convolution of stride 1
 *             (Winograd), which costs float32 at most 1e-5 of the largest value and bfloat16 about a
 *             rounding
 *   NaN       spreads to every output whose window touches it, and where products are saved to
 *             others within 5 px; relu keeps it
 *   Gradient  of conv and bias only (add and relu are for inference). dx is written or added to, as
 *             asked; dweight and dbias are added to, in float32
 *   Errors    in plan only: STATUS_BAD_SHAPE
 *   Source    Goodfellow, Bengio and Courville, "Deep Learning", 2016, section 9.1; padding and
 *             sizes as PyTorch's Conv2d */
typedef struct Conv2d {
  int32_t in_channels;
  int32_t out_channels;
  int32_t kernel_height;
  int32_t kernel_width;
  int32_t stride;
  int32_t pad;
  int32_t dilation;
  int32_t groups;
  bool bias;
  bool add;
  bool relu;
} Conv2d;

/* What a backend needs to make its kernels; filled by conv2d_plan. */
typedef struct Conv2dPlan {
  Conv2d conv;
  Shape x;
  Shape y;
  bool backward; /* gradients will be asked for */
  bool dx;       /* that of x among them; not for the first layer */
} Conv2dPlan;

/* y's channels are out_channels, rounded up to channel_multiple. */
Status conv2d_plan(Conv2d conv, Shape x, int32_t channel_multiple, bool backward, bool dx,
                   Conv2dPlan *plan);

int64_t conv2d_weight_count(Conv2d conv);
