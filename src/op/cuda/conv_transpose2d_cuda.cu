#include "launch.cuh"

#include "conv_transpose2d_element.h"

struct ConvTranspose2dKernel {
  Device *device;
  ConvTranspose2dPlan plan;
  Conv2dPlan product;
  Conv2dKernel *conv;
  size_t weight_offset; /* in packed, bytes: the plain weights of the product, and its bias */
  size_t bias_offset;
  size_t dweight_offset; /* in scratch: their gradients; the product's y comes first */
  size_t dbias_offset;
  size_t conv_offset;
};

static size_t take(size_t *bytes, size_t wanted)
{
  const size_t offset = *bytes;
  *bytes += cuda_aligned(wanted);
  return offset;
}

static Status fill(ConvTranspose2dKernel *k, OpBytes *bytes)
{
  OpBytes of_conv = {0, 0, 0};
  TRY(conv2d_open_cuda(k->device, &k->product, &k->conv, &of_conv));
  const size_t bias_bytes = (size_t)k->product.conv.out_channels * sizeof(float);
  const size_t weight_bytes = bias_bytes * (size_t)k->product.conv.in_channels;
  bytes->packed = cuda_aligned(of_conv.packed);
  k->weight_offset = take(&bytes->packed, weight_bytes);
  k->bias_offset = take(&bytes->packed, bias_bytes);
  bytes->scratch = cuda_aligned(shape_bytes(k->product.y));
  if (k->plan.backward) {
    k->dweight_offset = take(&bytes->scratch, weight_bytes);
    k->dbias_offset = take(&bytes->scratch, bias_bytes);
  }
  k->conv_offset = take(&bytes->scratch, of_conv.scratch);
  return STATUS_OK;
}

Status conv_transpose2d_open_cuda(Device *device, const ConvTranspose2dPlan *plan,
                                  ConvTranspose2dKernel **kernel, OpBytes *bytes)
{
  void *memory = NULL;
  *kernel = NULL;
  memset(bytes, 0, sizeof *bytes);
  TRY(memory_allocate(1, sizeof **kernel, "a transposed convolution", &memory));
  ConvTranspose2dKernel *opening = (ConvTranspose2dKernel *)memory;
  opening->device = device;
  opening->plan = *plan;
  opening->product = conv_transpose2d_product(*plan);
  const Status status = fill(opening, bytes);
  if (status == STATUS_OK)
    *kernel = opening;
  else
    conv_transpose2d_close_cuda(opening);
  return status;
}

void conv_transpose2d_close_cuda(ConvTranspose2dKernel *k)
{
  if (k == NULL) return;
  conv2d_close_cuda(k->conv);
  memory_free(k);
}

/* Rows of the product's weights are places x padded out channels; padded ones are 0. */
__global__ void transpose_pack_kernel(ConvTranspose2d conv, int32_t padded, const float *weight,
                                      const float *bias, float *plain, float *biases)
{
  const int64_t index = thread_index();
  const int32_t row = (int32_t)(index / conv.in_channels);
  const int32_t in = (int32_t)(index % conv.in_channels);
  if (row >= 4 * padded) return;
  const int32_t place = row / padded, out = row % padded;
  const bool real = out < conv.out_channels;
  plain[index] = real ? weight[conv_transpose2d_weight_index(conv, in, out, place)] : 0.0F;
  if (in == 0) biases[row] = real ? bias[out] : 0.0F;
}

__global__ void transpose_add_gradient_kernel(ConvTranspose2d conv, int32_t padded,
                                              const float *plain, const float *biases,
                                              float *dweight, float *dbias)
{
  const int64_t index = thread_index();
  const int32_t place = (int32_t)(index % 4);
  const int32_t out = (int32_t)(index / 4 % conv.out_channels);
  const int64_t in = index / 4 / conv.out_channels;
  if (in >= conv.in_channels) return;
  dweight[index] += plain[((int64_t)place * padded + out) * conv.in_channels + in];
  if (in == 0 && place == 0) {
    float sum = 0.0F;
    for (int32_t i = 0; i < 4; ++i)
      sum += biases[i * padded + out];
    dbias[out] += sum;
  }
}

/* Moves the four pixels that lie side by side apart, or together again; eight channels each. */
template <typename T>
__global__ void transpose_move_kernel(Shape x, int32_t channels, T *together, T *apart,
                                      bool to_apart)
{
  const int64_t index = thread_index();
  const int32_t eighths = channels / 8;
  const int64_t fourth = index / eighths;
  const int64_t pixel = fourth / 4;
  if (pixel >= (int64_t)x.images * x.height * x.width) return;
  const int64_t there = conv_transpose2d_pixel(x, pixel, (int32_t)(fourth / 2 % 2)) + fourth % 2;
  T *of_apart = apart + there * channels + index % eighths * 8;
  if (to_apart)
    store8(of_apart, load8(together + index * 8));
  else
    store8(together + index * 8, load8(of_apart));
}

static void move(const ConvTranspose2dKernel *k, void *together, void *apart, bool to_apart)
{
  const unsigned blocks = blocks_for(shape_elements(k->product.y) / 8);
  BY_ELEMENT(k->plan.y.element, T,
             LAUNCH(k->device, transpose_move_kernel, blocks, THREADS, k->plan.x,
                    k->plan.y.channels, (T *)together, (T *)apart, to_apart));
}

static float *floats_at(void *base, size_t offset)
{
  return (float *)(void *)((char *)base + offset);
}

void conv_transpose2d_pack_cuda(ConvTranspose2dKernel *k, const float *weight, const float *bias,
                                void *packed)
{
  float *plain = floats_at(packed, k->weight_offset);
  float *biases = floats_at(packed, k->bias_offset);
  const int64_t count = (int64_t)k->product.conv.out_channels * k->product.conv.in_channels;
  LAUNCH(k->device, transpose_pack_kernel, blocks_for(count), THREADS, k->plan.conv,
         k->plan.y.channels, weight, bias, plain, biases);
  conv2d_pack_cuda(k->conv, plain, biases, packed);
}

void conv_transpose2d_forward_cuda(ConvTranspose2dKernel *k, const void *packed, const void *x,
                                   void *y, void *scratch)
{
  conv2d_forward_cuda(k->conv, packed, x, NULL, scratch, (char *)scratch + k->conv_offset);
  move(k, scratch, y, true);
}

void conv_transpose2d_backward_data_cuda(ConvTranspose2dKernel *k, const void *packed,
                                         const void *dy, void *dx, Write write, void *scratch)
{
  move(k, scratch, (void *)dy, false);
  conv2d_backward_data_cuda(k->conv, packed, scratch, dx, write, (char *)scratch + k->conv_offset);
}

void conv_transpose2d_backward_weight_cuda(ConvTranspose2dKernel *k, const void *x, const void *dy,
                                           float *dweight, float *dbias, void *scratch)
{
  const ConvTranspose2d conv = k->plan.conv;
  float *plain = floats_at(scratch, k->dweight_offset);
  float *biases = floats_at(scratch, k->dbias_offset);
  device_clear(k->device, plain, k->conv_offset - k->dweight_offset);
  move(k, scratch, (void *)dy, false);
  conv2d_backward_weight_cuda(k->conv, x, scratch, plain, biases, (char *)scratch + k->conv_offset);
  LAUNCH(k->device, transpose_add_gradient_kernel,
         blocks_for(4 * (int64_t)conv.in_channels * conv.out_channels), THREADS, conv,
         k->plan.y.channels, (const float *)plain, (const float *)biases, dweight, dbias);
}
