/* Layers with parameters: convolutions and batch norm. */
#include "self_test_cases.h"

/* Made-up numbers are drawn one statement after another: C leaves the order of arguments open, and
 * the known numbers hold for one. */

/* What an opened op wants from its caller. */
typedef struct Room {
  void *packed, *saved, *scratch;
} Room;

static Status make_room(Bench *b, OpBytes bytes, Room *room)
{
  TRY(bench_scratch(b, bytes.packed, &room->packed));
  TRY(bench_scratch(b, bytes.saved, &room->saved));
  return bench_scratch(b, bytes.scratch, &room->scratch);
}

/* Before a kernel is closed; the first failure counts. */
static Status wait(Bench *b, Status status)
{
  const Status done = device_synchronize(b->device);
  return status != STATUS_OK ? status : done;
}

static BenchImage random_image(Bench *b, int32_t images, int32_t height, int32_t width,
                               int32_t channels)
{
  const int64_t count = (int64_t)images * height * width * channels;
  return bench_image(b, images, height, width, channels, bench_eighths(b, count));
}

static BenchImage like(Bench *b, Shape y, int32_t channels, bool blank)
{
  return blank ? bench_image(b, y.images, y.height, y.width, channels, NULL)
               : random_image(b, y.images, y.height, y.width, channels);
}

static float *random_floats(Bench *b, int64_t count)
{
  return bench_floats(b, bench_eighths(b, count), count);
}

static Status run_conv2d(Bench *b, Conv2dKernel *kernel, const Conv2dPlan *plan, OpBytes bytes,
                         BenchImage x, Write write)
{
  const Conv2d c = plan->conv;
  const int64_t weights = conv2d_weight_count(c);
  Room room;
  TRY(make_room(b, bytes, &room));
  const float *weight = random_floats(b, weights);
  const float *bias = c.bias ? random_floats(b, c.out_channels) : NULL;
  b->ops->conv2d_pack(kernel, weight, bias, room.packed);
  const BenchImage y = like(b, plan->y, c.out_channels, true);
  const BenchImage add =
      c.add ? like(b, plan->y, c.out_channels, false) : (BenchImage){.channels = 0};
  b->ops->conv2d_forward(kernel, room.packed, x.memory, add.memory, y.memory, room.scratch);
  bench_take_image(b, "conv2d_forward", y);
  if (!plan->backward) return STATUS_OK;
  const BenchImage dy = like(b, plan->y, c.out_channels, false);
  const BenchImage dx = bench_gradient(b, x, write);
  float *dweight = bench_equal(b, weights, 0.5F);
  float *dbias = c.bias ? bench_equal(b, c.out_channels, 0.25F) : NULL;
  b->ops->conv2d_backward_data(kernel, room.packed, dy.memory, dx.memory, write, room.scratch);
  bench_take_image(b, "conv2d_backward_data", dx);
  b->ops->conv2d_backward_weight(kernel, x.memory, dy.memory, dweight, dbias, room.scratch);
  bench_take(b, "conv2d_backward_weight", ELEMENT_F32, dweight, weights);
  if (c.bias) bench_take(b, "conv2d_backward_weight", ELEMENT_F32, dbias, c.out_channels);
  return STATUS_OK;
}

static Status one_conv2d(Bench *b, Conv2d conv, bool backward, Write write)
{
  const BenchImage x = random_image(b, 2, 9, 11, conv.in_channels);
  Conv2dPlan plan;
  Conv2dKernel *kernel = NULL;
  OpBytes bytes = {0};
  TRY(conv2d_plan(conv, x.shape, b->ops->channel_multiple, backward, backward, &plan));
  TRY(bench_opened(b, b->ops->conv2d_open(b->device, &plan, &kernel, &bytes)));
  const Status status = wait(b, run_conv2d(b, kernel, &plan, bytes, x, write));
  b->ops->conv2d_close(kernel);
  return status;
}

Status case_conv2d(Bench *b)
{
  const Conv2d strided = {.in_channels = 5,
                          .out_channels = 6,
                          .kernel_height = 3,
                          .kernel_width = 3,
                          .stride = 2,
                          .pad = 1,
                          .dilation = 1,
                          .groups = 1};
  Conv2d pointwise = strided;
  Conv2d fused = strided;
  pointwise.kernel_height = pointwise.kernel_width = pointwise.stride = 1;
  pointwise.pad = 0;
  pointwise.bias = true;
  fused.in_channels = fused.out_channels = 16;
  fused.stride = 1;
  fused.bias = fused.add = fused.relu = true;
  TRY(one_conv2d(b, strided, true, WRITE_SET));
  TRY(one_conv2d(b, pointwise, true, WRITE_ADD));
  return one_conv2d(b, fused, false, WRITE_SET);
}

static Status run_decoder(Bench *b, DecoderConv2dKernel *kernel, const DecoderConv2dPlan *plan,
                          OpBytes bytes, BenchImage a, BenchImage skip)
{
  const DecoderConv2d c = plan->conv;
  const int64_t weights = (int64_t)c.out_channels * (c.a_channels + c.skip_channels) * 9;
  Room room;
  TRY(make_room(b, bytes, &room));
  const float *weight = random_floats(b, weights);
  const float *bias = random_floats(b, c.out_channels);
  b->ops->decoder_conv2d_pack(kernel, weight, bias, room.packed);
  const BenchImage y = like(b, plan->y, c.out_channels, true);
  b->ops->decoder_conv2d_forward(kernel, room.packed, a.memory, skip.memory, y.memory,
                                 room.scratch);
  bench_take_image(b, "decoder_conv2d_forward", y);
  if (!plan->backward) return STATUS_OK;
  const BenchImage dy = like(b, plan->y, c.out_channels, false);
  const BenchImage da = bench_gradient(b, a, WRITE_SET);
  const BenchImage dskip = bench_gradient(b, skip, WRITE_ADD);
  float *dweight = bench_equal(b, weights, 0.5F);
  float *dbias = bench_equal(b, c.out_channels, 0.25F);
  b->ops->decoder_conv2d_backward_data(kernel, room.packed, dy.memory, da.memory, WRITE_SET,
                                       dskip.memory, WRITE_ADD, room.scratch);
  bench_take_image(b, "decoder_conv2d_backward_data", da);
  bench_take_image(b, "decoder_conv2d_backward_data", dskip);
  b->ops->decoder_conv2d_backward_weight(kernel, a.memory, skip.memory, dy.memory, dweight, dbias,
                                         room.scratch);
  bench_take(b, "decoder_conv2d_backward_weight", ELEMENT_F32, dweight, weights);
  bench_take(b, "decoder_conv2d_backward_weight", ELEMENT_F32, dbias, c.out_channels);
  return STATUS_OK;
}

static Status one_decoder(Bench *b, DecoderConv2d conv, bool backward)
{
  const BenchImage a = random_image(b, 2, 4, 5, conv.a_channels);
  const BenchImage skip = random_image(b, 2, 8, 10, conv.skip_channels);
  DecoderConv2dPlan plan;
  DecoderConv2dKernel *kernel = NULL;
  OpBytes bytes = {0};
  TRY(decoder_conv2d_plan(conv, a.shape, skip.shape, b->ops->channel_multiple, backward, &plan));
  TRY(bench_opened(b, b->ops->decoder_conv2d_open(b->device, &plan, &kernel, &bytes)));
  const Status status = wait(b, run_decoder(b, kernel, &plan, bytes, a, skip));
  b->ops->decoder_conv2d_close(kernel);
  return status;
}

Status case_decoder_conv2d(Bench *b)
{
  const DecoderConv2d training = {
      .a_channels = 4, .skip_channels = 3, .out_channels = 5, .bias = true};
  DecoderConv2d inference = training;
  inference.relu = true;
  TRY(one_decoder(b, training, true));
  return one_decoder(b, inference, false);
}

static Status run_transpose(Bench *b, ConvTranspose2dKernel *kernel,
                            const ConvTranspose2dPlan *plan, OpBytes bytes, BenchImage x)
{
  const ConvTranspose2d c = plan->conv;
  const int64_t weights = (int64_t)c.in_channels * c.out_channels * 4;
  Room room;
  TRY(make_room(b, bytes, &room));
  const float *weight = random_floats(b, weights);
  const float *bias = random_floats(b, c.out_channels);
  b->ops->conv_transpose2d_pack(kernel, weight, bias, room.packed);
  const BenchImage y = like(b, plan->y, c.out_channels, true);
  b->ops->conv_transpose2d_forward(kernel, room.packed, x.memory, y.memory, room.scratch);
  bench_take_image(b, "conv_transpose2d_forward", y);
  if (!plan->backward) return STATUS_OK;
  const BenchImage dy = like(b, plan->y, c.out_channels, false);
  const BenchImage dx = bench_gradient(b, x, WRITE_ADD);
  float *dweight = bench_equal(b, weights, 0.5F);
  float *dbias = bench_equal(b, c.out_channels, 0.25F);
  b->ops->conv_transpose2d_backward_data(kernel, room.packed, dy.memory, dx.memory, WRITE_ADD,
                                         room.scratch);
  bench_take_image(b, "conv_transpose2d_backward_data", dx);
  b->ops->conv_transpose2d_backward_weight(kernel, x.memory, dy.memory, dweight, dbias,
                                           room.scratch);
  bench_take(b, "conv_transpose2d_backward_weight", ELEMENT_F32, dweight, weights);
  bench_take(b, "conv_transpose2d_backward_weight", ELEMENT_F32, dbias, c.out_channels);
  return STATUS_OK;
}

static Status one_transpose(Bench *b, ConvTranspose2d conv, bool backward)
{
  const BenchImage x = random_image(b, 2, 4, 5, conv.in_channels);
  ConvTranspose2dPlan plan;
  ConvTranspose2dKernel *kernel = NULL;
  OpBytes bytes = {0};
  TRY(conv_transpose2d_plan(conv, x.shape, b->ops->channel_multiple, backward, &plan));
  TRY(bench_opened(b, b->ops->conv_transpose2d_open(b->device, &plan, &kernel, &bytes)));
  const Status status = wait(b, run_transpose(b, kernel, &plan, bytes, x));
  b->ops->conv_transpose2d_close(kernel);
  return status;
}

Status case_conv_transpose2d(Bench *b)
{
  const ConvTranspose2d training = {.in_channels = 6, .out_channels = 5};
  ConvTranspose2d inference = training;
  inference.relu = true;
  TRY(one_transpose(b, training, true));
  return one_transpose(b, inference, false);
}

/* The tensors of one batch norm. */
typedef struct Norm {
  BatchNorm2dKernel *kernel;
  BatchNorm2dParameters parameters;
  Room room;
  int32_t channels;
  BenchImage x, add, y, dy, dx, dadd;
  float *dweight, *dbias, *sums;
} Norm;

/* Parameters of the padded channels are 1 and 0, as theirs of the network are. */
static float *channel_floats(Bench *b, BenchImage x, double low, double high, float rest)
{
  float *all = bench_host(b, x.shape.channels, sizeof *all);
  const float *numbers = bench_between(b, x.channels, low, high);
  for (int32_t c = 0; c < x.shape.channels; ++c)
    all[c] = c < x.channels ? numbers[c] : rest;
  return bench_floats(b, all, x.shape.channels);
}

static void fill_norm(Bench *b, BatchNorm2d norm, Norm *n)
{
  const BenchImage x = n->x;
  n->channels = norm.channels;
  n->y = like(b, x.shape, x.channels, true);
  n->dy = like(b, x.shape, x.channels, false);
  n->dx = bench_gradient(b, x, WRITE_SET);
  if (norm.add) n->add = like(b, x.shape, x.channels, false);
  if (norm.add) n->dadd = bench_gradient(b, x, WRITE_ADD);
  n->parameters.weight = channel_floats(b, x, 0.75, 1, 1);
  n->parameters.bias = channel_floats(b, x, 0.25, 0.5, 0);
  n->parameters.running_mean = channel_floats(b, x, -0.25, 0.25, 0);
  n->parameters.running_var = channel_floats(b, x, 0.5, 1.5, 1);
  n->dweight = bench_equal(b, x.shape.channels, 0.5F);
  n->dbias = bench_equal(b, x.shape.channels, 0.25F);
  n->sums = bench_blank(b, 2 * (int64_t)x.shape.channels, sizeof(float));
}

static void take_norm(Bench *b, const Norm *n, const char *forward, const char *backward)
{
  bench_take_image(b, forward, n->y);
  bench_take(b, forward, ELEMENT_F32, n->parameters.running_mean, n->channels);
  bench_take(b, forward, ELEMENT_F32, n->parameters.running_var, n->channels);
  bench_take_image(b, backward, n->dx);
  if (n->dadd.memory != NULL) bench_take_image(b, backward, n->dadd);
}

static void run_norm_alone(Bench *b, const Norm *n)
{
  b->ops->batch_norm2d_forward(n->kernel, n->parameters, n->x.memory, n->add.memory, n->y.memory,
                               n->room.saved, n->room.scratch);
  b->ops->batch_norm2d_backward(n->kernel, n->parameters, n->x.memory, n->y.memory, n->dy.memory,
                                n->room.saved, n->dx.memory, n->dadd.memory, WRITE_ADD, n->dweight,
                                n->dbias, n->room.scratch);
  take_norm(b, n, "batch_norm2d_forward", "batch_norm2d_backward");
  bench_take(b, "batch_norm2d_backward", ELEMENT_F32, n->dweight, n->channels);
  bench_take(b, "batch_norm2d_backward", ELEMENT_F32, n->dbias, n->channels);
}

/* As ranks that share their statistics, of which this is the only one. */
static void run_norm_by_sums(Bench *b, const Norm *n)
{
  const Backend *ops = b->ops;
  const int64_t pixels = shape_pixels(n->x.shape);
  ops->batch_norm2d_sums(n->kernel, n->parameters, n->x.memory, n->sums, n->room.scratch);
  bench_take(b, "batch_norm2d_sums", ELEMENT_F32, n->sums, 2 * (int64_t)n->channels);
  ops->batch_norm2d_forward_from_sums(n->kernel, n->parameters, n->sums, pixels, n->x.memory,
                                      n->add.memory, n->y.memory, n->room.saved, n->room.scratch);
  ops->batch_norm2d_backward_sums(n->kernel, n->x.memory, n->y.memory, n->dy.memory, n->room.saved,
                                  n->dweight, n->dbias, n->sums, n->room.scratch);
  bench_take(b, "batch_norm2d_backward_sums", ELEMENT_F32, n->sums, 2 * (int64_t)n->channels);
  bench_take(b, "batch_norm2d_backward_sums", ELEMENT_F32, n->dweight, n->channels);
  bench_take(b, "batch_norm2d_backward_sums", ELEMENT_F32, n->dbias, n->channels);
  ops->batch_norm2d_backward_from_sums(n->kernel, n->parameters, n->sums, pixels, n->x.memory,
                                       n->y.memory, n->dy.memory, n->room.saved, n->dx.memory,
                                       n->dadd.memory, WRITE_ADD, n->room.scratch);
  take_norm(b, n, "batch_norm2d_forward_from_sums", "batch_norm2d_backward_from_sums");
}

static Status run_norm(Bench *b, BatchNorm2d norm, OpBytes bytes, bool by_sums, Norm *n)
{
  TRY(make_room(b, bytes, &n->room));
  fill_norm(b, norm, n);
  if (by_sums)
    run_norm_by_sums(b, n);
  else
    run_norm_alone(b, n);
  return STATUS_OK;
}

static Status one_norm(Bench *b, BatchNorm2d norm, bool by_sums)
{
  Norm n = {.x = random_image(b, 2, 5, 7, norm.channels)};
  BatchNorm2dPlan plan;
  OpBytes bytes = {0};
  TRY(batch_norm2d_plan(norm, n.x.shape, &plan));
  TRY(bench_opened(b, b->ops->batch_norm2d_open(b->device, &plan, &n.kernel, &bytes)));
  const Status status = wait(b, run_norm(b, norm, bytes, by_sums, &n));
  b->ops->batch_norm2d_close(n.kernel);
  return status;
}

Status case_batch_norm2d(Bench *b)
{
  const BatchNorm2d training = {
      .channels = 6, .eps = 1e-5F, .momentum = 0.1F, .add = true, .relu = true};
  BatchNorm2d frozen = training;
  frozen.frozen = true;
  frozen.add = false;
  TRY(one_norm(b, training, false));
  TRY(one_norm(b, frozen, false));
  return one_norm(b, training, true);
}
