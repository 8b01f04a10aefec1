#include <string.h>

#include "cpu_backend.h"
#include "op/max_pool2d_element.h"
#include "span.h"

/* Some channels of one output pixel: all windows of a pixel lie side by side in memory, so channels
 * are the inner loop. */
typedef struct Window {
  int32_t top, left;
  float best[SPAN_MOST];
  uint8_t winner[SPAN_MOST];
} Window;

VECTORIZED static void take_better(int32_t place, const float *restrict x, int64_t count,
                                   float *restrict best, uint8_t *restrict winner)
{
  for (int64_t c = 0; c < count; ++c) {
    const bool better = max_pool2d_beats(x[c], best[c]);
    best[c] = better ? x[c] : best[c];
    winner[c] = better ? (uint8_t)place : winner[c];
  }
}

static void pool_window(MaxPool2d pool, Shape x_shape, const void *x, int32_t image,
                        int32_t channel, int64_t count, Window *window)
{
  bool first = true;
  for (int32_t i = 0; i < pool.size; ++i)
    for (int32_t j = 0; j < pool.size; ++j) {
      const int32_t row = window->top + i;
      const int32_t column = window->left + j;
      if (row < 0 || row >= x_shape.height || column < 0 || column >= x_shape.width) continue;
      const int64_t pixel = ((int64_t)image * x_shape.height + row) * x_shape.width + column;
      float buffer[SPAN_MOST];
      const float *values =
          span_load(x_shape.element, x, pixel * x_shape.channels + channel, count, buffer);
      if (first) {
        memcpy(window->best, values, (size_t)count * sizeof *values);
        memset(window->winner, i * pool.size + j, (size_t)count);
        first = false;
      } else {
        take_better(i * pool.size + j, values, count, window->best, window->winner);
      }
    }
}

void max_pool2d_forward_cpu(Device *device, MaxPool2d pool, Shape x_shape, const void *x,
                            Shape y_shape, void *y, uint8_t *winner)
{
#pragma omp parallel for
  for (int64_t row = 0; row < (int64_t)y_shape.images * y_shape.height; ++row)
    for (int32_t column = 0; column < y_shape.width; ++column)
      for (int32_t c = 0; c < y_shape.channels; c += SPAN_MOST) {
        const int64_t count = y_shape.channels - c < SPAN_MOST ? y_shape.channels - c : SPAN_MOST;
        const int64_t place = (row * y_shape.width + column) * y_shape.channels + c;
        Window window;
        window.top = (int32_t)(row % y_shape.height) * pool.stride - pool.pad;
        window.left = column * pool.stride - pool.pad;
        pool_window(pool, x_shape, x, (int32_t)(row / y_shape.height), c, count, &window);
        span_store(y_shape.element, y, place, count, window.best);
        if (winner != NULL) memcpy(winner + place, window.winner, (size_t)count);
      }
}

/* Output rows or columns whose windows hold a place of x. */
static int32_t first_window(MaxPool2d pool, int32_t place)
{
  const int32_t reach = place + pool.pad - pool.size + 1;
  return reach <= 0 ? 0 : (reach + pool.stride - 1) / pool.stride;
}

static int32_t last_window(MaxPool2d pool, int32_t place, int32_t count)
{
  const int32_t last = (place + pool.pad) / pool.stride;
  return last < count ? last : count - 1;
}

VECTORIZED static void take_won(uint8_t place, const uint8_t *restrict winner,
                                const float *restrict dy, int64_t count, float *restrict dx)
{
  for (int64_t c = 0; c < count; ++c)
    dx[c] += winner[c] == place ? dy[c] : 0.0F;
}

/* The gradient is gathered by each pixel of x, so that no two threads add to one place. */
static void gather(MaxPool2d pool, Shape y_shape, const void *dy, const uint8_t *winner,
                   int32_t image, int32_t row, int32_t column, int32_t channel, int64_t count,
                   float *dx)
{
  memset(dx, 0, (size_t)count * sizeof *dx);
  for (int32_t i = first_window(pool, row); i <= last_window(pool, row, y_shape.height); ++i)
    for (int32_t j = first_window(pool, column); j <= last_window(pool, column, y_shape.width);
         ++j) {
      const int32_t place =
          (row + pool.pad - i * pool.stride) * pool.size + column + pool.pad - j * pool.stride;
      const int64_t pixel = ((int64_t)image * y_shape.height + i) * y_shape.width + j;
      const int64_t first = pixel * y_shape.channels + channel;
      float buffer[SPAN_MOST];
      take_won((uint8_t)place, winner + first, span_load(y_shape.element, dy, first, count, buffer),
               count, dx);
    }
}

void max_pool2d_backward_cpu(Device *device, MaxPool2d pool, Shape x_shape, void *dx, Shape y_shape,
                             const void *dy, const uint8_t *winner, Write write)
{
#pragma omp parallel for
  for (int64_t row = 0; row < (int64_t)x_shape.images * x_shape.height; ++row)
    for (int32_t column = 0; column < x_shape.width; ++column)
      for (int32_t c = 0; c < x_shape.channels; c += SPAN_MOST) {
        float gradient[SPAN_MOST];
        const int64_t count = x_shape.channels - c < SPAN_MOST ? x_shape.channels - c : SPAN_MOST;
        gather(pool, y_shape, dy, winner, (int32_t)(row / x_shape.height),
               (int32_t)(row % x_shape.height), column, c, count, gradient);
        span_write(x_shape.element, dx, (row * x_shape.width + column) * x_shape.channels + c,
                   count, gradient, write == WRITE_ADD);
      }
}
