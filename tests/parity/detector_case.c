#include <stdio.h>

#include "parity.h"

enum { BANDS_MOST = 256 };

static Encoder encoder_of(const Case *c)
{
  Encoder encoder = ENCODER_RESNET18;
  const char *name = case_text(c, "backbone");
  if (!encoder_find(name, &encoder)) fail_msg("no known backbone: %s", name);
  return encoder;
}

static MaskRcnn model_of(const Case *c)
{
  return (MaskRcnn){.encoder = encoder_of(c),
                    .bands = case_int(c, NULL, "bands"),
                    .classes = case_int(c, NULL, "classes"),
                    .masks = strcmp(case_text(c, "kind"), "mask_rcnn") == 0,
                    .norm_frozen = strcmp(case_text(c, "norm"), "frozen") == 0,
                    .norm_eps = (float)case_real(c, NULL, "norm_eps"),
                    .trained_layers = 5};
}

static DetectorOptions options_of(const Case *c, const DetectorScene *scene, bool training)
{
  DetectorOptions o = detector_options_default(training);
  o.images = case_int(c, NULL, "images");
  o.height_px = case_int(c, NULL, "height");
  o.width_px = case_int(c, NULL, "width");
  o.proposals = (ProposalLimits){.pre_count = case_int(c, "rpn", "pre"),
                                 .post_count = case_int(c, "rpn", "post"),
                                 .iou_most = (float)case_real(c, "rpn", "iou"),
                                 .least_side_px = (float)case_real(c, "rpn", "least_side")};
  o.rpn_sampling = (RpnSampling){.count = case_int(c, "rpn", "sampled"),
                                 .positive_count = case_int(c, "rpn", "sampled_positive")};
  o.roi_sampling.count = case_int(c, "roi", "sampled");
  o.roi_sampling.positive_count = case_int(c, "roi", "sampled_positive");
  o.limits.score_least = (float)case_real(c, "detections", "score");
  o.limits.iou_most = (float)case_real(c, "detections", "iou");
  o.detection_count = case_int(c, "detections", "most");
  float sides[2] = {0, 0};
  if (case_reals(c, "resize", 2, sides) == 2) {
    o.resize_least_px = (int32_t)sides[0];
    o.resize_most_px = (int32_t)sides[1];
    o.image_height_px = scene->height_px;
    o.image_width_px = scene->width_px;
  }
  o.truth_capacity = scene->object_count;
  o.mask_bytes_most = (int64_t)scene->object_count * scene->height_px * scene->width_px;
  o.pasted_pixels_most = (int64_t)o.detection_count * scene->height_px * scene->width_px;
  return o;
}

static const float *input_of(Case *c, const char *format, int32_t image, const Weight **shape)
{
  char name[64];
  (void)snprintf(name, sizeof name, format, (int)image);
  *shape = NULL;
  return tensors_find(&c->input, name, shape);
}

/* Room for the largest image and the most objects. */
static DetectorScene room_for_scene(Case *c, Room *room)
{
  const Weight *shape;
  int64_t height = 1, width = 1, objects = 1;
  const int32_t images = case_int(c, NULL, "images");
  for (int32_t i = 0; i < images; ++i) {
    assert_non_null(input_of(c, "image.%d", i, &shape));
    assert_int_equal(shape->rank, 3);
    height = shape->dims[1] > height ? shape->dims[1] : height;
    width = shape->dims[2] > width ? shape->dims[2] : width;
    if (input_of(c, "truth.%d.labels", i, &shape) != NULL && shape->dims[0] > objects)
      objects = shape->dims[0];
  }
  return scene_room(room, images, (int32_t)height, (int32_t)width, case_int(c, NULL, "bands"),
                    (int32_t)objects);
}

static void read_image(Case *c, int32_t i, DetectorScene *s)
{
  const Weight *shape;
  const float *image = input_of(c, "image.%d", i, &shape);
  const int64_t height = shape->dims[1], width = shape->dims[2];
  assert_int_equal(shape->dims[0], s->bands);
  s->sizes[2 * i] = (int32_t)height;
  s->sizes[2 * i + 1] = (int32_t)width;
  for (int64_t b = 0; b < s->bands; ++b)
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; ++x)
        s->x[((i * (int64_t)s->height_px + y) * s->width_px + x) * s->bands + b] =
            image[(b * height + y) * width + x];
}

static void read_masks(Case *c, int32_t i, DetectorScene *s)
{
  const Weight *shape;
  const float *masks = input_of(c, "truth.%d.masks", i, &shape);
  const int64_t height = s->sizes[2 * i], width = s->sizes[2 * i + 1];
  if (masks == NULL) return;
  assert_int_equal(shape->element_count, s->counts[i] * height * width);
  for (int64_t k = 0; k < s->counts[i]; ++k)
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; ++x)
        s->masks[((i * (int64_t)s->object_count + k) * s->height_px + y) * s->width_px + x] =
            masks[(k * height + y) * width + x] != 0;
}

static void read_truth(Case *c, int32_t i, DetectorScene *s)
{
  const Weight *shape;
  const float *labels = input_of(c, "truth.%d.labels", i, &shape);
  if (labels == NULL) return;
  const int64_t first = (int64_t)i * s->object_count;
  s->counts[i] = (int32_t)shape->dims[0];
  for (int64_t k = 0; k < s->counts[i]; ++k)
    s->labels[first + k] = (int32_t)labels[k];
  const float *boxes = input_of(c, "truth.%d.boxes", i, &shape);
  assert_true(boxes != NULL && shape->element_count == 4 * s->counts[i]);
  memcpy(s->boxes + 4 * first, boxes, 4 * (size_t)s->counts[i] * sizeof *boxes);
  read_masks(c, i, s);
}

static DetectorScene scene_of(Case *c, Room *room)
{
  DetectorScene scene = room_for_scene(c, room);
  for (int32_t i = 0; i < scene.images; ++i) {
    read_image(c, i, &scene);
    read_truth(c, i, &scene);
  }
  return scene;
}

static void fill(void *context, const Parameter *parameter, float *values)
{
  case_fill(context, parameter, values);
}

typedef struct Normalisation {
  float mean[BANDS_MOST], std[BANDS_MOST];
} Normalisation;

static void run(Case *c, const TestBackend *on, const Stages *stages, const DetectorScene *scene,
                bool training)
{
  Normalisation n;
  (void)case_reals(c, "mean", BANDS_MOST, n.mean);
  (void)case_reals(c, "std", BANDS_MOST, n.std);
  DetectorTrial *trial =
      detector_trial_open(on, model_of(c), options_of(c, scene, training), fill, c, n.mean, n.std);
  detector_trial_feed(trial, scene);
  if (training)
    detector_stages_training(trial, stages, strcmp(case_text(c, "sampling"), "all") == 0);
  else
    detector_stages_inference(trial, stages);
  detector_trial_close(trial);
}

void parity_detector(Case *c, const TestBackend *on, Stages stages)
{
  Room *room = room_open(on);
  const DetectorScene scene = scene_of(c, room);
  stages.reference = &c->reference;
  stages.fed = true;
  if (case_flag(c, "inference")) run(c, on, &stages, &scene, false);
  if (case_flag(c, "training")) run(c, on, &stages, &scene, true);
  room_close(room);
}

void parity_detector_golden(const char *name, const TestBackend *on, Stages stages)
{
  GoldenDetector golden = golden_detector_open(name);
  stages.reference = &golden.reference;
  for (int training = 0; training < 2; ++training) {
    if (!(training ? golden.training : golden.inference)) continue;
    DetectorTrial *trial = golden_detector_trial(&golden, on, golden.options[training]);
    const DetectorScene scene = golden_detector_scene(&golden, trial->room);
    detector_trial_feed(trial, &scene);
    if (training)
      detector_stages_training(trial, &stages, true);
    else
      detector_stages_inference(trial, &stages);
    detector_trial_close(trial);
  }
  golden_detector_close(&golden);
}
