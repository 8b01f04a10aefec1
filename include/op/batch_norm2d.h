#pragma once

#include <stdbool.h>

#include "tensor/shape.h"

/* Batch normalisation, with the residual and the relu that follow it in a ResNet.
 *
 *   Shapes    x, add, y             N x H x W x C
 *             weight, bias          C, float32
 *             running_mean, _var    C, float32
 *   Formula   y = relu(weight * (x - mean) * rstd + bias + add), rstd = 1 / sqrt(variance + eps);
 *             relu and add where set
 *   Train     mean and biased variance over N, H, W; running = (1 - momentum) running + momentum
 *             statistic, where the running variance takes the unbiased one, variance * n / (n - 1).
 *             Over all ranks' pixels when synchronised
 *   Frozen    mean and variance are the running ones, which stay as they are, and so do weight and
 *             bias
 *   Gradient  dweight and dbias are added to; dx is written; dadd (the residual's) is written or
 *             added to, as asked. At 0 relu's slope is 0
 *   NaN       spreads to its whole channel in training, to its own output when frozen
 *   Errors    in plan only: STATUS_BAD_SHAPE; training with one value per channel is refused, as
 *             PyTorch does
 *   Source    Ioffe and Szegedy, "Batch normalization", 2015, algorithm 1; He et al., "Deep
 *             residual learning", 2016 */
typedef struct BatchNorm2d {
  int32_t channels;
  float eps;
  float momentum;
  bool frozen;
  bool add;
  bool relu;
} BatchNorm2d;

typedef struct BatchNorm2dPlan {
  BatchNorm2d norm;
  Shape x; /* of add and y as well */
} BatchNorm2dPlan;

Status batch_norm2d_plan(BatchNorm2d norm, Shape x, BatchNorm2dPlan *plan);
