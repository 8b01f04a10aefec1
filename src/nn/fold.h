#pragma once

#include <stdint.h>

/* A batch norm on its running statistics, per channel. */
typedef struct FoldedNorm {
  int64_t channels;
  const float *weight, *bias, *mean, *variance;
  float eps;
} FoldedNorm;

/* A convolution without bias and the batch norm behind it, as one convolution with bias: w' = w s,
 * b' = bias - mean s, with s = weight / sqrt(variance + eps) per output channel. count: of the
 * weights. */
void fold_norm(FoldedNorm norm, int64_t count, const float *weights, float *folded_weights,
               float *folded_bias);
