#include "base/memory.h"
#include "conv_runner.h"

/* The enlarged and joined image exists in scratch, for the length of one call. It is followed by
 * the convolution's own scratch. Its padded channels are a's, then skip's, so both parts keep their
 * alignment. */
struct DecoderConv2dKernel {
  DecoderConv2dPlan plan;
  ConvRunner runner; /* of the joined image */
  size_t joined_bytes;
};

static WeightLayout layout_of(const DecoderConv2dPlan *plan)
{
  return (WeightLayout){.out_channels = plan->conv.out_channels,
                        .out_padded = plan->y.channels,
                        .kernel_px = 9,
                        .groups = 1,
                        .first_count = plan->conv.a_channels,
                        .first_padded = plan->a.channels,
                        .second_count = plan->conv.skip_channels,
                        .in_padded = plan->a.channels + plan->skip.channels};
}

static Status fill(DecoderConv2dKernel *kernel, Device *device, const DecoderConv2dPlan *plan,
                   OpBytes *bytes)
{
  if (plan->a.channels % CUDA_CHANNEL_MULTIPLE != 0 ||
      plan->skip.channels % CUDA_CHANNEL_MULTIPLE != 0)
    return status_set(STATUS_BAD_SHAPE,
                      "decoder_conv2d: %d and %d channels in memory; on a GPU they are padded to "
                      "multiples of 8",
                      plan->a.channels, plan->skip.channels);
  const Conv2dPlan joined = conv_graph_joined(plan);
  kernel->plan = *plan;
  kernel->joined_bytes = cuda_aligned(shape_bytes(joined.x));
  TRY(conv_runner_fill(&kernel->runner, device, &joined, layout_of(plan), bytes));
  bytes->scratch += kernel->joined_bytes;
  return STATUS_OK;
}

Status decoder_conv2d_open_cuda(Device *device, const DecoderConv2dPlan *plan,
                                DecoderConv2dKernel **kernel, OpBytes *bytes)
{
  void *memory = NULL;
  *kernel = NULL;
  TRY(memory_allocate(1, sizeof **kernel, "a decoder's convolution", &memory));
  DecoderConv2dKernel *opening = memory;
  const Status status = fill(opening, device, plan, bytes);
  if (status == STATUS_OK)
    *kernel = opening;
  else
    decoder_conv2d_close_cuda(opening);
  return status;
}

void decoder_conv2d_close_cuda(DecoderConv2dKernel *kernel)
{
  memory_free(kernel);
}

void decoder_conv2d_pack_cuda(DecoderConv2dKernel *kernel, const float *weight, const float *bias,
                              void *packed)
{
  conv_runner_pack(&kernel->runner, weight, bias, packed);
}

static void *after_joined(const DecoderConv2dKernel *kernel, void *scratch)
{
  return (char *)scratch + kernel->joined_bytes;
}

static void join(const DecoderConv2dKernel *kernel, const void *a, const void *skip, void *joined)
{
  Device *device = kernel->runner.device;
  const Shape shape = kernel->runner.plan.x;
  upsample_nearest_forward_cuda(device, kernel->plan.a, a, shape, 0, joined);
  if (kernel->plan.skip.channels > 0)
    concat_forward_cuda(device, kernel->plan.skip, skip, shape, kernel->plan.a.channels, joined);
}

void decoder_conv2d_forward_cuda(DecoderConv2dKernel *kernel, const void *packed, const void *a,
                                 const void *skip, void *y, void *scratch)
{
  join(kernel, a, skip, scratch);
  conv_runner_forward(&kernel->runner, packed, scratch, NULL, y, after_joined(kernel, scratch));
}

void decoder_conv2d_backward_data_cuda(DecoderConv2dKernel *kernel, const void *packed,
                                       const void *dy, void *da, Write write_da, void *dskip,
                                       Write write_dskip, void *scratch)
{
  Device *device = kernel->runner.device;
  const Shape shape = kernel->runner.plan.x;
  conv_runner_backward_data(&kernel->runner, packed, dy, scratch, WRITE_SET,
                            after_joined(kernel, scratch));
  upsample_nearest_backward_cuda(device, kernel->plan.a, da, shape, 0, scratch, write_da);
  if (kernel->plan.skip.channels > 0)
    concat_backward_cuda(device, kernel->plan.skip, dskip, shape, kernel->plan.a.channels, scratch,
                         write_dskip);
}

void decoder_conv2d_backward_weight_cuda(DecoderConv2dKernel *kernel, const void *a,
                                         const void *skip, const void *dy, float *dweight,
                                         float *dbias, void *scratch)
{
  join(kernel, a, skip, scratch);
  conv_runner_backward_weight(&kernel->runner, scratch, dy, dweight, dbias,
                              after_joined(kernel, scratch));
}
