#include <math.h>

#include "naive_parts.h"

/* The value at a place of the window, -infinity in the padding. */
static double window_value(MaxPool2d pool, Shape shape, const void *x, int32_t n, int32_t i,
                           int32_t j, int32_t c, int32_t place)
{
  const int32_t row = i * pool.stride - pool.pad + place / pool.size;
  const int32_t column = j * pool.stride - pool.pad + place % pool.size;
  const bool inside = row >= 0 && row < shape.height && column >= 0 && column < shape.width;
  return inside ? naive_get(x, shape.element, naive_index(shape, n, row, column, c)) : -HUGE_VAL;
}

static bool in_padding(MaxPool2d pool, Shape shape, int32_t i, int32_t j, int32_t place)
{
  const int32_t row = i * pool.stride - pool.pad + place / pool.size;
  const int32_t column = j * pool.stride - pool.pad + place % pool.size;
  return row < 0 || row >= shape.height || column < 0 || column >= shape.width;
}

static int32_t find_winner(MaxPool2d pool, Shape shape, const void *x, int32_t n, int32_t i,
                           int32_t j, int32_t c)
{
  int32_t winner = -1;
  for (int32_t place = 0; place < pool.size * pool.size; ++place) {
    if (in_padding(pool, shape, i, j, place)) continue;
    const double value = window_value(pool, shape, x, n, i, j, c, place);
    if (isnan(value)) return place;
    if (winner < 0 || value > window_value(pool, shape, x, n, i, j, c, winner)) winner = place;
  }
  return winner;
}

void naive_max_pool2d_forward(Device *device, MaxPool2d pool, Shape x_shape, const void *x,
                              Shape y_shape, void *y, uint8_t *winner)
{
  for (int32_t n = 0; n < y_shape.images; ++n)
    for (int32_t i = 0; i < y_shape.height; ++i)
      for (int32_t j = 0; j < y_shape.width; ++j)
        for (int32_t c = 0; c < y_shape.channels; ++c) {
          const int32_t place = find_winner(pool, x_shape, x, n, i, j, c);
          const int64_t index = naive_index(y_shape, n, i, j, c);
          naive_set(y, y_shape.element, index, window_value(pool, x_shape, x, n, i, j, c, place));
          winner[index] = (uint8_t)place;
        }
}

void naive_max_pool2d_backward(Device *device, MaxPool2d pool, Shape x_shape, void *dx,
                               Shape y_shape, const void *dy, const uint8_t *winner, Write write)
{
  const int64_t count = shape_elements(x_shape);
  double *sums = naive_zeros(count);
  for (int32_t n = 0; n < y_shape.images; ++n)
    for (int32_t i = 0; i < y_shape.height; ++i)
      for (int32_t j = 0; j < y_shape.width; ++j)
        for (int32_t c = 0; c < y_shape.channels; ++c) {
          const int64_t index = naive_index(y_shape, n, i, j, c);
          const int32_t row = i * pool.stride - pool.pad + winner[index] / pool.size;
          const int32_t column = j * pool.stride - pool.pad + winner[index] % pool.size;
          sums[naive_index(x_shape, n, row, column, c)] += naive_get(dy, y_shape.element, index);
        }
  for (int64_t i = 0; i < count; ++i)
    naive_put(dx, x_shape.element, i, sums[i], write);
  memory_free(sums);
}

void naive_relu_forward(Device *device, Shape shape, const void *x, void *y)
{
  for (int64_t i = 0; i < shape_elements(shape); ++i) {
    const double value = naive_get(x, shape.element, i);
    naive_set(y, shape.element, i, value < 0.0 ? 0.0 : value);
  }
}

void naive_relu_backward(Device *device, Shape shape, const void *y, const void *dy, void *dx,
                         Write write)
{
  for (int64_t i = 0; i < shape_elements(shape); ++i)
    naive_put(dx, shape.element, i,
              naive_get(y, shape.element, i) > 0.0 ? naive_get(dy, shape.element, i) : 0.0, write);
}

void naive_add_forward(Device *device, Shape shape, const void *a, const void *b, void *y)
{
  for (int64_t i = 0; i < shape_elements(shape); ++i)
    naive_set(y, shape.element, i, naive_get(a, shape.element, i) + naive_get(b, shape.element, i));
}

void naive_accumulate(Device *device, Shape shape, const void *dy, void *dx, Write write)
{
  for (int64_t i = 0; i < shape_elements(shape); ++i)
    naive_put(dx, shape.element, i, naive_get(dy, shape.element, i), write);
}

/* Each op that places channels visits y's pixels; shrink is 2 for the enlargement, 1 for a copy. */
static void place_channels(Shape x_shape, const void *x, Shape y_shape, int32_t offset, void *y,
                           int32_t shrink)
{
  for (int32_t n = 0; n < y_shape.images; ++n)
    for (int32_t i = 0; i < y_shape.height; ++i)
      for (int32_t j = 0; j < y_shape.width; ++j)
        for (int32_t c = 0; c < x_shape.channels; ++c)
          naive_set(
              y, y_shape.element, naive_index(y_shape, n, i, j, offset + c),
              naive_get(x, x_shape.element, naive_index(x_shape, n, i / shrink, j / shrink, c)));
}

static void gather_channels(Shape x_shape, void *dx, Shape y_shape, int32_t offset, const void *dy,
                            Write write, int32_t shrink)
{
  for (int32_t n = 0; n < x_shape.images; ++n)
    for (int32_t i = 0; i < x_shape.height; ++i)
      for (int32_t j = 0; j < x_shape.width; ++j)
        for (int32_t c = 0; c < x_shape.channels; ++c) {
          double sum = 0.0;
          for (int32_t part = 0; part < shrink * shrink; ++part)
            sum += naive_get(dy, y_shape.element,
                             naive_index(y_shape, n, i * shrink + part / shrink,
                                         j * shrink + part % shrink, offset + c));
          naive_put(dx, x_shape.element, naive_index(x_shape, n, i, j, c), sum, write);
        }
}

void naive_upsample_nearest_forward(Device *device, Shape x_shape, const void *x, Shape y_shape,
                                    int32_t channel_offset, void *y)
{
  place_channels(x_shape, x, y_shape, channel_offset, y, 2);
}

void naive_upsample_nearest_backward(Device *device, Shape x_shape, void *dx, Shape y_shape,
                                     int32_t channel_offset, const void *dy, Write write)
{
  gather_channels(x_shape, dx, y_shape, channel_offset, dy, write, 2);
}

void naive_concat_forward(Device *device, Shape x_shape, const void *x, Shape y_shape,
                          int32_t channel_offset, void *y)
{
  place_channels(x_shape, x, y_shape, channel_offset, y, 1);
}

void naive_concat_backward(Device *device, Shape x_shape, void *dx, Shape y_shape,
                           int32_t channel_offset, const void *dy, Write write)
{
  gather_channels(x_shape, dx, y_shape, channel_offset, dy, write, 1);
}

void naive_convert(Device *device, int64_t count, Element x_element, const void *x,
                   Element y_element, void *y)
{
  for (int64_t i = 0; i < count; ++i)
    naive_set(y, y_element, i, naive_get(x, x_element, i));
}

void naive_normalize(Device *device, Shape x_shape, const void *x, const uint8_t *valid,
                     const float *mean, const float *inverse_std, Shape y_shape, void *y)
{
  const int32_t bands = x_shape.channels;
  for (int64_t pixel = 0; pixel < shape_pixels(x_shape); ++pixel)
    for (int32_t c = 0; c < y_shape.channels; ++c) {
      double value = 0.0;
      if (c < bands && (valid == NULL || valid[pixel] != 0)) {
        const double band = naive_get(x, x_shape.element, pixel * bands + c);
        value = isnan(band) ? 0.0 : (band - (double)mean[c]) * (double)inverse_std[c];
      }
      naive_set(y, y_shape.element, pixel * y_shape.channels + c, value);
    }
}
