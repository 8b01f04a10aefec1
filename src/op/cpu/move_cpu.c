#include <string.h>

#include "cpu_backend.h"
#include "op/normalize_element.h"
#include "span.h"

/* Ops that move elements: pixels of one row are one thread's work. */

static int64_t rows(Shape shape)
{
  return (int64_t)shape.images * shape.height;
}

void concat_forward_cpu(Device *device, Shape x_shape, const void *x, Shape y_shape,
                        int32_t channel_offset, void *y)
{
  const size_t element = element_bytes(x_shape.element);
  const size_t piece = (size_t)x_shape.channels * element;
  const size_t stride = (size_t)y_shape.channels * element;
#pragma omp parallel for
  for (int64_t row = 0; row < rows(x_shape); ++row) {
    const char *from = (const char *)x + (size_t)row * (size_t)x_shape.width * piece;
    char *to =
        (char *)y + (size_t)row * (size_t)x_shape.width * stride + (size_t)channel_offset * element;
    for (int32_t column = 0; column < x_shape.width; ++column)
      memcpy(to + (size_t)column * stride, from + (size_t)column * piece, piece);
  }
}

void concat_backward_cpu(Device *device, Shape x_shape, void *dx, Shape y_shape,
                         int32_t channel_offset, const void *dy, Write write)
{
#pragma omp parallel for
  for (int64_t row = 0; row < rows(x_shape); ++row)
    for (int32_t column = 0; column < x_shape.width; ++column) {
      const int64_t pixel = row * x_shape.width + column;
      for (int32_t c = 0; c < x_shape.channels; c += SPAN_MOST) {
        float buffer[SPAN_MOST], values[SPAN_MOST];
        const int64_t count = x_shape.channels - c < SPAN_MOST ? x_shape.channels - c : SPAN_MOST;
        const float *part = span_load(x_shape.element, dy,
                                      pixel * y_shape.channels + channel_offset + c, count, buffer);
        memcpy(values, part, (size_t)count * sizeof *values);
        span_write(x_shape.element, dx, pixel * x_shape.channels + c, count, values,
                   write == WRITE_ADD);
      }
    }
}

void upsample_nearest_forward_cpu(Device *device, Shape x_shape, const void *x, Shape y_shape,
                                  int32_t channel_offset, void *y)
{
  const size_t element = element_bytes(x_shape.element);
  const size_t piece = (size_t)x_shape.channels * element;
  const size_t stride = (size_t)y_shape.channels * element;
#pragma omp parallel for
  for (int64_t row = 0; row < rows(y_shape); ++row) {
    const char *from = (const char *)x + (size_t)(row / 2) * (size_t)x_shape.width * piece;
    char *to =
        (char *)y + (size_t)row * (size_t)y_shape.width * stride + (size_t)channel_offset * element;
    for (int32_t column = 0; column < y_shape.width; ++column)
      memcpy(to + (size_t)column * stride, from + (size_t)(column / 2) * piece, piece);
  }
}

/* The four gradients of one pixel, first … first + count - 1 of its channels. */
static void sum_of_four(Shape y_shape, const void *dy, int64_t row, int32_t column, int64_t first,
                        int64_t count, float *values)
{
  memset(values, 0, (size_t)count * sizeof *values);
  for (int64_t r = 2 * row; r < 2 * row + 2; ++r)
    for (int64_t s = 2 * (int64_t)column; s < 2 * (int64_t)column + 2; ++s) {
      float buffer[SPAN_MOST];
      const float *part = span_load(
          y_shape.element, dy, (r * y_shape.width + s) * y_shape.channels + first, count, buffer);
      for (int64_t i = 0; i < count; ++i)
        values[i] += part[i];
    }
}

void upsample_nearest_backward_cpu(Device *device, Shape x_shape, void *dx, Shape y_shape,
                                   int32_t channel_offset, const void *dy, Write write)
{
#pragma omp parallel for
  for (int64_t row = 0; row < rows(x_shape); ++row)
    for (int32_t column = 0; column < x_shape.width; ++column)
      for (int32_t c = 0; c < x_shape.channels; c += SPAN_MOST) {
        float values[SPAN_MOST];
        const int64_t count = x_shape.channels - c < SPAN_MOST ? x_shape.channels - c : SPAN_MOST;
        sum_of_four(y_shape, dy, row, column, (int64_t)channel_offset + c, count, values);
        span_write(x_shape.element, dx, (row * x_shape.width + column) * x_shape.channels + c,
                   count, values, write == WRITE_ADD);
      }
}

VECTORIZED static void normalize_pixels(int64_t count, int32_t bands, const float *restrict x,
                                        const uint8_t *valid, const float *restrict mean,
                                        const float *restrict inverse_std, int32_t channels,
                                        float *restrict y)
{
  for (int64_t p = 0; p < count; ++p)
    for (int32_t b = 0; b < bands; ++b)
      y[p * channels + b] = normalize_element(x[p * bands + b], valid == NULL || valid[p] != 0,
                                              mean[b], inverse_std[b]);
}

void normalize_cpu(Device *device, Shape x_shape, const void *x, const uint8_t *valid,
                   const float *mean, const float *inverse_std, Shape y_shape, void *y)
{
  const int64_t pixels = shape_pixels(x_shape);
  const int64_t span_pixels = SPAN_MOST / y_shape.channels;
#pragma omp parallel for schedule(static)
  for (int64_t first = 0; first < pixels; first += span_pixels) {
    float buffer[SPAN_MOST], values[SPAN_MOST] = {0};
    const int64_t count = pixels - first < span_pixels ? pixels - first : span_pixels;
    const float *part =
        span_load(x_shape.element, x, first * x_shape.channels, count * x_shape.channels, buffer);
    normalize_pixels(count, x_shape.channels, part, valid == NULL ? NULL : valid + first, mean,
                     inverse_std, y_shape.channels, values);
    span_store(y_shape.element, y, first * y_shape.channels, count * y_shape.channels, values);
  }
}
