#include "weights_cpu.h"

#include <stddef.h>

/* Which of three weights make up each of four: from first to last, ends included. */
static const struct {
  int first, last;
} parts[4] = {{2, 2}, {1, 2}, {0, 1}, {0, 0}};

static void enlarge(const float *w, float *to)
{
  for (int row = 0; row < 4; ++row)
    for (int column = 0; column < 4; ++column) {
      float sum = 0;
      for (int i = parts[row].first; i <= parts[row].last; ++i)
        for (int j = parts[column].first; j <= parts[column].last; ++j)
          sum += w[3 * i + j];
      to[4 * row + column] = sum;
    }
}

static void enlarge_backward(const float *dto, float *dw)
{
  for (int row = 0; row < 4; ++row)
    for (int column = 0; column < 4; ++column)
      for (int i = parts[row].first; i <= parts[row].last; ++i)
        for (int j = parts[column].first; j <= parts[column].last; ++j)
          dw[3 * i + j] += dto[4 * row + column];
}

void weights_enlarge(const float *from, int32_t out_channels, int32_t all_channels,
                     int32_t a_channels, float *to)
{
#pragma omp parallel for
  for (int32_t o = 0; o < out_channels; ++o)
    for (int32_t i = 0; i < a_channels; ++i)
      enlarge(from + 9 * ((ptrdiff_t)o * all_channels + i),
              to + 16 * ((ptrdiff_t)o * a_channels + i));
}

void weights_enlarge_backward(const float *dto, int32_t out_channels, int32_t all_channels,
                              int32_t a_channels, float *dfrom)
{
#pragma omp parallel for
  for (int32_t o = 0; o < out_channels; ++o)
    for (int32_t i = 0; i < a_channels; ++i)
      enlarge_backward(dto + 16 * ((ptrdiff_t)o * a_channels + i),
                       dfrom + 9 * ((ptrdiff_t)o * all_channels + i));
}
