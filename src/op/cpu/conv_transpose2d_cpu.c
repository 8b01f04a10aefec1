#include <string.h>

#include "base/memory.h"
#include "cpu_backend.h"
#include "onednn.h"
#include "op/conv_transpose2d_element.h"

struct ConvTranspose2dKernel {
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
  *bytes += aligned(wanted);
  return offset;
}

static Status fill(ConvTranspose2dKernel *k, Device *device, OpBytes *bytes)
{
  OpBytes of_conv = {0};
  TRY(conv2d_open_cpu(device, &k->product, &k->conv, &of_conv));
  const size_t bias_bytes = (size_t)k->product.conv.out_channels * sizeof(float);
  const size_t weight_bytes = bias_bytes * (size_t)k->product.conv.in_channels;
  bytes->packed = aligned(of_conv.packed);
  k->weight_offset = take(&bytes->packed, weight_bytes);
  k->bias_offset = take(&bytes->packed, bias_bytes);
  bytes->scratch = aligned(shape_bytes(k->product.y));
  if (k->plan.backward) {
    k->dweight_offset = take(&bytes->scratch, weight_bytes);
    k->dbias_offset = take(&bytes->scratch, bias_bytes);
  }
  k->conv_offset = take(&bytes->scratch, of_conv.scratch);
  return STATUS_OK;
}

Status conv_transpose2d_open_cpu(Device *device, const ConvTranspose2dPlan *plan,
                                 ConvTranspose2dKernel **kernel, OpBytes *bytes)
{
  void *memory;
  *kernel = NULL;
  *bytes = (OpBytes){0};
  TRY(memory_allocate(1, sizeof **kernel, "a transposed convolution", &memory));
  ConvTranspose2dKernel *opening = memory;
  opening->plan = *plan;
  opening->product = conv_transpose2d_product(*plan);
  const Status status = fill(opening, device, bytes);
  if (status == STATUS_OK)
    *kernel = opening;
  else
    conv_transpose2d_close_cpu(opening);
  return status;
}

void conv_transpose2d_close_cpu(ConvTranspose2dKernel *k)
{
  if (k == NULL) return;
  conv2d_close_cpu(k->conv);
  memory_free(k);
}

static float *floats_at(void *base, size_t offset)
{
  return (float *)(void *)((char *)base + offset);
}

void conv_transpose2d_pack_cpu(ConvTranspose2dKernel *k, const float *weight, const float *bias,
                               void *packed)
{
  const ConvTranspose2d conv = k->plan.conv;
  float *plain = floats_at(packed, k->weight_offset);
  float *biases = floats_at(packed, k->bias_offset);
#pragma omp parallel for
  for (int32_t row = 0; row < 4 * conv.out_channels; ++row) {
    const int32_t place = row / conv.out_channels, out = row % conv.out_channels;
    for (int32_t in = 0; in < conv.in_channels; ++in)
      plain[(int64_t)row * conv.in_channels + in] =
          weight[conv_transpose2d_weight_index(conv, in, out, place)];
    biases[row] = bias[out];
  }
  conv2d_pack_cpu(k->conv, plain, biases, packed);
}

/* Moves the four pixels that lie side by side apart, or together again. */
static void move(const ConvTranspose2dKernel *k, char *together, char *apart, bool to_apart)
{
  const Shape x = k->plan.x;
  const size_t pixel_bytes = (size_t)k->plan.y.channels * element_bytes(k->plan.y.element);
#pragma omp parallel for schedule(static)
  for (int64_t pixel = 0; pixel < shape_pixels(x); ++pixel)
    for (int32_t lower = 0; lower < 2; ++lower) {
      char *pair = together + (size_t)(4 * pixel + 2 * lower) * pixel_bytes;
      char *there = apart + (size_t)conv_transpose2d_pixel(x, pixel, lower) * pixel_bytes;
      memcpy(to_apart ? there : pair, to_apart ? pair : there, 2 * pixel_bytes);
    }
}

void conv_transpose2d_forward_cpu(ConvTranspose2dKernel *k, const void *packed, const void *x,
                                  void *y, void *scratch)
{
  conv2d_forward_cpu(k->conv, packed, x, NULL, scratch, (char *)scratch + k->conv_offset);
  move(k, scratch, y, true);
}

void conv_transpose2d_backward_data_cpu(ConvTranspose2dKernel *k, const void *packed,
                                        const void *dy, void *dx, Write write, void *scratch)
{
  move(k, scratch, (char *)dy, false);
  conv2d_backward_data_cpu(k->conv, packed, scratch, dx, write, (char *)scratch + k->conv_offset);
}

void conv_transpose2d_backward_weight_cpu(ConvTranspose2dKernel *k, const void *x, const void *dy,
                                          float *dweight, float *dbias, void *scratch)
{
  const ConvTranspose2d conv = k->plan.conv;
  const int64_t rows = k->product.conv.out_channels;
  float *plain = floats_at(scratch, k->dweight_offset);
  float *biases = floats_at(scratch, k->dbias_offset);
  memset(plain, 0, (size_t)(rows * conv.in_channels) * sizeof *plain);
  memset(biases, 0, (size_t)rows * sizeof *biases);
  move(k, scratch, (char *)dy, false);
  conv2d_backward_weight_cpu(k->conv, x, scratch, plain, biases, (char *)scratch + k->conv_offset);
#pragma omp parallel for
  for (int32_t out = 0; out < conv.out_channels; ++out)
    for (int32_t place = 0; place < 4; ++place) {
      const int64_t row = (int64_t)place * conv.out_channels + out;
      for (int32_t in = 0; in < conv.in_channels; ++in)
        dweight[conv_transpose2d_weight_index(conv, in, out, place)] +=
            plain[row * conv.in_channels + in];
      dbias[out] += biases[row];
    }
}
