#include <string.h>

#include "cpu_backend.h"
#include "resize_element.h"
#include "span.h"

/* One row of an image of y. */
typedef struct ResizeRow {
  const int32_t *size;        /* height and width in x, then in y */
  const float *above, *below; /* rows of x */
  RoiTap tap;
  int32_t bands, channels;
  bool small;
} ResizeRow;

static void resize_pixel(const ResizeRow *r, int32_t column, float *values)
{
  const RoiTap tap = resize_tap(r->size[1], r->size[3], column, r->small);
  const int64_t low = (int64_t)tap.low * r->bands;
  const int64_t high = (int64_t)tap.high * r->bands;
  for (int32_t b = 0; b < r->bands; ++b) {
    const float p = r->above[low + b], q = r->above[high + b];
    const float s = r->below[low + b], t = r->below[high + b];
    values[b] =
        r->small ? resize_small(p, q, s, t, r->tap, tap) : resize_large(p, q, s, t, r->tap, tap);
  }
}

static void resize_row(const ResizeRow *r, Shape y_shape, int64_t row, bool inside, void *y)
{
  const int32_t step = SPAN_MOST / r->channels;
  for (int32_t first = 0; first < y_shape.width; first += step) {
    float values[SPAN_MOST] = {0};
    const int32_t count = y_shape.width - first < step ? y_shape.width - first : step;
    for (int32_t i = 0; inside && i < count && first + i < r->size[3]; ++i)
      resize_pixel(r, first + i, values + i * r->channels);
    span_store(y_shape.element, y, (row * y_shape.width + first) * r->channels,
               (int64_t)count * r->channels, values);
  }
}

void resize_bilinear_cpu(Device *device, Shape x_shape, const float *x, const int32_t *sizes,
                         Shape y_shape, void *y)
{
  const int64_t rows = (int64_t)y_shape.images * y_shape.height;
  const int64_t x_row = (int64_t)x_shape.width * x_shape.channels;
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t image = row / y_shape.height;
    const int32_t i = (int32_t)(row % y_shape.height);
    const int32_t *size = sizes + 4 * image;
    ResizeRow r = {.size = size,
                   .bands = x_shape.channels,
                   .channels = y_shape.channels,
                   .small = resize_is_small(size[2], size[3])};
    const bool inside = i < size[2];
    if (inside) {
      r.tap = resize_tap(size[0], size[2], i, r.small);
      r.above = x + (image * x_shape.height + r.tap.low) * x_row;
      r.below = x + (image * x_shape.height + r.tap.high) * x_row;
    }
    resize_row(&r, y_shape, row, inside, y);
  }
}

void resize_boxes_cpu(Device *device, int32_t rows, int32_t rows_per_image, const int32_t *images,
                      const float *scales, float *boxes)
{
  for (int32_t r = 0; r < rows; ++r) {
    const int32_t image = images == NULL ? r / rows_per_image : images[r];
    for (int32_t k = 0; image >= 0 && k < 4; ++k)
      boxes[4 * (int64_t)r + k] *= scales[2 * (int64_t)image + (k % 2 == 0 ? 1 : 0)];
  }
}
