/* Our side of the benchmark; the peer's is peer_unet.py. Prints one line of JSON that says what it
 * will time, then for every line "go" on stdin runs one round and prints a line of JSON with the
 * seconds per iteration; "end" ends it.
 *
 *   unet_bench --mode=infer|train|peak [--encoder=resnet34] [--size=512] [--batch=0]
 *              [--precision=f32|bf16] [--seconds=1.5]
 *
 *   infer   normalised float32 images, uploaded and rounded, to logits; batch 0: the best of 1, 2, 4
 *           and 8
 *   train   clear, pack, forward, cross-entropy, backward, AdamW on one batch that stays the same
 *   peak    oneDNN's matmul, 1024 x 1024 x 1024, in GFLOP/s: the floor that shares are taken of */
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "device/device.h"
#include "model/unet.h"
#include "nn/network.h"
#include "nn/optimizer.h"
#include "op/backend.h"

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

static void check(Status status)
{
  if (status == STATUS_OK) return;
  (void)fprintf(stderr, "unet_bench: %s\n", status_message());
  exit(status_exit_code(status));
}

static void *allocate(Device *device, size_t bytes)
{
  void *memory;
  check(device_allocate(device, bytes, "bench", &memory));
  return memory;
}

static const char *value_of(int count, char **arguments, const char *name, const char *preset)
{
  const size_t length = strlen(name);
  for (int i = 1; i < count; ++i)
    if (strncmp(arguments[i], name, length) == 0 && arguments[i][length] == '=')
      return arguments[i] + length + 1;
  return preset;
}

static Encoder encoder_of(const char *name)
{
  for (Encoder encoder = ENCODER_RESNET18; encoder <= ENCODER_RESNET101; ++encoder)
    if (strcmp(encoder_name(encoder), name) == 0) return encoder;
  check(status_set(STATUS_BAD_OPTION, "no encoder “%s”", name));
  return ENCODER_RESNET18;
}

static void open_inputs(Bench *b)
{
  const size_t pixels = (size_t)b->batch * (size_t)b->arguments.size * (size_t)b->arguments.size;
  Random random = random_stream(2, 0);
  b->images = allocate(b->device, pixels * BANDS * sizeof(float));
  b->labels = allocate(b->device, pixels);
  for (size_t i = 0; i < pixels * BANDS; ++i)
    b->images[i] = (float)random_normal(&random);
  for (size_t i = 0; i < pixels; ++i)
    b->labels[i] = (uint8_t)random_below(&random, CLASSES);
  b->class_weights = allocate(b->device, 64);
  b->means = allocate(b->device, 64);
  b->inverse_stds = allocate(b->device, 64);
  for (int i = 0; i < BANDS; ++i) {
    b->class_weights[i] = b->inverse_stds[i] = 1;
    b->means[i] = 0;
  }
  b->sums = allocate(b->device, 256);
}

static void open_network(Bench *b, int batch, bool training)
{
  const bool half = strcmp(b->arguments.precision, "bf16") == 0;
  b->batch = batch;
  const NetworkOptions options = {.training = training,
                                  .element = half ? ELEMENT_BF16 : ELEMENT_F32,
                                  .images = batch,
                                  .height = b->arguments.size,
                                  .width = b->arguments.size};
  check(network_open(b->graph, b->device, options, &b->network));
  check(network_allocate(b->network));
  open_inputs(b);
}

static void load_weights(Bench *b, bool training)
{
  const ParameterList *list = graph_parameters(b->graph);
  void *trained, *statistics;
  check(memory_allocate((size_t)list->trained_count, sizeof(float), "weights", &trained));
  check(memory_allocate((size_t)list->statistic_count, sizeof(float), "weights", &statistics));
  parameters_initialise(list, 1, trained, statistics);
  if (training) {
    const OptimizerOptions options = {
        .kind = OPTIMIZER_ADAMW,
        .schedule = {.kind = SCHEDULE_CONSTANT, .rate = 1e-3, .step_count = 1000},
        .momentum = 0.9,
        .weight_decay = 0.01};
    check(optimizer_open(list, b->device, options, &b->optimizer));
    check(optimizer_upload(b->optimizer, trained, statistics, NULL));
    network_bind(b->network, optimizer_trained(b->optimizer), optimizer_statistics(b->optimizer),
                 optimizer_gradients(b->optimizer));
    const Shape logits = network_output_shape(b->network, 0);
    const SegmentationLoss loss = {CLASSES, 0, 0};
    b->scratch = allocate(b->device, b->backend->segmentation_loss_scratch_bytes(loss, logits));
  } else {
    check(network_load(b->network, trained, statistics));
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
  check(network_backward(b->network, NULL, NULL));
  optimizer_step(b->optimizer, b->step++);
}

static void iterate(Bench *b)
{
  if (b->optimizer != NULL)
    train(b);
  else
    infer(b);
}

/* Seconds per iteration, over about the wanted time. */
static double round_of(Bench *b, double seconds)
{
  int64_t count = 0;
  const double start = clock_seconds();
  double now = start;
  while (now - start < seconds) {
    iterate(b);
    check(device_synchronize(b->device));
    ++count;
    now = clock_seconds();
  }
  return (now - start) / (double)count;
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
    (void)round_of(b, 0.2);
    const double seconds = round_of(b, 1.0) / batches[i];
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
  check(device_open(-1, &b->device));
  b->backend = backend_of(b->device);
  check(unet_build(
      (Unet){.encoder = encoder_of(b->arguments.encoder), .bands = BANDS, .classes = CLASSES},
      &b->graph));
  int batch = b->arguments.batch;
  if (batch == 0) batch = training ? 8 : best_batch(b);
  open_network(b, batch, training);
  load_weights(b, training);
  (void)round_of(b, 1.0);
}

/* oneDNN's matmul with weights in its own layout, which is what its convolutions have. */
typedef struct Peak {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  dnnl_primitive_t matmul;
  dnnl_exec_arg_t arguments[3];
} Peak;

static dnnl_memory_t filled_memory(const Peak *peak, const dnnl_memory_desc_t *description)
{
  dnnl_memory_t memory;
  void *data;
  (void)dnnl_memory_create(&memory, description, peak->engine, DNNL_MEMORY_ALLOCATE);
  (void)dnnl_memory_get_data_handle(memory, &data);
  memset(data, 0, dnnl_memory_desc_get_size(description));
  return memory;
}

static void open_peak(Peak *peak, bool half)
{
  const dnnl_dims_t side = {1024, 1024};
  const dnnl_data_type_t type = half ? dnnl_bf16 : dnnl_f32;
  dnnl_memory_desc_t plain, packed;
  dnnl_matmul_desc_t matmul;
  dnnl_primitive_desc_t made;
  (void)dnnl_engine_create(&peak->engine, dnnl_cpu, 0);
  (void)dnnl_stream_create(&peak->stream, peak->engine, dnnl_stream_default_flags);
  (void)dnnl_memory_desc_init_by_tag(&plain, 2, side, type, dnnl_ab);
  (void)dnnl_memory_desc_init_by_tag(&packed, 2, side, type, dnnl_format_tag_any);
  (void)dnnl_matmul_desc_init(&matmul, &plain, &packed, NULL, &plain);
  (void)dnnl_primitive_desc_create(&made, &matmul, NULL, peak->engine, NULL);
  (void)dnnl_primitive_create(&peak->matmul, made);
  peak->arguments[0] = (dnnl_exec_arg_t){DNNL_ARG_SRC, filled_memory(peak, &plain)};
  peak->arguments[1] = (dnnl_exec_arg_t){
      DNNL_ARG_WEIGHTS,
      filled_memory(peak, dnnl_primitive_desc_query_md(made, dnnl_query_weights_md, 0))};
  peak->arguments[2] = (dnnl_exec_arg_t){DNNL_ARG_DST, filled_memory(peak, &plain)};
}

static double peak_round(const Peak *peak, double seconds)
{
  int64_t count = 0;
  const double start = clock_seconds();
  double now = start;
  while (now - start < seconds) {
    for (int i = 0; i < 20; ++i)
      (void)dnnl_primitive_execute(peak->matmul, peak->stream, 3, peak->arguments);
    count += 20;
    now = clock_seconds();
  }
  return (now - start) / (double)count;
}

int main(int count, char **arguments)
{
  Bench bench = {
      .arguments = {.mode = value_of(count, arguments, "--mode", "infer"),
                    .encoder = value_of(count, arguments, "--encoder", "resnet34"),
                    .precision = value_of(count, arguments, "--precision", "f32"),
                    .size = (int)strtol(value_of(count, arguments, "--size", "512"), NULL, 10),
                    .batch = (int)strtol(value_of(count, arguments, "--batch", "0"), NULL, 10),
                    .seconds = strtod(value_of(count, arguments, "--seconds", "1.5"), NULL)}};
  const bool is_peak = strcmp(bench.arguments.mode, "peak") == 0;
  Peak peak = {0};
  if (is_peak)
    open_peak(&peak, strcmp(bench.arguments.precision, "bf16") == 0);
  else
    open_bench(&bench);
  const double flop = is_peak ? 2.0 * 1024 * 1024 * 1024
                              : bench.batch * flop_of_image(bench.graph, bench.arguments.size);
  (void)printf("{\"ready\": true, \"batch\": %d, \"flop\": %.9g}\n", is_peak ? 1 : bench.batch,
               flop);
  (void)fflush(stdout);
  char line[64];
  while (fgets(line, sizeof line, stdin) != NULL && strncmp(line, "go", 2) == 0) {
    const double seconds = is_peak ? peak_round(&peak, bench.arguments.seconds)
                                   : round_of(&bench, bench.arguments.seconds);
    (void)printf("{\"seconds\": %.9g}\n", seconds);
    (void)fflush(stdout);
  }
  return 0;
}
