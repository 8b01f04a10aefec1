#include <math.h>

#include "cpu_backend.h"
#include "op/loss_scale_element.h"
#include "op/optimizer_step_element.h"
#include "span.h"

enum { CHUNK_ELEMENTS = 65536 };

static int64_t chunk_count(int64_t count)
{
  return (count + CHUNK_ELEMENTS - 1) / CHUNK_ELEMENTS;
}

static int64_t chunk_length(int64_t count, int64_t chunk)
{
  const int64_t left = count - chunk * CHUNK_ELEMENTS;
  return left < CHUNK_ELEMENTS ? left : CHUNK_ELEMENTS;
}

size_t clip_scratch_bytes_cpu(int64_t count)
{
  return (size_t)chunk_count(count) * sizeof(double);
}

/* Sixteen running sums, so that the order is fixed and the loop still fills a vector. */
VECTORIZED static double sum_of_squares(const float *g, int64_t count)
{
  double sums[16] = {0};
  int64_t i = 0;
  for (; i + 16 <= count; i += 16)
    for (int64_t j = 0; j < 16; ++j)
      sums[j] += (double)g[i + j] * (double)g[i + j];
  for (; i < count; ++i)
    sums[0] += (double)g[i] * (double)g[i];
  double total = 0;
  for (int64_t j = 0; j < 16; ++j)
    total += sums[j];
  return total;
}

void clip_scale_cpu(Device *device, int64_t count, const float *g, float norm_limit, float *norm,
                    float *scale, void *scratch)
{
  double *sums = scratch;
#pragma omp parallel for schedule(static)
  for (int64_t c = 0; c < chunk_count(count); ++c)
    sums[c] = sum_of_squares(g + c * CHUNK_ELEMENTS, chunk_length(count, c));
  double total = 0;
  for (int64_t c = 0; c < chunk_count(count); ++c)
    total += sums[c];
  *norm = (float)sqrt(total);
  *scale = clip_scale_element(*norm, norm_limit);
}

void loss_scale_step_cpu(Device *device, float norm_limit, float *norm, float *scale, float *state)
{
  loss_scale_step_element(norm_limit, norm, scale, state);
}

VECTORIZED static void sgd(SgdStep step, float scale, int64_t count, const float *restrict g,
                           float *restrict w, float *restrict v)
{
  for (int64_t i = 0; i < count; ++i)
    sgd_step_element(step, scale, g[i], &w[i], &v[i]);
}

VECTORIZED static void adamw(AdamwStep step, float scale, int64_t count, const float *restrict g,
                             float *restrict w, float *restrict m, float *restrict v)
{
  for (int64_t i = 0; i < count; ++i)
    adamw_step_element(step, scale, g[i], &w[i], &m[i], &v[i]);
}

void sgd_step_cpu(Device *device, const SgdStep *step, int64_t count, const float *scale,
                  const float *g, float *w, float *v)
{
  if (*scale == 0.0F) return;
#pragma omp parallel for schedule(static)
  for (int64_t c = 0; c < chunk_count(count); ++c) {
    const int64_t first = c * CHUNK_ELEMENTS;
    sgd(*step, *scale, chunk_length(count, c), g + first, w + first, v + first);
  }
}

void adamw_step_cpu(Device *device, const AdamwStep *step, int64_t count, const float *scale,
                    const float *g, float *w, float *m, float *v)
{
  if (*scale == 0.0F) return;
#pragma omp parallel for schedule(static)
  for (int64_t c = 0; c < chunk_count(count); ++c) {
    const int64_t first = c * CHUNK_ELEMENTS;
    adamw(*step, *scale, chunk_length(count, c), g + first, w + first, m + first, v + first);
  }
}
