#include "base/memory.h"
#include "conv_runner.h"

struct Conv2dKernel {
  ConvRunner runner;
};

static WeightLayout layout_of(const Conv2dPlan *plan)
{
  const Conv2d conv = plan->conv;
  const int32_t in_padded = plan->x.channels / conv.groups;
  return (WeightLayout){.out_channels = conv.out_channels,
                        .out_padded = plan->y.channels,
                        .kernel_px = conv.kernel_height * conv.kernel_width,
                        .groups = 1,
                        .first_count = conv.in_channels / conv.groups,
                        .first_padded = in_padded,
                        .in_padded = in_padded};
}

/* Groups as one dense convolution, whose weights between groups are 0: it works for any number of
 * channels, and does groups times the work. */
static Status fill_dense(ConvRunner *runner, Device *device, const Conv2dPlan *plan, OpBytes *bytes)
{
  WeightLayout layout = layout_of(plan);
  layout.groups = plan->conv.groups;
  layout.first_padded = plan->x.channels;
  layout.in_padded = plan->x.channels;
  Conv2dPlan dense = *plan;
  dense.conv.groups = 1;
  return conv_runner_fill(runner, device, &dense, layout, bytes);
}

static Status fill(ConvRunner *runner, Device *device, const Conv2dPlan *plan, OpBytes *bytes)
{
  const Conv2d conv = plan->conv;
  const Conv2dPlan flat = conv_graph_flat(plan);
  const bool no_padding =
      plan->x.channels == conv.in_channels && plan->y.channels == conv.out_channels;
  if (conv.groups > 1 && !no_padding) return fill_dense(runner, device, plan, bytes);
  const Status status = conv_runner_fill(runner, device, &flat, layout_of(plan), bytes);
  if (conv.groups == 1 || status != STATUS_UNSUPPORTED) return status;
  return fill_dense(runner, device, plan, bytes);
}

Status conv2d_open_cuda(Device *device, const Conv2dPlan *plan, Conv2dKernel **kernel,
                        OpBytes *bytes)
{
  void *memory = NULL;
  *kernel = NULL;
  TRY(memory_allocate(1, sizeof **kernel, "a convolution", &memory));
  Conv2dKernel *opening = memory;
  const Status status = fill(&opening->runner, device, plan, bytes);
  if (status == STATUS_OK)
    *kernel = opening;
  else
    conv2d_close_cuda(opening);
  return status;
}

void conv2d_close_cuda(Conv2dKernel *kernel)
{
  memory_free(kernel);
}

void conv2d_pack_cuda(Conv2dKernel *kernel, const float *weight, const float *bias, void *packed)
{
  conv_runner_pack(&kernel->runner, weight, bias, packed);
}

void conv2d_forward_cuda(Conv2dKernel *kernel, const void *packed, const void *x, const void *add,
                         void *y, void *scratch)
{
  conv_runner_forward(&kernel->runner, packed, x, add, y, scratch);
}

void conv2d_backward_data_cuda(Conv2dKernel *kernel, const void *packed, const void *dy, void *dx,
                               Write write, void *scratch)
{
  conv_runner_backward_data(&kernel->runner, packed, dy, dx, write, scratch);
}

void conv2d_backward_weight_cuda(Conv2dKernel *kernel, const void *x, const void *dy,
                                 float *dweight, float *dbias, void *scratch)
{
  conv_runner_backward_weight(&kernel->runner, x, dy, dweight, dbias, scratch);
}
