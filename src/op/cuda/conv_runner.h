#pragma once

#include "conv2d_kernels.h"
#include "cudnn_context.h"

/* A convolution on its way through cuDNN: what conv2d and decoder_conv2d have in common. packed:
 * weights, then bias, both in x's element. */
typedef struct ConvRunner {
  Device *device;
  Conv2dPlan plan;
  WeightLayout layout;
  const ConvEngine *forward;
  const ConvEngine *backward_data;   /* NULL where not asked for */
  const ConvEngine *backward_weight; /* likewise */
  bool finish;                       /* bias, add and relu by an own kernel: no engine fuses them */
  size_t bias_offset;                /* in packed, bytes */
  size_t dw_bytes;
} ConvRunner;

/* layout says where the weights' channels lie. Owns nothing. bytes: packed and scratch. */
Status conv_runner_fill(ConvRunner *runner, Device *device, const Conv2dPlan *plan,
                        WeightLayout layout, OpBytes *bytes);
void conv_runner_pack(ConvRunner *runner, const float *weight, const float *bias, void *packed);
void conv_runner_forward(ConvRunner *runner, const void *packed, const void *x, const void *add,
                         void *y, void *scratch);
void conv_runner_backward_data(ConvRunner *runner, const void *packed, const void *dy, void *dx,
                               Write write, void *scratch);
void conv_runner_backward_weight(ConvRunner *runner, const void *x, const void *dy, float *dweight,
                                 float *dbias, void *scratch);
