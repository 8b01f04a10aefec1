#include <string.h>

#include "base/memory.h"
#include "cpu_backend.h"
#include "onednn.h"
#include "weights_cpu.h"
#include "winograd_cpu.h"

/* Gradients of x at stride 1 are a forward convolution with turned weights: the library's forward
 * kernels are a quarter faster than its backward ones, and can add to what is there. */
struct Conv2dKernel {
  Device *device;
  Conv2dPlan plan;
  Winograd *winograd; /* where that is the faster way: then all below is empty */
  OneDnn library;

  Call forward;
  Call pack_forward;
  size_t bias_offset; /* all offsets in bytes of packed */

  bool turned;           /* the gradient of x runs forward */
  Call backward_data[2]; /* by Write */
  bool adds_in_library;  /* else WRITE_ADD goes through scratch */
  Call pack_backward;
  size_t plain_offset; /* turned weights, before they are packed */
  size_t backward_offset;

  Call backward_weight;
  Call unpack_weight; /* adds to the flat gradient */
  size_t dweight_bytes;
  size_t dbias_offset; /* in scratch */
};

static size_t aligned(size_t bytes)
{
  return (bytes + 63) / 64 * 64;
}

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
  forward.relu = conv.relu;
  dnnl_memory_desc_t packed;
  TRY(convolution_open(&k->library, &forward, &k->forward, &packed));
  const dnnl_memory_desc_t plain =
      onednn_plain_weights(conv.groups, conv.out_channels, conv.in_channels, conv.kernel_height,
                           conv.kernel_width, ELEMENT_F32);
  TRY(reorder_open(&k->library, &plain, &packed, false, &k->pack_forward));
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
  const dnnl_memory_desc_t plain =
      k->turned ? onednn_plain_weights(1, conv.in_channels, conv.out_channels, conv.kernel_height,
                                       conv.kernel_width, k->plan.x.element)
                : onednn_plain_weights(conv.groups, conv.out_channels, conv.in_channels,
                                       conv.kernel_height, conv.kernel_width, ELEMENT_F32);
  TRY(reorder_open(&k->library, &plain, &packed, false, &k->pack_backward));
  k->plain_offset = bytes->packed;
  k->backward_offset =
      k->plain_offset + (k->turned ? aligned(dnnl_memory_desc_get_size(&plain)) : 0);
  bytes->packed = k->backward_offset + aligned(dnnl_memory_desc_get_size(&packed));
  if (!k->adds_in_library) bytes->scratch = shape_bytes(k->plan.x);
  return STATUS_OK;
}

static Status open_backward_weight(Conv2dKernel *k, OpBytes *bytes)
{
  const Conv2d conv = k->plan.conv;
  Convolution gradient = convolution_of(&k->plan, CONVOLUTION_BACKWARD_WEIGHT);
  gradient.bias = conv.bias;
  dnnl_memory_desc_t packed;
  TRY(convolution_open(&k->library, &gradient, &k->backward_weight, &packed));
  const dnnl_memory_desc_t plain =
      onednn_plain_weights(conv.groups, conv.out_channels, conv.in_channels, conv.kernel_height,
                           conv.kernel_width, ELEMENT_F32);
  TRY(reorder_open(&k->library, &packed, &plain, true, &k->unpack_weight));
  k->dbias_offset = aligned(dnnl_memory_desc_get_size(&packed));
  const size_t wanted = k->dbias_offset + aligned((size_t)conv.out_channels * sizeof(float));
  if (wanted > bytes->scratch) bytes->scratch = wanted;
  return STATUS_OK;
}

static Status fill(Conv2dKernel *k, OpBytes *bytes)
{
  if (winograd_suits(&k->plan)) return winograd_open(k->device, &k->plan, &k->winograd, bytes);
  TRY(onednn_open(&k->library));
  TRY(open_forward(k, bytes));
  if (!k->plan.backward) return STATUS_OK;
  if (k->plan.dx) TRY(open_backward_data(k, bytes));
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
  winograd_close(k->winograd);
  call_close(&k->forward);
  call_close(&k->pack_forward);
  call_close(&k->backward_data[WRITE_SET]);
  call_close(&k->backward_data[WRITE_ADD]);
  call_close(&k->pack_backward);
  call_close(&k->backward_weight);
  call_close(&k->unpack_weight);
  onednn_close(&k->library);
  memory_free(k);
}

void conv2d_pack_cpu(Conv2dKernel *k, const float *weight, const float *bias, void *packed)
{
  const Conv2d conv = k->plan.conv;
  char *base = packed;
  if (k->winograd != NULL) {
    winograd_pack(k->winograd, weight, 9 * (int64_t)conv.in_channels, bias, packed);
    return;
  }
  call_run(&k->pack_forward, &k->library, k->device, (void *[]){(void *)weight, base});
  if (conv.bias) memcpy(base + k->bias_offset, bias, (size_t)conv.out_channels * sizeof(float));
  if (!k->plan.backward || !k->plan.dx) return;

  void *plain = (void *)weight;
  if (k->turned) {
    plain = base + k->plain_offset;
    weights_turn(weight, conv.out_channels, conv.in_channels, 0, conv.in_channels,
                 conv.kernel_height * conv.kernel_width, k->plan.x.element, plain);
  }
  call_run(&k->pack_backward, &k->library, k->device, (void *[]){plain, base + k->backward_offset});
}

void conv2d_forward_cpu(Conv2dKernel *k, const void *packed, const void *x, const void *add,
                        void *y, void *scratch)
{
  char *base = (char *)packed;
  if (k->winograd != NULL) {
    winograd_forward(k->winograd, packed, x, add, y, scratch);
    return;
  }
  if (k->plan.conv.add && add != y) memcpy(y, add, shape_bytes(k->plan.y));
  void *src = (void *)x;
  if (k->plan.conv.bias)
    call_run(&k->forward, &k->library, k->device, (void *[]){src, base, base + k->bias_offset, y});
  else
    call_run(&k->forward, &k->library, k->device, (void *[]){src, base, y});
}

void conv2d_backward_data_cpu(Conv2dKernel *k, const void *packed, const void *dy, void *dx,
                              Write write, void *scratch)
{
  char *weights = (char *)packed + k->backward_offset;
  void *gradient = (void *)dy;
  if (write == WRITE_SET || k->adds_in_library) {
    call_run(&k->backward_data[write], &k->library, k->device, (void *[]){gradient, weights, dx});
    return;
  }
  call_run(&k->backward_data[WRITE_SET], &k->library, k->device,
           (void *[]){gradient, weights, scratch});
  cpu_backend.accumulate(k->device, k->plan.x, scratch, dx, WRITE_ADD);
}

void conv2d_backward_weight_cpu(Conv2dKernel *k, const void *x, const void *dy, float *dweight,
                                float *dbias, void *scratch)
{
  char *base = scratch;
  float *bias = (float *)(void *)(base + k->dbias_offset);
  void *src = (void *)x;
  void *gradient = (void *)dy;
  if (k->plan.conv.bias)
    call_run(&k->backward_weight, &k->library, k->device, (void *[]){src, gradient, base, bias});
  else
    call_run(&k->backward_weight, &k->library, k->device, (void *[]){src, gradient, base});
  call_run(&k->unpack_weight, &k->library, k->device, (void *[]){base, dweight});
  for (int32_t o = 0; k->plan.conv.bias && o < k->plan.conv.out_channels; ++o)
    dbias[o] += bias[o];
}
