#include <math.h>

#include "naive_parts.h"

/* saved: mean, then rstd, C float32 each. */
struct BatchNorm2dKernel {
  BatchNorm2dPlan plan;
};

Status naive_batch_norm2d_open(Device *device, const BatchNorm2dPlan *plan,
                               BatchNorm2dKernel **kernel, OpBytes *bytes)
{
  void *memory = NULL;
  TRY(memory_allocate(1, sizeof **kernel, "a naive batch norm", &memory));
  *kernel = memory;
  (*kernel)->plan = *plan;
  *bytes = (OpBytes){.saved = 2 * sizeof(float) * (size_t)plan->norm.channels};
  return STATUS_OK;
}

void naive_batch_norm2d_close(BatchNorm2dKernel *kernel)
{
  memory_free(kernel);
}

/* y of channel c from its mean and variance, which backward finds in saved. */
static void normalise(const BatchNorm2dPlan *plan, BatchNorm2dParameters parameters, int32_t c,
                      double mean, double variance, const void *x, const void *add, void *y,
                      float *saved)
{
  const Shape shape = plan->x;
  const double rstd = 1.0 / sqrt(variance + (double)plan->norm.eps);
  saved[c] = (float)mean;
  saved[plan->norm.channels + c] = (float)rstd;
  for (int64_t i = c; i < shape_elements(shape); i += shape.channels) {
    double value = (double)parameters.weight[c] * (naive_get(x, shape.element, i) - mean) * rstd +
                   (double)parameters.bias[c];
    if (plan->norm.add) value += naive_get(add, shape.element, i);
    naive_set(y, shape.element, i, plan->norm.relu && value < 0.0 ? 0.0 : value);
  }
}

static void follow(const BatchNorm2dPlan *plan, BatchNorm2dParameters parameters, int32_t c,
                   double mean, double variance, int64_t count)
{
  const double momentum = (double)plan->norm.momentum;
  const double unbiased = count > 1 ? variance * (double)count / (double)(count - 1) : variance;
  parameters.running_mean[c] =
      (float)((1.0 - momentum) * (double)parameters.running_mean[c] + momentum * mean);
  parameters.running_var[c] =
      (float)((1.0 - momentum) * (double)parameters.running_var[c] + momentum * unbiased);
}

void naive_batch_norm2d_forward(BatchNorm2dKernel *kernel, BatchNorm2dParameters parameters,
                                const void *x, const void *add, void *y, void *saved, void *scratch)
{
  const BatchNorm2dPlan *plan = &kernel->plan;
  const Shape shape = plan->x;
  const int64_t count = shape_pixels(shape);
  for (int32_t c = 0; c < plan->norm.channels; ++c) {
    double mean = (double)parameters.running_mean[c];
    double variance = (double)parameters.running_var[c];
    if (!plan->norm.frozen) {
      mean = 0.0;
      variance = 0.0;
      for (int64_t i = c; i < shape_elements(shape); i += shape.channels)
        mean += naive_get(x, shape.element, i) / (double)count;
      for (int64_t i = c; i < shape_elements(shape); i += shape.channels)
        variance += pow(naive_get(x, shape.element, i) - mean, 2.0) / (double)count;
      follow(plan, parameters, c, mean, variance, count);
    }
    normalise(plan, parameters, c, mean, variance, x, add, y, saved);
  }
}

void naive_batch_norm2d_sums(BatchNorm2dKernel *kernel, BatchNorm2dParameters parameters,
                             const void *x, float *sums, void *scratch)
{
  const BatchNorm2dPlan *plan = &kernel->plan;
  for (int32_t c = 0; c < plan->norm.channels; ++c) {
    double sum = 0.0;
    double squares = 0.0;
    for (int64_t i = c; i < shape_elements(plan->x); i += plan->x.channels) {
      const double offset = naive_get(x, plan->x.element, i) - (double)parameters.running_mean[c];
      sum += offset;
      squares += offset * offset;
    }
    sums[c] = (float)sum;
    sums[plan->norm.channels + c] = (float)squares;
  }
}

void naive_batch_norm2d_forward_from_sums(BatchNorm2dKernel *kernel,
                                          BatchNorm2dParameters parameters, const float *sums,
                                          int64_t count_all_ranks, const void *x, const void *add,
                                          void *y, void *saved, void *scratch)
{
  const BatchNorm2dPlan *plan = &kernel->plan;
  for (int32_t c = 0; c < plan->norm.channels; ++c) {
    const double offset = (double)sums[c] / (double)count_all_ranks;
    const double variance =
        (double)sums[plan->norm.channels + c] / (double)count_all_ranks - offset * offset;
    const double mean = (double)parameters.running_mean[c] + offset;
    follow(plan, parameters, c, mean, variance, count_all_ranks);
    normalise(plan, parameters, c, mean, variance, x, add, y, saved);
  }
}

/* The gradient behind add and relu. */
static double dz_of(const BatchNorm2dPlan *plan, const void *y, const void *dy, int64_t i)
{
  const bool passes = !plan->norm.relu || naive_get(y, plan->x.element, i) > 0.0;
  return passes ? naive_get(dy, plan->x.element, i) : 0.0;
}

static double xhat_of(const BatchNorm2dPlan *plan, const void *x, const float *saved, int32_t c,
                      int64_t i)
{
  return (naive_get(x, plan->x.element, i) - (double)saved[c]) *
         (double)saved[plan->norm.channels + c];
}

typedef struct DzSums {
  double dz;
  double dz_xhat;
} DzSums;

static DzSums sum_dz(const BatchNorm2dPlan *plan, const void *x, const void *y, const void *dy,
                     const float *saved, int32_t c)
{
  DzSums sums = {0};
  for (int64_t i = c; i < shape_elements(plan->x); i += plan->x.channels) {
    const double dz = dz_of(plan, y, dy, i);
    sums.dz += dz;
    sums.dz_xhat += dz * xhat_of(plan, x, saved, c, i);
  }
  return sums;
}

static void write_dx(const BatchNorm2dPlan *plan, const float *weight, DzSums means, int32_t c,
                     const void *x, const void *y, const void *dy, const float *saved, void *dx,
                     void *dadd, Write write_dadd)
{
  for (int64_t i = c; i < shape_elements(plan->x); i += plan->x.channels) {
    const double dz = dz_of(plan, y, dy, i);
    const double slope = (double)weight[c] * (double)saved[plan->norm.channels + c];
    const double xhat = xhat_of(plan, x, saved, c, i);
    naive_set(dx, plan->x.element, i, slope * (dz - means.dz - xhat * means.dz_xhat));
    if (plan->norm.add) naive_put(dadd, plan->x.element, i, dz, write_dadd);
  }
}

void naive_batch_norm2d_backward(BatchNorm2dKernel *kernel, BatchNorm2dParameters parameters,
                                 const void *x, const void *y, const void *dy, const void *saved,
                                 void *dx, void *dadd, Write write_dadd, float *dweight,
                                 float *dbias, void *scratch)
{
  const BatchNorm2dPlan *plan = &kernel->plan;
  const double count = (double)shape_pixels(plan->x);
  for (int32_t c = 0; c < plan->norm.channels; ++c) {
    DzSums means = {0};
    if (!plan->norm.frozen) {
      const DzSums sums = sum_dz(plan, x, y, dy, saved, c);
      dweight[c] = (float)((double)dweight[c] + sums.dz_xhat);
      dbias[c] = (float)((double)dbias[c] + sums.dz);
      means = (DzSums){.dz = sums.dz / count, .dz_xhat = sums.dz_xhat / count};
    }
    write_dx(plan, parameters.weight, means, c, x, y, dy, saved, dx, dadd, write_dadd);
  }
}

void naive_batch_norm2d_backward_sums(BatchNorm2dKernel *kernel, const void *x, const void *y,
                                      const void *dy, const void *saved, float *dweight,
                                      float *dbias, float *sums, void *scratch)
{
  const BatchNorm2dPlan *plan = &kernel->plan;
  for (int32_t c = 0; c < plan->norm.channels; ++c) {
    const DzSums own = sum_dz(plan, x, y, dy, saved, c);
    dweight[c] = (float)((double)dweight[c] + own.dz_xhat);
    dbias[c] = (float)((double)dbias[c] + own.dz);
    sums[c] = (float)own.dz;
    sums[plan->norm.channels + c] = (float)own.dz_xhat;
  }
}

void naive_batch_norm2d_backward_from_sums(BatchNorm2dKernel *kernel,
                                           BatchNorm2dParameters parameters, const float *sums,
                                           int64_t count_all_ranks, const void *x, const void *y,
                                           const void *dy, const void *saved, void *dx, void *dadd,
                                           Write write_dadd, void *scratch)
{
  const BatchNorm2dPlan *plan = &kernel->plan;
  for (int32_t c = 0; c < plan->norm.channels; ++c) {
    const DzSums means = {.dz = (double)sums[c] / (double)count_all_ranks,
                          .dz_xhat =
                              (double)sums[plan->norm.channels + c] / (double)count_all_ranks};
    write_dx(plan, parameters.weight, means, c, x, y, dy, saved, dx, dadd, write_dadd);
  }
}
