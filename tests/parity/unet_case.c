#include <stdio.h>

#include "model/unet_trial.h"
#include "parity.h"

static const double value_tolerance = 1e-4;
static const double gradient_tolerance = 1e-3;
static const double gradient_floor = 1e-5;

/* What a U-Net is run on. */
typedef struct UnetCase {
  Case *c; /* NULL: by formula */
  Unet unet;
  int32_t images, height, width;
  const double *class_weights;
  const char *evaluated; /* "logits", or "eval.logits" in golden files */
  const char *loss;      /* of inference; "" for none */
  const char *gradients, *statistics;
} UnetCase;

static void feed_case(UnetTrial *t, Case *c)
{
  Room *room = room_open(t->on);
  const Weight *shape = NULL;
  const int64_t plane = (int64_t)t->batch.height * t->batch.width;
  const int64_t bands = t->unet.bands;
  const float *x = tensors_find(&c->input, "x", &shape);
  assert_true(x != NULL && shape->element_count == t->batch.images * plane * bands);
  const float *labels = tensors_find(&c->input, "labels", &shape);
  assert_true(labels != NULL && shape->element_count == t->batch.images * plane);
  float *last = room_numbers(room, t->batch.images * plane * bands);
  uint8_t *classes = room_host(room, t->batch.images * plane, 1);
  for (int64_t n = 0; n < t->batch.images; ++n)
    for (int64_t p = 0; p < plane; ++p) {
      classes[n * plane + p] = (uint8_t)labels[n * plane + p];
      for (int64_t b = 0; b < bands; ++b)
        last[(n * plane + p) * bands + b] = x[(n * bands + b) * plane + p];
    }
  unet_trial_put(t, last, classes);
  room_close(room);
}

static UnetTrial *open_trial(const UnetCase *u, const TestBackend *on, bool training)
{
  const Shape batch = image_shape(u->images, u->height, u->width, u->unet.bands, ELEMENT_F32);
  UnetTrial *t = unet_trial_open(on, u->unet, batch, training, formula_fill, u->class_weights);
  if (u->c == NULL) {
    unet_trial_feed(t, "unet");
    return t;
  }
  const ParameterList *list = graph_parameters(t->graph);
  for (int32_t i = 0; i < list->count; ++i)
    case_fill(u->c, &list->items[i],
              (list->items[i].trained ? t->trained : t->statistics) + list->items[i].offset);
  feed_case(t, u->c);
  return t;
}

static void compare_loss(const Stages *stages, UnetTrial *t, const char *name)
{
  const float loss = (float)unet_trial_loss(t);
  stages_compare(stages, name, 1, &loss, value_tolerance);
}

static void evaluate(const UnetCase *u, const TestBackend *on, const Stages *stages)
{
  UnetTrial *t = open_trial(u, on, false);
  CHECK_OK(network_load(t->network, t->trained, t->statistics));
  network_forward(t->network);
  CHECK_OK(device_synchronize(on->device));
  stages_compare(stages, u->evaluated, t->logit_count, unet_trial_logits(t), value_tolerance);
  compare_loss(stages, t, u->loss);
  unet_trial_close(t);
}

static double largest_gradient(const UnetCase *u, const Stages *stages, const ParameterList *list)
{
  char name[STAGE_NAME_BYTES];
  double largest = 0;
  for (int32_t i = 0; i < list->count; ++i) {
    if (!list->items[i].trained) continue;
    (void)snprintf(name, sizeof name, "%s%s", u->gradients, list->items[i].name);
    const double most = reference_most(stages->reference, name);
    largest = most > largest ? most : largest;
  }
  return largest;
}

static void learn(const UnetCase *u, const TestBackend *on, const Stages *stages)
{
  UnetTrial *t = open_trial(u, on, true);
  const ParameterList *list = graph_parameters(t->graph);
  const float *trained = room_upload_floats(t->room, t->trained, list->trained_count);
  float *statistics = room_upload_floats(t->room, t->statistics, list->statistic_count);
  float *gradients =
      room_upload_floats(t->room, room_numbers(t->room, list->trained_count), list->trained_count);
  network_bind(t->network, trained, statistics, gradients);
  network_pack(t->network);
  network_forward(t->network);
  CHECK_OK(device_synchronize(on->device));
  stages_compare(stages, "train.logits", t->logit_count, unet_trial_logits(t), value_tolerance);
  compare_loss(stages, t, "train.loss");
  stages_compare_parameters(stages, u->statistics, list, false,
                            room_download_floats(t->room, statistics, list->statistic_count), 0,
                            value_tolerance);
  unet_trial_loss_backward(t);
  CHECK_OK(network_backward(t->network, NULL, NULL));
  CHECK_OK(device_synchronize(on->device));
  stages_compare_parameters(stages, u->gradients, list, true,
                            room_download_floats(t->room, gradients, list->trained_count),
                            gradient_floor * largest_gradient(u, stages, list), gradient_tolerance);
  unet_trial_close(t);
}

static Encoder encoder_of(const char *name)
{
  Encoder encoder = ENCODER_RESNET18;
  if (!encoder_find(name, &encoder)) fail_msg("no known backbone: %s", name);
  return encoder;
}

void parity_unet(Case *c, const TestBackend *on, Stages stages)
{
  double class_weights[CLASS_COUNT_MOST];
  const Weight *shape = NULL;
  const float *weights = tensors_find(&c->input, "class_weights", &shape);
  assert_true(weights != NULL && shape->element_count <= CLASS_COUNT_MOST);
  for (int64_t i = 0; i < shape->element_count; ++i)
    class_weights[i] = (double)weights[i];
  const UnetCase u = {.c = c,
                      .unet = {.encoder = encoder_of(case_text(c, "backbone")),
                               .bands = case_int(c, NULL, "bands"),
                               .classes = case_int(c, NULL, "classes")},
                      .images = case_int(c, NULL, "images"),
                      .height = case_int(c, NULL, "height"),
                      .width = case_int(c, NULL, "width"),
                      .class_weights = class_weights,
                      .evaluated = "logits",
                      .loss = "loss",
                      .gradients = "train.grad.",
                      .statistics = "train.stat."};
  stages.reference = &c->reference;
  if (case_flag(c, "inference")) evaluate(&u, on, &stages);
  if (case_flag(c, "training")) learn(&u, on, &stages);
}

void parity_unet_golden(const char *name, const TestBackend *on, Stages stages)
{
  char file[96], encoder[16];
  int bands, classes;
  (void)snprintf(file, sizeof file, "%s.txt", name);
  if (sscanf(name, "unet_%15[a-z0-9]_%d_%d", encoder, &bands, &classes) != 3)
    fail_msg("%s: no known network", name);
  Golden *golden = golden_open(file);
  const Reference reference = {.golden = golden};
  const double *spec = golden_find(golden, "spec")->values;
  const UnetCase u = {.unet = {.encoder = encoder_of(encoder), .bands = bands, .classes = classes},
                      .images = (int32_t)spec[2],
                      .height = (int32_t)spec[3],
                      .width = (int32_t)spec[4],
                      .class_weights = golden_find(golden, "class_weights")->values,
                      .evaluated = "eval.logits",
                      .loss = "eval.loss",
                      .gradients = "grad.",
                      .statistics = "stat."};
  stages.reference = &reference;
  evaluate(&u, on, &stages);
  learn(&u, on, &stages);
  golden_close(golden);
}
