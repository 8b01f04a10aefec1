#include <stdio.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/path.h"
#include "model_package.h"
#include "model_weights.h"
#include "store/weights.h"
#include "support/check.h"

/* Weights of detectors from files of torchvision, of other class counts, and of other networks. */

enum { TENSORS_MOST = 512 };

static char folder[64];

static int make_folder(void **state)
{
  (void)snprintf(folder, sizeof folder, "/tmp/quadrat-weights-XXXXXX");
  return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
  return path_remove_tree(folder) == STATUS_OK ? 0 : -1;
}

static const char *in_folder(const char *name, char path[256])
{
  CHECK_OK(path_join(folder, name, 256, path));
  return path;
}

static Model open_model(ModelKind kind, int32_t classes, uint64_t seed)
{
  Model model = {.kind = kind,
                 .encoder = ENCODER_RESNET18,
                 .bands = 3,
                 .class_count = classes,
                 .detector = {.norm_eps = 1e-5F}};
  CHECK_OK(model_allocate(&model));
  parameters_initialise(model_parameters(&model), seed, model.trained, model.statistics);
  /* what begins as 0 or 1 everywhere would hide a mistake */
  for (int64_t i = 0; i < model_parameters(&model)->statistic_count; ++i)
    model.statistics[i] += (float)(i % 97) * 0.01F + (float)seed;
  return model;
}

static const float *values_of(const Model *model, const Parameter *p)
{
  return (p->trained ? model->trained : model->statistics) + p->offset;
}

static bool equal_parameter(const Model *a, const Model *b, const char *name)
{
  const ParameterList *in_a = model_parameters(a);
  const ParameterList *in_b = model_parameters(b);
  const Parameter *p = &in_a->items[parameter_find(in_a, name)];
  const Parameter *q = &in_b->items[parameter_find(in_b, name)];
  return p->count == q->count &&
         memcmp(values_of(a, p), values_of(b, q), (size_t)p->count * sizeof(float)) == 0;
}

/* The names of torchvision before its version 0.13, written out by hand for some and by rule for all:
 * a module of its own around each convolution came only then. */
static void old_name(const char *name, char old[256])
{
  int block, used = 0;
  char rest[64];
  if (sscanf(name, "backbone.fpn.inner_blocks.%d.0.%63s", &block, rest) == 2)
    used = snprintf(old, 256, "backbone.fpn.inner_blocks.%d.%s", block, rest);
  else if (sscanf(name, "backbone.fpn.layer_blocks.%d.0.%63s", &block, rest) == 2)
    used = snprintf(old, 256, "backbone.fpn.layer_blocks.%d.%s", block, rest);
  else if (sscanf(name, "rpn.head.conv.0.0.%63s", rest) == 1)
    used = snprintf(old, 256, "rpn.head.conv.%s", rest);
  else if (sscanf(name, "roi_heads.mask_head.%d.0.%63s", &block, rest) == 2)
    used = snprintf(old, 256, "roi_heads.mask_head.mask_fcn%d.%s", block + 1, rest);
  else
    used = snprintf(old, 256, "%s", name);
  assert_true(used > 0 && used < 256);
}

static void write_weights(const Model *model, bool old, const char *path)
{
  static char names[TENSORS_MOST][256];
  WeightGiven given[TENSORS_MOST];
  const ParameterList *list = model_parameters(model);
  assert_true(list->count <= TENSORS_MOST);
  for (int32_t i = 0; i < list->count; ++i) {
    const Parameter *p = &list->items[i];
    if (old)
      old_name(p->name, names[i]);
    else
      (void)snprintf(names[i], sizeof names[i], "%s", p->name);
    given[i] = (WeightGiven){
        .name = names[i], .type = WEIGHT_F32, .rank = p->rank, .values = values_of(model, p)};
    memcpy(given[i].dims, p->dims, sizeof given[i].dims);
  }
  CHECK_OK(pth_write(path, given, (size_t)list->count));
}

static Status take(Model *model, const char *path, ModelStart start, ModelStartReport *report)
{
  return model_load_weights(model_parameters(model), path, start, model->trained, model->statistics,
                            report);
}

static void expect_all_taken(bool old, const char *name)
{
  char path[256];
  ModelStartReport report;
  Model theirs = open_model(MODEL_MASK_RCNN, 3, 1);
  Model ours = open_model(MODEL_MASK_RCNN, 3, 2);
  write_weights(&theirs, old, in_folder(name, path));
  CHECK_OK(take(&ours, path, MODEL_START_WHOLE, &report));
  const ParameterList *list = model_parameters(&ours);
  assert_int_equal(report.loaded, list->count);
  for (int32_t i = 0; i < list->count; ++i)
    if (!equal_parameter(&ours, &theirs, list->items[i].name))
      fail_msg("%s was not taken", list->items[i].name);
  model_close(&theirs);
  model_close(&ours);
}

static void all_of_a_mask_rcnn_is_taken(void **state)
{
  expect_all_taken(false, "new.pth");
}

static void names_of_published_weights_are_known(void **state)
{
  char old[256];
  old_name("roi_heads.mask_head.3.0.weight", old);
  assert_string_equal(old, "roi_heads.mask_head.mask_fcn4.weight");
  old_name("backbone.fpn.inner_blocks.2.0.bias", old);
  assert_string_equal(old, "backbone.fpn.inner_blocks.2.bias");
  expect_all_taken(true, "old.pth");
}

static void of_other_classes_all_but_the_last_layers_is_taken(void **state)
{
  static const char *const own[] = {"roi_heads.box_predictor.cls_score.weight",
                                    "roi_heads.box_predictor.bbox_pred.bias",
                                    "roi_heads.mask_predictor.mask_fcn_logits.weight"};
  static const char *const taken[] = {"backbone.body.layer4.1.bn2.running_var",
                                      "rpn.head.cls_logits.weight", "roi_heads.box_head.fc7.bias",
                                      "roi_heads.mask_predictor.conv5_mask.weight"};
  char path[256];
  ModelStartReport report;
  Model coco = open_model(MODEL_MASK_RCNN, 90, 1);
  Model roofs = open_model(MODEL_MASK_RCNN, 1, 2);
  Model before = open_model(MODEL_MASK_RCNN, 1, 2);
  write_weights(&coco, false, in_folder("coco.pth", path));
  CHECK_FAILS(STATUS_MISMATCH, "tells 91 classes apart, this network 2",
              take(&roofs, path, MODEL_START_WHOLE, &report));
  CHECK_OK(take(&roofs, path, MODEL_START_BODY, &report));
  assert_int_equal(report.left, 6);
  for (size_t i = 0; i < sizeof own / sizeof *own; ++i)
    assert_true(equal_parameter(&roofs, &before, own[i]));
  for (size_t i = 0; i < sizeof taken / sizeof *taken; ++i)
    assert_true(equal_parameter(&roofs, &coco, taken[i]));
  model_close(&coco);
  model_close(&roofs);
  model_close(&before);
}

static void a_mask_rcnn_gives_a_faster_rcnn_its_body(void **state)
{
  char path[256];
  ModelStartReport report;
  Model masks = open_model(MODEL_MASK_RCNN, 2, 1);
  Model boxes = open_model(MODEL_FASTER_RCNN, 2, 2);
  write_weights(&masks, false, in_folder("masks.pth", path));
  CHECK_FAILS(STATUS_MISMATCH, "roi_heads.mask_head",
              take(&boxes, path, MODEL_START_WHOLE, &report));
  CHECK_OK(take(&boxes, path, MODEL_START_BODY, &report));
  assert_true(equal_parameter(&boxes, &masks, "roi_heads.box_head.fc6.weight"));
  model_close(&masks);
  model_close(&boxes);
}

/* The ResNet inside goes from one kind of network to the other, whatever it is called there. */
static void encoders_go_between_kinds(void **state)
{
  char path[256];
  ModelStartReport report;
  Model map = open_model(MODEL_UNET, 2, 1);
  Model objects = open_model(MODEL_MASK_RCNN, 1, 2);
  write_weights(&map, false, in_folder("unet.pth", path));
  CHECK_OK(take(&objects, path, MODEL_START_ENCODER, &report));
  assert_int_equal(report.loaded, 100); /* 20 convolutions and the four numbers of 20 norms */
  const ParameterList *list = model_parameters(&map);
  const ParameterList *other = model_parameters(&objects);
  const Parameter *p = &list->items[parameter_find(list, "encoder.layer3.0.downsample.0.weight")];
  const Parameter *q =
      &other->items[parameter_find(other, "backbone.body.layer3.0.downsample.0.weight")];
  assert_memory_equal(values_of(&map, p), values_of(&objects, q), (size_t)p->count * sizeof(float));
  model_close(&map);
  model_close(&objects);
}

/* Frozen weights lie in another block than trained ones; names tell where each belongs. */
static void weights_are_copied_between_frozen_and_trained(void **state)
{
  Model model = open_model(MODEL_MASK_RCNN, 2, 1);
  const MaskRcnn frozen = {.encoder = ENCODER_RESNET18,
                           .bands = 3,
                           .classes = 3,
                           .masks = true,
                           .norm_frozen = true,
                           .norm_eps = 1e-5F,
                           .trained_layers = 3};
  DetectorParts parts;
  void *trained, *statistics;
  CHECK_OK(detector_parts_open(frozen, &parts));
  const ParameterList *list = &parts.parameters;
  assert_true(list->trained_count < model_parameters(&model)->trained_count);
  CHECK_OK(memory_allocate((size_t)list->trained_count, sizeof(float), "test", &trained));
  CHECK_OK(memory_allocate((size_t)list->statistic_count, sizeof(float), "test", &statistics));
  model_copy_weights(model_parameters(&model), model.trained, model.statistics, list, trained,
                     statistics);
  Model back = open_model(MODEL_MASK_RCNN, 2, 5);
  model_copy_weights(list, trained, statistics, model_parameters(&back), back.trained,
                     back.statistics);
  for (int32_t i = 0; i < list->count; ++i)
    assert_true(equal_parameter(&model, &back, list->items[i].name));
  memory_free(trained);
  memory_free(statistics);
  detector_parts_close(&parts);
  model_close(&model);
  model_close(&back);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_of_a_mask_rcnn_is_taken),
      cmocka_unit_test(names_of_published_weights_are_known),
      cmocka_unit_test(of_other_classes_all_but_the_last_layers_is_taken),
      cmocka_unit_test(a_mask_rcnn_gives_a_faster_rcnn_its_body),
      cmocka_unit_test(encoders_go_between_kinds),
      cmocka_unit_test(weights_are_copied_between_frozen_and_trained),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
