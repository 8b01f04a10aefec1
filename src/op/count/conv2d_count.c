#include "base/memory.h"
#include "conv_transpose2d_element.h"
#include "count_backend.h"
#include "note.h"

/* The three kinds of convolution are one on a GPU: the decoder's over the enlarged and joined image,
 * which is written first, the transposed one's over 1 x 1 px, whose result is moved apart. */
struct Conv2dKernel {
  OpWorkList *notes;
  Conv2dPlan plan;
};

struct DecoderConv2dKernel {
  Conv2dKernel joined;
  DecoderConv2dPlan plan;
};

struct ConvTranspose2dKernel {
  Conv2dKernel product;
};

static double weight_elements(const Conv2dPlan *plan)
{
  return (double)plan->y.channels * plan->conv.kernel_height * plan->conv.kernel_width *
         plan->x.channels / plan->conv.groups;
}

static double weight_bytes(const Conv2dPlan *plan)
{
  return weight_elements(plan) * (double)element_bytes(plan->x.element);
}

/* Groups whose channels are padded are computed as one dense convolution. */
static bool is_dense(const Conv2dPlan *plan)
{
  return plan->x.channels != plan->conv.in_channels || plan->y.channels != plan->conv.out_channels;
}

static OpWork convolution(const Conv2dPlan *plan, OpKind kind)
{
  const Conv2d conv = plan->conv;
  const double window = (double)conv.kernel_height * conv.kernel_width;
  const double pixels = (double)shape_pixels(plan->y);
  const double groups = is_dense(plan) ? 1 : conv.groups;
  OpWork work = {.kind = kind, .launches = 1, .in_float32 = plan->x.element == ELEMENT_F32};
  work.flop = 2 * pixels * conv.out_channels * window * conv.in_channels / conv.groups;
  work.padded_flop = 2 * pixels * plan->y.channels * window * plan->x.channels / groups;
  return work;
}

static void forward(const Conv2dKernel *kernel, bool in_place)
{
  const Conv2dPlan *plan = &kernel->plan;
  OpWork work = convolution(plan, OP_CONV_FORWARD);
  const double y_bytes = bytes_of(plan->y);
  work.read_bytes = bytes_of(plan->x) + weight_bytes(plan) + (plan->conv.add ? y_bytes : 0);
  work.written_bytes = y_bytes;
  work.fused_bytes = plan->conv.bias || plan->conv.add || plan->conv.relu ? 2 * y_bytes : 0;
  work.rows = (double)shape_pixels(plan->y);
  work.columns = plan->y.channels;
  work.depth = work.padded_flop / (2 * work.rows * work.columns);
  if (plan->conv.add && in_place) note_in(kernel->notes, moved(OP_MOVE, y_bytes, y_bytes));
  note_in(kernel->notes, work);
}

static void backward_data(const Conv2dKernel *kernel, Write write)
{
  const Conv2dPlan *plan = &kernel->plan;
  OpWork work = convolution(plan, OP_CONV_BACKWARD_DATA);
  const double x_bytes = bytes_of(plan->x);
  work.read_bytes = bytes_of(plan->y) + weight_bytes(plan);
  work.written_bytes = x_bytes;
  work.rows = (double)shape_pixels(plan->x);
  work.columns = plan->x.channels;
  work.depth = work.padded_flop / (2 * work.rows * work.columns);
  note_in(kernel->notes, work);
  if (write == WRITE_ADD) note_in(kernel->notes, moved(OP_MOVE, 2 * x_bytes, x_bytes));
}

/* The gradient comes in the activations' element and is added to the float32 block. */
static void backward_weight(const Conv2dKernel *kernel)
{
  const Conv2dPlan *plan = &kernel->plan;
  const double float_bytes = (double)conv2d_weight_count(plan->conv) * sizeof(float);
  OpWork work = convolution(plan, OP_CONV_BACKWARD_WEIGHT);
  work.read_bytes = bytes_of(plan->x) + bytes_of(plan->y);
  work.written_bytes = weight_bytes(plan);
  work.rows = plan->y.channels;
  work.columns = weight_elements(plan) / plan->y.channels;
  work.depth = (double)shape_pixels(plan->y);
  note_in(kernel->notes, work);
  note_in(kernel->notes, moved(OP_WEIGHTS, weight_bytes(plan) + float_bytes, float_bytes));
  if (!plan->conv.bias) return;
  OpWork bias = moved(OP_WEIGHTS, bytes_of(plan->y), 0);
  bias.launches = 2;
  note_in(kernel->notes, bias);
}

static void pack(const Conv2dKernel *kernel)
{
  const Conv2dPlan *plan = &kernel->plan;
  OpWork work = moved(OP_WEIGHTS, (double)conv2d_weight_count(plan->conv) * sizeof(float),
                      weight_bytes(plan));
  work.launches = plan->conv.bias ? 2 : 1;
  note_in(kernel->notes, work);
}

static OpBytes wanted(const Conv2dPlan *plan)
{
  const size_t weights = (size_t)weight_bytes(plan);
  return (OpBytes){.packed = weights + (size_t)plan->y.channels * sizeof(float),
                   .scratch = plan->backward ? weights + shape_bytes(plan->x) : 0};
}

Status conv2d_open_count(Device *device, const Conv2dPlan *plan, Conv2dKernel **kernel,
                         OpBytes *bytes)
{
  void *memory;
  TRY(memory_allocate(1, sizeof **kernel, "a convolution", &memory));
  *kernel = memory;
  **kernel = (Conv2dKernel){notes_of(device), *plan};
  *bytes = wanted(plan);
  return STATUS_OK;
}

void conv2d_close_count(Conv2dKernel *kernel)
{
  memory_free(kernel);
}

void conv2d_pack_count(Conv2dKernel *kernel, const float *weight, const float *bias, void *packed)
{
  pack(kernel);
}

void conv2d_forward_count(Conv2dKernel *kernel, const void *packed, const void *x, const void *add,
                          void *y, void *scratch)
{
  forward(kernel, add == y);
}

void conv2d_backward_data_count(Conv2dKernel *kernel, const void *packed, const void *dy, void *dx,
                                Write write, void *scratch)
{
  backward_data(kernel, write);
}

void conv2d_backward_weight_count(Conv2dKernel *kernel, const void *x, const void *dy,
                                  float *dweight, float *dbias, void *scratch)
{
  backward_weight(kernel);
}

static Conv2dPlan joined_plan(const DecoderConv2dPlan *plan)
{
  Conv2dPlan joined = {.conv = {.in_channels = plan->conv.a_channels + plan->conv.skip_channels,
                                .out_channels = plan->conv.out_channels,
                                .kernel_height = 3,
                                .kernel_width = 3,
                                .stride = 1,
                                .pad = 1,
                                .dilation = 1,
                                .groups = 1,
                                .bias = plan->conv.bias,
                                .relu = plan->conv.relu},
                       .x = plan->y,
                       .y = plan->y,
                       .backward = plan->backward,
                       .dx = true};
  joined.x.channels = plan->a.channels + plan->skip.channels;
  return joined;
}

Status decoder_conv2d_open_count(Device *device, const DecoderConv2dPlan *plan,
                                 DecoderConv2dKernel **kernel, OpBytes *bytes)
{
  void *memory;
  TRY(memory_allocate(1, sizeof **kernel, "a decoder's convolution", &memory));
  *kernel = memory;
  **kernel = (DecoderConv2dKernel){{notes_of(device), joined_plan(plan)}, *plan};
  *bytes = wanted(&(*kernel)->joined.plan);
  bytes->scratch += shape_bytes((*kernel)->joined.plan.x);
  return STATUS_OK;
}

void decoder_conv2d_close_count(DecoderConv2dKernel *kernel)
{
  memory_free(kernel);
}

void decoder_conv2d_pack_count(DecoderConv2dKernel *kernel, const float *weight, const float *bias,
                               void *packed)
{
  pack(&kernel->joined);
}

/* Enlarged, then joined. */
static void join(const DecoderConv2dKernel *kernel)
{
  const double a_bytes = bytes_of(kernel->plan.a);
  const double skip_bytes = kernel->plan.skip.channels > 0 ? bytes_of(kernel->plan.skip) : 0;
  note_in(kernel->joined.notes, moved(OP_MOVE, a_bytes, 4 * a_bytes));
  if (skip_bytes > 0) note_in(kernel->joined.notes, moved(OP_MOVE, skip_bytes, skip_bytes));
}

void decoder_conv2d_forward_count(DecoderConv2dKernel *kernel, const void *packed, const void *a,
                                  const void *skip, void *y, void *scratch)
{
  join(kernel);
  forward(&kernel->joined, false);
}

void decoder_conv2d_backward_data_count(DecoderConv2dKernel *kernel, const void *packed,
                                        const void *dy, void *da, Write write_da, void *dskip,
                                        Write write_dskip, void *scratch)
{
  const double a_bytes = bytes_of(kernel->plan.a);
  const double skip_bytes = kernel->plan.skip.channels > 0 ? bytes_of(kernel->plan.skip) : 0;
  backward_data(&kernel->joined, WRITE_SET);
  note_in(kernel->joined.notes,
          moved(OP_MOVE, 4 * a_bytes + added_bytes(write_da, a_bytes), a_bytes));
  if (skip_bytes > 0)
    note_in(kernel->joined.notes,
            moved(OP_MOVE, skip_bytes + added_bytes(write_dskip, skip_bytes), skip_bytes));
}

void decoder_conv2d_backward_weight_count(DecoderConv2dKernel *kernel, const void *a,
                                          const void *skip, const void *dy, float *dweight,
                                          float *dbias, void *scratch)
{
  join(kernel);
  backward_weight(&kernel->joined);
}

Status conv_transpose2d_open_count(Device *device, const ConvTranspose2dPlan *plan,
                                   ConvTranspose2dKernel **kernel, OpBytes *bytes)
{
  void *memory;
  TRY(memory_allocate(1, sizeof **kernel, "a transposed convolution", &memory));
  *kernel = memory;
  (*kernel)->product = (Conv2dKernel){notes_of(device), conv_transpose2d_product(*plan)};
  *bytes = wanted(&(*kernel)->product.plan);
  bytes->scratch += shape_bytes((*kernel)->product.plan.y);
  return STATUS_OK;
}

void conv_transpose2d_close_count(ConvTranspose2dKernel *kernel)
{
  memory_free(kernel);
}

void conv_transpose2d_pack_count(ConvTranspose2dKernel *kernel, const float *weight,
                                 const float *bias, void *packed)
{
  pack(&kernel->product);
}

/* Pixels that lie side by side, apart; or back. */
static void move_pixels(const ConvTranspose2dKernel *kernel)
{
  const double y_bytes = bytes_of(kernel->product.plan.y);
  note_in(kernel->product.notes, moved(OP_MOVE, y_bytes, y_bytes));
}

void conv_transpose2d_forward_count(ConvTranspose2dKernel *kernel, const void *packed,
                                    const void *x, void *y, void *scratch)
{
  forward(&kernel->product, false);
  move_pixels(kernel);
}

void conv_transpose2d_backward_data_count(ConvTranspose2dKernel *kernel, const void *packed,
                                          const void *dy, void *dx, Write write, void *scratch)
{
  move_pixels(kernel);
  backward_data(&kernel->product, write);
}

void conv_transpose2d_backward_weight_count(ConvTranspose2dKernel *kernel, const void *x,
                                            const void *dy, float *dweight, float *dbias,
                                            void *scratch)
{
  move_pixels(kernel);
  backward_weight(&kernel->product);
}
