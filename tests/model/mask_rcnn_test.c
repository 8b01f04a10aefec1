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
    expect_golden_stages(on, "mask_rcnn_resnet18_resized", false, 35);
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

/* --- what must hold without a reference --- */

/* One step by formula on some images of a golden case. Its gradients are the trial's. */
typedef struct Step {
  GoldenDetector golden;
  DetectorTrial *trial;
  double losses[DETECTOR_LOSSES];
  const float *gradients;
} Step;

static GoldenDetector small_case(void)
{
  return golden_detector_open("mask_rcnn_resnet18_frozen");
}

static Step open_step(const TestBackend *on, GoldenDetector golden, DetectorOptions options)
{
  return (Step){.golden = golden, .trial = golden_detector_trial(&golden, on, options)};
}

static void close_step(Step *s)
{
  detector_trial_close(s->trial);
  golden_detector_close(&s->golden);
}

static void learn(Step *s)
{
  detector_trial_learn(s->trial);
  detector_trial_losses(s->trial, s->losses);
  s->gradients = detector_trial_gradients(s->trial);
}

static double largest_gradient_of(const Step *s, const char *prefix)
{
  const ParameterList *list = &s->trial->parts.parameters;
  double largest = 0;
  int found = 0;
  for (int32_t i = 0; i < list->count; ++i) {
    const Parameter *p = &list->items[i];
    if (!p->trained || strncmp(p->name, prefix, strlen(prefix)) != 0) continue;
    for (int64_t k = 0; k < p->count; ++k)
      if (!isfinite(s->gradients[p->offset + k])) fail_msg("%s has no number", p->name);
    largest = fmax(largest, largest_float(p->count, s->gradients + p->offset));
    ++found;
  }
  assert_true(found > 0);
  return largest;
}

static void expect_zero_gradient(const Step *s, const char *prefix)
{
  const double largest = largest_gradient_of(s, prefix);
  if (largest != 0) fail_msg("%s, %s: %g, not 0", s->trial->on->name, prefix, largest);
}

static void expect_gradient(const Step *s, const char *prefix)
{
  if (!(largest_gradient_of(s, prefix) > 0)) fail_msg("%s learns nothing", prefix);
}

static void images_without_objects_teach_background_only(void **state)
{
  FOR_EACH_TWIN(on)
  {
    const GoldenDetector golden = small_case();
    Step s = open_step(on, golden, golden.options[1]);
    DetectorScene scene = golden_detector_scene(&golden, s.trial->room);
    for (int32_t i = 0; i < scene.images; ++i)
      scene.counts[i] = 0;
    detector_trial_feed(s.trial, &scene);
    detector_trial_forward(s.trial);
    learn(&s);
    assert_true(s.losses[LOSS_OBJECTNESS] > 0);
    assert_true(s.losses[LOSS_CLASSIFIER] > 0);
    assert_true(s.losses[LOSS_RPN_BOX_REG] == 0);
    assert_true(s.losses[LOSS_BOX_REG] == 0);
    assert_true(s.losses[LOSS_MASK] == 0);
    expect_gradient(&s, "rpn.head.cls_logits.");
    expect_gradient(&s, "roi_heads.box_predictor.cls_score.");
    expect_gradient(&s, "backbone.");
    expect_zero_gradient(&s, "rpn.head.bbox_pred.");
    expect_zero_gradient(&s, "roi_heads.box_predictor.bbox_pred.");
    expect_zero_gradient(&s, "roi_heads.mask_");
    close_step(&s);
  }
}

static void regions_without_a_positive_one_have_no_loss_of_boxes_and_masks(void **state)
{
  FOR_EACH_TWIN(on)
  {
    const GoldenDetector golden = small_case();
    DetectorOptions options = golden.options[1];
    options.roi_sampling.positive_count = 0;
    Step s = open_step(on, golden, options);
    const DetectorScene scene = golden_detector_scene(&golden, s.trial->room);
    detector_trial_feed(s.trial, &scene);
    detector_trial_forward(s.trial);
    learn(&s);
    assert_true(s.losses[LOSS_CLASSIFIER] > 0);
    assert_true(s.losses[LOSS_RPN_BOX_REG] > 0);
    assert_true(s.losses[LOSS_BOX_REG] == 0);
    assert_true(s.losses[LOSS_MASK] == 0);
    expect_gradient(&s, "backbone.");
    expect_zero_gradient(&s, "roi_heads.box_predictor.bbox_pred.");
    expect_zero_gradient(&s, "roi_heads.mask_");
    close_step(&s);
  }
}

/* tolerance: of a tensor's largest. */
static void expect_same_gradients(const Step *part, const Step *whole, const char *prefix,
                                  double tolerance)
{
  const ParameterList *list = &part->trial->parts.parameters;
  int found = 0;
  for (int32_t i = 0; i < list->count; ++i) {
    const Parameter *p = &list->items[i];
    if (!p->trained || strncmp(p->name, prefix, strlen(prefix)) != 0) continue;
    const ParameterList *all = &whole->trial->parts.parameters;
    const Parameter *same = &all->items[parameter_find(all, p->name)];
    const float *expected = whole->gradients + same->offset;
    const double scale = largest_float(p->count, expected);
    expect_floats((Expectation){part->trial->on, ELEMENT_F32, p->name, tolerance * scale}, p->count,
                  part->gradients + p->offset, expected);
    ++found;
  }
  assert_true(found > 0);
}

static void expect_frozen(const ParameterList *list, const char *name, bool trained)
{
  const int32_t index = parameter_find(list, name);
  assert_true(index >= 0);
  if (list->items[index].trained != trained) fail_msg("%s is in the wrong block", name);
}

static void frozen_layers_and_norms_stay_and_change_nothing_for_the_others(void **state)
{
  FOR_EACH_TWIN(on)
  {
    const GoldenDetector golden = small_case();
    GoldenDetector frozen = small_case();
    frozen.model.trained_layers = 3;
    Step whole = open_step(on, golden, golden.options[1]);
    Step part = open_step(on, frozen, frozen.options[1]);
    Step *both[] = {&whole, &part};
    for (int i = 0; i < 2; ++i) {
      const DetectorScene scene = golden_detector_scene(&golden, both[i]->trial->room);
      detector_trial_feed(both[i]->trial, &scene);
      detector_trial_forward(both[i]->trial);
      learn(both[i]);
      const float *after = detector_trial_statistics(both[i]->trial);
      assert_memory_equal(after, both[i]->trial->statistics,
                          (size_t)both[i]->trial->parts.parameters.statistic_count * sizeof *after);
    }
    const ParameterList *list = &part.trial->parts.parameters;
    expect_frozen(list, "backbone.body.conv1.weight", false);
    expect_frozen(list, "backbone.body.layer1.1.conv2.weight", false);
    expect_frozen(list, "backbone.body.layer2.0.conv1.weight", true);
    expect_frozen(list, "backbone.body.layer2.0.bn1.weight", false);
    /* not to the last bit: layers without gradients may save products */
    expect_same_gradients(&part, &whole, "backbone.body.layer2.", 1e-3);
    expect_same_gradients(&part, &whole, "roi_heads.", 1e-3);
    close_step(&part);
    close_step(&whole);
  }
}

/* What was sampled in one trial, in another of the same capacities. */
static void copy_samples(DetectorTrial *from, DetectorTrial *to)
{
  const DetectorBuffers *a = detector_buffers(from->detector);
  const DetectorBuffers *b = detector_buffers(to->detector);
  const size_t rows = (size_t)a->rois.regions.capacity;
  const size_t positives = (size_t)a->rois.positives.capacity;
  const size_t anchors =
      (size_t)from->options.images * (size_t)rpn_anchor_count(detector_rpn(from->detector));
  const struct {
    const void *from;
    void *to;
    size_t bytes;
  } lists[] = {
      {a->matches, b->matches, 4 * anchors},
      {a->sampled, b->sampled, anchors},
      {a->rois.regions.boxes, b->rois.regions.boxes, 16 * rows},
      {a->rois.regions.images, b->rois.regions.images, 4 * rows},
      {a->rois.regions.count, b->rois.regions.count, 4},
      {a->rois.classes, b->rois.classes, 4 * rows},
      {a->rois.matches, b->rois.matches, 4 * rows},
      {a->rois.targets, b->rois.targets, 16 * rows},
      {a->rois.positives.boxes, b->rois.positives.boxes, 16 * positives},
      {a->rois.positives.images, b->rois.positives.images, 4 * positives},
      {a->rois.positives.count, b->rois.positives.count, 4},
      {a->rois.positive_classes, b->rois.positive_classes, 4 * positives},
      {a->rois.positive_matches, b->rois.positive_matches, 4 * positives},
  };
  for (size_t i = 0; i < sizeof lists / sizeof *lists; ++i)
    detector_trial_upload(to, lists[i].to,
                          detector_trial_download(from, lists[i].from, lists[i].bytes),
                          lists[i].bytes);
}

/* Norms of differences: single gradients near 0 are lost in 8 bits. */
static double distance_of(int64_t count, const float *got, const float *expected)
{
  double difference = 0, size = 0;
  for (int64_t i = 0; i < count; ++i) {
    difference += pow((double)got[i] - (double)expected[i], 2);
    size += pow((double)expected[i], 2);
  }
  return sqrt(difference / size);
}

/* With the same samples. Seen on a CPU: losses 0.004, gradients 0.03. */
static void a_step_in_bfloat16_is_near_that_in_float32(void **state)
{
  FOR_EACH_TWIN(on)
  {
    const GoldenDetector golden = small_case();
    DetectorOptions options = golden.options[1];
    Step exact = open_step(on, golden, options);
    options.element = ELEMENT_BF16;
    Step coarse = open_step(on, small_case(), options);
    Step *both[] = {&exact, &coarse};
    for (int i = 0; i < 2; ++i) {
      const DetectorScene scene = golden_detector_scene(&golden, both[i]->trial->room);
      detector_trial_feed(both[i]->trial, &scene);
      detector_trial_forward(both[i]->trial);
      if (i == 1) copy_samples(exact.trial, coarse.trial);
      learn(both[i]);
    }
    for (int i = 0; i < DETECTOR_LOSSES; ++i)
      if (!(fabs(coarse.losses[i] - exact.losses[i]) <= 0.02 * exact.losses[i]))
        fail_msg("%s: %s is %g in bfloat16, %g in float32", on->name,
                 detector_loss_name((DetectorLoss)i), coarse.losses[i], exact.losses[i]);
    const double distance =
        distance_of(exact.trial->parts.parameters.trained_count, coarse.gradients, exact.gradients);
    if (!(distance <= 0.1)) fail_msg("%s: gradients are %g apart", on->name, distance);
    close_step(&coarse);
    close_step(&exact);
  }
}

static void room_for_more_objects_changes_nothing_in_training(void **state)
{
  FOR_EACH_TWIN(on)
  {
    const GoldenDetector golden = small_case();
    DetectorOptions options = golden.options[1];
    Step tight = open_step(on, golden, options);
    options.truth_capacity = 3 * options.truth_capacity + 1;
    options.mask_bytes_most = 2 * options.mask_bytes_most + 3;
    Step wide = open_step(on, small_case(), options);
    Step *both[] = {&tight, &wide};
    for (int i = 0; i < 2; ++i) {
      const DetectorScene scene = golden_detector_scene(&golden, both[i]->trial->room);
      detector_trial_feed(both[i]->trial, &scene);
      detector_trial_forward(both[i]->trial);
      learn(both[i]);
    }
    assert_memory_equal(wide.losses, tight.losses, sizeof wide.losses);
    expect_same_gradients(&wide, &tight, "", 0);
    close_step(&wide);
    close_step(&tight);
  }
}

/* --- inference --- */

static FoundByTrial find(Step *s, const DetectorScene *scene)
{
  detector_trial_feed(s->trial, scene);
  detector_find(s->trial->detector);
  CHECK_OK(device_synchronize(s->trial->on->device));
  return detector_trial_found(s->trial);
}

enum { MASK_PIXELS = 4 * MASK_RCNN_MASK_PX * MASK_RCNN_MASK_PX };

/* Where the rows of an image's masks begin. */
static int64_t first_mask(const FoundByTrial *found, int32_t image)
{
  int64_t first = 0;
  for (int32_t i = 0; i < image; ++i)
    first += found->counts[i];
  return first;
}

/* What a has in one image is what b has in another, to the last bit but for masks. */
static void expect_same_objects(const TestBackend *on, const FoundByTrial *a, int32_t a_capacity,
                                int32_t a_image, const FoundByTrial *b, int32_t b_capacity,
                                int32_t b_image, double mask_tolerance)
{
  const int64_t i = (int64_t)a_image * a_capacity;
  const int64_t k = (int64_t)b_image * b_capacity;
  const int32_t count = b->counts[b_image];
  assert_true(count > 10);
  assert_int_equal(a->counts[a_image], count);
  expect_floats((Expectation){on, ELEMENT_F32, "boxes", 0}, 4 * (int64_t)count, a->boxes + 4 * i,
                b->boxes + 4 * k);
  expect_floats((Expectation){on, ELEMENT_F32, "scores", 0}, count, a->scores + i, b->scores + k);
  assert_memory_equal(a->classes + i, b->classes + k, (size_t)count * sizeof *a->classes);
  expect_floats((Expectation){on, ELEMENT_F32, "masks", mask_tolerance},
                (int64_t)count * MASK_PIXELS, a->masks + first_mask(a, a_image) * MASK_PIXELS,
                b->masks + first_mask(b, b_image) * MASK_PIXELS);
}

/* On a GPU a mask head of other rows may be computed by another engine. */
static double mask_tolerance_of(const TestBackend *on)
{
  return strcmp(on->name, "cuda") == 0 ? 1e-4 : 0;
}

static void room_for_more_detections_changes_nothing(void **state)
{
  FOR_EACH_TWIN(on)
  {
    const GoldenDetector golden = small_case();
    DetectorOptions options = golden.options[0];
    Step tight = open_step(on, golden, options);
    options.detection_count += 73;
    options.pasted_pixels_most *= 2;
    Step wide = open_step(on, small_case(), options);
    const DetectorScene scene = golden_detector_scene(&golden, tight.trial->room);
    const FoundByTrial few = find(&tight, &scene);
    const FoundByTrial many = find(&wide, &scene);
    for (int32_t i = 0; i < 2; ++i)
      expect_same_objects(on, &many, options.detection_count, i, &few,
                          golden.options[0].detection_count, i, mask_tolerance_of(on));
    close_step(&wide);
    close_step(&tight);
  }
}

static void an_image_has_the_same_detections_anywhere_in_a_batch(void **state)
{
  static const int32_t orders[][2] = {{1, 0}, {0, 0}, {1, 1}};
  FOR_EACH_TWIN(on)
  {
    const GoldenDetector golden = small_case();
    Step s = open_step(on, golden, golden.options[0]);
    const int32_t capacity = golden.options[0].detection_count;
    const DetectorScene scene = golden_detector_scene(&golden, s.trial->room);
    const FoundByTrial first = find(&s, &scene);
    for (int o = 0; o < 3; ++o) {
      const DetectorScene moved = scene_of_images(s.trial->room, &scene, orders[o], 2);
      const FoundByTrial found = find(&s, &moved);
      for (int32_t i = 0; i < 2; ++i)
        expect_same_objects(on, &found, capacity, i, &first, capacity, orders[o][i], 0);
    }
    close_step(&s);
  }
}

/* A cut at a capacity is told, and what stays are the first ones. */
static void detections_past_the_capacity_are_counted(void **state)
{
  FOR_EACH_TWIN(on)
  {
    const GoldenDetector golden = small_case();
    DetectorOptions options = golden.options[0];
    Step all = open_step(on, golden, options);
    options.detection_count = 12;
    Step few = open_step(on, small_case(), options);
    const DetectorScene scene = golden_detector_scene(&golden, all.trial->room);
    const FoundByTrial whole = find(&all, &scene);
    const FoundByTrial cut = find(&few, &scene);
    for (int32_t i = 0; i < 2; ++i) {
      assert_int_equal(whole.dropped[i], 0);
      assert_int_equal(cut.counts[i], 12);
      assert_int_equal(cut.dropped[i], whole.counts[i] - 12);
      expect_floats((Expectation){on, ELEMENT_F32, "scores", 0}, 12, cut.scores + 12 * i,
                    whole.scores + golden.options[0].detection_count * i);
    }
    close_step(&few);
    close_step(&all);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(parameters_are_named_ordered_and_shaped_as_torchvision_has_them),
      cmocka_unit_test(inference_is_torchvisions_stage_by_stage),
      cmocka_unit_test(losses_and_gradients_are_torchvisions_with_frozen_norms),
      cmocka_unit_test(losses_gradients_and_statistics_are_torchvisions_with_trained_norms),
      cmocka_unit_test(images_without_objects_teach_background_only),
      cmocka_unit_test(regions_without_a_positive_one_have_no_loss_of_boxes_and_masks),
      cmocka_unit_test(frozen_layers_and_norms_stay_and_change_nothing_for_the_others),
      cmocka_unit_test(a_step_in_bfloat16_is_near_that_in_float32),
      cmocka_unit_test(room_for_more_objects_changes_nothing_in_training),
      cmocka_unit_test(room_for_more_detections_changes_nothing),
      cmocka_unit_test(an_image_has_the_same_detections_anywhere_in_a_batch),
      cmocka_unit_test(detections_past_the_capacity_are_counted),
  };
  (void)mallopt(M_PERTURB, 0x80); /* memory that is not cleared holds huge numbers */
  return cmocka_run_group_tests(tests, NULL, NULL);
}
