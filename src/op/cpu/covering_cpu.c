#include "covering_cpu.h"

#include <string.h>

#include "base/memory.h"
#include "cpu_backend.h"
#include "matrix_product.h"
#include "span.h"

/* An image is a row of inner = taps x channels numbers; weights are packed in that order, row by
 * row, and serve both ways. */
struct Covering {
  Device *device;
  Conv2dPlan plan;
  OneDnn library;
  int64_t taps, inner;
  Call forward;
  Call backward_data[2]; /* by Write */
  Call backward_weight;
  size_t bias_offset; /* in packed, bytes */
};

bool covering_suits(const Conv2dPlan *plan)
{
  const Conv2d conv = plan->conv;
  return conv.kernel_height == plan->x.height && conv.kernel_width == plan->x.width &&
         conv.pad == 0 && conv.groups == 1 && plan->x.channels == conv.in_channels &&
         plan->y.channels == conv.out_channels && plan->x.element == plan->y.element;
}

static Status open_products(Covering *k)
{
  const Conv2dPlan *plan = &k->plan;
  const int64_t images = plan->x.images, out = plan->conv.out_channels;
  const MatrixProduct common = {.element = plan->x.element, .dst_element = plan->x.element};
  MatrixProduct product = common;
  product.rows = images;
  product.inner = k->inner;
  product.columns = out;
  product.b_turned = true;
  product.bias = plan->conv.bias;
  product.sum = plan->conv.add;
  TRY(matrix_product_open(&k->library, &product, &k->forward));
  if (!plan->backward) return STATUS_OK;

  product = common;
  product.dst_element = ELEMENT_F32;
  product.rows = out;
  product.inner = images;
  product.columns = k->inner;
  product.a_turned = true;
  TRY(matrix_product_open(&k->library, &product, &k->backward_weight));
  if (!plan->dx) return STATUS_OK;

  product = common;
  product.rows = images;
  product.inner = out;
  product.columns = k->inner;
  TRY(matrix_product_open(&k->library, &product, &k->backward_data[WRITE_SET]));
  product.sum = true;
  return matrix_product_open(&k->library, &product, &k->backward_data[WRITE_ADD]);
}

static Status fill(Covering *k, OpBytes *bytes)
{
  const size_t out = (size_t)k->plan.conv.out_channels;
  TRY(onednn_open(&k->library));
  TRY(open_products(k));
  k->bias_offset = aligned((size_t)k->inner * out * element_bytes(k->plan.x.element));
  bytes->packed = k->bias_offset + aligned(out * sizeof(float));
  if (k->plan.backward) bytes->scratch = aligned((size_t)k->inner * out * sizeof(float));
  return STATUS_OK;
}

Status covering_open(Device *device, const Conv2dPlan *plan, Covering **covering, OpBytes *bytes)
{
  void *memory;
  *covering = NULL;
  *bytes = (OpBytes){0};
  TRY(memory_allocate(1, sizeof **covering, "convolution", &memory));
  Covering *opening = memory;
  opening->device = device;
  opening->plan = *plan;
  opening->taps = (int64_t)plan->conv.kernel_height * plan->conv.kernel_width;
  opening->inner = opening->taps * plan->conv.in_channels;
  const Status status = fill(opening, bytes);
  if (status == STATUS_OK)
    *covering = opening;
  else
    covering_close(opening);
  return status;
}

void covering_close(Covering *k)
{
  if (k == NULL) return;
  call_close(&k->forward);
  call_close(&k->backward_data[WRITE_SET]);
  call_close(&k->backward_data[WRITE_ADD]);
  call_close(&k->backward_weight);
  onednn_close(&k->library);
  memory_free(k);
}

/* One output channel's weights: from in_channels x taps to taps x in_channels. */
static void pack_row(const Covering *k, const float *from, int64_t row, void *packed)
{
  const int64_t channels = k->plan.conv.in_channels;
  for (int64_t tap = 0; tap < k->taps; ++tap)
    for (int64_t first = 0; first < channels; first += SPAN_MOST) {
      float values[SPAN_MOST];
      const int64_t count = channels - first < SPAN_MOST ? channels - first : SPAN_MOST;
      for (int64_t c = 0; c < count; ++c)
        values[c] = from[(first + c) * k->taps + tap];
      span_store(k->plan.x.element, packed, row * k->inner + tap * channels + first, count, values);
    }
}

void covering_pack(const Covering *k, const float *weight, const float *bias, void *packed)
{
  const Conv2d conv = k->plan.conv;
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < conv.out_channels; ++row)
    pack_row(k, weight + row * k->inner, row, packed);
  if (conv.bias)
    memcpy((char *)packed + k->bias_offset, bias, (size_t)conv.out_channels * sizeof *bias);
}

void covering_forward(const Covering *k, const void *packed, const void *x, const void *add,
                      void *y)
{
  char *base = (char *)packed;
  void *src = (void *)x;
  if (k->plan.conv.add && add != y) memcpy(y, add, shape_bytes(k->plan.y));
  if (k->plan.conv.bias)
    call_run(&k->forward, &k->library, k->device, (void *[]){src, base, base + k->bias_offset, y});
  else
    call_run(&k->forward, &k->library, k->device, (void *[]){src, base, y});
  if (k->plan.conv.relu) relu_forward_cpu(k->device, k->plan.y, y, y);
}

void covering_backward_data(const Covering *k, const void *packed, const void *dy, void *dx,
                            Write write)
{
  call_run(&k->backward_data[write], &k->library, k->device,
           (void *[]){(void *)dy, (void *)packed, dx});
}

static void add_row(const Covering *k, const float *from, float *to)
{
  const int64_t channels = k->plan.conv.in_channels;
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t tap = 0; tap < k->taps; ++tap)
      to[c * k->taps + tap] += from[tap * channels + c];
}

static void add_bias_gradient(const Covering *k, const void *dy, float *dbias)
{
  const int64_t channels = k->plan.y.channels;
#pragma omp parallel for schedule(static)
  for (int64_t first = 0; first < channels; first += SPAN_MOST / 16) {
    double totals[SPAN_MOST / 16] = {0};
    float buffer[SPAN_MOST];
    const int64_t left = channels - first;
    const int64_t count = left < SPAN_MOST / 16 ? left : SPAN_MOST / 16;
    for (int64_t image = 0; image < k->plan.y.images; ++image) {
      const float *gradient =
          span_load(k->plan.y.element, dy, image * channels + first, count, buffer);
      for (int64_t c = 0; c < count; ++c)
        totals[c] += (double)gradient[c];
    }
    for (int64_t c = 0; c < count; ++c)
      dbias[first + c] += (float)totals[c];
  }
}

void covering_backward_weight(const Covering *k, const void *x, const void *dy, float *dweight,
                              float *dbias, void *scratch)
{
  const float *gradients = scratch;
  call_run(&k->backward_weight, &k->library, k->device, (void *[]){(void *)dy, (void *)x, scratch});
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < k->plan.conv.out_channels; ++row)
    add_row(k, gradients + row * k->inner, dweight + row * k->inner);
  if (k->plan.conv.bias) add_bias_gradient(k, dy, dbias);
}
