#include "golden_detector.h"

#include <stdio.h>

const float golden_detector_mean[3] = {0.485F, 0.456F, 0.406F};
const float golden_detector_std[3] = {0.229F, 0.224F, 0.225F};

typedef enum SpecField {
  SPEC_MASKS,
  SPEC_CLASSES,
  SPEC_TRAINED,
  SPEC_IMAGES,
  SPEC_HEIGHT,
  SPEC_WIDTH,
  SPEC_OBJECTS,
  SPEC_RESIZE_LEAST,
  SPEC_RESIZE_MOST,
  SPEC_PRE,
  SPEC_POST,
  SPEC_RPN_SAMPLED,
  SPEC_RPN_POSITIVE,
  SPEC_ROI_SAMPLED,
  SPEC_ROI_POSITIVE,
  SPEC_FIELDS
} SpecField;

static int32_t field(const Golden *golden, SpecField which)
{
  return (int32_t)golden_value(golden_find(golden, "spec"), which);
}

static Encoder encoder_in(const char *name)
{
  char text[16];
  Encoder encoder = ENCODER_RESNET18;
  if (sscanf(name, "%*[a-z]_rcnn_%15[a-z0-9]", text) != 1 || !encoder_find(text, &encoder))
    fail_msg("%s: no known network", name);
  return encoder;
}

static DetectorOptions options_of(const GoldenDetector *g, bool training)
{
  const Golden *golden = g->golden;
  DetectorOptions o = detector_options_default(training);
  o.images = g->images;
  o.height_px = g->height_px;
  o.width_px = g->width_px;
  if (g->resized) {
    int32_t size[2];
    o.image_height_px = g->height_px;
    o.image_width_px = g->width_px;
    o.resize_least_px = field(golden, SPEC_RESIZE_LEAST);
    o.resize_most_px = field(golden, SPEC_RESIZE_MOST);
    resize_size(g->height_px, g->width_px, o.resize_least_px, o.resize_most_px, size);
    o.height_px = (size[0] + 31) / 32 * 32;
    o.width_px = (size[1] + 31) / 32 * 32;
  }
  o.proposals.pre_count = field(golden, SPEC_PRE);
  o.proposals.post_count = field(golden, SPEC_POST);
  o.rpn_sampling.count = field(golden, SPEC_RPN_SAMPLED);
  o.rpn_sampling.positive_count = field(golden, SPEC_RPN_POSITIVE);
  o.roi_sampling.count = field(golden, SPEC_ROI_SAMPLED);
  o.roi_sampling.positive_count = field(golden, SPEC_ROI_POSITIVE);
  o.truth_capacity = g->object_count;
  o.mask_bytes_most = (int64_t)g->object_count * g->height_px * g->width_px;
  o.pasted_pixels_most = (int64_t)o.detection_count * g->height_px * g->width_px;
  return o;
}

GoldenDetector golden_detector_open(const char *name)
{
  char file[96];
  (void)snprintf(file, sizeof file, "%s.txt", name);
  Golden *golden = golden_open(file);
  GoldenDetector g = {.golden = golden, .reference = {.golden = golden}};
  g.model = (MaskRcnn){.encoder = encoder_in(name),
                       .bands = 3,
                       .classes = field(golden, SPEC_CLASSES),
                       .masks = field(golden, SPEC_MASKS) != 0,
                       .norm_frozen = field(golden, SPEC_TRAINED) == 0,
                       .norm_eps = 1e-5F,
                       .trained_layers = 5};
  g.inference = reference_has(&g.reference, "proposals.0.boxes");
  g.training = reference_has(&g.reference, "train.proposals.0.boxes");
  g.images = field(golden, SPEC_IMAGES);
  g.height_px = field(golden, SPEC_HEIGHT);
  g.width_px = field(golden, SPEC_WIDTH);
  g.object_count = field(golden, SPEC_OBJECTS);
  g.resized = field(golden, SPEC_RESIZE_LEAST) > 0;
  g.scene = (FormulaScene){.images = g.images,
                           .height = g.height_px,
                           .width = g.width_px,
                           .bands = 3,
                           .object_count = g.object_count,
                           .class_count = g.model.classes};
  (void)snprintf(g.scene_name, sizeof g.scene_name, "scene%d",
                 (int)golden_value(golden_find(golden, "attempt"), 0));
  for (int training = 0; training < (g.resized ? 1 : 2); ++training)
    g.options[training] = options_of(&g, training == 1);
  return g;
}

void golden_detector_close(GoldenDetector *g)
{
  golden_close(g->golden);
}

void golden_detector_fill(void *context, const Parameter *p, float *values)
{
  const Reference reference = {.golden = context};
  char name[STAGE_NAME_BYTES];
  formula_fill_detector(p->name, p->rank, p->dims, values);
  (void)snprintf(name, sizeof name, "scale.%s", p->name);
  if (reference_has(&reference, name)) {
    const float scale = (float)golden_value(golden_find(context, "%s", name), 0);
    for (int64_t i = 0; i < p->count; ++i)
      values[i] *= scale;
  }
  (void)snprintf(name, sizeof name, "value.%s", p->name);
  if (!reference_has(&reference, name)) return;
  for (int64_t i = 0; i < p->count; ++i)
    values[i] = (float)golden_value(golden_find(context, "%s", name), i);
}

DetectorScene golden_detector_scene(const GoldenDetector *g, Room *room)
{
  return scene_by_formula(room, g->scene_name, g->scene);
}

DetectorTrial *golden_detector_trial(const GoldenDetector *g, const TestBackend *on,
                                     DetectorOptions options)
{
  return detector_trial_open(on, g->model, options, golden_detector_fill, g->golden,
                             golden_detector_mean, golden_detector_std);
}
