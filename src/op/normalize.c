#include "op/normalize.h"

Status normalize_plan(Shape x, int32_t bands, Shape y)
{
  TRY(shape_check(x, "normalize"));
  if (x.channels != bands || y.channels < bands || x.images != y.images || x.height != y.height ||
      x.width != y.width)
    return status_set(STATUS_BAD_SHAPE,
                      "normalize: %d bands of %d x %d px to %d channels of %d x %d px", x.channels,
                      x.height, x.width, y.channels, y.height, y.width);
  if (y.channels > NORMALIZE_CHANNELS_MOST)
    return status_set(STATUS_BAD_SHAPE, "normalize: %d channels; it takes at most %d", y.channels,
                      (int)NORMALIZE_CHANNELS_MOST);
  return STATUS_OK;
}
