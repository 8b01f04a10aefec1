#include "training_trial.h"

#include <stdio.h>

#include "training_score.h"

enum { BANDS = 3 };

const TrainingRecipe unet_curve = {
    .name = "unet",
    .images = 4,
    .side_px = 128,
    .steps = 50,
    .optimizer = {.kind = OPTIMIZER_SGD,
                  .schedule = {.kind = SCHEDULE_CONSTANT, .rate = 0.001, .step_count = 50},
                  .momentum = 0.9,
                  .weight_decay = 1e-4}};

const TrainingRecipe mask_rcnn_curve = {
    .name = "mask_rcnn",
    .detects = true,
    .norm_frozen = true,
    .regions = 258,
    .positives = 262,
    .detections = 32,
    .images = 2,
    .side_px = 32,
    .steps = 50,
    .optimizer = {.kind = OPTIMIZER_SGD,
                  .schedule = {.kind = SCHEDULE_CONSTANT, .rate = 3e-5, .step_count = 50},
                  .momentum = 0.9,
                  .weight_decay = 1e-4}};

const TrainingRecipe unet_learning = {.name = "unet",
                                      .images = 4,
                                      .side_px = 64,
                                      .steps = 200,
                                      .held_out = 8,
                                      .optimizer = {.kind = OPTIMIZER_ADAMW,
                                                    .schedule = {.kind = SCHEDULE_ONE_CYCLE,
                                                                 .rate = 2e-3,
                                                                 .step_count = 200,
                                                                 .cycle_momentum = true},
                                                    .momentum = 0.9,
                                                    .weight_decay = 0.01}};

const TrainingRecipe mask_rcnn_learning = {.name = "mask_rcnn",
                                           .detects = true,
                                           .regions = 64,
                                           .positives = 68,
                                           .detections = 32,
                                           .images = 4,
                                           .side_px = 64,
                                           .steps = 400,
                                           .held_out = 16,
                                           .optimizer = {.kind = OPTIMIZER_ADAMW,
                                                         .schedule = {.kind = SCHEDULE_ONE_CYCLE,
                                                                      .rate = 1e-3,
                                                                      .step_count = 400,
                                                                      .cycle_momentum = true},
                                                         .momentum = 0.9,
                                                         .weight_decay = 0.01,
                                                         .norm_limit = 10}};

static bool has_ending(const char *name, const char *ending)
{
  const size_t length = strlen(name);
  const size_t part = strlen(ending);
  return length >= part && strcmp(name + length - part, ending) == 0;
}

/* As formula_fill_initial, with last layers that say little at first, as torchvision starts them,
 * and residuals that add little, so that activations keep their size where norms are frozen. */
static void fill_detector(void *context, const Parameter *p, float *values)
{
  static const char *const last[] = {"cls_logits.weight", "bbox_pred.weight", "cls_score.weight",
                                     "mask_fcn_logits.weight", "bn2.weight"};
  const bool is_norm = strstr(p->name, ".body.") != NULL;
  if (p->rank == 4 || p->rank == 2)
    formula_fill_detector(p->name, p->rank, p->dims, values);
  else if (is_norm)
    formula_fill_initial(p->name, p->rank, p->dims, values);
  else
    memset(values, 0, (size_t)p->count * sizeof *values);
  for (size_t i = 0; i < sizeof last / sizeof *last; ++i)
    for (int64_t k = 0; has_ending(p->name, last[i]) && k < p->count; ++k)
      values[k] *= 0.25F;
}

static void add_noise(const ParameterList *list, float *trained, double noise)
{
  const uint32_t seed = formula_seed("rounding");
  for (int64_t i = 0; noise > 0 && i < list->trained_count; ++i)
    trained[i] *= (float)(1 + noise * (double)formula_signed(seed, (uint32_t)i));
}

/* Where two of nearly the same score or IoU may change places, a choice among proposals is another one
 * for a rounding, and a loss another one by a share of 1/100: where there are as many regions as
 * anchors there is no choice. */
static DetectorOptions detector_options_of(const TrainingRecipe *recipe, Element element,
                                           bool training)
{
  enum { ANCHORS_OF_32_PX = 258 };
  DetectorOptions o = detector_options_default(training);
  const int64_t pixels = (int64_t)recipe->side_px * recipe->side_px;
  o.element = element;
  o.images = recipe->images;
  o.height_px = o.width_px = recipe->side_px;
  for (int32_t i = 0; i < MASK_RCNN_MAPS; ++i)
    o.anchor_sizes_px[i] = recipe->side_px / 4 << i;
  o.proposals.pre_count = o.proposals.post_count = recipe->regions;
  if (recipe->regions == ANCHORS_OF_32_PX) o.proposals.iou_most = 1;
  o.roi_sampling.count = recipe->regions + TRAINING_OBJECTS;
  o.roi_sampling.positive_count = recipe->positives;
  o.truth_capacity = TRAINING_OBJECTS;
  o.mask_bytes_most = TRAINING_OBJECTS * pixels;
  o.detection_count = recipe->detections;
  o.pasted_pixels_most = recipe->detections * pixels;
  return o;
}

static MaskRcnn model_of(const TrainingRecipe *recipe)
{
  return (MaskRcnn){.encoder = ENCODER_RESNET18,
                    .bands = BANDS,
                    .classes = TRAINING_CLASSES,
                    .masks = true,
                    .norm_frozen = recipe->norm_frozen,
                    .norm_eps = 1e-5F,
                    .trained_layers = 5};
}

static const float band_means[BANDS] = {0.5F, 0.5F, 0.5F};
static const float band_stds[BANDS] = {0.25F, 0.25F, 0.25F};
static const double class_weights[TRAINING_CLASSES] = {1, 1, 1};

DetectorTrial *training_detector(const TestBackend *on, const TrainingRecipe *recipe,
                                 Element element, bool training)
{
  return detector_trial_open(on, model_of(recipe), detector_options_of(recipe, element, training),
                             fill_detector, NULL, band_means, band_stds);
}

UnetTrial *training_unet(const TestBackend *on, const TrainingRecipe *recipe, Element element,
                         bool training)
{
  const Shape batch = {recipe->images, recipe->side_px, recipe->side_px, BANDS, element};
  const Unet unet = {.encoder = ENCODER_RESNET18, .bands = BANDS, .classes = TRAINING_CLASSES};
  return unet_trial_open(on, unet, batch, training, formula_fill_initial, class_weights);
}

DetectorScene training_scene(const TrainingRecipe *recipe, Room *room, const char *name)
{
  const FormulaScene scene = {.images = recipe->images,
                              .height = recipe->side_px,
                              .width = recipe->side_px,
                              .bands = BANDS,
                              .object_count = TRAINING_OBJECTS,
                              .class_count = TRAINING_CLASSES};
  return scene_by_formula(room, name, scene);
}

const ParameterList *training_parameters(const Training *t)
{
  return t->recipe->detects ? &t->detector->parts.parameters : graph_parameters(t->unet->graph);
}

static void open_network(Training *t)
{
  if (t->recipe->detects)
    t->detector = training_detector(t->on, t->recipe, t->element, true);
  else
    t->unet = training_unet(t->on, t->recipe, t->element, true);
}

static void bind(Training *t)
{
  float *trained = optimizer_trained(t->optimizer);
  float *statistics = optimizer_statistics(t->optimizer);
  float *gradients = optimizer_gradients(t->optimizer);
  if (t->recipe->detects)
    detector_bind(t->detector->detector, trained, statistics, gradients);
  else
    network_bind(t->unet->network, trained, statistics, gradients);
}

Training training_open(const TestBackend *on, const TrainingRecipe *recipe, Element element,
                       double noise)
{
  Training t = {.on = on, .recipe = recipe, .element = element};
  open_network(&t);
  const ParameterList *list = training_parameters(&t);
  float *trained = recipe->detects ? t.detector->trained : t.unet->trained;
  const float *statistics = recipe->detects ? t.detector->statistics : t.unet->statistics;
  add_noise(list, trained, noise);
  CHECK_OK(optimizer_open(list, on->device, recipe->optimizer, &t.optimizer));
  CHECK_OK(optimizer_upload(t.optimizer, trained, statistics, NULL));
  bind(&t);
  return t;
}

void training_close(Training *t)
{
  optimizer_close(t->optimizer);
  if (t->detector != NULL) detector_trial_close(t->detector);
  if (t->unet != NULL) unet_trial_close(t->unet);
}

static double unet_step(Training *t, const char *name)
{
  UnetTrial *u = t->unet;
  unet_trial_feed(u, name);
  network_pack(u->network);
  network_forward(u->network);
  const double loss = unet_trial_loss(u);
  optimizer_clear_gradients(t->optimizer);
  unet_trial_loss_backward(u);
  CHECK_OK(network_backward(u->network, NULL, NULL));
  return loss;
}

static double detector_step(Training *t, const char *name)
{
  DetectorTrial *d = t->detector;
  Room *room = room_open(t->on);
  double losses[DETECTOR_LOSSES];
  double sum = 0;
  const DetectorScene scene = training_scene(t->recipe, room, name);
  d->first_image = (uint64_t)t->step * (uint64_t)t->recipe->images;
  detector_trial_feed(d, &scene);
  detector_pack(d->detector);
  detector_trial_forward(d);
  optimizer_clear_gradients(t->optimizer);
  detector_trial_learn(d);
  detector_trial_losses(d, losses);
  for (int i = 0; i < DETECTOR_LOSSES; ++i)
    sum += losses[i];
  room_close(room);
  return sum;
}

double training_step(Training *t)
{
  char name[32];
  (void)snprintf(name, sizeof name, "batch%d", t->step);
  const double loss = t->recipe->detects ? detector_step(t, name) : unet_step(t, name);
  optimizer_step(t->optimizer, t->step);
  CHECK_OK(device_synchronize(t->on->device));
  ++t->step;
  return loss;
}
