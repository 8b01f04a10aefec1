#include "columns.cuh"

#include "batch_norm2d_element.h"
#include "relu_element.h"

/* Both passes are: sums by slice (partial), one small kernel that adds the slices and makes the
 * factors of each channel, and one pass over the tensors that uses them. saved: mean, rstd, scale and
 * bias of the channels in memory. scratch: partial, then the factors.
 *
 * Memory is what it costs, so backward reads nothing that it can do without: where relu follows the
 * norm itself, whether it let a value through is told from x again; a frozen norm's gradient has no
 * part of x. */
struct BatchNorm2dKernel {
  Device *device;
  BatchNorm2dPlan plan;
};

/* What the last pass multiplies with beside saved, channels float32 each; 0 in padded channels. */
typedef struct Factors {
  float *mean_dz;      /* sum dz / count */
  float *mean_dz_xhat; /* sum dz xhat / count */
} Factors;

enum { FACTORS = 2, SAVED = 4 };

static Factors factors_in(const BatchNorm2dKernel *kernel, void *scratch)
{
  const Shape x = kernel->plan.x;
  float *first = (float *)((char *)scratch + cuda_aligned(columns_partial_bytes(x)));
  Factors factors;
  factors.mean_dz = first;
  factors.mean_dz_xhat = first + x.channels;
  return factors;
}

Status batch_norm2d_open_cuda(Device *device, const BatchNorm2dPlan *plan,
                              BatchNorm2dKernel **kernel, OpBytes *bytes)
{
  void *memory = NULL;
  *kernel = NULL;
  if (plan->x.channels % CUDA_CHANNEL_MULTIPLE != 0)
    return status_set(STATUS_BAD_SHAPE,
                      "batch_norm2d: %d channels in memory, on a GPU they are "
                      "padded to multiples of 8",
                      plan->x.channels);
  TRY(memory_allocate(1, sizeof(BatchNorm2dKernel), "a batch norm", &memory));
  *kernel = (BatchNorm2dKernel *)memory;
  (*kernel)->device = device;
  (*kernel)->plan = *plan;
  const size_t vector_bytes = (size_t)plan->x.channels * sizeof(float);
  memset(bytes, 0, sizeof *bytes);
  bytes->saved = SAVED * vector_bytes;
  bytes->scratch = cuda_aligned(columns_partial_bytes(plan->x)) + FACTORS * vector_bytes;
  return STATUS_OK;
}

void batch_norm2d_close_cuda(BatchNorm2dKernel *kernel)
{
  memory_free(kernel);
}

/* Sums about the running mean. */
template <typename T>
__global__ void sums_kernel(Columns cut, int32_t channels, const float *running_mean, const T *x,
                            float *partial)
{
  float mine[SUMS_MOST] = {0.0F};
  const int32_t column = columns_column();
  if (column < cut.columns) {
    float shift[8];
#pragma unroll
    for (int k = 0; k < 8; ++k)
      shift[k] = column * 8 + k < channels ? running_mean[column * 8 + k] : 0.0F;
#pragma unroll 4
    for (int64_t pixel = columns_first(cut); pixel < columns_end(cut); pixel += blockDim.y) {
      const Eight here = load8(x + pixel * cut.channels + column * 8);
#pragma unroll
      for (int k = 0; k < 8; ++k) {
        const float offset = here.v[k] - shift[k];
        mine[k] += offset;
        mine[8 + k] += offset * offset;
      }
    }
  }
  columns_reduce(cut, mine, partial);
}

/* sums (channels, then channels more) from the slices. */
__global__ void write_sums_kernel(Columns cut, int32_t channels, const float *partial, float *sums)
{
  const Totals totals = columns_totals(cut, partial);
  if (!totals_owner(channels)) return;
  sums[totals_channel()] = (float)totals.first;
  sums[channels + totals_channel()] = (float)totals.second;
}

/* Mean and variance of a channel from its sums; the running ones follow. */
__device__ inline BatchNorm2dMoments follow(BatchNorm2d norm, BatchNorm2dParameters parameters,
                                            int32_t channel, Totals totals, int64_t count)
{
  const float mean = parameters.running_mean[channel];
  const float variance = parameters.running_var[channel];
  const BatchNorm2dMoments moments = batch_norm2d_moments(totals.first, totals.second, mean, count);
  parameters.running_mean[channel] = batch_norm2d_running(mean, moments.mean, norm.momentum);
  parameters.running_var[channel] =
      batch_norm2d_running(variance, batch_norm2d_unbiased(moments.variance, count), norm.momentum);
  return moments;
}

/* Statistics of each channel, from sums where given, else from the slices, or the running ones
 * where frozen; then what backward and the last pass need. */
__global__ void statistics_kernel(Columns cut, BatchNorm2d norm, BatchNorm2dParameters parameters,
                                  const float *partial, const float *sums, int64_t count,
                                  float *saved)
{
  Totals totals = {0.0, 0.0};
  if (!norm.frozen && sums == NULL) totals = columns_totals(cut, partial);
  if (!totals_owner(cut.channels)) return;
  const int32_t channel = totals_channel();
  BatchNorm2dMoments moments = {0.0F, 0.0F};
  float rstd = 0.0F;
  float scale = 0.0F;
  float bias = 0.0F;
  if (channel < norm.channels) {
    if (norm.frozen) {
      moments.mean = parameters.running_mean[channel];
      moments.variance = parameters.running_var[channel];
    } else {
      if (sums != NULL) {
        totals.first = (double)sums[channel];
        totals.second = (double)sums[norm.channels + channel];
      }
      moments = follow(norm, parameters, channel, totals, count);
    }
    rstd = batch_norm2d_rstd(moments.variance, norm.eps);
    scale = parameters.weight[channel] * rstd;
    bias = parameters.bias[channel];
  }
  saved[channel] = moments.mean;
  saved[cut.channels + channel] = rstd;
  saved[2 * (int64_t)cut.channels + channel] = scale;
  saved[3 * (int64_t)cut.channels + channel] = bias;
}

/* add may be NULL. */
template <typename T>
__global__ void normalise_kernel(Columns cut, const float *saved, bool relu, const T *x,
                                 const T *add, T *y)
{
  const int32_t column = columns_column();
  if (column >= cut.columns) return;
  const Eight mean = load8(saved + column * 8);
  const Eight scale = load8(saved + 2 * (int64_t)cut.channels + column * 8);
  const Eight bias = load8(saved + 3 * (int64_t)cut.channels + column * 8);
  for (int64_t pixel = columns_first(cut); pixel < columns_end(cut); pixel += blockDim.y) {
    const int64_t at = pixel * cut.channels + column * 8;
    Eight here = load8(x + at);
#pragma unroll
    for (int k = 0; k < 8; ++k)
      here.v[k] = batch_norm2d_element(here.v[k], mean.v[k], scale.v[k], bias.v[k]);
    if (add != NULL) {
      const Eight residual = load8(add + at);
#pragma unroll
      for (int k = 0; k < 8; ++k)
        here.v[k] += residual.v[k];
    }
    if (relu) {
#pragma unroll
      for (int k = 0; k < 8; ++k)
        here.v[k] = relu_element(here.v[k]);
    }
    store8(y + at, here);
  }
}

static void issue_sums(BatchNorm2dKernel *kernel, BatchNorm2dParameters parameters, const void *x,
                       float *partial)
{
  const Columns cut = columns_for_sums(kernel->plan.x);
  BY_ELEMENT(kernel->plan.x.element, T,
             LAUNCH(kernel->device, sums_kernel, columns_grid(cut), columns_block(cut), cut,
                    kernel->plan.norm.channels, parameters.running_mean, (const T *)x, partial));
}

static void issue_forward(BatchNorm2dKernel *kernel, BatchNorm2dParameters parameters,
                          const float *sums, int64_t count, const void *x, const void *add, void *y,
                          void *saved, void *scratch)
{
  const BatchNorm2d norm = kernel->plan.norm;
  const Shape shape = kernel->plan.x;
  LAUNCH(kernel->device, statistics_kernel, totals_grid(shape.channels), totals_block(),
         columns_for_sums(shape), norm, parameters, (const float *)scratch, sums, count,
         (float *)saved);
  const Columns cut = columns_for_map(shape);
  BY_ELEMENT(shape.element, T,
             LAUNCH(kernel->device, normalise_kernel, columns_grid(cut), columns_block(cut), cut,
                    (const float *)saved, norm.relu, (const T *)x, norm.add ? (const T *)add : NULL,
                    (T *)y));
}

void batch_norm2d_forward_cuda(BatchNorm2dKernel *kernel, BatchNorm2dParameters parameters,
                               const void *x, const void *add, void *y, void *saved, void *scratch)
{
  if (!kernel->plan.norm.frozen) issue_sums(kernel, parameters, x, (float *)scratch);
  issue_forward(kernel, parameters, NULL, shape_pixels(kernel->plan.x), x, add, y, saved, scratch);
}

void batch_norm2d_sums_cuda(BatchNorm2dKernel *kernel, BatchNorm2dParameters parameters,
                            const void *x, float *sums, void *scratch)
{
  const int32_t channels = kernel->plan.norm.channels;
  issue_sums(kernel, parameters, x, (float *)scratch);
  LAUNCH(kernel->device, write_sums_kernel, totals_grid(channels), totals_block(),
         columns_for_sums(kernel->plan.x), channels, (const float *)scratch, sums);
}

void batch_norm2d_forward_from_sums_cuda(BatchNorm2dKernel *kernel,
                                         BatchNorm2dParameters parameters, const float *sums,
                                         int64_t count_all_ranks, const void *x, const void *add,
                                         void *y, void *saved, void *scratch)
{
  issue_forward(kernel, parameters, sums, count_all_ranks, x, add, y, saved, scratch);
}

/* How relu let a value through: it was not asked, or y or x tells. */
enum { RELU_NONE, RELU_FROM_Y, RELU_FROM_X };

static int relu_of(BatchNorm2d norm)
{
  if (!norm.relu) return RELU_NONE;
  return norm.add || norm.frozen ? RELU_FROM_Y : RELU_FROM_X;
}

/* The gradient behind add and relu. x: the values at the same place, where x tells. */
template <typename T, int RELU>
__device__ inline Eight load_dz(const T *y, const T *dy, int64_t at, Eight x, Eight mean,
                                Eight scale, Eight bias)
{
  Eight dz = load8(dy + at);
  Eight output = {{0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F}};
  if (RELU == RELU_FROM_Y) output = load8(y + at);
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    if (RELU == RELU_FROM_X) {
      T stored; /* rounded as y was */
      narrow(&stored, batch_norm2d_element(x.v[k], mean.v[k], scale.v[k], bias.v[k]));
      output.v[k] = widen(stored);
    }
    if (RELU != RELU_NONE) dz.v[k] = relu_gradient_element(output.v[k], dz.v[k]);
  }
  return dz;
}

/* Sums of dz and of dz xhat. */
template <typename T, int RELU>
__global__ void gradient_sums_kernel(Columns cut, const float *saved, const T *x, const T *y,
                                     const T *dy, float *partial)
{
  float mine[SUMS_MOST] = {0.0F};
  const int32_t column = columns_column();
  if (column < cut.columns) {
    const Eight mean = load8(saved + column * 8);
    const Eight rstd = load8(saved + cut.channels + column * 8);
    const Eight scale = load8(saved + 2 * (int64_t)cut.channels + column * 8);
    const Eight bias = load8(saved + 3 * (int64_t)cut.channels + column * 8);
#pragma unroll 2
    for (int64_t pixel = columns_first(cut); pixel < columns_end(cut); pixel += blockDim.y) {
      const int64_t at = pixel * cut.channels + column * 8;
      const Eight here = load8(x + at);
      const Eight dz = load_dz<T, RELU>(y, dy, at, here, mean, scale, bias);
#pragma unroll
      for (int k = 0; k < 8; ++k) {
        mine[k] += dz.v[k];
        mine[8 + k] += dz.v[k] * ((here.v[k] - mean.v[k]) * rstd.v[k]);
      }
    }
  }
  columns_reduce(cut, mine, partial);
}

/* sums: of dz, then of dz xhat, over count pixels of all ranks; 0 in padded channels. */
__device__ inline void write_factors(Factors factors, int32_t channel, float dz_sum,
                                     float dz_xhat_sum, int64_t count)
{
  factors.mean_dz[channel] = (float)((double)dz_sum / (double)count);
  factors.mean_dz_xhat[channel] = (float)((double)dz_xhat_sum / (double)count);
}

/* Adds this rank's sums to the gradients of weight and bias, and writes them to sums; or, where no
 * other rank's are wanted and sums is NULL, makes the factors. */
__global__ void gradient_totals_kernel(Columns cut, int32_t channels, const float *partial,
                                       float *dweight, float *dbias, float *sums, Factors factors)
{
  const Totals totals = columns_totals(cut, partial);
  if (!totals_owner(cut.channels)) return;
  const int32_t channel = totals_channel();
  const bool real = channel < channels;
  const float first = real ? (float)totals.first : 0.0F;
  const float second = real ? (float)totals.second : 0.0F;
  if (sums == NULL) write_factors(factors, channel, first, second, cut.pixels);
  if (!real) return;
  dbias[channel] += first;
  dweight[channel] += second;
  if (sums == NULL) return;
  sums[channel] = first;
  sums[channels + channel] = second;
}

__global__ void gradient_factors_kernel(int32_t channels_in_memory, int32_t channels,
                                        const float *sums, int64_t count, Factors factors)
{
  const int32_t channel = (int32_t)thread_index();
  if (channel >= channels_in_memory) return;
  const bool real = channel < channels;
  write_factors(factors, channel, real ? sums[channel] : 0.0F,
                real ? sums[channels + channel] : 0.0F, count);
}

/* dadd is NULL without a residual. */
template <typename T, int RELU>
__global__ void __launch_bounds__(THREADS, 3)
    gradient_kernel(Columns cut, const float *saved, Factors factors, const T *x, const T *y,
                    const T *dy, T *dx, T *dadd, Write write_dadd)
{
  const int32_t column = columns_column();
  if (column >= cut.columns) return;
  const Eight mean = load8(saved + column * 8);
  const Eight rstd = load8(saved + cut.channels + column * 8);
  const Eight scale = load8(saved + 2 * (int64_t)cut.channels + column * 8);
  const Eight bias = load8(saved + 3 * (int64_t)cut.channels + column * 8);
  const Eight mean_dz = load8(factors.mean_dz + column * 8);
  const Eight mean_dz_xhat = load8(factors.mean_dz_xhat + column * 8);
  for (int64_t pixel = columns_first(cut); pixel < columns_end(cut); pixel += blockDim.y) {
    const int64_t at = pixel * cut.channels + column * 8;
    const Eight here = load8(x + at);
    const Eight dz = load_dz<T, RELU>(y, dy, at, here, mean, scale, bias);
    Eight slope;
#pragma unroll
    for (int k = 0; k < 8; ++k)
      slope.v[k] = batch_norm2d_gradient_element(dz.v[k], (here.v[k] - mean.v[k]) * rstd.v[k],
                                                 scale.v[k], mean_dz.v[k], mean_dz_xhat.v[k]);
    store8(dx + at, slope);
    if (dadd != NULL) put8(dadd + at, dz, write_dadd);
  }
}

/* The same where the statistics were frozen. y is NULL without relu, dadd without a residual. */
template <typename T>
__global__ void frozen_gradient_kernel(Columns cut, const float *saved, const T *y, const T *dy,
                                       T *dx, T *dadd, Write write_dadd)
{
  const int32_t column = columns_column();
  if (column >= cut.columns) return;
  const Eight scale = load8(saved + 2 * (int64_t)cut.channels + column * 8);
  for (int64_t pixel = columns_first(cut); pixel < columns_end(cut); pixel += blockDim.y) {
    const int64_t at = pixel * cut.channels + column * 8;
    const Eight dz =
        y == NULL ? load8(dy + at) : load_dz<T, RELU_FROM_Y>(y, dy, at, scale, scale, scale, scale);
    Eight slope;
#pragma unroll
    for (int k = 0; k < 8; ++k)
      slope.v[k] = scale.v[k] * dz.v[k];
    store8(dx + at, slope);
    if (dadd != NULL) put8(dadd + at, dz, write_dadd);
  }
}

/* BY_RELU(relu, RELU, statement) runs the statement with RELU as a constant. */
#define BY_RELU(relu, RELU, ...)                                                                   \
  do {                                                                                             \
    if ((relu) == RELU_NONE) {                                                                     \
      enum { RELU = RELU_NONE };                                                                   \
      __VA_ARGS__;                                                                                 \
    } else if ((relu) == RELU_FROM_Y) {                                                            \
      enum { RELU = RELU_FROM_Y };                                                                 \
      __VA_ARGS__;                                                                                 \
    } else {                                                                                       \
      enum { RELU = RELU_FROM_X };                                                                 \
      __VA_ARGS__;                                                                                 \
    }                                                                                              \
  } while (0)

/* sums NULL: the factors are made at once. */
static void issue_gradient_sums(BatchNorm2dKernel *kernel, const void *x, const void *y,
                                const void *dy, const void *saved, float *dweight, float *dbias,
                                float *sums, void *scratch)
{
  const BatchNorm2d norm = kernel->plan.norm;
  const Shape shape = kernel->plan.x;
  const Columns cut = columns_for_sums(shape);
  BY_ELEMENT(shape.element, T,
             BY_RELU(relu_of(norm), RELU,
                     LAUNCH(kernel->device, (gradient_sums_kernel<T, RELU>), columns_grid(cut),
                            columns_block(cut), cut, (const float *)saved, (const T *)x,
                            (const T *)y, (const T *)dy, (float *)scratch)));
  LAUNCH(kernel->device, gradient_totals_kernel, totals_grid(shape.channels), totals_block(), cut,
         norm.channels, (const float *)scratch, dweight, dbias, sums, factors_in(kernel, scratch));
}

static void issue_gradient(BatchNorm2dKernel *kernel, const void *x, const void *y, const void *dy,
                           const void *saved, void *dx, void *dadd, Write write_dadd, void *scratch)
{
  const BatchNorm2d norm = kernel->plan.norm;
  const Columns cut = columns_for_map(kernel->plan.x);
  BY_ELEMENT(kernel->plan.x.element, T,
             BY_RELU(relu_of(norm), RELU,
                     LAUNCH(kernel->device, (gradient_kernel<T, RELU>), columns_grid(cut),
                            columns_block(cut), cut, (const float *)saved,
                            factors_in(kernel, scratch), (const T *)x, (const T *)y, (const T *)dy,
                            (T *)dx, norm.add ? (T *)dadd : NULL, write_dadd)));
}

static void issue_frozen_gradient(BatchNorm2dKernel *kernel, const void *y, const void *dy,
                                  const void *saved, void *dx, void *dadd, Write write_dadd)
{
  const BatchNorm2d norm = kernel->plan.norm;
  const Columns cut = columns_for_map(kernel->plan.x);
  BY_ELEMENT(kernel->plan.x.element, T,
             LAUNCH(kernel->device, frozen_gradient_kernel, columns_grid(cut), columns_block(cut),
                    cut, (const float *)saved, norm.relu ? (const T *)y : NULL, (const T *)dy,
                    (T *)dx, norm.add ? (T *)dadd : NULL, write_dadd));
}

void batch_norm2d_backward_sums_cuda(BatchNorm2dKernel *kernel, const void *x, const void *y,
                                     const void *dy, const void *saved, float *dweight,
                                     float *dbias, float *sums, void *scratch)
{
  issue_gradient_sums(kernel, x, y, dy, saved, dweight, dbias, sums, scratch);
}

void batch_norm2d_backward_from_sums_cuda(BatchNorm2dKernel *kernel,
                                          BatchNorm2dParameters parameters, const float *sums,
                                          int64_t count_all_ranks, const void *x, const void *y,
                                          const void *dy, const void *saved, void *dx, void *dadd,
                                          Write write_dadd, void *scratch)
{
  const int32_t channels = kernel->plan.x.channels;
  LAUNCH(kernel->device, gradient_factors_kernel, blocks_for(channels), THREADS, channels,
         kernel->plan.norm.channels, sums, count_all_ranks, factors_in(kernel, scratch));
  issue_gradient(kernel, x, y, dy, saved, dx, dadd, write_dadd, scratch);
}

void batch_norm2d_backward_cuda(BatchNorm2dKernel *kernel, BatchNorm2dParameters parameters,
                                const void *x, const void *y, const void *dy, const void *saved,
                                void *dx, void *dadd, Write write_dadd, float *dweight,
                                float *dbias, void *scratch)
{
  if (kernel->plan.norm.frozen) {
    issue_frozen_gradient(kernel, y, dy, saved, dx, dadd, write_dadd);
    return;
  }
  issue_gradient_sums(kernel, x, y, dy, saved, dweight, dbias, NULL, scratch);
  issue_gradient(kernel, x, y, dy, saved, dx, dadd, write_dadd, scratch);
}
