#include "op/max_pool2d.h"

Status max_pool2d_plan(MaxPool2d pool, Shape x, Shape *y)
{
  TRY(shape_check(x, "max_pool2d"));
  if (pool.size < 1 || pool.size > 15 || pool.stride < 1 || pool.pad < 0 ||
      pool.pad > pool.size / 2)
    return status_set(STATUS_BAD_SHAPE, "max_pool2d: window %d px, stride %d px, pad %d px",
                      pool.size, pool.stride, pool.pad);
  if (pool.size > x.height + 2 * pool.pad || pool.size > x.width + 2 * pool.pad)
    return status_set(STATUS_BAD_SHAPE, "max_pool2d: a window of %d px does not fit %d x %d px",
                      pool.size, x.height, x.width);
  *y = x;
  y->height = (x.height + 2 * pool.pad - pool.size) / pool.stride + 1;
  y->width = (x.width + 2 * pool.pad - pool.size) / pool.stride + 1;
  return STATUS_OK;
}
