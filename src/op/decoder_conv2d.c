#include "op/decoder_conv2d.h"

static Status check(DecoderConv2d conv, Shape a, Shape skip)
{
  TRY(shape_check(a, "decoder_conv2d"));
  if (conv.a_channels < 1 || conv.skip_channels < 0 || conv.out_channels < 1 ||
      a.channels < conv.a_channels)
    return status_set(
        STATUS_BAD_SHAPE,
        "decoder_conv2d: %d channels, the weights are for %d (and %d of the skip) to %d",
        a.channels, conv.a_channels, conv.skip_channels, conv.out_channels);
  if (conv.skip_channels > 0 &&
      (skip.images != a.images || skip.height != 2 * a.height || skip.width != 2 * a.width ||
       skip.channels < conv.skip_channels || skip.element != a.element))
    return status_set(STATUS_BAD_SHAPE,
                      "decoder_conv2d: the skip's %d x %d px are not twice %d x %d px", skip.height,
                      skip.width, a.height, a.width);
  return STATUS_OK;
}

Status decoder_conv2d_plan(DecoderConv2d conv, Shape a, Shape skip, int32_t channel_multiple,
                           bool backward, DecoderConv2dPlan *plan)
{
  TRY(check(conv, a, skip));
  Shape y = a;
  y.height *= 2;
  y.width *= 2;
  y.channels = (conv.out_channels + channel_multiple - 1) / channel_multiple * channel_multiple;
  TRY(shape_check(y, "decoder_conv2d"));
  *plan = (DecoderConv2dPlan){.conv = conv, .a = a, .skip = skip, .y = y, .backward = backward};
  if (conv.skip_channels == 0) plan->skip.channels = 0;
  return STATUS_OK;
}
