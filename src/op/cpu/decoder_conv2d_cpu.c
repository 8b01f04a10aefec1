#include <string.h>

#include "base/memory.h"
#include "cpu_backend.h"
#include "onednn.h"
#include "op/relu_element.h"
#include "packed_weights.h"
#include "span.h"
#include "weights_cpu.h"
#include "winograd_cpu.h"

/* The enlarged image is never made: its part of the convolution is a transposed 4 x 4 one of stride
 * 2 of the small image (see the contract), to which the skip's part is added. */
typedef struct Part {
  Call forward;
  Call backward_data[2]; /* by Write */
  Call backward_weight;
  PackedWeights forward_weights, backward_weights, gradient_weights;
  size_t forward_offset, backward_offset; /* in packed, bytes */
} Part;

struct DecoderConv2dKernel {
  Device *device;
  DecoderConv2dPlan plan;
  OneDnn library;
  Part a;
  Part skip;
  /* Where they are the faster way for the skip's part, else NULL. */
  Winograd *skip_winograd;
  Winograd *skip_winograd_data;
  size_t plain_offset; /* in packed: a's 4 x 4 weights */
  size_t bias_offset;
  size_t dweight_offset; /* in scratch: the plain gradient of a's 4 x 4 weights */
  size_t dbias_offset;   /* in scratch */
  size_t room_offset;    /* in scratch: the library's, behind what it computes there */
};

static size_t take(size_t *bytes, size_t wanted)
{
  const size_t offset = *bytes;
  *bytes += aligned(wanted);
  return offset;
}

static Shape part_shape(Shape shape, int32_t channels)
{
  shape.channels = channels;
  return shape;
}

static Convolution conv_of_a(const DecoderConv2dKernel *k, ConvolutionKind kind)
{
  return (Convolution){.kind = kind,
                       .src = part_shape(k->plan.a, k->plan.conv.a_channels),
                       .dst = k->plan.y,
                       .groups = 1,
                       .kernel_height = 4,
                       .kernel_width = 4,
                       .stride = 2,
                       .pad = 1,
                       .dilation = 1};
}

static Convolution conv_of_skip(const DecoderConv2dKernel *k, ConvolutionKind kind)
{
  return (Convolution){.kind = kind,
                       .src = part_shape(k->plan.skip, k->plan.conv.skip_channels),
                       .dst = k->plan.y,
                       .groups = 1,
                       .kernel_height = 3,
                       .kernel_width = 3,
                       .stride = 1,
                       .pad = 1,
                       .dilation = 1};
}

static int32_t all_channels(const DecoderConv2dKernel *k)
{
  return k->plan.conv.a_channels + k->plan.conv.skip_channels;
}

/* a's 4 x 4 weights, and those of the gradient of a. */
static PlainWeights weights_of_a(const DecoderConv2dKernel *k)
{
  return (PlainWeights){.out_stride = 16 * (int64_t)k->plan.conv.a_channels, .in_stride = 16};
}

static PlainWeights gradient_weights_of_a(const DecoderConv2dKernel *k)
{
  return (PlainWeights){.out_stride = 16, .in_stride = 16 * (int64_t)k->plan.conv.a_channels};
}

/* The skip's, inside those of both. */
static PlainWeights weights_of_skip(const DecoderConv2dKernel *k)
{
  return (PlainWeights){.out_stride = 9 * (int64_t)all_channels(k), .in_stride = 9};
}

static PlainWeights gradient_weights_of_skip(const DecoderConv2dKernel *k)
{
  return (PlainWeights){.out_stride = 9, .in_stride = 9 * (int64_t)all_channels(k), .turned = true};
}

static size_t plain_a_bytes(const DecoderConv2dKernel *k)
{
  return 16 * (size_t)k->plan.conv.a_channels * (size_t)k->plan.conv.out_channels * sizeof(float);
}

/* The skip's part as a convolution of its own that adds to y. */
static Conv2dPlan skip_plan(const DecoderConv2dKernel *k)
{
  const DecoderConv2d conv = k->plan.conv;
  return (Conv2dPlan){.conv = {.in_channels = conv.skip_channels,
                               .out_channels = conv.out_channels,
                               .kernel_height = 3,
                               .kernel_width = 3,
                               .stride = 1,
                               .pad = 1,
                               .dilation = 1,
                               .groups = 1,
                               .bias = conv.bias,
                               .add = true,
                               .relu = conv.relu},
                      .x = part_shape(k->plan.skip, conv.skip_channels),
                      .y = k->plan.y,
                      .backward = k->plan.backward};
}

static Status open_winograd(const DecoderConv2dKernel *k, const Conv2dPlan *plan,
                            Winograd **winograd, size_t *offset, OpBytes *bytes)
{
  OpBytes wanted = {0};
  TRY(winograd_open(k->device, plan, winograd, &wanted));
  *offset = take(&bytes->packed, wanted.packed);
  want_scratch(bytes, wanted.scratch);
  return STATUS_OK;
}

/* The transposed part comes first: the library adds in its convolutions at full speed, in its
 * transposed ones it does not. */
static Status open_forward(DecoderConv2dKernel *k, OpBytes *bytes)
{
  const DecoderConv2d conv = k->plan.conv;
  dnnl_memory_desc_t packed;
  const Convolution of_a = conv_of_a(k, TRANSPOSED_FORWARD);
  TRY(convolution_open(&k->library, &of_a, &k->a.forward, &packed));
  want_scratch(bytes, k->a.forward.scratch_bytes);
  TRY(packed_weights_open(&packed, &k->a.forward_weights));
  k->bias_offset = take(&bytes->packed, (size_t)conv.out_channels * sizeof(float));
  k->plain_offset = take(&bytes->packed, plain_a_bytes(k));
  k->a.forward_offset = take(&bytes->packed, dnnl_memory_desc_get_size(&packed));
  if (conv.skip_channels == 0) return STATUS_OK;
  const Conv2dPlan plan_of_skip = skip_plan(k);
  if (winograd_suits_forward(&plan_of_skip))
    return open_winograd(k, &plan_of_skip, &k->skip_winograd, &k->skip.forward_offset, bytes);

  Convolution of_skip = conv_of_skip(k, CONVOLUTION_FORWARD);
  of_skip.bias = conv.bias;
  of_skip.sum = true;
  TRY(convolution_open(&k->library, &of_skip, &k->skip.forward, &packed));
  want_scratch(bytes, k->skip.forward.scratch_bytes);
  TRY(packed_weights_open(&packed, &k->skip.forward_weights));
  k->skip.forward_offset = take(&bytes->packed, dnnl_memory_desc_get_size(&packed));
  return STATUS_OK;
}

/* Both gradients are forward convolutions, which can add to what is there; with and without that
 * they want the same weights. */
static Status open_gradient(const DecoderConv2dKernel *k, Convolution gradient, Part *part,
                            OpBytes *bytes)
{
  dnnl_memory_desc_t packed, packed_too;
  TRY(convolution_open(&k->library, &gradient, &part->backward_data[WRITE_SET], &packed));
  gradient.sum = true;
  TRY(convolution_open(&k->library, &gradient, &part->backward_data[WRITE_ADD], &packed_too));
  if (!dnnl_memory_desc_equal(&packed, &packed_too))
    return status_set(STATUS_UNSUPPORTED, "oneDNN wants other weights for a convolution that adds");
  want_scratch(bytes, part->backward_data[WRITE_SET].scratch_bytes);
  want_scratch(bytes, part->backward_data[WRITE_ADD].scratch_bytes);
  TRY(packed_weights_open(&packed, &part->backward_weights));
  part->backward_offset = take(&bytes->packed, dnnl_memory_desc_get_size(&packed));
  return STATUS_OK;
}

static Status open_backward_data(DecoderConv2dKernel *k, OpBytes *bytes)
{
  const DecoderConv2d conv = k->plan.conv;
  Convolution of_a = conv_of_a(k, CONVOLUTION_FORWARD);
  of_a.src = k->plan.y;
  of_a.dst = part_shape(k->plan.a, conv.a_channels);
  TRY(open_gradient(k, of_a, &k->a, bytes));
  if (conv.skip_channels == 0) return STATUS_OK;
  const Conv2dPlan forward = skip_plan(k);
  const Conv2dPlan plan_of_skip = winograd_gradient_plan(&forward);
  if (winograd_suits_gradient(&plan_of_skip))
    return open_winograd(k, &plan_of_skip, &k->skip_winograd_data, &k->skip.backward_offset, bytes);

  Convolution of_skip = conv_of_skip(k, CONVOLUTION_FORWARD);
  of_skip.src = k->plan.y;
  of_skip.dst = part_shape(k->plan.skip, conv.skip_channels);
  return open_gradient(k, of_skip, &k->skip, bytes);
}

static Status open_backward_weight(DecoderConv2dKernel *k, OpBytes *bytes)
{
  const DecoderConv2d conv = k->plan.conv;
  dnnl_memory_desc_t packed;
  const Convolution of_a = conv_of_a(k, TRANSPOSED_BACKWARD_WEIGHT);
  TRY(convolution_open(&k->library, &of_a, &k->a.backward_weight, &packed));
  TRY(packed_weights_open(&packed, &k->a.gradient_weights));
  size_t most = dnnl_memory_desc_get_size(&packed);

  if (conv.skip_channels > 0) {
    Convolution of_skip = conv_of_skip(k, CONVOLUTION_BACKWARD_WEIGHT);
    of_skip.bias = conv.bias;
    TRY(convolution_open(&k->library, &of_skip, &k->skip.backward_weight, &packed));
    TRY(packed_weights_open(&packed, &k->skip.gradient_weights));
    if (dnnl_memory_desc_get_size(&packed) > most) most = dnnl_memory_desc_get_size(&packed);
  }
  size_t wanted = aligned(most);
  k->dweight_offset = take(&wanted, plain_a_bytes(k));
  k->dbias_offset = take(&wanted, (size_t)conv.out_channels * sizeof(float));
  k->room_offset = wanted;
  want_scratch(bytes, wanted + k->a.backward_weight.scratch_bytes);
  want_scratch(bytes, wanted + k->skip.backward_weight.scratch_bytes);
  return STATUS_OK;
}

static Status fill(DecoderConv2dKernel *k, OpBytes *bytes)
{
  TRY(onednn_open(&k->library));
  TRY(open_forward(k, bytes));
  if (!k->plan.backward) return STATUS_OK;
  TRY(open_backward_data(k, bytes));
  return open_backward_weight(k, bytes);
}

Status decoder_conv2d_open_cpu(Device *device, const DecoderConv2dPlan *plan,
                               DecoderConv2dKernel **kernel, OpBytes *bytes)
{
  void *memory;
  *kernel = NULL;
  *bytes = (OpBytes){0};
  if (plan->conv.out_channels > SPAN_MOST)
    return status_set(STATUS_BAD_SHAPE, "decoder_conv2d: %d channels; it takes at most %d",
                      plan->conv.out_channels, SPAN_MOST);
  TRY(memory_allocate(1, sizeof **kernel, "convolution", &memory));
  DecoderConv2dKernel *opening = memory;
  opening->device = device;
  opening->plan = *plan;
  const Status status = fill(opening, bytes);
  if (status == STATUS_OK)
    *kernel = opening;
  else
    decoder_conv2d_close_cpu(opening);
  return status;
}

static void close_part(Part *part)
{
  call_close(&part->forward);
  call_close(&part->backward_data[WRITE_SET]);
  call_close(&part->backward_data[WRITE_ADD]);
  call_close(&part->backward_weight);
  packed_weights_close(&part->forward_weights);
  packed_weights_close(&part->backward_weights);
  packed_weights_close(&part->gradient_weights);
}

void decoder_conv2d_close_cpu(DecoderConv2dKernel *k)
{
  if (k == NULL) return;
  close_part(&k->a);
  close_part(&k->skip);
  winograd_close(k->skip_winograd);
  winograd_close(k->skip_winograd_data);
  onednn_close(&k->library);
  memory_free(k);
}

static void run(const DecoderConv2dKernel *k, const Call *call, void *first, void *second,
                void *third, void *scratch)
{
  call_run_in(call, &k->library, k->device, (void *[]){first, second, third}, scratch);
}

static void pack_skip(DecoderConv2dKernel *k, const float *weight, const float *bias, char *base)
{
  if (k->skip_winograd != NULL)
    winograd_pack(k->skip_winograd, weight, weights_of_skip(k), bias,
                  base + k->skip.forward_offset);
  else
    packed_weights_pack(&k->skip.forward_weights, weights_of_skip(k), weight,
                        base + k->skip.forward_offset);
  if (!k->plan.backward) return;

  if (k->skip_winograd_data != NULL)
    winograd_pack(k->skip_winograd_data, weight, gradient_weights_of_skip(k), NULL,
                  base + k->skip.backward_offset);
  else
    packed_weights_pack(&k->skip.backward_weights, gradient_weights_of_skip(k), weight,
                        base + k->skip.backward_offset);
}

void decoder_conv2d_pack_cpu(DecoderConv2dKernel *k, const float *weight, const float *bias,
                             void *packed)
{
  const DecoderConv2d conv = k->plan.conv;
  char *base = packed;
  float *plain_a = (float *)(void *)(base + k->plain_offset);
  const float *of_skip = weight + 9 * (ptrdiff_t)conv.a_channels;
  const size_t bias_bytes = (size_t)conv.out_channels * sizeof(float);
  if (conv.bias)
    memcpy(base + k->bias_offset, bias, bias_bytes);
  else
    memset(base + k->bias_offset, 0, bias_bytes);
  weights_enlarge(weight, conv.out_channels, all_channels(k), conv.a_channels, plain_a);
  packed_weights_pack(&k->a.forward_weights, weights_of_a(k), plain_a, base + k->a.forward_offset);
  if (k->plan.backward)
    packed_weights_pack(&k->a.backward_weights, gradient_weights_of_a(k), plain_a,
                        base + k->a.backward_offset);
  if (conv.skip_channels == 0) return;
  pack_skip(k, of_skip, bias, base);
}

VECTORIZED static void add_bias(const float *restrict bias, int64_t pixels, int64_t channels,
                                bool relu, float *restrict y)
{
  for (int64_t p = 0; p < pixels; ++p)
    for (int64_t c = 0; c < channels; ++c)
      y[p * channels + c] += bias[c];
  for (int64_t i = 0; relu && i < pixels * channels; ++i)
    y[i] = relu_element(y[i]);
}

/* Where no skip brings bias and relu. */
static void finish_without_skip(const DecoderConv2dKernel *k, const float *bias, void *y)
{
  const int64_t channels = k->plan.conv.out_channels;
  const int64_t pixels = shape_pixels(k->plan.y);
  const int64_t span_pixels = SPAN_MOST / channels;
#pragma omp parallel for schedule(static)
  for (int64_t first = 0; first < pixels; first += span_pixels) {
    float buffer[SPAN_MOST], result[SPAN_MOST];
    const int64_t count = (pixels - first < span_pixels ? pixels - first : span_pixels) * channels;
    memcpy(result, span_load(k->plan.y.element, y, first * channels, count, buffer),
           (size_t)count * sizeof(float));
    add_bias(bias, count / channels, channels, k->plan.conv.relu, result);
    span_store(k->plan.y.element, y, first * channels, count, result);
  }
}

void decoder_conv2d_forward_cpu(DecoderConv2dKernel *k, const void *packed, const void *a,
                                const void *skip, void *y, void *scratch)
{
  char *base = (char *)packed;
  char *bias = base + k->bias_offset;
  run(k, &k->a.forward, (void *)a, base + k->a.forward_offset, y, scratch);
  if (k->plan.conv.skip_channels == 0) {
    if (k->plan.conv.bias || k->plan.conv.relu)
      finish_without_skip(k, (const float *)(void *)bias, y);
    return;
  }
  if (k->skip_winograd != NULL)
    winograd_forward(k->skip_winograd, base + k->skip.forward_offset, skip, y, y, scratch);
  else if (k->plan.conv.bias)
    call_run_in(&k->skip.forward, &k->library, k->device,
                (void *[]){(void *)skip, base + k->skip.forward_offset, bias, y}, scratch);
  else
    run(k, &k->skip.forward, (void *)skip, base + k->skip.forward_offset, y, scratch);
  if (k->plan.conv.relu && k->skip_winograd == NULL) relu_forward_cpu(k->device, k->plan.y, y, y);
}

void decoder_conv2d_backward_data_cpu(DecoderConv2dKernel *k, const void *packed, const void *dy,
                                      void *da, Write write_da, void *dskip, Write write_dskip,
                                      void *scratch)
{
  char *base = (char *)packed;
  run(k, &k->a.backward_data[write_da], (void *)dy, base + k->a.backward_offset, da, scratch);
  if (k->skip_winograd_data != NULL)
    winograd_forward(k->skip_winograd_data, base + k->skip.backward_offset, dy,
                     write_dskip == WRITE_ADD ? dskip : NULL, dskip, scratch);
  else if (k->plan.conv.skip_channels > 0)
    run(k, &k->skip.backward_data[write_dskip], (void *)dy, base + k->skip.backward_offset, dskip,
        scratch);
}

static void add_bias_gradient(const DecoderConv2dKernel *k, const void *dy, float *dbias)
{
  const int64_t channels = k->plan.conv.out_channels;
  double totals[SPAN_MOST] = {0};
  for (int64_t pixel = 0; pixel < shape_pixels(k->plan.y); ++pixel) {
    float buffer[SPAN_MOST];
    const float *gradient = span_load(k->plan.y.element, dy, pixel * channels, channels, buffer);
    for (int64_t c = 0; c < channels; ++c)
      totals[c] += (double)gradient[c];
  }
  for (int64_t c = 0; c < channels; ++c)
    dbias[c] += (float)totals[c];
}

void decoder_conv2d_backward_weight_cpu(DecoderConv2dKernel *k, const void *a, const void *skip,
                                        const void *dy, float *dweight, float *dbias, void *scratch)
{
  const DecoderConv2d conv = k->plan.conv;
  char *base = scratch;
  float *plain_a = (float *)(void *)(base + k->dweight_offset);
  float *bias = (float *)(void *)(base + k->dbias_offset);
  run(k, &k->a.backward_weight, (void *)a, (void *)dy, base, base + k->room_offset);
  packed_weights_unpack(&k->a.gradient_weights, scratch, weights_of_a(k), false, plain_a);
  weights_enlarge_backward(plain_a, conv.out_channels, all_channels(k), conv.a_channels, dweight);
  if (conv.skip_channels == 0) {
    if (conv.bias) add_bias_gradient(k, dy, dbias);
    return;
  }
  call_run_in(&k->skip.backward_weight, &k->library, k->device,
              (void *[]){(void *)skip, (void *)dy, base, bias}, base + k->room_offset);
  for (int32_t o = 0; conv.bias && o < conv.out_channels; ++o)
    dbias[o] += bias[o];
  packed_weights_unpack(&k->skip.gradient_weights, scratch, weights_of_skip(k), true,
                        dweight + 9 * (ptrdiff_t)conv.a_channels);
}
