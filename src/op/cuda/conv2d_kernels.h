#pragma once

/* The kernels around cuDNN's convolutions, as calls from C. */
#include "cuda_ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where the channels of a packed weight come from: the first first_count of first_padded, then
 * second_count more; the rest are padding and 0. A plain convolution has no second part. Where
 * groups is not 1, the weights are those of a grouped convolution, first_count channels per group,
 * and packed as a dense one: 0 between groups. */
typedef struct WeightLayout {
  int32_t out_channels;
  int32_t out_padded;
  int32_t kernel_px; /* kernel_height * kernel_width */
  int32_t groups;
  int32_t first_count;
  int32_t first_padded;
  int32_t second_count;
  int32_t in_padded; /* of both */
} WeightLayout;

/* packed weights (out_padded x kernel_px x in_padded) from float32 (out_channels x in_channels x
 * kernel_px), in the element's type. */
void conv2d_pack_weights(Device *device, WeightLayout layout, Element element, const float *weight,
                         void *packed);
/* bias may be NULL: zeros. */
void conv2d_pack_bias(Device *device, WeightLayout layout, Element element, const float *bias,
                      void *packed);
/* dweight += dw, which is packed like the weights. */
void conv2d_add_gradient(Device *device, WeightLayout layout, Element element, const void *dw,
                         float *dweight);
/* dbias[k] += sum of dy over all pixels; scratch: conv2d_bias_scratch_bytes. */
size_t conv2d_bias_scratch_bytes(Shape dy_shape);
void conv2d_add_bias_gradient(Device *device, Shape dy_shape, int32_t out_channels, const void *dy,
                              float *dbias, void *scratch);
/* y = relu(y + bias + add), for graphs whose fused form has no engine; bias is packed, and like add
 * it may be NULL. */
void conv2d_finish(Device *device, Shape y_shape, const void *bias, const void *add, bool relu,
                   void *y);

#ifdef __cplusplus
}
#endif
