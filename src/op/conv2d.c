#include "op/conv2d.h"

static int32_t round_up(int32_t count, int32_t multiple)
{
  return (count + multiple - 1) / multiple * multiple;
}

static Status check(Conv2d conv, Shape x)
{
  TRY(shape_check(x, "conv2d"));
  if (conv.kernel_height < 1 || conv.kernel_width < 1 || conv.stride < 1 || conv.pad < 0 ||
      conv.dilation < 1)
    return status_set(STATUS_BAD_SHAPE, "conv2d: kernel %d x %d, stride %d, pad %d, dilation %d",
                      conv.kernel_height, conv.kernel_width, conv.stride, conv.pad, conv.dilation);
  if (conv.groups < 1 || conv.in_channels < 1 || conv.out_channels < 1 ||
      conv.in_channels % conv.groups != 0 || conv.out_channels % conv.groups != 0)
    return status_set(STATUS_BAD_SHAPE, "conv2d: %d to %d channels in %d groups", conv.in_channels,
                      conv.out_channels, conv.groups);
  if (x.channels < conv.in_channels)
    return status_set(STATUS_BAD_SHAPE, "conv2d: the image has %d channels, the weights are for %d",
                      x.channels, conv.in_channels);
  return STATUS_OK;
}

static int32_t output_side(int32_t side, int32_t kernel, Conv2d conv)
{
  const int64_t reach = (int64_t)conv.dilation * (kernel - 1) + 1;
  const int64_t padded = (int64_t)side + 2 * (int64_t)conv.pad;
  return padded < reach ? 0 : (int32_t)((padded - reach) / conv.stride + 1);
}

Status conv2d_plan(Conv2d conv, Shape x, int32_t channel_multiple, bool backward, bool dx,
                   Conv2dPlan *plan)
{
  TRY(check(conv, x));
  Shape y = x;
  y.height = output_side(x.height, conv.kernel_height, conv);
  y.width = output_side(x.width, conv.kernel_width, conv);
  y.channels = round_up(conv.out_channels, channel_multiple);
  if (y.height < 1 || y.width < 1)
    return status_set(
        STATUS_BAD_SHAPE,
        "conv2d: a kernel of %d x %d (dilation %d) does not fit %d x %d px with pad %d",
        conv.kernel_height, conv.kernel_width, conv.dilation, x.height, x.width, conv.pad);
  TRY(shape_check(y, "conv2d"));
  *plan = (Conv2dPlan){.conv = conv, .x = x, .y = y, .backward = backward, .dx = dx};
  return STATUS_OK;
}

int64_t conv2d_weight_count(Conv2d conv)
{
  return (int64_t)conv.out_channels * (conv.in_channels / conv.groups) * conv.kernel_height *
         conv.kernel_width;
}
