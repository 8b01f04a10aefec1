#include "naive_parts.h"

/* packed: the weights, then the bias (0 where there is none), float32 but rounded to x's element.
 */
struct Conv2dKernel {
  Conv2dPlan plan;
};

struct DecoderConv2dKernel {
  DecoderConv2dPlan plan;
  Conv2dKernel joined; /* the 3 x 3 convolution of the joined image, whose buffer is scratch */
};

static size_t packed_bytes(Conv2d conv)
{
  return sizeof(float) * (size_t)(conv2d_weight_count(conv) + conv.out_channels);
}

Status naive_conv2d_open(Device *device, const Conv2dPlan *plan, Conv2dKernel **kernel,
                         OpBytes *bytes)
{
  void *memory = NULL;
  TRY(memory_allocate(1, sizeof **kernel, "a naive convolution", &memory));
  *kernel = memory;
  (*kernel)->plan = *plan;
  *bytes = (OpBytes){.packed = packed_bytes(plan->conv)};
  return STATUS_OK;
}

void naive_conv2d_close(Conv2dKernel *kernel)
{
  memory_free(kernel);
}

void naive_conv2d_pack(Conv2dKernel *kernel, const float *weight, const float *bias, void *packed)
{
  const Conv2d conv = kernel->plan.conv;
  float *to = packed;
  for (int64_t i = 0; i < conv2d_weight_count(conv); ++i)
    *to++ = (float)naive_rounded((double)weight[i], kernel->plan.x.element);
  for (int32_t k = 0; k < conv.out_channels; ++k)
    *to++ = conv.bias ? bias[k] : 0.0F;
}

/* One product of the convolution: x[x_index] * weight[weight_index] is a part of y[y_index]. */
typedef struct Product {
  int64_t x_index;
  int64_t y_index;
  int64_t weight_index;
} Product;

typedef void Visit(void *context, Product product);

/* All products of one output pixel and channel, but those with padding. */
static void visit_window(const Conv2dPlan *plan, int32_t n, int32_t i, int32_t j, int32_t k,
                         Visit *visit, void *context)
{
  const Conv2d conv = plan->conv;
  const int32_t in_group = conv.in_channels / conv.groups;
  const int32_t group = k / (conv.out_channels / conv.groups);
  for (int32_t c = 0; c < in_group; ++c)
    for (int32_t r = 0; r < conv.kernel_height; ++r)
      for (int32_t s = 0; s < conv.kernel_width; ++s) {
        const int32_t row = i * conv.stride - conv.pad + r * conv.dilation;
        const int32_t column = j * conv.stride - conv.pad + s * conv.dilation;
        if (row < 0 || row >= plan->x.height || column < 0 || column >= plan->x.width) continue;
        visit(context,
              (Product){.x_index = naive_index(plan->x, n, row, column, group * in_group + c),
                        .y_index = naive_index(plan->y, n, i, j, k),
                        .weight_index = (((int64_t)k * in_group + c) * conv.kernel_height + r) *
                                            conv.kernel_width +
                                        s});
      }
}

static void visit_all(const Conv2dPlan *plan, Visit *visit, void *context)
{
  for (int32_t n = 0; n < plan->y.images; ++n)
    for (int32_t i = 0; i < plan->y.height; ++i)
      for (int32_t j = 0; j < plan->y.width; ++j)
        for (int32_t k = 0; k < plan->conv.out_channels; ++k)
          visit_window(plan, n, i, j, k, visit, context);
}

typedef struct Sums {
  const void *values; /* x, or dy */
  Element element;
  const float *weight;
  const void *dy;
  double *sums;
} Sums;

static void add_forward_product(void *context, Product product)
{
  const Sums *of = context;
  *of->sums += naive_get(of->values, of->element, product.x_index) *
               (double)of->weight[product.weight_index];
}

static void add_data_product(void *context, Product product)
{
  const Sums *of = context;
  of->sums[product.x_index] +=
      naive_get(of->dy, of->element, product.y_index) * (double)of->weight[product.weight_index];
}

static void add_weight_product(void *context, Product product)
{
  const Sums *of = context;
  of->sums[product.weight_index] += naive_get(of->values, of->element, product.x_index) *
                                    naive_get(of->dy, of->element, product.y_index);
}

void naive_conv2d_forward(Conv2dKernel *kernel, const void *packed, const void *x, const void *add,
                          void *y, void *scratch)
{
  const Conv2dPlan *plan = &kernel->plan;
  const float *weight = packed;
  const float *bias = weight + conv2d_weight_count(plan->conv);
  const Element element = plan->y.element;
  for (int64_t pixel = 0; pixel < shape_pixels(plan->y); ++pixel)
    for (int32_t k = 0; k < plan->y.channels; ++k) {
      const int64_t index = pixel * plan->y.channels + k;
      double value = 0.0;
      if (k < plan->conv.out_channels) {
        const int64_t in_image = pixel % ((int64_t)plan->y.height * plan->y.width);
        visit_window(
            plan, (int32_t)(pixel / ((int64_t)plan->y.height * plan->y.width)),
            (int32_t)(in_image / plan->y.width), (int32_t)(in_image % plan->y.width), k,
            add_forward_product,
            &(Sums){.values = x, .element = plan->x.element, .weight = weight, .sums = &value});
        value += (double)bias[k];
      }
      if (plan->conv.add) value += naive_get(add, element, index);
      naive_set(y, element, index, plan->conv.relu && value < 0.0 ? 0.0 : value);
    }
}

void naive_conv2d_backward_data(Conv2dKernel *kernel, const void *packed, const void *dy, void *dx,
                                Write write, void *scratch)
{
  const Conv2dPlan *plan = &kernel->plan;
  const int64_t count = shape_elements(plan->x);
  double *sums = naive_zeros(count);
  visit_all(plan, add_data_product,
            &(Sums){.element = plan->x.element, .weight = packed, .dy = dy, .sums = sums});
  for (int64_t i = 0; i < count; ++i)
    naive_put(dx, plan->x.element, i, sums[i], write);
  memory_free(sums);
}

void naive_conv2d_backward_weight(Conv2dKernel *kernel, const void *x, const void *dy,
                                  float *dweight, float *dbias, void *scratch)
{
  const Conv2dPlan *plan = &kernel->plan;
  const int64_t count = conv2d_weight_count(plan->conv);
  double *sums = naive_zeros(count);
  visit_all(plan, add_weight_product,
            &(Sums){.values = x, .element = plan->x.element, .dy = dy, .sums = sums});
  for (int64_t i = 0; i < count; ++i)
    dweight[i] = (float)((double)dweight[i] + sums[i]);
  memory_free(sums);
  for (int32_t k = 0; plan->conv.bias && k < plan->conv.out_channels; ++k) {
    double sum = 0.0;
    for (int64_t pixel = 0; pixel < shape_pixels(plan->y); ++pixel)
      sum += naive_get(dy, plan->y.element, pixel * plan->y.channels + k);
    dbias[k] = (float)((double)dbias[k] + sum);
  }
}

/* The joined image holds no padded channels. */
static Conv2dPlan joined_plan(const DecoderConv2dPlan *plan)
{
  Shape x = plan->y;
  x.channels = plan->conv.a_channels + plan->conv.skip_channels;
  const Conv2d conv = {.in_channels = x.channels,
                       .out_channels = plan->conv.out_channels,
                       .kernel_height = 3,
                       .kernel_width = 3,
                       .stride = 1,
                       .pad = 1,
                       .dilation = 1,
                       .groups = 1,
                       .bias = plan->conv.bias,
                       .relu = plan->conv.relu};
  return (Conv2dPlan){
      .conv = conv, .x = x, .y = plan->y, .backward = plan->backward, .dx = plan->backward};
}

Status naive_decoder_conv2d_open(Device *device, const DecoderConv2dPlan *plan,
                                 DecoderConv2dKernel **kernel, OpBytes *bytes)
{
  void *memory = NULL;
  TRY(memory_allocate(1, sizeof **kernel, "a naive decoder convolution", &memory));
  *kernel = memory;
  (*kernel)->plan = *plan;
  (*kernel)->joined.plan = joined_plan(plan);
  *bytes = (OpBytes){.packed = packed_bytes((*kernel)->joined.plan.conv),
                     .scratch = shape_bytes((*kernel)->joined.plan.x)};
  return STATUS_OK;
}

void naive_decoder_conv2d_close(DecoderConv2dKernel *kernel)
{
  memory_free(kernel);
}

void naive_decoder_conv2d_pack(DecoderConv2dKernel *kernel, const float *weight, const float *bias,
                               void *packed)
{
  naive_conv2d_pack(&kernel->joined, weight, bias, packed);
}

/* Where channel c of the joined image's pixel (n, i, j) comes from: a or skip, and the index in it.
 */
static int64_t source_index(const DecoderConv2dPlan *plan, int32_t n, int32_t i, int32_t j,
                            int32_t c)
{
  return c < plan->conv.a_channels ? naive_index(plan->a, n, i / 2, j / 2, c)
                                   : naive_index(plan->skip, n, i, j, c - plan->conv.a_channels);
}

static void join(const DecoderConv2dKernel *kernel, const void *a, const void *skip, void *joined)
{
  const DecoderConv2dPlan *plan = &kernel->plan;
  const Shape shape = kernel->joined.plan.x;
  for (int32_t n = 0; n < shape.images; ++n)
    for (int32_t i = 0; i < shape.height; ++i)
      for (int32_t j = 0; j < shape.width; ++j)
        for (int32_t c = 0; c < shape.channels; ++c)
          naive_set(joined, shape.element, naive_index(shape, n, i, j, c),
                    naive_get(c < plan->conv.a_channels ? a : skip, shape.element,
                              source_index(plan, n, i, j, c)));
}

void naive_decoder_conv2d_forward(DecoderConv2dKernel *kernel, const void *packed, const void *a,
                                  const void *skip, void *y, void *scratch)
{
  join(kernel, a, skip, scratch);
  naive_conv2d_forward(&kernel->joined, packed, scratch, NULL, y, NULL);
}

void naive_decoder_conv2d_backward_data(DecoderConv2dKernel *kernel, const void *packed,
                                        const void *dy, void *da, Write write_da, void *dskip,
                                        Write write_dskip, void *scratch)
{
  const DecoderConv2dPlan *plan = &kernel->plan;
  const Shape shape = kernel->joined.plan.x;
  const int64_t a_count = shape_elements(plan->a);
  double *djoined = naive_zeros(shape_elements(shape));
  double *da_sums = naive_zeros(a_count);
  visit_all(&kernel->joined.plan, add_data_product,
            &(Sums){.element = shape.element, .weight = packed, .dy = dy, .sums = djoined});
  for (int32_t n = 0; n < shape.images; ++n)
    for (int32_t i = 0; i < shape.height; ++i)
      for (int32_t j = 0; j < shape.width; ++j)
        for (int32_t c = 0; c < shape.channels; ++c) {
          const double value = djoined[naive_index(shape, n, i, j, c)];
          const int64_t index = source_index(plan, n, i, j, c);
          if (c < plan->conv.a_channels)
            da_sums[index] += value;
          else
            naive_put(dskip, shape.element, index, value, write_dskip);
        }
  for (int64_t i = 0; i < a_count; ++i)
    naive_put(da, shape.element, i, da_sums[i], write_da);
  memory_free(djoined);
  memory_free(da_sums);
}

void naive_decoder_conv2d_backward_weight(DecoderConv2dKernel *kernel, const void *a,
                                          const void *skip, const void *dy, float *dweight,
                                          float *dbias, void *scratch)
{
  join(kernel, a, skip, scratch);
  naive_conv2d_backward_weight(&kernel->joined, scratch, dy, dweight, dbias, NULL);
}
