#pragma once

#include "nn/parameter.h"

/* A convolution without bias and the batch norm behind it, as one convolution with bias: w' = w s,
 * b' = bias - mean s, with s = weight / sqrt(variance + eps) per output channel. norm: the first of
 * its four parameters, which follow one another. */
void fold_norm(const Parameter *weight, const Parameter *norm, const float *trained,
               const float *statistics, float *folded_weight, float *folded_bias);
