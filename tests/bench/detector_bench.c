/* Our side of the benchmark of Mask R-CNN; the peer's is peer_mask_rcnn.py, which also writes the
 * case that both take (--write). Speaks as bench.h says.
 *
 *   detector_bench --case=FOLDER --mode=infer|train [--device=cpu|gpu] [--size=512] [--batch=0]
 *                  [--precision=f32|bf16] [--seconds=3] [--autotune=yes|no]
 *
 *   infer   float32 images on the device to boxes, classes, scores and pasted masks; batch 0: the best
 *           of 1, 2, 4
 *   train   clear, pack, forward, five losses, backward, SGD on one batch that stays the same; the
 *           rate is so small that weights, and with them counts, stay what they are */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "bench.h"
#include "case_file.h"
#include "model/detector.h"
#include "nn/optimizer.h"

enum { BANDS = 3, TRUTH_CAPACITY = 256 };

typedef struct Arguments {
  const char *mode;
  const char *precision;
  int size, batch;
  double seconds;
} Arguments;

typedef struct Bench {
  Arguments arguments;
  Device *device;
  const Backend *backend;
  CaseFile *file;
  DetectorParts parts;
  Detector *detector;
  Optimizer *optimizer;
  int images_in_case, batch;
  float *images, *means, *inverse_stds; /* device */
  float *trained, *statistics;          /* host */
  int64_t step;
} Bench;

static void read_model(Bench *b)
{
  MaskRcnn model = {.bands = BANDS, .masks = true, .norm_eps = 1e-5F, .trained_layers = 5};
  model.classes = case_int(b->file, "classes");
  b->images_in_case = case_int(b->file, "images");
  if (!encoder_find(case_text(b->file, "backbone"), &model.encoder))
    bench_check(status_set(STATUS_BAD_INPUT, "no backbone %s", case_text(b->file, "backbone")));
  if (case_int(b->file, "size") != b->arguments.size)
    bench_check(
        status_set(STATUS_BAD_INPUT, "the case is of another size than %d px", b->arguments.size));
  bench_check(detector_parts_open(model, &b->parts));
}

static void read_weights(Bench *b)
{
  const ParameterList *list = &b->parts.parameters;
  b->trained = bench_host((size_t)list->trained_count, sizeof(float));
  b->statistics = bench_host((size_t)list->statistic_count, sizeof(float));
  for (int32_t i = 0; i < list->count; ++i) {
    const Parameter *p = &list->items[i];
    int64_t count = 0;
    const float *values = case_tensor(b->file, &count, "%s", p->name);
    if (count != p->count)
      bench_check(status_set(STATUS_BAD_INPUT, "%s is of another size", p->name));
    memcpy((p->trained ? b->trained : b->statistics) + p->offset, values,
           (size_t)count * sizeof *values);
  }
}

/* bands x height x width to height x width x bands. */
static void read_image(const Bench *b, int image, float *to)
{
  int64_t count = 0;
  const float *from = case_tensor(b->file, &count, "image.%d", image % b->images_in_case);
  const int64_t pixels = count / BANDS;
  for (int64_t p = 0; p < pixels; ++p)
    for (int64_t c = 0; c < BANDS; ++c)
      to[p * BANDS + c] = from[c * pixels + p];
}

static void open_images(Bench *b)
{
  static const float means[] = {0.485F, 0.456F, 0.406F};
  static const float inverse_stds[] = {1 / 0.229F, 1 / 0.224F, 1 / 0.225F};
  const size_t values = (size_t)b->arguments.size * (size_t)b->arguments.size * BANDS;
  float *images = bench_host((size_t)b->batch * values, sizeof *images);
  for (int i = 0; i < b->batch; ++i)
    read_image(b, i, images + (size_t)i * values);
  b->images = bench_uploaded(b->device, images, (size_t)b->batch * values * sizeof *images);
  b->means = bench_uploaded(b->device, means, sizeof means);
  b->inverse_stds = bench_uploaded(b->device, inverse_stds, sizeof inverse_stds);
  memory_free(images);
}

/* --- objects --- */

/* The truth of a batch on the host. */
typedef struct HostTruth {
  int32_t *counts, *classes, *windows;
  float *boxes;
  int64_t *offsets;
  uint8_t *bytes;
  uint64_t *streams;
  int64_t used;
} HostTruth;

/* Objects of one image, each mask cut to its box. */
static void fill_image(const Bench *b, int32_t n, HostTruth *t)
{
  const int64_t side = b->arguments.size;
  const int image = n % b->images_in_case;
  int64_t count = 0, pixels = 0, labels = 0;
  const float *boxes = case_tensor(b->file, &count, "truth.%d.boxes", image);
  const float *masks = case_tensor(b->file, &pixels, "truth.%d.masks", image);
  const float *classes = case_tensor(b->file, &labels, "truth.%d.labels", image);
  t->counts[n] = (int32_t)labels;
  t->streams[n] = (uint64_t)n;
  for (int64_t k = 0; k < labels; ++k) {
    const int64_t at = (int64_t)n * TRUTH_CAPACITY + k;
    const float *box = boxes + 4 * k;
    const int32_t window[] = {(int32_t)box[0], (int32_t)box[1], (int32_t)(box[2] - box[0]),
                              (int32_t)(box[3] - box[1])};
    memcpy(t->boxes + 4 * at, box, 4 * sizeof *box);
    memcpy(t->windows + 4 * at, window, sizeof window);
    t->classes[at] = (int32_t)classes[k];
    t->offsets[at] = t->used;
    for (int32_t y = 0; y < window[3]; ++y)
      for (int32_t x = 0; x < window[2]; ++x)
        t->bytes[t->used++] = masks[(k * side + window[1] + y) * side + window[0] + x] > 0.5F;
  }
}

static void upload_truth(Bench *b, const HostTruth *t, size_t images, size_t places)
{
  const DetectorBuffers *buffers = detector_buffers(b->detector);
  const Truth *truth = &buffers->truth;
  bench_upload(b->device, truth->counts, t->counts, images * sizeof *t->counts);
  bench_upload(b->device, truth->classes, t->classes, places * sizeof *t->classes);
  bench_upload(b->device, truth->boxes, t->boxes, 4 * places * sizeof *t->boxes);
  bench_upload(b->device, truth->mask_windows, t->windows, 4 * places * sizeof *t->windows);
  bench_upload(b->device, truth->mask_offsets, t->offsets, places * sizeof *t->offsets);
  bench_upload(b->device, truth->mask_bytes, t->bytes, (size_t)t->used);
  bench_upload(b->device, buffers->streams, t->streams, images * sizeof *t->streams);
}

static void fill_truth(Bench *b, int64_t mask_bytes)
{
  const size_t images = (size_t)b->batch;
  const size_t places = images * TRUTH_CAPACITY;
  HostTruth t = {.counts = bench_host(images, sizeof *t.counts),
                 .classes = bench_host(places, sizeof *t.classes),
                 .windows = bench_host(4 * places, sizeof *t.windows),
                 .boxes = bench_host(4 * places, sizeof *t.boxes),
                 .offsets = bench_host(places, sizeof *t.offsets),
                 .bytes = bench_host((size_t)mask_bytes, 1),
                 .streams = bench_host(images, sizeof *t.streams)};
  memset(t.classes, 0, places * sizeof *t.classes);
  memset(t.windows, 0, 4 * places * sizeof *t.windows);
  memset(t.boxes, 0, 4 * places * sizeof *t.boxes);
  memset(t.offsets, 0, places * sizeof *t.offsets);
  for (int32_t n = 0; n < b->batch; ++n)
    fill_image(b, n, &t);
  upload_truth(b, &t, images, places);
  memory_free(t.counts);
  memory_free(t.classes);
  memory_free(t.windows);
  memory_free(t.boxes);
  memory_free(t.offsets);
  memory_free(t.bytes);
  memory_free(t.streams);
}

/* --- the detector --- */

static void open_training(Bench *b, int64_t mask_bytes)
{
  const OptimizerOptions options = {
      .kind = OPTIMIZER_SGD,
      .schedule = {.kind = SCHEDULE_CONSTANT, .rate = 1e-9, .step_count = 1000},
      .momentum = 0.9,
      .weight_decay = 1e-4};
  bench_check(optimizer_open(&b->parts.parameters, b->device, options, &b->optimizer));
  bench_check(optimizer_upload(b->optimizer, b->trained, b->statistics, NULL));
  detector_bind(b->detector, optimizer_trained(b->optimizer), optimizer_statistics(b->optimizer),
                optimizer_gradients(b->optimizer));
  fill_truth(b, mask_bytes);
}

static void open_detector(Bench *b, int batch, bool training)
{
  DetectorOptions options = detector_options_default(training);
  const int64_t pixels = (int64_t)b->arguments.size * b->arguments.size;
  b->batch = batch;
  options.element = bench_element(b->arguments.precision);
  options.images = batch;
  options.height_px = options.width_px = b->arguments.size;
  options.truth_capacity = TRUTH_CAPACITY;
  options.mask_bytes_most = 8 * pixels;
  options.pasted_pixels_most = 32 * pixels;
  bench_check(detector_open(&b->parts, b->device, options, &b->detector));
  bench_check(detector_allocate(b->detector));
  open_images(b);
  if (training)
    open_training(b, batch * options.mask_bytes_most);
  else
    bench_check(detector_load(b->detector, b->trained, b->statistics));
}

static void close_detector(Bench *b)
{
  detector_close(b->detector);
  device_release(b->device, b->images);
  device_release(b->device, b->means);
  device_release(b->device, b->inverse_stds);
}

static void iterate(void *context)
{
  Bench *b = context;
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
  bench_check(detector_learn(b->detector, NULL, NULL));
  optimizer_apply(b->optimizer);
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

static int best_batch(Bench *b)
{
  static const int batches[] = {1, 2, 4};
  int best = 1;
  double best_s = INFINITY;
  for (size_t i = 0; i < sizeof batches / sizeof *batches; ++i) {
    open_detector(b, batches[i], false);
    (void)bench_round(work_of(b), 0.5);
    const double seconds = bench_round(work_of(b), 2.0) / batches[i];
    close_detector(b);
    if (seconds >= best_s) continue;
    best = batches[i];
    best_s = seconds;
  }
  return best;
}

/* --- what was done --- */

/* Products and sums of a graph's convolutions on one input, counted as if all were done directly. */
static double flop_of_graph(const Graph *graph, int side)
{
  int32_t count;
  const Node *nodes = graph_nodes(graph, &count);
  double flop = 0;
  double *sides = bench_host((size_t)count, sizeof(double));
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

static int32_t count_of(const Bench *b, const int32_t *count)
{
  int32_t value = 0;
  bench_download(b->device, &value, count, sizeof value);
  return value;
}

/* Of the batch: the trunk, and the heads for the regions that there are. */
static double flop_of_batch(const Bench *b)
{
  const DetectorBuffers *buffers = detector_buffers(b->detector);
  const bool training = b->optimizer != NULL;
  const int32_t boxes =
      count_of(b, training ? buffers->rois.regions.count : buffers->regions.count);
  const int32_t masks =
      count_of(b, training ? buffers->rois.positives.count : buffers->detected.count);
  return b->batch * flop_of_graph(b->parts.graphs[0], b->arguments.size) +
         boxes * flop_of_graph(b->parts.graphs[1], MASK_RCNN_BOX_PX) +
         masks * flop_of_graph(b->parts.graphs[2], MASK_RCNN_MASK_PX);
}

static void print_list(const Bench *b, const char *name, const int32_t *counts)
{
  (void)printf(", \"%s\": [", name);
  for (int i = 0; i < b->batch; ++i)
    (void)printf("%s%d", i > 0 ? ", " : "", count_of(b, counts + i));
  (void)printf("]");
}

static void print_losses(const Bench *b)
{
  float sums[DETECTOR_SUMS];
  double losses[DETECTOR_LOSSES];
  bench_download(b->device, sums, detector_buffers(b->detector)->sums, sizeof sums);
  detector_losses(sums, losses);
  for (int i = 0; i < DETECTOR_LOSSES; ++i)
    (void)printf(", \"%s\": %.4f", detector_loss_name((DetectorLoss)i), losses[i]);
}

static void print_counts(const Bench *b)
{
  const DetectorBuffers *buffers = detector_buffers(b->detector);
  (void)printf("{\"ready\": true, \"batch\": %d, \"flop\": %.9g", b->batch, flop_of_batch(b));
  print_list(b, "proposals", buffers->proposal_counts);
  if (b->optimizer != NULL) {
    (void)printf(", \"positives\": %d", count_of(b, buffers->rois.positives.count));
    print_losses(b);
  } else {
    print_list(b, "detections", buffers->detections.counts);
  }
  (void)printf("}\n");
}

int main(int count, char **arguments)
{
  Bench bench = {.arguments = {.mode = bench_text(count, arguments, "mode", "infer"),
                               .precision = bench_text(count, arguments, "precision", "f32"),
                               .size = bench_int(count, arguments, "size", 512),
                               .batch = bench_int(count, arguments, "batch", 0),
                               .seconds = bench_real(count, arguments, "seconds", 3)},
                 .device = bench_device(count, arguments),
                 .file = case_open(bench_text(count, arguments, "case", "."))};
  const bool training = strcmp(bench.arguments.mode, "train") == 0;
  bench.backend = backend_of(bench.device);
  read_model(&bench);
  read_weights(&bench);
  int batch = bench.arguments.batch;
  if (batch == 0) batch = training ? 2 : best_batch(&bench);
  open_detector(&bench, batch, training);
  (void)bench_round(work_of(&bench), 1.0);
  print_counts(&bench);
  BenchWork work = work_of(&bench);
  if (training) bench_record(&work);
  bench_serve(work, bench.arguments.seconds);
  return 0;
}
