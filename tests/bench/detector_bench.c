/* Our side of the benchmark of Mask R-CNN; the peer's is peer_mask_rcnn.py, which also writes the
 * case that both take (--write). Speaks as unet_bench does.
 *
 *   detector_bench --case=FOLDER --mode=infer|train [--size=512] [--batch=0] [--precision=f32|bf16]
 *                  [--seconds=3]
 *
 *   infer   float32 images to boxes, classes, scores and pasted masks; batch 0: the best of 1, 2, 4
 *   train   clear, pack, forward, five losses, backward, SGD on one batch that stays the same; the
 *           rate is so small that weights, and with them counts, stay what they are */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "model/detector.h"
#include "nn/optimizer.h"
#include "store/document.h"
#include "store/weights.h"

enum { BANDS = 3, PATH_BYTES = 4096, IMAGES_MOST = 64 };

typedef struct Arguments {
  const char *folder;
  const char *mode;
  const char *precision;
  int size, batch;
  double seconds;
} Arguments;

typedef struct Bench {
  Arguments arguments;
  Device *device;
  const Backend *backend;
  DetectorParts parts;
  Detector *detector;
  Optimizer *optimizer;
  WeightFile *inputs;
  int images_in_case, batch;
  float *images, *means, *inverse_stds;
  float *trained, *statistics;
  int64_t step;
} Bench;

static void check(Status status)
{
  if (status == STATUS_OK) return;
  (void)fprintf(stderr, "detector_bench: %s\n", status_message());
  exit(status_exit_code(status));
}

static void *allocate(size_t count, size_t size)
{
  void *memory;
  check(memory_allocate(count, size, "bench", &memory));
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

static void in_case(const Bench *b, const char *name, char path[PATH_BYTES])
{
  (void)snprintf(path, PATH_BYTES, "%s/%s", b->arguments.folder, name);
}

static float *tensor(const WeightFile *file, const char *name, int64_t *count)
{
  size_t index;
  if (!weights_find(file, name, &index))
    check(status_set(STATUS_BAD_INPUT, "%s has no %s", weights_path(file), name));
  *count = weights_at(file, index)->element_count;
  float *values = allocate((size_t)*count + 1, sizeof(float));
  check(weights_read_f32(file, index, values, (size_t)*count));
  return values;
}

static void read_case(Bench *b)
{
  char path[PATH_BYTES];
  Document *about;
  const char *backbone;
  int64_t classes, images;
  MaskRcnn model = {.bands = BANDS, .masks = true, .norm_eps = 1e-5F, .trained_layers = 5};
  in_case(b, "case.json", path);
  check(document_read(path, &about));
  check(document_get_text(about, "backbone", &backbone, NULL));
  check(document_get_int(about, "classes", &classes, NULL));
  check(document_get_int(about, "images", &images, NULL));
  if (!encoder_find(backbone, &model.encoder))
    check(status_set(STATUS_BAD_INPUT, "no backbone %s", backbone));
  model.classes = (int32_t)classes;
  b->images_in_case = (int)images;
  document_close(about);
  check(detector_parts_open(model, &b->parts));
  in_case(b, "input.safetensors", path);
  check(weights_open(path, &b->inputs));
}

static void read_weights(Bench *b)
{
  char path[PATH_BYTES];
  WeightFile *file;
  const ParameterList *list = &b->parts.parameters;
  in_case(b, "weights.safetensors", path);
  check(weights_open(path, &file));
  b->trained = allocate((size_t)list->trained_count, sizeof(float));
  b->statistics = allocate((size_t)list->statistic_count, sizeof(float));
  for (int32_t i = 0; i < list->count; ++i) {
    const Parameter *p = &list->items[i];
    size_t index;
    if (!weights_find(file, p->name, &index))
      check(status_set(STATUS_BAD_INPUT, "%s has no %s", path, p->name));
    check(weights_read_f32(file, index, (p->trained ? b->trained : b->statistics) + p->offset,
                           (size_t)p->count));
  }
  weights_close(file);
}

/* bands x height x width to height x width x bands. */
static void read_image(Bench *b, int image, float *to)
{
  char name[64];
  int64_t count;
  (void)snprintf(name, sizeof name, "image.%d", image % b->images_in_case);
  float *from = tensor(b->inputs, name, &count);
  const int64_t pixels = count / BANDS;
  for (int64_t p = 0; p < pixels; ++p)
    for (int64_t c = 0; c < BANDS; ++c)
      to[p * BANDS + c] = from[c * pixels + p];
  memory_free(from);
}

static void open_images(Bench *b)
{
  static const float means[] = {0.485F, 0.456F, 0.406F};
  static const float deviations[] = {0.229F, 0.224F, 0.225F};
  const size_t values = (size_t)b->arguments.size * (size_t)b->arguments.size * BANDS;
  b->images = allocate((size_t)b->batch * values, sizeof(float));
  b->means = allocate(BANDS, sizeof(float));
  b->inverse_stds = allocate(BANDS, sizeof(float));
  for (int i = 0; i < b->batch; ++i)
    read_image(b, i, b->images + (size_t)i * values);
  for (int c = 0; c < BANDS; ++c) {
    b->means[c] = means[c];
    b->inverse_stds[c] = 1 / deviations[c];
  }
}

/* Objects of all images, each mask cut to its box. */
static void fill_truth(Bench *b)
{
  DetectorBuffers *buffers = detector_buffers(b->detector);
  const Truth *truth = &buffers->truth;
  const int64_t side = b->arguments.size;
  int64_t used = 0;
  for (int32_t n = 0; n < b->batch; ++n) {
    char name[64];
    int64_t count, pixels, labels;
    const int image = n % b->images_in_case;
    (void)snprintf(name, sizeof name, "truth.%d.boxes", image);
    float *boxes = tensor(b->inputs, name, &count);
    (void)snprintf(name, sizeof name, "truth.%d.masks", image);
    float *masks = tensor(b->inputs, name, &pixels);
    (void)snprintf(name, sizeof name, "truth.%d.labels", image);
    float *classes = tensor(b->inputs, name, &labels);
    truth->counts[n] = (int32_t)labels;
    buffers->streams[n] = (uint64_t)n;
    for (int64_t k = 0; k < labels; ++k) {
      const int64_t at = n * truth->capacity + k;
      const float *box = boxes + 4 * k;
      int32_t *window = truth->mask_windows + 4 * at;
      memcpy(truth->boxes + 4 * at, box, 4 * sizeof(float));
      truth->classes[at] = (int32_t)classes[k];
      window[0] = (int32_t)box[0];
      window[1] = (int32_t)box[1];
      window[2] = (int32_t)(box[2] - box[0]);
      window[3] = (int32_t)(box[3] - box[1]);
      truth->mask_offsets[at] = used;
      for (int32_t y = 0; y < window[3]; ++y)
        for (int32_t x = 0; x < window[2]; ++x)
          truth->mask_bytes[used++] =
              masks[(k * side + window[1] + y) * side + window[0] + x] > 0.5F;
    }
    memory_free(boxes);
    memory_free(masks);
    memory_free(classes);
  }
}

static void open_training(Bench *b)
{
  const OptimizerOptions options = {
      .kind = OPTIMIZER_SGD,
      .schedule = {.kind = SCHEDULE_CONSTANT, .rate = 1e-9, .step_count = 1000},
      .momentum = 0.9,
      .weight_decay = 1e-4};
  check(optimizer_open(&b->parts.parameters, b->device, options, &b->optimizer));
  check(optimizer_upload(b->optimizer, b->trained, b->statistics, NULL));
  detector_bind(b->detector, optimizer_trained(b->optimizer), optimizer_statistics(b->optimizer),
                optimizer_gradients(b->optimizer));
  fill_truth(b);
}

static void open_detector(Bench *b, int batch, bool training)
{
  DetectorOptions options = detector_options_default(training);
  const int64_t pixels = (int64_t)b->arguments.size * b->arguments.size;
  b->batch = batch;
  options.element = strcmp(b->arguments.precision, "bf16") == 0 ? ELEMENT_BF16 : ELEMENT_F32;
  options.images = batch;
  options.height_px = options.width_px = b->arguments.size;
  options.truth_capacity = 256;
  options.mask_bytes_most = 8 * pixels;
  options.pasted_pixels_most = 32 * pixels;
  check(detector_open(&b->parts, b->device, options, &b->detector));
  check(detector_allocate(b->detector));
  open_images(b);
  if (training)
    open_training(b);
  else
    check(detector_load(b->detector, b->trained, b->statistics));
}

static void close_detector(Bench *b)
{
  detector_close(b->detector);
  memory_free(b->images);
  memory_free(b->means);
  memory_free(b->inverse_stds);
}

static void iterate(Bench *b)
{
  const Shape shape = {b->batch, b->arguments.size, b->arguments.size, BANDS, ELEMENT_F32};
  b->backend->normalize(b->device, shape, b->images, NULL, b->means, b->inverse_stds,
                        detector_input_shape(b->detector), detector_input(b->detector));
  if (b->optimizer == NULL) {
    detector_find(b->detector);
    return;
  }
  optimizer_clear_gradients(b->optimizer);
  detector_pack(b->detector);
  detector_forward_trunk(b->detector);
  detector_propose(b->detector);
  detector_sample(b->detector);
  check(detector_learn(b->detector, NULL, NULL));
  optimizer_step(b->optimizer, b->step++);
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

static int best_batch(Bench *b)
{
  static const int batches[] = {1, 2, 4};
  int best = 1;
  double best_s = INFINITY;
  for (size_t i = 0; i < sizeof batches / sizeof *batches; ++i) {
    open_detector(b, batches[i], false);
    (void)round_of(b, 0.5);
    const double seconds = round_of(b, 2.0) / batches[i];
    close_detector(b);
    if (seconds >= best_s) continue;
    best = batches[i];
    best_s = seconds;
  }
  return best;
}

/* Products and sums of a graph's convolutions on one input, counted as if all were done directly. */
static double flop_of_graph(const Graph *graph, int side)
{
  int32_t count;
  const Node *nodes = graph_nodes(graph, &count);
  double flop = 0;
  double *sides = allocate((size_t)count, sizeof(double));
  sides[0] = side;
  for (int32_t i = 1; i < count; ++i) {
    const Node *node = &nodes[i];
    const bool up = node->kind == NODE_UPSAMPLE_NEAREST || node->kind == NODE_CONV_TRANSPOSE2D;
    const bool covers = node->kind == NODE_CONV2D && node->pad == 0 && node->kernel > 1;
    const double x = sides[node->inputs[0]];
    sides[i] = up ? 2 * x : covers ? 1 : node->stride > 1 ? ceil(x / node->stride) : x;
    if (node->kind != NODE_CONV2D && node->kind != NODE_CONV_TRANSPOSE2D) continue;
    const double pixels = up ? x * x : sides[i] * sides[i];
    flop += 2.0 * pixels * (double)graph_parameters(graph)->items[node->weight].count;
  }
  memory_free(sides);
  return flop;
}

/* Of the batch: the trunk, and the heads for the regions that there are. */
static double flop_of_batch(Bench *b)
{
  const DetectorBuffers *buffers = detector_buffers(b->detector);
  const bool training = b->optimizer != NULL;
  const int32_t boxes = training ? *buffers->rois.regions.count : *buffers->regions.count;
  const int32_t masks = training ? *buffers->rois.positives.count : *buffers->detected.count;
  return b->batch * flop_of_graph(b->parts.graphs[0], b->arguments.size) +
         boxes * flop_of_graph(b->parts.graphs[1], MASK_RCNN_BOX_PX) +
         masks * flop_of_graph(b->parts.graphs[2], MASK_RCNN_MASK_PX);
}

static void print_counts(Bench *b)
{
  const DetectorBuffers *buffers = detector_buffers(b->detector);
  (void)printf("{\"ready\": true, \"batch\": %d, \"flop\": %.9g, \"proposals\": [", b->batch,
               flop_of_batch(b));
  for (int i = 0; i < b->batch; ++i)
    (void)printf("%s%d", i > 0 ? ", " : "", buffers->proposal_counts[i]);
  if (b->optimizer != NULL) {
    (void)printf("], \"positives\": %d", *buffers->rois.positives.count);
    double losses[DETECTOR_LOSSES];
    detector_losses(buffers->sums, losses);
    for (int i = 0; i < DETECTOR_LOSSES; ++i)
      (void)printf(", \"%s\": %.4f", detector_loss_name((DetectorLoss)i), losses[i]);
  } else {
    (void)printf("], \"detections\": [");
    for (int i = 0; i < b->batch; ++i)
      (void)printf("%s%d", i > 0 ? ", " : "", buffers->detections.counts[i]);
    (void)printf("]");
  }
  (void)printf("}\n");
  (void)fflush(stdout);
}

int main(int count, char **arguments)
{
  Bench bench = {
      .arguments = {.folder = value_of(count, arguments, "--case", "."),
                    .mode = value_of(count, arguments, "--mode", "infer"),
                    .precision = value_of(count, arguments, "--precision", "f32"),
                    .size = (int)strtol(value_of(count, arguments, "--size", "512"), NULL, 10),
                    .batch = (int)strtol(value_of(count, arguments, "--batch", "0"), NULL, 10),
                    .seconds = strtod(value_of(count, arguments, "--seconds", "3"), NULL)}};
  const bool training = strcmp(bench.arguments.mode, "train") == 0;
  check(device_open(-1, &bench.device));
  bench.backend = backend_of(bench.device);
  read_case(&bench);
  read_weights(&bench);
  int batch = bench.arguments.batch;
  if (batch == 0) batch = training ? 2 : best_batch(&bench);
  open_detector(&bench, batch, training);
  (void)round_of(&bench, 1.0);
  print_counts(&bench);
  char line[64];
  while (fgets(line, sizeof line, stdin) != NULL && strncmp(line, "go", 2) == 0) {
    (void)printf("{\"seconds\": %.9g}\n", round_of(&bench, bench.arguments.seconds));
    (void)fflush(stdout);
  }
  return 0;
}
