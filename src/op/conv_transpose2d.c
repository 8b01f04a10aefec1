#include "op/conv_transpose2d.h"

static int32_t round_up(int32_t count, int32_t multiple)
{
  return (count + multiple - 1) / multiple * multiple;
}

Status conv_transpose2d_plan(ConvTranspose2d conv, Shape x, int32_t channel_multiple, bool backward,
                             ConvTranspose2dPlan *plan)
{
  TRY(shape_check(x, "conv_transpose2d"));
  if (conv.in_channels < 1 || conv.out_channels < 1 || x.channels < conv.in_channels)
    return status_set(STATUS_BAD_SHAPE,
                      "conv_transpose2d: %d to %d channels over an image of %d channels",
                      conv.in_channels, conv.out_channels, x.channels);
  if (x.height > INT32_MAX / 2 || x.width > INT32_MAX / 2)
    return status_set(STATUS_BAD_SHAPE, "conv_transpose2d: %d x %d px are too many to double",
                      x.width, x.height);
  Shape y = x;
  y.height = 2 * x.height;
  y.width = 2 * x.width;
  y.channels = round_up(conv.out_channels, channel_multiple);
  TRY(shape_check(y, "conv_transpose2d"));
  *plan = (ConvTranspose2dPlan){.conv = conv, .x = x, .y = y, .backward = backward};
  return STATUS_OK;
}
