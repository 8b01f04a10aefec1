#include "op/batch_norm2d.h"

Status batch_norm2d_plan(BatchNorm2d norm, Shape x, BatchNorm2dPlan *plan)
{
  TRY(shape_check(x, "batch_norm2d"));
  if (norm.channels < 1 || norm.channels > x.channels)
    return status_set(STATUS_BAD_SHAPE, "batch_norm2d: %d channels in an image of %d",
                      norm.channels, x.channels);
  if (!norm.frozen && shape_pixels(x) < 2)
    return status_set(
        STATUS_BAD_SHAPE,
        "batch_norm2d: one value per channel has no variance; use larger tiles or batches");
  *plan = (BatchNorm2dPlan){.norm = norm, .x = x};
  return STATUS_OK;
}
