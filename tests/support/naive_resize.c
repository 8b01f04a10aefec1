#include <math.h>

#include "naive_parts.h"

/* Where pixel i of out lies among in pixels, in float64. */
static double source_of(int32_t in, int32_t out, int32_t i)
{
  return fmax((double)in / out * (i + 0.5) - 0.5, 0);
}

static double value_at(Shape shape, const float *x, int32_t image, int32_t height, int32_t width,
                       double row, double column, int32_t band)
{
  const int32_t top = (int32_t)row, left = (int32_t)column;
  double value = 0;
  for (int32_t i = 0; i < 2; ++i)
    for (int32_t k = 0; k < 2; ++k) {
      const int32_t y = top + i < height ? top + i : height - 1;
      const int32_t z = left + k < width ? left + k : width - 1;
      const double share =
          (i == 0 ? 1 - (row - top) : row - top) * (k == 0 ? 1 - (column - left) : column - left);
      if (share != 0) value += share * (double)x[naive_index(shape, image, y, z, band)];
    }
  return value;
}

void naive_resize_bilinear(Device *device, Shape x_shape, const float *x, const int32_t *sizes,
                           Shape y_shape, void *y)
{
  for (int32_t n = 0; n < y_shape.images; ++n) {
    const int32_t *size = sizes + 4 * (int64_t)n;
    for (int32_t i = 0; i < y_shape.height; ++i)
      for (int32_t k = 0; k < y_shape.width; ++k)
        for (int32_t c = 0; c < y_shape.channels; ++c) {
          const bool inside = i < size[2] && k < size[3] && c < x_shape.channels;
          const double value =
              inside ? value_at(x_shape, x, n, size[0], size[1], source_of(size[0], size[2], i),
                                source_of(size[1], size[3], k), c)
                     : 0;
          naive_set(y, y_shape.element, naive_index(y_shape, n, i, k, c), value);
        }
  }
}

void naive_resize_boxes(Device *device, int32_t rows, int32_t rows_per_image, const int32_t *images,
                        const float *scales, float *boxes)
{
  for (int32_t r = 0; r < rows; ++r) {
    const int32_t image = images == NULL ? r / rows_per_image : images[r];
    if (image < 0) continue;
    for (int32_t axis = 0; axis < 2; ++axis)
      for (int32_t end = 0; end < 2; ++end)
        boxes[4 * r + 2 * end + axis] *= scales[2 * image + 1 - axis];
  }
}
