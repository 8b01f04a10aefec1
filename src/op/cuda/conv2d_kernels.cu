#include "columns.cuh"

#include "conv2d_kernels.h"
#include "relu_element.h"

/* The first input channel of the group that output channel out belongs to. */
__device__ inline int32_t group_start(WeightLayout layout, int32_t out)
{
  return out / (layout.out_channels / layout.groups) * layout.first_count;
}

/* The channel of the weights of output channel out for a packed one, or -1 for padding and for
 * other groups. */
__device__ inline int32_t source_channel(WeightLayout layout, int32_t out, int32_t packed)
{
  if (out >= layout.out_channels) return -1;
  if (packed < layout.first_padded) {
    const int32_t first = packed - group_start(layout, out);
    return first >= 0 && first < layout.first_count ? first : -1;
  }
  const int32_t second = packed - layout.first_padded;
  return second < layout.second_count ? layout.first_count + second : -1;
}

__device__ inline int32_t packed_channel(WeightLayout layout, int32_t out, int32_t source)
{
  return source < layout.first_count ? group_start(layout, out) + source
                                     : layout.first_padded + source - layout.first_count;
}

template <typename T>
__global__ void pack_weights_kernel(WeightLayout layout, const float *weight, T *packed)
{
  const int64_t index = thread_index();
  if (index >= (int64_t)layout.out_padded * layout.kernel_px * layout.in_padded) return;
  const int64_t place = index / layout.in_padded;
  const int32_t tap = (int32_t)(place % layout.kernel_px);
  const int32_t out = (int32_t)(place / layout.kernel_px);
  const int32_t channel = source_channel(layout, out, (int32_t)(index % layout.in_padded));
  const int32_t in_channels = layout.first_count + layout.second_count;
  narrow(packed + index,
         channel >= 0 ? weight[((int64_t)out * in_channels + channel) * layout.kernel_px + tap]
                      : 0.0F);
}

template <typename T>
__global__ void pack_bias_kernel(WeightLayout layout, const float *bias, T *packed)
{
  const int64_t out = thread_index();
  if (out >= layout.out_padded) return;
  narrow(packed + out, bias != NULL && out < layout.out_channels ? bias[out] : 0.0F);
}

template <typename T>
__global__ void add_gradient_kernel(WeightLayout layout, const T *dw, float *dweight)
{
  const int64_t index = thread_index();
  const int32_t in_channels = layout.first_count + layout.second_count;
  if (index >= (int64_t)layout.out_channels * in_channels * layout.kernel_px) return;
  const int32_t tap = (int32_t)(index % layout.kernel_px);
  const int64_t place = index / layout.kernel_px;
  const int32_t out = (int32_t)(place / in_channels);
  const int32_t channel = packed_channel(layout, out, (int32_t)(place % in_channels));
  dweight[index] += widen(dw[((int64_t)out * layout.kernel_px + tap) * layout.in_padded + channel]);
}

template <typename T> __global__ void bias_sums_kernel(Columns cut, const T *dy, float *partial)
{
  float mine[SUMS_MOST] = {0.0F};
  const int32_t column = columns_column();
  if (column < cut.columns)
    for (int64_t pixel = columns_first(cut); pixel < columns_end(cut); pixel += blockDim.y) {
      const Eight here = load8(dy + pixel * cut.channels + column * 8);
#pragma unroll
      for (int k = 0; k < 8; ++k)
        mine[k] += here.v[k];
    }
  columns_reduce(cut, mine, partial);
}

__global__ void add_bias_gradient_kernel(Columns cut, int32_t out_channels, const float *partial,
                                         float *dbias)
{
  const Totals totals = columns_totals(cut, partial);
  if (totals_owner(out_channels)) dbias[totals_channel()] += (float)totals.first;
}

template <typename T>
__global__ void finish_kernel(Columns cut, const T *bias, const T *add, bool relu, T *y)
{
  const int32_t column = columns_column();
  if (column >= cut.columns) return;
  Eight shift = {{0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F}};
  if (bias != NULL) shift = load8(bias + column * 8);
  for (int64_t pixel = columns_first(cut); pixel < columns_end(cut); pixel += blockDim.y) {
    const int64_t at = pixel * cut.channels + column * 8;
    Eight here = load8(y + at);
    Eight residual = {{0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F}};
    if (add != NULL) residual = load8(add + at);
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      const float sum = here.v[k] + shift.v[k] + residual.v[k];
      here.v[k] = relu ? relu_element(sum) : sum;
    }
    store8(y + at, here);
  }
}

void conv2d_pack_weights(Device *device, WeightLayout layout, Element element, const float *weight,
                         void *packed)
{
  const int64_t count = (int64_t)layout.out_padded * layout.kernel_px * layout.in_padded;
  BY_ELEMENT(
      element, T,
      LAUNCH(device, pack_weights_kernel, blocks_for(count), THREADS, layout, weight, (T *)packed));
}

void conv2d_pack_bias(Device *device, WeightLayout layout, Element element, const float *bias,
                      void *packed)
{
  BY_ELEMENT(element, T,
             LAUNCH(device, pack_bias_kernel, blocks_for(layout.out_padded), THREADS, layout, bias,
                    (T *)packed));
}

void conv2d_add_gradient(Device *device, WeightLayout layout, Element element, const void *dw,
                         float *dweight)
{
  const int64_t count =
      (int64_t)layout.out_channels * layout.kernel_px * (layout.first_count + layout.second_count);
  BY_ELEMENT(element, T,
             LAUNCH(device, add_gradient_kernel, blocks_for(count), THREADS, layout, (const T *)dw,
                    dweight));
}

size_t conv2d_bias_scratch_bytes(Shape dy_shape)
{
  return columns_partial_bytes(dy_shape);
}

void conv2d_add_bias_gradient(Device *device, Shape dy_shape, int32_t out_channels, const void *dy,
                              float *dbias, void *scratch)
{
  const Columns cut = columns_for_sums(dy_shape);
  BY_ELEMENT(dy_shape.element, T,
             LAUNCH(device, bias_sums_kernel, columns_grid(cut), columns_block(cut), cut,
                    (const T *)dy, (float *)scratch));
  LAUNCH(device, add_bias_gradient_kernel, totals_grid(out_channels), totals_block(), cut,
         out_channels, (const float *)scratch, dbias);
}

void conv2d_finish(Device *device, Shape y_shape, const void *bias, const void *add, bool relu,
                   void *y)
{
  const Columns cut = columns_for_map(y_shape);
  BY_ELEMENT(y_shape.element, T,
             LAUNCH(device, finish_kernel, columns_grid(cut), columns_block(cut), cut,
                    (const T *)bias, (const T *)add, relu, (T *)y));
}
