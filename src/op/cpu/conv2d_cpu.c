#include <string.h>

#include "base/memory.h"
#include "covering_cpu.h"
#include "cpu_backend.h"
#include "onednn.h"
#include "packed_weights.h"
#include "winograd_cpu.h"

/* Gradients of x at stride 1 are a forward convolution with turned weights: the library's forward
 * kernels are a quarter faster than its backward ones, and can add to what is there. */
struct Conv2dKernel {
  Device *device;
  Conv2dPlan plan;
  Covering *covering; /* where the kernel covers all of x: instead of all below; else NULL */
  /* Where they are the faster way, else NULL: instead of forward, and of backward_data. */
  Winograd *winograd;
  Winograd *winograd_data;
  OneDnn library;

  Call forward;
  PackedWeights forward_weights;
  size_t bias_offset; /* all offsets in bytes of packed */

  bool turned;           /* the gradient of x runs forward */
  Call backward_data[2]; /* by Write */
  bool adds_in_library;  /* else WRITE_ADD goes through scratch */
  PackedWeights backward_weights;
  size_t backward_offset;

  Call backward_weight;
  PackedWeights gradient_weights;
  size_t dbias_offset;                     /* in scratch, as are these */
  size_t added_offset, weight_room_offset; /* the library's room, behind what it computes there */
};

static Convolution convolution_of(const Conv2dPlan *plan, ConvolutionKind kind)
{
  return (Convolution){.kind = kind,
                       .src = plan->x,
                       .dst = plan->y,
                       .groups = plan->conv.groups,
                       .kernel_height = plan->conv.kernel_height,
                       .kernel_width = plan->conv.kernel_width,
                       .stride = plan->conv.stride,
                       .pad = plan->conv.pad,
                       .dilation = plan->conv.dilation};
}

static Status open_forward(Conv2dKernel *k, OpBytes *bytes)
{
  const Conv2d conv = k->plan.conv;
  Convolution forward = convolution_of(&k->plan, CONVOLUTION_FORWARD);
  forward.bias = conv.bias;
  forward.sum = conv.add;
  dnnl_memory_desc_t packed;
  TRY(convolution_open(&k->library, &forward, &k->forward, &packed));
  want_scratch(bytes, k->forward.scratch_bytes);
  TRY(packed_weights_open(&packed, &k->forward_weights));
  k->bias_offset = aligned(dnnl_memory_desc_get_size(&packed));
  bytes->packed = k->bias_offset + aligned((size_t)conv.out_channels * sizeof(float));
  return STATUS_OK;
}

static bool can_turn(Conv2d conv)
{
  return conv.stride == 1 && conv.groups == 1 && conv.kernel_height == conv.kernel_width &&
         conv.pad <= conv.dilation * (conv.kernel_height - 1);
}

static Convolution gradient_of_x(const Conv2dKernel *k)
{
  Convolution gradient = convolution_of(&k->plan, CONVOLUTION_BACKWARD_DATA);
  if (!k->turned) return gradient;
  gradient.kind = CONVOLUTION_FORWARD;
  gradient.src = k->plan.y;
  gradient.dst = k->plan.x;
  gradient.pad = k->plan.conv.dilation * (k->plan.conv.kernel_height - 1) - k->plan.conv.pad;
  return gradient;
}

static Status open_backward_data(Conv2dKernel *k, OpBytes *bytes)
{
  const Conv2d conv = k->plan.conv;
  k->turned = can_turn(conv);
  Convolution gradient = gradient_of_x(k);
  dnnl_memory_desc_t packed;
  TRY(convolution_open(&k->library, &gradient, &k->backward_data[WRITE_SET], &packed));
  k->adds_in_library = k->turned;
  if (k->turned) {
    dnnl_memory_desc_t packed_too;
    gradient.sum = true;
    TRY(convolution_open(&k->library, &gradient, &k->backward_data[WRITE_ADD], &packed_too));
    k->adds_in_library = dnnl_memory_desc_equal(&packed, &packed_too) != 0;
  }
  TRY(packed_weights_open(&packed, &k->backward_weights));
  k->backward_offset = bytes->packed;
  bytes->packed = k->backward_offset + aligned(dnnl_memory_desc_get_size(&packed));
  k->added_offset = k->adds_in_library ? 0 : aligned(shape_bytes(k->plan.x));
  want_scratch(bytes, k->added_offset + k->backward_data[WRITE_SET].scratch_bytes);
  want_scratch(bytes, k->backward_data[WRITE_ADD].scratch_bytes);
  return STATUS_OK;
}

static Status open_backward_weight(Conv2dKernel *k, OpBytes *bytes)
{
  const Conv2d conv = k->plan.conv;
  Convolution gradient = convolution_of(&k->plan, CONVOLUTION_BACKWARD_WEIGHT);
  gradient.bias = conv.bias;
  dnnl_memory_desc_t packed;
  TRY(convolution_open(&k->library, &gradient, &k->backward_weight, &packed));
  TRY(packed_weights_open(&packed, &k->gradient_weights));
  k->dbias_offset = aligned(dnnl_memory_desc_get_size(&packed));
  k->weight_room_offset = k->dbias_offset + aligned((size_t)conv.out_channels * sizeof(float));
  want_scratch(bytes, k->weight_room_offset + k->backward_weight.scratch_bytes);
  return STATUS_OK;
}

static Status open_winograd(const Conv2dKernel *k, const Conv2dPlan *plan, Winograd **winograd,
                            OpBytes *bytes)
{
  OpBytes wanted = {0};
  TRY(winograd_open(k->device, plan, winograd, &wanted));
  bytes->packed += wanted.packed;
  want_scratch(bytes, wanted.scratch);
  return STATUS_OK;
}

static Status open_data(Conv2dKernel *k, OpBytes *bytes)
{
  const Conv2dPlan turned = winograd_gradient_plan(&k->plan);
  if (!winograd_suits_gradient(&turned)) return open_backward_data(k, bytes);
  k->backward_offset = bytes->packed;
  return open_winograd(k, &turned, &k->winograd_data, bytes);
}

static Status fill(Conv2dKernel *k, OpBytes *bytes)
{
  if (covering_suits(&k->plan)) return covering_open(k->device, &k->plan, &k->covering, bytes);
  TRY(onednn_open(&k->library));
  if (winograd_suits_forward(&k->plan))
    TRY(open_winograd(k, &k->plan, &k->winograd, bytes));
  else
    TRY(open_forward(k, bytes));
  if (!k->plan.backward) return STATUS_OK;
  if (k->plan.dx) TRY(open_data(k, bytes));
  return open_backward_weight(k, bytes);
}

Status conv2d_open_cpu(Device *device, const Conv2dPlan *plan, Conv2dKernel **kernel,
                       OpBytes *bytes)
{
  void *memory;
  *kernel = NULL;
  *bytes = (OpBytes){0};
  TRY(memory_allocate(1, sizeof **kernel, "convolution", &memory));
  Conv2dKernel *opening = memory;
  opening->device = device;
  opening->plan = *plan;
  const Status status = fill(opening, bytes);
  if (status == STATUS_OK)
    *kernel = opening;
  else
    conv2d_close_cpu(opening);
  return status;
}

void conv2d_close_cpu(Conv2dKernel *k)
{
  if (k == NULL) return;
  covering_close(k->covering);
  winograd_close(k->winograd);
  winograd_close(k->winograd_data);
  call_close(&k->forward);
  packed_weights_close(&k->forward_weights);
  call_close(&k->backward_data[WRITE_SET]);
  call_close(&k->backward_data[WRITE_ADD]);
  packed_weights_close(&k->backward_weights);
  call_close(&k->backward_weight);
  packed_weights_close(&k->gradient_weights);
  onednn_close(&k->library);
  memory_free(k);
}

/* As they lie in the flat block. */
static PlainWeights plain_weights(Conv2d conv)
{
  const int64_t taps = (int64_t)conv.kernel_height * conv.kernel_width;
  const int64_t row = taps * (conv.in_channels / conv.groups);
  return (PlainWeights){.group_stride = row * (conv.out_channels / conv.groups),
                        .out_stride = row,
                        .in_stride = taps};
}

/* The same for a convolution from y to x. */
static PlainWeights turned_weights(Conv2d conv)
{
  const PlainWeights plain = plain_weights(conv);
  return (PlainWeights){
      .out_stride = plain.in_stride, .in_stride = plain.out_stride, .turned = true};
}

static void pack_forward(Conv2dKernel *k, const float *weight, const float *bias, char *packed)
{
  const Conv2d conv = k->plan.conv;
  if (k->winograd != NULL) {
    winograd_pack(k->winograd, weight, plain_weights(conv), bias, packed);
    return;
  }
  packed_weights_pack(&k->forward_weights, plain_weights(conv), weight, packed);
  if (conv.bias) memcpy(packed + k->bias_offset, bias, (size_t)conv.out_channels * sizeof(float));
}

static void pack_backward(Conv2dKernel *k, const float *weight, char *packed)
{
  const Conv2d conv = k->plan.conv;
  if (k->winograd_data != NULL)
    winograd_pack(k->winograd_data, weight, turned_weights(conv), NULL, packed);
  else
    packed_weights_pack(&k->backward_weights,
                        k->turned ? turned_weights(conv) : plain_weights(conv), weight, packed);
}

void conv2d_pack_cpu(Conv2dKernel *k, const float *weight, const float *bias, void *packed)
{
  if (k->covering != NULL) {
    covering_pack(k->covering, weight, bias, packed);
    return;
  }
  pack_forward(k, weight, bias, packed);
  if (k->plan.backward && k->plan.dx) pack_backward(k, weight, (char *)packed + k->backward_offset);
}

void conv2d_forward_cpu(Conv2dKernel *k, const void *packed, const void *x, const void *add,
                        void *y, void *scratch)
{
  char *base = (char *)packed;
  if (k->covering != NULL) {
    covering_forward(k->covering, packed, x, add, y);
    return;
  }
  if (k->winograd != NULL) {
    winograd_forward(k->winograd, packed, x, k->plan.conv.add ? add : NULL, y, scratch);
    return;
  }
  if (k->plan.conv.add && add != y) memcpy(y, add, shape_bytes(k->plan.y));
  void *src = (void *)x;
  if (k->plan.conv.bias)
    call_run_in(&k->forward, &k->library, k->device,
                (void *[]){src, base, base + k->bias_offset, y}, scratch);
  else
    call_run_in(&k->forward, &k->library, k->device, (void *[]){src, base, y}, scratch);
  if (k->plan.conv.relu) relu_forward_cpu(k->device, k->plan.y, y, y);
}

void conv2d_backward_data_cpu(Conv2dKernel *k, const void *packed, const void *dy, void *dx,
                              Write write, void *scratch)
{
  char *weights = (char *)packed + k->backward_offset;
  void *gradient = (void *)dy;
  if (k->covering != NULL) {
    covering_backward_data(k->covering, packed, dy, dx, write);
    return;
  }
  if (k->winograd_data != NULL) {
    winograd_forward(k->winograd_data, weights, dy, write == WRITE_ADD ? dx : NULL, dx, scratch);
    return;
  }
  if (write == WRITE_SET || k->adds_in_library) {
    call_run_in(&k->backward_data[write], &k->library, k->device, (void *[]){gradient, weights, dx},
                scratch);
    return;
  }
  call_run_in(&k->backward_data[WRITE_SET], &k->library, k->device,
              (void *[]){gradient, weights, scratch}, (char *)scratch + k->added_offset);
  cpu_backend.accumulate(k->device, k->plan.x, scratch, dx, WRITE_ADD);
}

void conv2d_backward_weight_cpu(Conv2dKernel *k, const void *x, const void *dy, float *dweight,
                                float *dbias, void *scratch)
{
  if (k->covering != NULL) {
    covering_backward_weight(k->covering, x, dy, dweight, dbias, scratch);
    return;
  }
  char *base = scratch;
  float *bias = (float *)(void *)(base + k->dbias_offset);
  void *src = (void *)x;
  void *gradient = (void *)dy;
  if (k->plan.conv.bias)
    call_run_in(&k->backward_weight, &k->library, k->device, (void *[]){src, gradient, base, bias},
                base + k->weight_room_offset);
  else
    call_run_in(&k->backward_weight, &k->library, k->device, (void *[]){src, gradient, base},
                base + k->weight_room_offset);
  packed_weights_unpack(&k->gradient_weights, (const float *)scratch, plain_weights(k->plan.conv),
                        true, dweight);
  for (int32_t o = 0; k->plan.conv.bias && o < k->plan.conv.out_channels; ++o)
    dbias[o] += bias[o];
}
