#include "op/resize.h"

#include <math.h>

Status resize_bilinear_plan(Shape x, int32_t bands, Shape y)
{
  TRY(shape_check(x, "resize"));
  TRY(shape_check(y, "resize"));
  if (x.element != ELEMENT_F32 || x.channels != bands || y.channels < bands ||
      x.images != y.images || y.channels > RESIZE_CHANNELS_MOST)
    return status_set(STATUS_BAD_SHAPE,
                      "resize: %d images of %d bands of %s to %d images of %d channels", x.images,
                      x.channels, element_name(x.element), y.images, y.channels);
  return STATUS_OK;
}

static double smaller(double a, double b)
{
  return a < b ? a : b;
}

void resize_size(int32_t height_px, int32_t width_px, int32_t least_px, int32_t most_px,
                 int32_t size_px[2])
{
  const int32_t shorter = height_px < width_px ? height_px : width_px;
  const int32_t longer = height_px < width_px ? width_px : height_px;
  const double scale = smaller((double)least_px / shorter, (double)most_px / longer);
  size_px[0] = (int32_t)floor(height_px * scale);
  size_px[1] = (int32_t)floor(width_px * scale);
}
