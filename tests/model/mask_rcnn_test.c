#include "golden_detector.h"

#include <malloc.h>
#include <math.h>
#include <stdio.h>

/* Our Mask and Faster R-CNN, with the weights that torchvision's had, against what torchvision's
 * gave (tests/golden), and what must hold without a reference. */

/* --- names --- */

typedef struct GoldenName {
  char name[96];
  int rank;
  int64_t dims[4];
} GoldenName;

static bool read_name(FILE *file, GoldenName *golden)
{
  char line[160];
  int used;
  if (fgets(line, sizeof line, file) == NULL) return false;
  *golden = (GoldenName){0};
  assert_int_equal(sscanf(line, "%95s%n", golden->name, &used), 1);
  char *at = line + used;
  while (strspn(at, " \n") < strlen(at))
    golden->dims[golden->rank++] = strtoll(at, &at, 10);
  return true;
}

static void expect_parameter(const Parameter *p, const GoldenName *golden)
{
  if (strcmp(p->name, golden->name) != 0)
    fail_msg("%s stands where torchvision has %s", p->name, golden->name);
  if (p->rank != golden->rank) fail_msg("%s has %d dimensions", golden->name, p->rank);
  for (int axis = 0; axis < p->rank; ++axis)
    if (p->dims[axis] != golden->dims[axis])
      fail_msg("%s: axis %d is %d", golden->name, axis, (int)p->dims[axis]);
}

static void expect_names(Encoder encoder, bool masks)
{
  char path[1024];
  DetectorParts parts;
  GoldenName golden;
  int32_t count = 0;
  const MaskRcnn model = {.encoder = encoder,
                          .bands = 3,
                          .classes = 2,
                          .masks = masks,
                          .norm_eps = 1e-5F,
                          .trained_layers = 5};
  CHECK_OK(detector_parts_open(model, &parts));
  snprintf(path, sizeof path, "%s/%s_rcnn_%s.names", GOLDEN_FOLDER, masks ? "mask" : "faster",
           encoder_name(encoder));
  FILE *file = fopen(path, "r");
  if (file == NULL) fail_msg("%s cannot be opened", path);
  while (read_name(file, &golden)) {
    if (strstr(golden.name, "num_batches_tracked") != NULL) continue;
    assert_true(count < parts.parameters.count);
    const Parameter *p = &parts.parameters.items[count++];
    expect_parameter(p, &golden);
    if (p->trained == (strstr(p->name, ".running_") != NULL))
      fail_msg("%s lies in the wrong block", p->name);
  }
  fclose(file);
  assert_int_equal(parts.parameters.count, count);
  detector_parts_close(&parts);
}

static void parameters_are_named_ordered_and_shaped_as_torchvision_has_them(void **state)
{
  for (Encoder e = ENCODER_RESNET18; e <= ENCODER_RESNET101; e = (Encoder)(e + 1))
    expect_names(e, true);
  expect_names(ENCODER_RESNET18, false);
}

/* --- golden stages --- */

typedef struct Told {
  const char *where;
  const char *on;
  int count;
} Told;

static void expect_stage(void *context, const char *stage, double error, double tolerance)
{
  Told *told = context;
  ++told->count;
  if (!(error <= tolerance))
    fail_msg("%s, %s: %s is off by %.3g of its largest value, allowed is %.3g", told->on,
             told->where, stage, error, tolerance);
}

/* stages: how many the file holds; none is passed over. */
static void expect_golden_stages(const TestBackend *on, const char *name, bool training, int stages)
{
  GoldenDetector golden = golden_detector_open(name);
  DetectorTrial *trial = golden_detector_trial(&golden, on, golden.options[training]);
  const DetectorScene scene = golden_detector_scene(&golden, trial->room);
  Told told = {.where = name, .on = on->name};
  const Stages to = {.reference = &golden.reference, .tell = expect_stage, .context = &told};
  detector_trial_feed(trial, &scene);
  if (training)
    detector_stages_training(trial, &to, true);
  else
    detector_stages_inference(trial, &to);
  assert_int_equal(told.count, stages);
  detector_trial_close(trial);
  golden_detector_close(&golden);
}

static void inference_is_torchvisions_stage_by_stage(void **state)
{
  FOR_EACH_TWIN(on)
  {
    expect_golden_stages(on, "mask_rcnn_resnet18_frozen", false, 35);
    expect_golden_stages(on, "mask_rcnn_resnet50_frozen", false, 35);
    expect_golden_stages(on, "faster_rcnn_resnet18_frozen", false, 31);
  }
}

static void losses_and_gradients_are_torchvisions_with_frozen_norms(void **state)
{
  FOR_EACH_TWIN(on)
  {
    expect_golden_stages(on, "mask_rcnn_resnet18_frozen", true, 95);
    expect_golden_stages(on, "mask_rcnn_resnet50_frozen", true, 128);
    expect_golden_stages(on, "faster_rcnn_resnet18_frozen", true, 81);
  }
}

static void losses_gradients_and_statistics_are_torchvisions_with_trained_norms(void **state)
{
  FOR_EACH_TWIN(on)
  {
    expect_golden_stages(on, "mask_rcnn_resnet18_trained", true, 175);
    expect_golden_stages(on, "mask_rcnn_resnet50_trained", true, 340);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(parameters_are_named_ordered_and_shaped_as_torchvision_has_them),
      cmocka_unit_test(inference_is_torchvisions_stage_by_stage),
      cmocka_unit_test(losses_and_gradients_are_torchvisions_with_frozen_norms),
      cmocka_unit_test(losses_gradients_and_statistics_are_torchvisions_with_trained_norms),
  };
  (void)mallopt(M_PERTURB, 0x80); /* memory that is not cleared holds huge numbers */
  return cmocka_run_group_tests(tests, NULL, NULL);
}
