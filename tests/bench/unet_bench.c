/* Our side of the benchmark; the peer's is peer_unet.py. Speaks as bench.h says.
 *
 *   unet_bench --mode=infer|train|peak [--device=cpu|gpu] [--encoder=resnet34] [--size=512] [--batch=0]
 *              [--precision=f32|bf16] [--seconds=1.5] [--autotune=yes|no]
 *
 *   infer   normalised float32 images, on the device, rounded, to logits; batch 0: the best of 1, 2, 4
 *           and 8
 *   train   clear, pack, forward, cross-entropy, backward, AdamW on one batch that stays the same
 *   peak    a product of size x size matrices as a convolution: what shares of a GPU's peak are taken of */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "bench.h"
#include "model/unet.h"
#include "nn/network.h"
#include "nn/optimizer.h"

enum { CLASSES = 2, BANDS = 3 };

typedef struct Arguments {
  const char *mode;
  const char *encoder;
  const char *precision;
  int size, batch;
  double seconds;
} Arguments;

typedef struct Bench {
  Arguments arguments;
  Device *device;
  const Backend *backend;
  Graph *graph;
  Network *network;
  Optimizer *optimizer;
  float *images;
  uint8_t *labels;
  float *class_weights, *sums, *means, *inverse_stds;
  void *scratch;
  int batch;
  int64_t step;
} Bench;

static Encoder encoder_of(const char *name)
{
  Encoder encoder = ENCODER_RESNET18;
  if (!encoder_find(name, &encoder))
    bench_check(status_set(STATUS_BAD_OPTION, "no encoder “%s”", name));
  return encoder;
}

static void open_inputs(Bench *b)
{
  static const float ones[BANDS] = {1, 1, 1};
  static const float zeros[BANDS];
  const size_t pixels = (size_t)b->batch * (size_t)b->arguments.size * (size_t)b->arguments.size;
  Random random = random_stream(2, 0);
  float *images = bench_host(pixels * BANDS, sizeof *images);
  uint8_t *labels = bench_host(pixels, 1);
  for (size_t i = 0; i < pixels * BANDS; ++i)
    images[i] = (float)random_normal(&random);
  for (size_t i = 0; i < pixels; ++i)
    labels[i] = (uint8_t)random_below(&random, CLASSES);
  b->images = bench_uploaded(b->device, images, pixels * BANDS * sizeof *images);
  b->labels = bench_uploaded(b->device, labels, pixels);
  b->class_weights = bench_uploaded(b->device, ones, CLASSES * sizeof *ones);
  b->inverse_stds = bench_uploaded(b->device, ones, sizeof ones);
  b->means = bench_uploaded(b->device, zeros, sizeof zeros);
  b->sums = bench_allocate(b->device, (size_t)segmentation_sums_count(CLASSES) * sizeof *b->sums);
  memory_free(images);
  memory_free(labels);
}

static void open_network(Bench *b, int batch, bool training)
{
  b->batch = batch;
  const NetworkOptions options = {.training = training,
                                  .element = bench_element(b->arguments.precision),
                                  .images = batch,
                                  .height = b->arguments.size,
                                  .width = b->arguments.size};
  bench_check(network_open(b->graph, b->device, options, &b->network));
  bench_check(network_allocate(b->network));
  open_inputs(b);
}

static void load_weights(Bench *b, bool training)
{
  const ParameterList *list = graph_parameters(b->graph);
  void *trained, *statistics;
  bench_check(memory_allocate((size_t)list->trained_count, sizeof(float), "weights", &trained));
  bench_check(
      memory_allocate((size_t)list->statistic_count, sizeof(float), "weights", &statistics));
  parameters_initialise(list, 1, trained, statistics);
  if (training) {
    const OptimizerOptions options = {
        .kind = OPTIMIZER_ADAMW,
        .schedule = {.kind = SCHEDULE_CONSTANT, .rate = 1e-3, .step_count = 1000},
        .momentum = 0.9,
        .weight_decay = 0.01};
    bench_check(optimizer_open(list, b->device, options, &b->optimizer));
    bench_check(optimizer_upload(b->optimizer, trained, statistics, NULL));
    network_bind(b->network, optimizer_trained(b->optimizer), optimizer_statistics(b->optimizer),
                 optimizer_gradients(b->optimizer));
    const Shape logits = network_output_shape(b->network, 0);
    const SegmentationLoss loss = {CLASSES, 0, 0};
    b->scratch =
        bench_allocate(b->device, b->backend->segmentation_loss_scratch_bytes(loss, logits));
  } else {
    bench_check(network_load(b->network, trained, statistics));
  }
  memory_free(trained);
  memory_free(statistics);
}

static void feed(Bench *b)
{
  const Shape shape = {b->batch, b->arguments.size, b->arguments.size, BANDS, ELEMENT_F32};
  b->backend->normalize(b->device, shape, b->images, NULL, b->means, b->inverse_stds,
                        network_input_shape(b->network), network_input(b->network));
}

static void infer(Bench *b)
{
  feed(b);
  network_forward(b->network);
}

static void train(Bench *b)
{
  const SegmentationLoss loss = {CLASSES, 0, 0};
  const Shape logits = network_output_shape(b->network, 0);
  feed(b);
  network_pack(b->network);
  network_forward(b->network);
  b->backend->segmentation_loss_sums(b->device, loss, b->class_weights, logits,
                                     network_output(b->network, 0), b->labels, b->sums, b->scratch);
  b->backend->segmentation_loss_backward(b->device, loss, b->class_weights, b->sums, NULL, logits,
                                         network_output(b->network, 0), b->labels,
                                         network_output_gradient(b->network, 0));
  optimizer_clear_gradients(b->optimizer);
  bench_check(network_backward(b->network, NULL, NULL));
  optimizer_apply(b->optimizer);
}

static void iterate(void *context)
{
  Bench *b = context;
  if (b->optimizer != NULL)
    train(b);
  else
    infer(b);
}

/* What changes from step to step. */
static void prepare(void *context)
{
  Bench *b = context;
  if (b->optimizer != NULL) optimizer_set_step(b->optimizer, b->step++);
}

static BenchWork work_of(Bench *b)
{
  return (BenchWork){.device = b->device, .iterate = iterate, .context = b, .prepare = prepare};
}

/* Products and sums of the convolutions of one image, counted as if all were done directly, so that
 * a trick that saves some counts as speed. */
static double flop_of_image(const Graph *graph, int size)
{
  int32_t count;
  const Node *nodes = graph_nodes(graph, &count);
  double flop = 0;
  int sides[512] = {size};
  for (int32_t i = 1; i < count && i < 512; ++i) {
    const Node *node = &nodes[i];
    const bool up = node->kind == NODE_DECODER_CONV2D || node->kind == NODE_UPSAMPLE_NEAREST;
    const bool down = node->kind == NODE_CONV2D || node->kind == NODE_MAX_POOL2D;
    sides[i] = up     ? 2 * sides[node->inputs[0]]
               : down ? sides[node->inputs[0]] / node->stride
                      : sides[node->inputs[0]];
    if (node->kind != NODE_CONV2D && node->kind != NODE_DECODER_CONV2D) continue;
    const int64_t weights = graph_parameters(graph)->items[node->weight].count;
    flop += 2.0 * sides[i] * sides[i] * (double)weights;
  }
  return flop;
}

static void close_network(Bench *b)
{
  network_close(b->network);
  device_release(b->device, b->images);
  device_release(b->device, b->labels);
  device_release(b->device, b->class_weights);
  device_release(b->device, b->means);
  device_release(b->device, b->inverse_stds);
  device_release(b->device, b->sums);
  b->network = NULL;
}

static int best_batch(Bench *b)
{
  static const int batches[] = {1, 2, 4, 8};
  int best = 1;
  double best_s = 1e9;
  for (size_t i = 0; i < sizeof batches / sizeof *batches; ++i) {
    open_network(b, batches[i], false);
    load_weights(b, false);
    (void)bench_round(work_of(b), 0.2);
    const double seconds = bench_round(work_of(b), 1.0) / batches[i];
    close_network(b);
    if (seconds >= best_s) continue;
    best = batches[i];
    best_s = seconds;
  }
  return best;
}

static void open_bench(Bench *b)
{
  const bool training = strcmp(b->arguments.mode, "train") == 0;
  bench_check(unet_build(
      (Unet){.encoder = encoder_of(b->arguments.encoder), .bands = BANDS, .classes = CLASSES},
      &b->graph));
  int batch = b->arguments.batch;
  if (batch == 0) batch = training ? 8 : best_batch(b);
  open_network(b, batch, training);
  load_weights(b, training);
  (void)bench_round(work_of(b), 1.0);
}

/* --- the peak --- */

typedef struct Product {
  const Backend *backend;
  Conv2dKernel *kernel;
  void *packed, *x, *y, *scratch;
} Product;

static void multiply(void *context)
{
  const Product *p = context;
  p->backend->conv2d_forward(p->kernel, p->packed, p->x, NULL, p->y, p->scratch);
}

/* Numbers of a normal distribution: a GPU multiplies zeros faster. */
static float *random_floats(Device *device, size_t count, uint64_t stream)
{
  Random random = random_stream(3, stream);
  float *values = bench_host(count, sizeof *values);
  for (size_t i = 0; i < count; ++i)
    values[i] = (float)random_normal(&random);
  float *uploaded = bench_uploaded(device, values, count * sizeof *values);
  memory_free(values);
  return uploaded;
}

static void open_product(Bench *b, Product *p)
{
  const int32_t side = b->arguments.size;
  const size_t count = (size_t)side * (size_t)side;
  const Element element = bench_element(b->arguments.precision);
  const Conv2d conv = {.in_channels = side,
                       .out_channels = side,
                       .kernel_height = 1,
                       .kernel_width = 1,
                       .stride = 1,
                       .dilation = 1,
                       .groups = 1};
  const Shape x = {1, 1, side, side, element};
  Conv2dPlan plan;
  OpBytes bytes = {0};
  *p = (Product){.backend = b->backend};
  bench_check(conv2d_plan(conv, x, b->backend->channel_multiple, false, false, &plan));
  bench_check(b->backend->conv2d_open(b->device, &plan, &p->kernel, &bytes));
  p->packed = bench_allocate(b->device, bytes.packed + 1);
  p->scratch = bench_allocate(b->device, bytes.scratch + 1);
  p->x = bench_allocate(b->device, shape_bytes(x));
  p->y = bench_allocate(b->device, shape_bytes(plan.y));
  float *weights = random_floats(b->device, count, 0);
  float *values = random_floats(b->device, count, 1);
  b->backend->conv2d_pack(p->kernel, weights, NULL, p->packed);
  b->backend->convert(b->device, (int64_t)count, ELEMENT_F32, values, element, p->x);
  bench_check(device_synchronize(b->device));
  device_release(b->device, weights);
  device_release(b->device, values);
}

static void serve_peak(Bench *b)
{
  Product product;
  const double side = b->arguments.size;
  open_product(b, &product);
  (void)printf("{\"ready\": true, \"batch\": 1, \"flop\": %.9g}\n", 2 * side * side * side);
  bench_serve((BenchWork){.device = b->device, .iterate = multiply, .context = &product},
              b->arguments.seconds);
}

int main(int count, char **arguments)
{
  Bench bench = {.arguments = {.mode = bench_text(count, arguments, "mode", "infer"),
                               .encoder = bench_text(count, arguments, "encoder", "resnet34"),
                               .precision = bench_text(count, arguments, "precision", "f32"),
                               .size = bench_int(count, arguments, "size", 512),
                               .batch = bench_int(count, arguments, "batch", 0),
                               .seconds = bench_real(count, arguments, "seconds", 1.5)},
                 .device = bench_device(count, arguments)};
  bench.backend = backend_of(bench.device);
  if (strcmp(bench.arguments.mode, "peak") == 0) {
    serve_peak(&bench);
    return 0;
  }
  open_bench(&bench);
  (void)printf("{\"ready\": true, \"batch\": %d, \"flop\": %.9g}\n", bench.batch,
               bench.batch * flop_of_image(bench.graph, bench.arguments.size));
  BenchWork work = work_of(&bench);
  if (bench.optimizer != NULL) bench_record(&work);
  bench_serve(work, bench.arguments.seconds);
  return 0;
}
