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
                        .first_count = conv.in_channels / conv.groups,
                        .first_padded = in_padded,
                        .in_padded = in_padded};
}

Status conv2d_open_cuda(Device *device, const Conv2dPlan *plan, Conv2dKernel **kernel,
                        OpBytes *bytes)
{
  void *memory = NULL;
  *kernel = NULL;
  TRY(memory_allocate(1, sizeof **kernel, "a convolution", &memory));
  Conv2dKernel *opening = memory;
  const Status status = conv_runner_fill(&opening->runner, device, plan, layout_of(plan), bytes);
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
