#pragma once

#include "tensor/shape.h"

/* Largest value of each square window, channel by channel.
 *
 *   Shapes    x       N x H x W x C
 *             y       N x Ho x Wo x C; Ho = (H + 2 pad - size) / stride + 1, Wo likewise
 *             winner  as y, one byte: the winner's place in its window, row * size + column
 *   Units     size, stride, pad in pixels of x; padding never wins
 *   Ties      the first maximum in row-major order, on every backend
 *   NaN       a window that holds a NaN has the maximum NaN; the first NaN wins
 *   Gradient  dx[winner of o] += dy[o]; dx is written or added to, as asked
 *   Errors    in plan only: STATUS_BAD_SHAPE if size is not 1 to 15, stride below 1, pad over size
 *             / 2, or no window fits
 *   Source    PyTorch's MaxPool2d (ceil_mode off) */
typedef struct MaxPool2d {
  int32_t size;
  int32_t stride;
  int32_t pad;
} MaxPool2d;

Status max_pool2d_plan(MaxPool2d pool, Shape x, Shape *y);
