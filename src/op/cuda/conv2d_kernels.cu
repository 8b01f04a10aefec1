#include "columns.cuh"

#include "conv2d_kernels.h"
#include "relu_element.h"

/* The channel of the weights for a packed one, or -1 for padding. */
__device__ inline int32_t source_channel(WeightLayout layout, int32_t packed)
{
  if (packed < layout.first_padded) return packed < layout.first_count ? packed : -1;
  const int32_t second = packed - layout.first_padded;
  return second < layout.second_count ? layout.first_count + second : -1;
}

__device__ inline int32_t packed_channel(WeightLayout layout, int32_t source)
{
  return source < layout.first_count ? source : layout.first_padded + source - layout.first_count;
}

template <typename T>
__global__ void pack_weights_kernel(WeightLayout layout, const float *weight, T *packed)
{
  const int64_t index = thread_index();
  if (index >= (int64_t)layout.out_padded * layout.kernel_px * layout.in_padded) return;
  const int32_t channel = source_channel(layout, (int32_t)(index % layout.in_padded));
  const int64_t place = index / layout.in_padded;
  const int32_t tap = (int32_t)(place % layout.kernel_px);
  const int32_t out = (int32_t)(place / layout.kernel_px);
  const int32_t in_channels = layout.first_count + layout.second_count;
  const bool real = channel >= 0 && out < layout.out_channels;
  narrow(packed + index,
         real ? weight[((int64_t)out * in_channels + channel) * layout.kernel_px + tap] : 0.0F);
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
  const int32_t channel = packed_channel(layout, (int32_t)(place % in_channels));
  const int64_t out = place / in_channels;
  dweight[index] += widen(dw[(out * layout.kernel_px + tap) * layout.in_padded + channel]);
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
  const cudaStream_t stream = cuda_stream_of(device);
  BY_ELEMENT(
      element, T,
      pack_weights_kernel<<<blocks_for(count), THREADS, 0, stream>>>(layout, weight, (T *)packed));
  launched(device, "pack weights");
}

void conv2d_pack_bias(Device *device, WeightLayout layout, Element element, const float *bias,
                      void *packed)
{
  const cudaStream_t stream = cuda_stream_of(device);
  BY_ELEMENT(element, T,
             pack_bias_kernel<<<blocks_for(layout.out_padded), THREADS, 0, stream>>>(layout, bias,
                                                                                     (T *)packed));
  launched(device, "pack a bias");
}

void conv2d_add_gradient(Device *device, WeightLayout layout, Element element, const void *dw,
                         float *dweight)
{
  const int64_t count =
      (int64_t)layout.out_channels * layout.kernel_px * (layout.first_count + layout.second_count);
  const cudaStream_t stream = cuda_stream_of(device);
  BY_ELEMENT(element, T,
             add_gradient_kernel<<<blocks_for(count), THREADS, 0, stream>>>(layout, (const T *)dw,
                                                                            dweight));
  launched(device, "add the gradient of weights");
}

size_t conv2d_bias_scratch_bytes(Shape dy_shape)
{
  return columns_partial_bytes(dy_shape);
}

void conv2d_add_bias_gradient(Device *device, Shape dy_shape, int32_t out_channels, const void *dy,
                              float *dbias, void *scratch)
{
  const Columns cut = columns_for_sums(dy_shape);
  const cudaStream_t stream = cuda_stream_of(device);
  BY_ELEMENT(dy_shape.element, T,
             bias_sums_kernel<<<columns_grid(cut), columns_block(cut), 0, stream>>>(
                 cut, (const T *)dy, (float *)scratch));
  launched(device, "sums of a bias");
  add_bias_gradient_kernel<<<totals_grid(out_channels), totals_block(), 0, stream>>>(
      cut, out_channels, (const float *)scratch, dbias);
  launched(device, "add the gradient of a bias");
}

void conv2d_finish(Device *device, Shape y_shape, const void *bias, const void *add, bool relu,
                   void *y)
{
  const Columns cut = columns_for_map(y_shape);
  const cudaStream_t stream = cuda_stream_of(device);
  BY_ELEMENT(y_shape.element, T,
             finish_kernel<<<columns_grid(cut), columns_block(cut), 0, stream>>>(
                 cut, (const T *)bias, (const T *)add, relu, (T *)y));
  launched(device, "finish a convolution");
}
