#include "naive_parts.h"

/* packed: the weights, then the bias, float32 but rounded to x's element. */
struct ConvTranspose2dKernel {
  ConvTranspose2dPlan plan;
};

static int64_t weight_count(ConvTranspose2d conv)
{
  return (int64_t)conv.in_channels * conv.out_channels * 4;
}

Status naive_conv_transpose2d_open(Device *device, const ConvTranspose2dPlan *plan,
                                   ConvTranspose2dKernel **kernel, OpBytes *bytes)
{
  void *memory = NULL;
  TRY(memory_allocate(1, sizeof **kernel, "a naive convolution", &memory));
  *kernel = memory;
  (*kernel)->plan = *plan;
  *bytes = (OpBytes){.packed = sizeof(float) *
                               (size_t)(weight_count(plan->conv) + plan->conv.out_channels)};
  return STATUS_OK;
}

void naive_conv_transpose2d_close(ConvTranspose2dKernel *kernel)
{
  memory_free(kernel);
}

void naive_conv_transpose2d_pack(ConvTranspose2dKernel *kernel, const float *weight,
                                 const float *bias, void *packed)
{
  float *to = packed;
  for (int64_t i = 0; i < weight_count(kernel->plan.conv); ++i)
    *to++ = (float)naive_rounded((double)weight[i], kernel->plan.x.element);
  memcpy(to, bias, (size_t)kernel->plan.conv.out_channels * sizeof *bias);
}

/* One output pixel and channel: the pixel of x above it, and the first of its weights, which are
 * out_channels x 4 apart. */
typedef struct Source {
  int64_t x, weight;
} Source;

static Source source_of(const ConvTranspose2dPlan *plan, int32_t n, int32_t i, int32_t j,
                        int32_t out)
{
  return (Source){.x = naive_index(plan->x, n, i / 2, j / 2, 0),
                  .weight = ((int64_t)out * 2 + i % 2) * 2 + j % 2};
}

#define FOR_EACH_OUTPUT(plan, n, i, j, out)                                                        \
  for (int32_t n = 0; n < (plan)->y.images; ++n)                                                   \
    for (int32_t i = 0; i < (plan)->y.height; ++i)                                                 \
      for (int32_t j = 0; j < (plan)->y.width; ++j)                                                \
        for (int32_t out = 0; out < (plan)->conv.out_channels; ++out)

void naive_conv_transpose2d_forward(ConvTranspose2dKernel *kernel, const void *packed,
                                    const void *x, void *y, void *scratch)
{
  const ConvTranspose2dPlan *plan = &kernel->plan;
  const ConvTranspose2d conv = plan->conv;
  const float *weight = packed;
  FOR_EACH_OUTPUT(plan, n, i, j, out)
  {
    const Source at = source_of(plan, n, i, j, out);
    double sum = (double)weight[weight_count(conv) + out];
    for (int32_t c = 0; c < conv.in_channels; ++c)
      sum += naive_get(x, plan->x.element, at.x + c) *
             (double)weight[at.weight + 4 * (int64_t)c * conv.out_channels];
    naive_set(y, plan->y.element, naive_index(plan->y, n, i, j, out),
              conv.relu && sum < 0.0 ? 0.0 : sum);
  }
}

void naive_conv_transpose2d_backward_data(ConvTranspose2dKernel *kernel, const void *packed,
                                          const void *dy, void *dx, Write write, void *scratch)
{
  const ConvTranspose2dPlan *plan = &kernel->plan;
  const float *weight = packed;
  double *sums = naive_zeros(shape_elements(plan->x));
  FOR_EACH_OUTPUT(plan, n, i, j, out)
  {
    const Source at = source_of(plan, n, i, j, out);
    const double gradient = naive_get(dy, plan->y.element, naive_index(plan->y, n, i, j, out));
    for (int32_t c = 0; c < plan->conv.in_channels; ++c)
      sums[at.x + c] +=
          gradient * (double)weight[at.weight + 4 * (int64_t)c * plan->conv.out_channels];
  }
  for (int64_t i = 0; i < shape_elements(plan->x); ++i)
    naive_put(dx, plan->x.element, i, sums[i], write);
  memory_free(sums);
}

void naive_conv_transpose2d_backward_weight(ConvTranspose2dKernel *kernel, const void *x,
                                            const void *dy, float *dweight, float *dbias,
                                            void *scratch)
{
  const ConvTranspose2dPlan *plan = &kernel->plan;
  const int64_t count = weight_count(plan->conv);
  double *sums = naive_zeros(count + plan->conv.out_channels);
  FOR_EACH_OUTPUT(plan, n, i, j, out)
  {
    const Source at = source_of(plan, n, i, j, out);
    const double gradient = naive_get(dy, plan->y.element, naive_index(plan->y, n, i, j, out));
    for (int32_t c = 0; c < plan->conv.in_channels; ++c)
      sums[at.weight + 4 * (int64_t)c * plan->conv.out_channels] +=
          gradient * naive_get(x, plan->x.element, at.x + c);
    sums[count + out] += gradient;
  }
  for (int64_t i = 0; i < count; ++i)
    dweight[i] = (float)((double)dweight[i] + sums[i]);
  for (int32_t out = 0; out < plan->conv.out_channels; ++out)
    dbias[out] = (float)((double)dbias[out] + sums[count + out]);
  memory_free(sums);
}
