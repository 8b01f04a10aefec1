#include <string.h>

#include "base/memory.h"
#include "cpu_backend.h"
#include "op/batch_norm2d_element.h"
#include "op/relu_element.h"
#include "span.h"

/* Own loops instead of oneDNN's: the residual and the relu ride along, so that each pass reads and
 * writes memory once, and the sums are taken in chunks that do not depend on the number of threads.
 */
enum { CHUNKS = 64 };

struct BatchNorm2dKernel {
  Device *device;
  BatchNorm2dPlan plan;
  int64_t pixels;
  int64_t span_pixels; /* as many pixels as fill a span */
};

/* What forward leaves for backward. */
typedef struct Saved {
  float *mean;
  float *rstd;
} Saved;

static Saved saved_of(const BatchNorm2dKernel *k, const void *saved)
{
  float *mean = (float *)saved;
  return (Saved){mean, mean + k->plan.norm.channels};
}

Status batch_norm2d_open_cpu(Device *device, const BatchNorm2dPlan *plan,
                             BatchNorm2dKernel **kernel, OpBytes *bytes)
{
  const int32_t channels = plan->norm.channels;
  *kernel = NULL;
  if (channels > SPAN_MOST)
    return status_set(STATUS_BAD_SHAPE, "batch_norm2d: %d channels; it takes at most %d", channels,
                      SPAN_MOST);
  void *memory;
  TRY(memory_allocate(1, sizeof **kernel, "batch norm", &memory));
  BatchNorm2dKernel *opening = memory;
  *opening = (BatchNorm2dKernel){.device = device,
                                 .plan = *plan,
                                 .pixels = shape_pixels(plan->x),
                                 .span_pixels = SPAN_MOST / channels};
  const size_t pair = 2 * (size_t)channels * sizeof(float);
  *bytes = (OpBytes){.saved = pair,
                     .scratch = (CHUNKS + 1) * 2 * (size_t)channels * sizeof(double) + 4 * pair};
  *kernel = opening;
  return STATUS_OK;
}

void batch_norm2d_close_cpu(BatchNorm2dKernel *kernel)
{
  memory_free(kernel);
}

/* Adds up two sums per channel, in double between spans and in float32 within one. */
typedef void SumSpan(const BatchNorm2dKernel *k, int64_t first_pixel, int64_t pixel_count,
                     const void *inputs, float *first, float *second);

VECTORIZED static void add_to_doubles(double *restrict totals, const float *restrict values,
                                      int64_t count)
{
  for (int64_t c = 0; c < count; ++c)
    totals[c] += (double)values[c];
}

static void sum_chunk(const BatchNorm2dKernel *k, int64_t chunk, SumSpan *sum_span,
                      const void *inputs, double *totals)
{
  const int32_t channels = k->plan.norm.channels;
  const int64_t spans = (k->pixels + k->span_pixels - 1) / k->span_pixels;
  memset(totals, 0, 2 * (size_t)channels * sizeof *totals);
  for (int64_t s = spans * chunk / CHUNKS; s < spans * (chunk + 1) / CHUNKS; ++s) {
    float sums[2 * SPAN_MOST];
    const int64_t first = s * k->span_pixels;
    const int64_t count = k->pixels - first < k->span_pixels ? k->pixels - first : k->span_pixels;
    memset(sums, 0, 2 * (size_t)channels * sizeof *sums);
    sum_span(k, first, count, inputs, sums, sums + channels);
    add_to_doubles(totals, sums, 2 * (int64_t)channels);
  }
}

/* The totals of all chunks, in their order: totals[0 … channels - 1] the first sums, then the
 * second. */
static double *sum_all(const BatchNorm2dKernel *k, SumSpan *sum_span, const void *inputs,
                       void *scratch)
{
  const int32_t pair = 2 * k->plan.norm.channels;
  double *totals = scratch;
  double *chunks = totals + pair;
#pragma omp parallel for schedule(static)
  for (int64_t chunk = 0; chunk < CHUNKS; ++chunk)
    sum_chunk(k, chunk, sum_span, inputs, chunks + chunk * pair);
  memset(totals, 0, (size_t)pair * sizeof *totals);
  for (int64_t chunk = 0; chunk < CHUNKS; ++chunk)
    for (int32_t c = 0; c < pair; ++c)
      totals[c] += chunks[chunk * pair + c];
  return totals;
}

VECTORIZED static void moments(const float *restrict x, const float *restrict shift, int64_t pixels,
                               int64_t channels, float *restrict first, float *restrict second)
{
  for (int64_t p = 0; p < pixels; ++p)
    for (int64_t c = 0; c < channels; ++c) {
      const float offset = x[p * channels + c] - shift[c];
      first[c] += offset;
      second[c] += offset * offset;
    }
}

typedef struct Shifted {
  const void *x;
  const float *shift;
} Shifted;

static void sum_moments(const BatchNorm2dKernel *k, int64_t first_pixel, int64_t pixel_count,
                        const void *inputs, float *first, float *second)
{
  const int64_t channels = k->plan.norm.channels;
  const Shifted *shifted = inputs;
  float buffer[SPAN_MOST];
  const float *x = span_load(k->plan.x.element, shifted->x, first_pixel * channels,
                             pixel_count * channels, buffer);
  moments(x, shifted->shift, pixel_count, channels, first, second);
}

VECTORIZED static void normalise(const float *restrict x, const float *restrict mean,
                                 const float *restrict scale, const float *restrict bias,
                                 int64_t pixels, int64_t channels, float *restrict y)
{
  for (int64_t p = 0; p < pixels; ++p)
    for (int64_t c = 0; c < channels; ++c)
      y[p * channels + c] = batch_norm2d_element(x[p * channels + c], mean[c], scale[c], bias[c]);
}

VECTORIZED static void add_in(float *restrict y, const float *restrict add, int64_t count)
{
  for (int64_t i = 0; i < count; ++i)
    y[i] += add[i];
}

VECTORIZED static void relu_in(float *restrict y, int64_t count)
{
  for (int64_t i = 0; i < count; ++i)
    y[i] = relu_element(y[i]);
}

static void apply(const BatchNorm2dKernel *k, const float *mean, const float *scale,
                  const float *bias, const void *x, const void *add, void *y)
{
  const int64_t channels = k->plan.norm.channels;
  const Element element = k->plan.x.element;
#pragma omp parallel for schedule(static)
  for (int64_t first = 0; first < k->pixels; first += k->span_pixels) {
    float buffer[SPAN_MOST], residual[SPAN_MOST], result[SPAN_MOST];
    const int64_t pixels = k->pixels - first < k->span_pixels ? k->pixels - first : k->span_pixels;
    const int64_t start = first * channels;
    const int64_t count = pixels * channels;
    normalise(span_load(element, x, start, count, buffer), mean, scale, bias, pixels, channels,
              result);
    if (k->plan.norm.add) add_in(result, span_load(element, add, start, count, residual), count);
    if (k->plan.norm.relu) relu_in(result, count);
    span_store(element, y, start, count, result);
  }
}

static float *scale_of(const BatchNorm2dKernel *k, const float *weight, const float *rstd,
                       void *scratch)
{
  float *scale = scratch;
  for (int32_t c = 0; c < k->plan.norm.channels; ++c)
    scale[c] = weight[c] * rstd[c];
  return scale;
}

/* Statistics from sums about the running mean, before that is updated. */
static void take_statistics(const BatchNorm2dKernel *k, BatchNorm2dParameters p,
                            const double *totals, int64_t count, Saved saved)
{
  const int32_t channels = k->plan.norm.channels;
  for (int32_t c = 0; c < channels; ++c) {
    const BatchNorm2dMoments m =
        batch_norm2d_moments(totals[c], totals[channels + c], p.running_mean[c], count);
    const float unbiased = batch_norm2d_unbiased(m.variance, count);
    saved.mean[c] = m.mean;
    saved.rstd[c] = batch_norm2d_rstd(m.variance, k->plan.norm.eps);
    p.running_mean[c] = batch_norm2d_running(p.running_mean[c], m.mean, k->plan.norm.momentum);
    p.running_var[c] = batch_norm2d_running(p.running_var[c], unbiased, k->plan.norm.momentum);
  }
}

static void take_running(const BatchNorm2dKernel *k, BatchNorm2dParameters p, Saved saved)
{
  for (int32_t c = 0; c < k->plan.norm.channels; ++c) {
    saved.mean[c] = p.running_mean[c];
    saved.rstd[c] = batch_norm2d_rstd(p.running_var[c], k->plan.norm.eps);
  }
}

void batch_norm2d_forward_cpu(BatchNorm2dKernel *k, BatchNorm2dParameters parameters, const void *x,
                              const void *add, void *y, void *saved, void *scratch)
{
  const Saved statistics = saved_of(k, saved);
  if (k->plan.norm.frozen) {
    take_running(k, parameters, statistics);
  } else {
    const double *totals = sum_all(k, sum_moments, &(Shifted){x, parameters.running_mean}, scratch);
    take_statistics(k, parameters, totals, k->pixels, statistics);
  }
  const float *scale = scale_of(k, parameters.weight, statistics.rstd, scratch);
  apply(k, statistics.mean, scale, parameters.bias, x, add, y);
}

void batch_norm2d_sums_cpu(BatchNorm2dKernel *k, BatchNorm2dParameters parameters, const void *x,
                           float *sums, void *scratch)
{
  const double *totals = sum_all(k, sum_moments, &(Shifted){x, parameters.running_mean}, scratch);
  for (int32_t i = 0; i < 2 * k->plan.norm.channels; ++i)
    sums[i] = (float)totals[i];
}

void batch_norm2d_forward_from_sums_cpu(BatchNorm2dKernel *k, BatchNorm2dParameters parameters,
                                        const float *sums, int64_t count_all_ranks, const void *x,
                                        const void *add, void *y, void *saved, void *scratch)
{
  const Saved statistics = saved_of(k, saved);
  double *totals = scratch;
  for (int32_t i = 0; i < 2 * k->plan.norm.channels; ++i)
    totals[i] = (double)sums[i];
  take_statistics(k, parameters, totals, count_all_ranks, statistics);
  const float *scale = scale_of(k, parameters.weight, statistics.rstd, scratch);
  apply(k, statistics.mean, scale, parameters.bias, x, add, y);
}

/* What the gradient is taken from. Without a residual, what relu let through is known from x again,
 * and y need not be read: a third of the memory. */
typedef struct Behind {
  const void *x, *y, *dy;
  const float *mean, *rstd;
  const float *scale, *bias; /* NULL: not at hand, take y */
} Behind;

VECTORIZED static void mask_by_output(const float *restrict y, const float *restrict dy,
                                      int64_t count, float *restrict dz)
{
  for (int64_t i = 0; i < count; ++i)
    dz[i] = relu_gradient_element(y[i], dy[i]);
}

VECTORIZED static void mask_by_input(const float *restrict x, const float *restrict dy,
                                     const Behind *b, int64_t pixels, int64_t channels,
                                     float *restrict dz)
{
  const float *restrict mean = b->mean;
  const float *restrict scale = b->scale;
  const float *restrict bias = b->bias;
  for (int64_t p = 0; p < pixels; ++p)
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t i = p * channels + c;
      dz[i] = relu_gradient_element(batch_norm2d_element(x[i], mean[c], scale[c], bias[c]), dy[i]);
    }
}

/* The gradient behind relu: in buffer, or dy itself. x: of the same pixels, in float32. */
static const float *gradient_behind(const BatchNorm2dKernel *k, const Behind *b, const float *x,
                                    int64_t first_pixel, int64_t pixels, float *buffer)
{
  const Element element = k->plan.x.element;
  const int64_t channels = k->plan.norm.channels;
  const int64_t start = first_pixel * channels;
  const int64_t count = pixels * channels;
  if (!k->plan.norm.relu) return span_load(element, b->dy, start, count, buffer);
  float output[SPAN_MOST], gradient[SPAN_MOST];
  const float *dy = span_load(element, b->dy, start, count, gradient);
  if (k->plan.norm.add || b->scale == NULL)
    mask_by_output(span_load(element, b->y, start, count, output), dy, count, buffer);
  else
    mask_by_input(x, dy, b, pixels, channels, buffer);
  return buffer;
}

VECTORIZED static void gradient_sums(const float *restrict x, const float *restrict dz,
                                     const float *restrict mean, const float *restrict rstd,
                                     int64_t pixels, int64_t channels, float *restrict first,
                                     float *restrict second)
{
  for (int64_t p = 0; p < pixels; ++p)
    for (int64_t c = 0; c < channels; ++c) {
      const float gradient = dz[p * channels + c];
      first[c] += gradient;
      second[c] += gradient * ((x[p * channels + c] - mean[c]) * rstd[c]);
    }
}

static void sum_gradients(const BatchNorm2dKernel *k, int64_t first_pixel, int64_t pixel_count,
                          const void *inputs, float *first, float *second)
{
  const Behind *b = inputs;
  const int64_t channels = k->plan.norm.channels;
  float buffer[SPAN_MOST], masked[SPAN_MOST];
  const float *x =
      span_load(k->plan.x.element, b->x, first_pixel * channels, pixel_count * channels, buffer);
  const float *dz = gradient_behind(k, b, x, first_pixel, pixel_count, masked);
  gradient_sums(x, dz, b->mean, b->rstd, pixel_count, channels, first, second);
}

/* Per-channel constants of the gradient of x. */
typedef struct Slopes {
  const float *mean, *rstd, *scale;
  float *mean_dz, *mean_dz_xhat;
} Slopes;

VECTORIZED static void gradient_of_x(const float *restrict x, const float *restrict dz, Slopes s,
                                     int64_t pixels, int64_t channels, float *restrict dx)
{
  for (int64_t p = 0; p < pixels; ++p)
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t i = p * channels + c;
      dx[i] = batch_norm2d_gradient_element(dz[i], (x[i] - s.mean[c]) * s.rstd[c], s.scale[c],
                                            s.mean_dz[c], s.mean_dz_xhat[c]);
    }
}

static void apply_gradient(const BatchNorm2dKernel *k, Slopes slopes, const Behind *b, void *dx,
                           void *dadd, Write write_dadd)
{
  const int64_t channels = k->plan.norm.channels;
  const Element element = k->plan.x.element;
#pragma omp parallel for schedule(static)
  for (int64_t first = 0; first < k->pixels; first += k->span_pixels) {
    float buffer[SPAN_MOST], masked[SPAN_MOST], result[SPAN_MOST];
    const int64_t pixels = k->pixels - first < k->span_pixels ? k->pixels - first : k->span_pixels;
    const int64_t start = first * channels;
    const int64_t count = pixels * channels;
    const float *x = span_load(element, b->x, start, count, buffer);
    const float *dz = gradient_behind(k, b, x, first, pixels, masked);
    gradient_of_x(x, dz, slopes, pixels, channels, result);
    if (k->plan.norm.add) {
      memcpy(buffer, dz, (size_t)count * sizeof *dz);
      span_write(element, dadd, start, count, buffer, write_dadd == WRITE_ADD);
    }
    span_store(element, dx, start, count, result);
  }
}

/* Room behind the totals and chunks of sum_all. */
static Slopes slopes_of(const BatchNorm2dKernel *k, const float *weight, Saved saved, void *scratch)
{
  const int32_t channels = k->plan.norm.channels;
  float *room = (float *)((double *)scratch + (CHUNKS + 1) * 2 * (size_t)channels);
  return (Slopes){.mean = saved.mean,
                  .rstd = saved.rstd,
                  .scale = scale_of(k, weight, saved.rstd, room),
                  .mean_dz = room + channels,
                  .mean_dz_xhat = room + 2 * (size_t)channels};
}

void batch_norm2d_backward_cpu(BatchNorm2dKernel *k, BatchNorm2dParameters parameters,
                               const void *x, const void *y, const void *dy, const void *saved,
                               void *dx, void *dadd, Write write_dadd, float *dweight, float *dbias,
                               void *scratch)
{
  const int32_t channels = k->plan.norm.channels;
  const Saved statistics = saved_of(k, saved);
  const Slopes slopes = slopes_of(k, parameters.weight, statistics, scratch);
  const Behind behind = {.x = x,
                         .y = y,
                         .dy = dy,
                         .mean = statistics.mean,
                         .rstd = statistics.rstd,
                         .scale = slopes.scale,
                         .bias = parameters.bias};
  memset(slopes.mean_dz, 0, 2 * (size_t)channels * sizeof *slopes.mean_dz);
  if (!k->plan.norm.frozen) {
    const double *totals = sum_all(k, sum_gradients, &behind, scratch);
    for (int32_t c = 0; c < channels; ++c) {
      dbias[c] += (float)totals[c];
      dweight[c] += (float)totals[channels + c];
      slopes.mean_dz[c] = (float)(totals[c] / (double)k->pixels);
      slopes.mean_dz_xhat[c] = (float)(totals[channels + c] / (double)k->pixels);
    }
  }
  apply_gradient(k, slopes, &behind, dx, dadd, write_dadd);
}

void batch_norm2d_backward_sums_cpu(BatchNorm2dKernel *k, const void *x, const void *y,
                                    const void *dy, const void *saved, float *dweight, float *dbias,
                                    float *sums, void *scratch)
{
  const int32_t channels = k->plan.norm.channels;
  const Saved statistics = saved_of(k, saved);
  const Behind behind = {
      .x = x, .y = y, .dy = dy, .mean = statistics.mean, .rstd = statistics.rstd};
  const double *totals = sum_all(k, sum_gradients, &behind, scratch);
  for (int32_t c = 0; c < channels; ++c) {
    dbias[c] += (float)totals[c];
    dweight[c] += (float)totals[channels + c];
  }
  for (int32_t i = 0; i < 2 * channels; ++i)
    sums[i] = (float)totals[i];
}

void batch_norm2d_backward_from_sums_cpu(BatchNorm2dKernel *k, BatchNorm2dParameters parameters,
                                         const float *sums, int64_t count_all_ranks, const void *x,
                                         const void *y, const void *dy, const void *saved, void *dx,
                                         void *dadd, Write write_dadd, void *scratch)
{
  const int32_t channels = k->plan.norm.channels;
  const Saved statistics = saved_of(k, saved);
  const Slopes slopes = slopes_of(k, parameters.weight, statistics, scratch);
  const Behind behind = {
      .x = x, .y = y, .dy = dy, .mean = statistics.mean, .rstd = statistics.rstd};
  for (int32_t c = 0; c < channels; ++c) {
    slopes.mean_dz[c] = sums[c] / (float)count_all_ranks;
    slopes.mean_dz_xhat[c] = sums[channels + c] / (float)count_all_ranks;
  }
  apply_gradient(k, slopes, &behind, dx, dadd, write_dadd);
}
