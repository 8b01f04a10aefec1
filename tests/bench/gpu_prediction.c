#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/unet.h"
#include "resnet.h"
#include "store/document.h"
#include "support/gpu_work.h"

/* What the networks of the speed table would take on GPUs that nobody has measured: ops counted
 * by the program itself, times by gpu_model.h. Prints tables; --json=FILE writes them as well;
 * --gpu=h200, h100, a100, l40s, t4; --only=the beginning of a case's name; --bucket=MiB of gradients
 * that are summed at a time. */

enum {
  BANDS = 3,
  CLASSES = 2,
  COCO_CLASSES = 91,
  TRUTH = 32,

  BUCKET_BYTES = 25 << 20
};

typedef enum NetworkKind { NET_UNET, NET_MASK_RCNN, NET_RESNET50 } NetworkKind;

typedef struct Case {
  const char *name, *title;
  NetworkKind kind;
  bool training;
  int32_t height_px, width_px;
  int32_t batches[5]; /* that are tried; 0 ends them */
  double limit;       /* against PyTorch; 0: none */
} Case;

static const Case cases[] = {
    {"mask_rcnn_training",
     "Mask R-CNN R50-FPN training, 800 x 1344 px",
     NET_MASK_RCNN,
     true,
     800,
     1344,
     {2, 4, 8, 16},
     3},
    {"mask_rcnn_inference_512",
     "Mask R-CNN R50-FPN inference, 512 px",
     NET_MASK_RCNN,
     false,
     512,
     512,
     {1, 4, 8, 16},
     3},
    {"mask_rcnn_inference_1024",
     "Mask R-CNN R50-FPN inference, 1024 px",
     NET_MASK_RCNN,
     false,
     1024,
     1024,
     {1, 4, 8, 16},
     3},
    {"unet_inference",
     "U-Net ResNet-34 inference, 512 px",
     NET_UNET,
     false,
     512,
     512,
     {8, 32, 64},
     1.5},
    {"unet_training",
     "U-Net ResNet-34 training, 512 px",
     NET_UNET,
     true,
     512,
     512,
     {8, 16, 32},
     1.5},
    {"resnet50_training",
     "ResNet-50 training, 224 px (the check)",
     NET_RESNET50,
     true,
     224,
     224,
     {256},
     0},
};
enum { CASES = sizeof cases / sizeof *cases };

/* PyTorch: cuDNN's convolutions without anything fused into them. Compiled, what stands behind one is
 * one kernel more and launches are recorded; not compiled, it is two, and each kernel costs the host
 * some 8 us. */
static const GpuProgram peer_eager = {.launch_s = 8e-6,
                                      .passes_behind_convolution = 2,
                                      .passes_behind_norm = 1,
                                      .copies_beside = true};
static const GpuProgram peer_compiled = {
    .recorded = true, .passes_behind_convolution = 1, .copies_beside = true};

/* Public figures: of public PyTorch code per A100, and of MLPerf's best per H100. */
enum { PUBLIC_TRAINING_A100 = 26, MLPERF_TRAINING_H100 = 182 };

static void check(Status status)
{
  if (status == STATUS_OK) return;
  (void)fprintf(stderr, "gpu_prediction: %s\n", status_message());
  exit(1);
}

static void count_unet(const Case *c, int32_t batch, GpuWork *work)
{
  Graph *graph;
  const NetworkOptions options = {.training = c->training,
                                  .rank_count = 1,
                                  .element = ELEMENT_BF16,
                                  .images = batch,
                                  .height = c->height_px,
                                  .width = c->width_px};
  check(
      unet_build((Unet){.encoder = ENCODER_RESNET34, .bands = BANDS, .classes = CLASSES}, &graph));
  check(gpu_work_unet(graph, options, BANDS, CLASSES, work));
  graph_close(graph);
}

static void count_resnet50(const Case *c, int32_t batch, GpuWork *work)
{
  Graph *graph;
  Value features[RESNET_FEATURES];
  const ResnetTraining training = {.trained_layers = 5, .norm_eps = 1e-5F};
  const NetworkOptions options = {.training = c->training,
                                  .rank_count = 1,
                                  .element = ELEMENT_BF16,
                                  .images = batch,
                                  .height = c->height_px,
                                  .width = c->width_px};
  check(graph_open(BANDS, &graph));
  resnet_build(graph, ENCODER_RESNET50, training, graph_input(graph), "", features);
  check(graph_finish(graph, features[RESNET_FEATURES - 1]));
  check(gpu_work_graph(graph, options, work));
  graph_close(graph);
}

static void count_mask_rcnn(const Case *c, int32_t batch, GpuWork *work)
{
  DetectorParts parts;
  DetectorOptions options = detector_options_default(c->training);
  const MaskRcnn model = {.encoder = ENCODER_RESNET50,
                          .bands = BANDS,
                          .classes = COCO_CLASSES,
                          .masks = true,
                          .norm_frozen = true,
                          .norm_eps = 1e-5F,
                          .trained_layers = 3};
  const int64_t image_px = (int64_t)c->height_px * c->width_px;
  options.element = ELEMENT_BF16;
  options.images = batch;
  options.height_px = c->height_px;
  options.width_px = c->width_px;
  options.truth_capacity = TRUTH;
  options.mask_bytes_most = 2 * image_px;
  options.pasted_pixels_most = c->training ? 0 : 2 * image_px;
  check(detector_parts_open(model, &parts));
  check(gpu_work_detector(&parts, options, work));
  detector_parts_close(&parts);
}

static void count_case(const Case *c, int32_t batch, GpuWork *work)
{
  switch (c->kind) {
  case NET_UNET: count_unet(c, batch, work); break;
  case NET_MASK_RCNN: count_mask_rcnn(c, batch, work); break;
  case NET_RESNET50: count_resnet50(c, batch, work); break;
  }
}

/* What is found of a case on one GPU. */
typedef struct Prediction {
  int32_t batch;
  double issued_s, recorded_s; /* of a batch */
  double eager_s, compiled_s;  /* PyTorch, from the same counts */
  double flop;                 /* of an image */
  GpuSums sums[2];             /* over 2 and 8 GPUs */
} Prediction;

static const int32_t gpus_of_sums[2] = {2, 8};

static Prediction predict_batch(const GpuModel *gpu, int32_t batch, const GpuWork *work,
                                size_t bucket_bytes)
{
  Prediction p = {.batch = batch,
                  .issued_s = gpu_seconds(gpu, &gpu_program_issued, work->items, work->count),
                  .recorded_s = gpu_seconds(gpu, &gpu_program_recorded, work->items, work->count),
                  .eager_s = gpu_seconds(gpu, &peer_eager, work->items, work->count),
                  .compiled_s = gpu_seconds(gpu, &peer_compiled, work->items, work->count)};
  for (int32_t i = 0; i < work->count; ++i)
    p.flop += work->items[i].flop / batch;
  for (int i = 0; i < 2; ++i)
    p.sums[i] = gpu_sums(gpu, work->items, work->backward_first, work->backward_end, work->ready,
                         work->ready_count,
                         (GpuBuckets){.elements = (size_t)work->gradients,
                                      .bucket_elements = bucket_bytes / sizeof(float),
                                      .gpus = gpus_of_sums[i]});
  return p;
}

/* Of the batches that fit the one with the most images in a second. */
static Prediction predict(const GpuModel *gpu, const Case *c, size_t bucket_bytes, GpuWork *best)
{
  Prediction found = {.batch = 0};
  *best = (GpuWork){0};
  for (int i = 0; i < 5 && c->batches[i] > 0; ++i) {
    GpuWork work;
    count_case(c, c->batches[i], &work);
    const Prediction p = predict_batch(gpu, c->batches[i], &work, bucket_bytes);
    const bool fits = (double)work.device_bytes < 0.9 * gpu->memory_bytes;
    if (found.batch > 0 && (!fits || p.recorded_s / p.batch >= found.recorded_s / found.batch)) {
      gpu_work_close(&work);
      continue;
    }
    gpu_work_close(best);
    *best = work;
    found = p;
  }
  return found;
}

static GpuBound longest_bound(const GpuTotal *total)
{
  GpuBound longest = GPU_BOUND_ARITHMETIC;
  for (GpuBound b = GPU_BOUND_ARITHMETIC; b < GPU_BOUNDS; ++b)
    if (total->by_bound[b] > total->by_bound[longest]) longest = b;
  return longest;
}

static void print_kinds(const GpuModel *gpu, const Case *c, const Prediction *p,
                        const GpuWork *work, Document *object)
{
  GpuTotal totals[OP_KINDS];
  Document *list, *row;
  gpu_totals(gpu, &gpu_program_recorded, work->items, 0, work->count, totals);
  (void)printf("\n%s, %d at a time, on one %s\n\n", c->title, p->batch, gpu->title);
  (void)printf(
      "| ops | count | kernels | GFLOP | MB | ms | bound by |\n|---|---|---|---|---|---|---|\n");
  check(document_set_list(object, "ops", &list));
  for (OpKind kind = OP_CONV_FORWARD; kind < OP_KINDS; ++kind) {
    const GpuTotal *t = &totals[kind];
    if (t->count == 0) continue;
    const char *bound = gpu_bound_name(longest_bound(t));
    (void)printf("| %s | %d | %d | %.1f | %.1f | %.3f | %s |\n", op_kind_name(kind), t->count,
                 t->launches, t->flop * 1e-9, t->bytes * 1e-6, t->seconds * 1e3, bound);
    check(document_add_object(list, &row));
    check(document_set_text(row, "kind", op_kind_name(kind)));
    check(document_set_int(row, "count", t->count));
    check(document_set_int(row, "launches", t->launches));
    check(document_set_real(row, "flop", t->flop));
    check(document_set_real(row, "bytes", t->bytes));
    check(document_set_real(row, "seconds", t->seconds));
    check(document_set_text(row, "bound", bound));
  }
}

/* Images or pixels in a second, whatever the case is measured in. */
static double speed(const Case *c, const Prediction *p, double seconds)
{
  const double images = p->batch / seconds;
  return c->kind == NET_UNET && !c->training ? images * c->height_px * c->width_px * 1e-6 : images;
}

static const char *unit_of(const Case *c)
{
  return c->kind == NET_UNET && !c->training ? "Mpx/s" : "images/s";
}

static void print_speeds(const GpuModel *gpu, const Case *c, const Prediction *p, Document *object)
{
  const double reached = p->flop * p->batch / p->recorded_s / gpu->reached_flop_per_s;
  (void)printf(
      "\n%.0f %s recorded as a graph, %.0f %s with kernels issued one by "
      "one; PyTorch from the same counts %.0f compiled, %.0f not; %.0f %% of what products "
      "of matrices reach\n",
      speed(c, p, p->recorded_s), unit_of(c), speed(c, p, p->issued_s), unit_of(c),
      speed(c, p, p->compiled_s), speed(c, p, p->eager_s), 100 * reached);
  for (int i = 0; i < 2 && c->training && p->sums[0].buckets > 0; ++i)
    (void)printf(
        "sums over %d GPUs: %.2f ms in %d buckets, %.0f %% hidden behind the backward pass, "
        "%.2f ms late\n",
        gpus_of_sums[i], p->sums[i].seconds * 1e3, p->sums[i].buckets, 100 * p->sums[i].hidden,
        p->sums[i].late_s * 1e3);
  check(document_set_int(object, "batch", p->batch));
  check(document_set_text(object, "unit", unit_of(c)));
  check(document_set_real(object, "recorded", speed(c, p, p->recorded_s)));
  check(document_set_real(object, "issued", speed(c, p, p->issued_s)));
  check(document_set_real(object, "pytorch_compiled", speed(c, p, p->compiled_s)));
  check(document_set_real(object, "pytorch_eager", speed(c, p, p->eager_s)));
  check(document_set_real(object, "share_of_reached_flop", reached));
  check(document_set_real(object, "sums_hidden_2_gpus", p->sums[0].hidden));
  check(document_set_real(object, "sums_hidden_8_gpus", p->sums[1].hidden));
}

/* Training of Mask R-CNN is compared with public figures, moved to this GPU by the memory's rate. */
static double peer_speed(const GpuModel *gpu, const Case *c, const Prediction *p)
{
  const GpuModel *a100 = gpu_model_find("a100");
  const double eager = speed(c, p, p->eager_s), compiled = speed(c, p, p->compiled_s);
  if (c->kind == NET_MASK_RCNN)
    return c->training ? PUBLIC_TRAINING_A100 * gpu->memory_bytes_per_s / a100->memory_bytes_per_s
                       : 0;
  return eager > compiled ? eager : compiled;
}

static void print_limit(const GpuModel *gpu, const Case *c, const Prediction *p)
{
  const double peer = peer_speed(gpu, c, p);
  const double issued = speed(c, p, p->issued_s), recorded = speed(c, p, p->recorded_s);
  if (c->limit <= 0) return;
  (void)printf("| %s | %.0f | %.0f %s | ", c->title, issued, recorded, unit_of(c));
  if (peer > 0)
    (void)printf("%.0f | %.2f | %.1f | %s |\n", peer, recorded / peer, c->limit,
                 recorded >= c->limit * peer ? "yes" : "no");
  else
    (void)printf("not known | | %.1f | not known |\n", c->limit);
}

static void run_case(const GpuModel *gpu, const Case *c, size_t bucket_bytes, Document *list,
                     Prediction *p)
{
  GpuWork work;
  Document *object;
  *p = predict(gpu, c, bucket_bytes, &work);
  check(document_add_object(list, &object));
  check(document_set_text(object, "name", c->name));
  check(document_set_text(object, "gpu", gpu->name));
  check(document_set_text(object, "how", "predicted, never measured"));
  print_kinds(gpu, c, p, &work, object);
  print_speeds(gpu, c, p, object);
  gpu_work_close(&work);
}

static void run_gpu(const GpuModel *gpu, const char *only, size_t bucket_bytes, Document *list)
{
  Prediction found[CASES] = {{.batch = 0}};
  for (int i = 0; i < CASES; ++i)
    if (strncmp(cases[i].name, only, strlen(only)) == 0)
      run_case(gpu, &cases[i], bucket_bytes, list, &found[i]);
  (void)printf("\n| %s, predicted | issued one by one | recorded | PyTorch | ratio | limit | "
               "reached |\n|---|---|---|---|---|---|---|\n",
               gpu->title);
  for (int i = 0; i < CASES; ++i)
    if (found[i].batch > 0) print_limit(gpu, &cases[i], &found[i]);
}

static const char *value_of(int count, char **arguments, const char *name, const char *preset)
{
  const size_t length = strlen(name);
  for (int i = 1; i < count; ++i)
    if (strncmp(arguments[i], name, length) == 0 && arguments[i][length] == '=')
      return arguments[i] + length + 1;
  return preset;
}

int main(int count, char **arguments)
{
  Document *document;
  Document *list;
  const char *json = value_of(count, arguments, "--json", NULL);
  const char *only = value_of(count, arguments, "--only", "");
  const char *bucket = value_of(count, arguments, "--bucket", "8");
  const GpuModel *gpu = gpu_model_find(value_of(count, arguments, "--gpu", "h200"));
  if (gpu == NULL) {
    (void)fprintf(stderr, "gpu_prediction: --gpu=h200, h100, a100, l40s or t4\n");
    return 2;
  }
  (void)printf("Predicted, never measured.\n");
  check(document_new_object(&document));
  check(document_set_list(document, "predictions", &list));
  run_gpu(gpu, only, (size_t)strtol(bucket, NULL, 10) << 20, list);
  if (json != NULL) check(document_save(document, DOCUMENT_PRETTY, json));
  document_close(document);
  return 0;
}
