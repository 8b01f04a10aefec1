#include "training_score.h"

#include <math.h>
#include <stdio.h>

/* The weights as they are now, in room. */
typedef struct Weights {
  float *trained, *statistics;
} Weights;

static Weights weights_now(Training *t, Room *room)
{
  const ParameterList *list = training_parameters(t);
  const Weights weights = {room_numbers(room, list->trained_count),
                           room_numbers(room, list->statistic_count)};
  CHECK_OK(optimizer_download(t->optimizer, weights.trained, weights.statistics, NULL));
  return weights;
}

/* --- classes of pixels --- */

typedef struct Confusion {
  int64_t pixels[TRAINING_CLASSES][TRAINING_CLASSES]; /* label, prediction */
} Confusion;

static void count_pixels(UnetTrial *u, const char *name, Confusion *confusion)
{
  Room *room = room_open(u->on);
  const int64_t pixels = shape_pixels(u->batch);
  const int64_t plane = (int64_t)u->batch.height * u->batch.width;
  float *x = room_numbers(room, shape_elements(u->batch));
  uint8_t *labels = room_host(room, pixels, 1);
  formula_image(name, u->batch.images, u->batch.height, u->batch.width, u->unet.bands,
                u->unet.classes, x, labels);
  unet_trial_put(u, x, labels);
  network_forward(u->network);
  const float *logits = unet_trial_logits(u);
  for (int64_t p = 0; p < pixels; ++p) {
    if (labels[p] == LABEL_IGNORE) continue;
    const float *first = logits + p / plane * TRAINING_CLASSES * plane + p % plane;
    int best = 0;
    for (int c = 1; c < TRAINING_CLASSES; ++c)
      if (first[c * plane] > first[best * plane]) best = c;
    ++confusion->pixels[labels[p]][best];
  }
  room_close(room);
}

static TrainingScore score_of_pixels(const Confusion *confusion)
{
  int64_t right = 0;
  int64_t all = 0;
  double ious = 0;
  for (int c = 0; c < TRAINING_CLASSES; ++c) {
    int64_t labelled = 0;
    int64_t predicted = 0;
    for (int k = 0; k < TRAINING_CLASSES; ++k) {
      labelled += confusion->pixels[c][k];
      predicted += confusion->pixels[k][c];
    }
    const int64_t both = confusion->pixels[c][c];
    right += both;
    all += labelled;
    ious += (double)both / (double)(labelled + predicted - both);
  }
  return (TrainingScore){(double)right / (double)all, ious / TRAINING_CLASSES};
}

static TrainingScore unet_score(Training *t)
{
  Room *room = room_open(t->on);
  const Weights weights = weights_now(t, room);
  UnetTrial *u = training_unet(t->on, t->recipe, t->element, false);
  Confusion confusion = {0};
  CHECK_OK(network_load(u->network, weights.trained, weights.statistics));
  for (int i = 0; i < t->recipe->held_out; ++i) {
    char name[32];
    (void)snprintf(name, sizeof name, "held out%d", i);
    count_pixels(u, name, &confusion);
  }
  unet_trial_close(u);
  room_close(room);
  return score_of_pixels(&confusion);
}

/* --- objects --- */

static double box_iou(const float *a, const float *b)
{
  const double width = fmin((double)a[2], (double)b[2]) - fmax((double)a[0], (double)b[0]);
  const double height = fmin((double)a[3], (double)b[3]) - fmax((double)a[1], (double)b[1]);
  const double inter = fmax(width, 0) * fmax(height, 0);
  const double area_a = ((double)a[2] - (double)a[0]) * ((double)a[3] - (double)a[1]);
  const double area_b = ((double)b[2] - (double)b[0]) * ((double)b[3] - (double)b[1]);
  return inter / (area_a + area_b - inter);
}

static double mask_iou(int64_t pixels, const float *got, const uint8_t *truth)
{
  int64_t both = 0;
  int64_t either = 0;
  for (int64_t i = 0; i < pixels; ++i) {
    const bool is_in = got[i] > 0.5F;
    both += is_in && truth[i] != 0;
    either += is_in || truth[i] != 0;
  }
  return either > 0 ? (double)both / (double)either : 0;
}

typedef struct Judgement {
  int64_t objects, found;
  double ious;
} Judgement;

static void judge_image(DetectorTrial *d, const FoundByTrial *found, int32_t image,
                        Judgement *judgement)
{
  const DetectorScene *s = &d->scene;
  const int64_t pixels = (int64_t)s->height_px * s->width_px;
  const int64_t first = (int64_t)image * d->options.detection_count;
  const float *masks = detector_trial_pasted(d, found, image);
  for (int32_t k = 0; k < s->counts[image]; ++k) {
    const int64_t object = (int64_t)image * s->object_count + k;
    double best = -1;
    for (int32_t i = 0; i < found->counts[image]; ++i) {
      if (found->classes[first + i] != s->labels[object] || found->scores[first + i] < 0.5F ||
          box_iou(found->boxes + 4 * (first + i), s->boxes + 4 * object) < 0.5)
        continue;
      best = fmax(best, mask_iou(pixels, masks + i * pixels, s->masks + object * pixels));
    }
    ++judgement->objects;
    judgement->found += best >= 0;
    judgement->ious += fmax(best, 0);
  }
}

static void judge_scene(Training *t, const Weights *weights, const char *name, Judgement *judgement)
{
  DetectorTrial *d = training_detector(t->on, t->recipe, t->element, false);
  const DetectorScene scene = training_scene(t->recipe, d->room, name);
  CHECK_OK(detector_load(d->detector, weights->trained, weights->statistics));
  detector_trial_feed(d, &scene);
  detector_find(d->detector);
  CHECK_OK(device_synchronize(t->on->device));
  const FoundByTrial found = detector_trial_found(d);
  for (int32_t i = 0; i < scene.images; ++i)
    judge_image(d, &found, i, judgement);
  detector_trial_close(d);
}

static TrainingScore detector_score(Training *t)
{
  Room *room = room_open(t->on);
  const Weights weights = weights_now(t, room);
  Judgement judgement = {0};
  for (int i = 0; i < t->recipe->held_out; ++i) {
    char name[32];
    (void)snprintf(name, sizeof name, "held out%d", i);
    judge_scene(t, &weights, name, &judgement);
  }
  room_close(room);
  return (TrainingScore){(double)judgement.found / (double)judgement.objects,
                         judgement.ious / (double)judgement.objects};
}

TrainingScore training_score(Training *t)
{
  return t->recipe->detects ? detector_score(t) : unet_score(t);
}
