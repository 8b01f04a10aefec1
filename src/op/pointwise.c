#include "op/pointwise.h"

Status add_plan(Shape a, Shape b, Shape *y)
{
  TRY(shape_check(a, "add"));
  if (!shape_equal(a, b))
    return status_set(STATUS_BAD_SHAPE, "add: %d x %d px, %d channels and %d x %d px, %d channels",
                      a.height, a.width, a.channels, b.height, b.width, b.channels);
  *y = a;
  return STATUS_OK;
}

Status upsample_nearest_plan(Shape x, Shape *y)
{
  TRY(shape_check(x, "upsample_nearest"));
  *y = x;
  y->height *= 2;
  y->width *= 2;
  return shape_check(*y, "upsample_nearest");
}

Status concat_plan(const Shape *inputs, int32_t count, Shape *y)
{
  if (count < 1) return status_set(STATUS_BAD_SHAPE, "concat: nothing to join");
  *y = inputs[0];
  for (int32_t i = 1; i < count; ++i) {
    Shape alike = inputs[i];
    alike.channels = inputs[0].channels;
    if (!shape_equal(alike, inputs[0]))
      return status_set(STATUS_BAD_SHAPE, "concat: %d x %d px cannot be joined to %d x %d px",
                        inputs[i].height, inputs[i].width, inputs[0].height, inputs[0].width);
    y->channels += inputs[i].channels;
  }
  return shape_check(*y, "concat");
}
