#include "unet_trial.h"

#include <malloc.h>
#include <math.h>
#include <stdio.h>

#include "support/golden.h"

/* Our U-Net, with the weights that PyTorch's had, against what PyTorch's gave (tests/golden). */

typedef struct Case {
  Encoder encoder;
  int bands;
  int classes;
} Case;

static const Case cases[] = {
    {ENCODER_RESNET18, 3, 2}, {ENCODER_RESNET18, 5, 4}, {ENCODER_RESNET34, 3, 4},
    {ENCODER_RESNET34, 5, 2}, {ENCODER_RESNET50, 3, 2}, {ENCODER_RESNET50, 5, 4},
};
enum { CASE_COUNT = sizeof cases / sizeof *cases };

/* Relative to the largest value of a tensor; a gradient that is smaller than gradient_floor of the
 * network's largest is held to that instead: it is 0 but for rounding (the shift before a norm).
 * Seen on a CPU: float32 3e-6, 3e-7, 1e-4, 4e-6; bfloat16, whose 8 bits some 50 layers spread,
 * 0.02, 0.008, 0.2, 0.02. */
typedef struct Tolerance {
  double logits, loss, gradients, statistics;
  double gradient_floor;
} Tolerance;

static Tolerance tolerance_of(Element element)
{
  return element == ELEMENT_F32 ? (Tolerance){1e-4, 1e-5, 1e-3, 1e-4, 1e-5}
                                : (Tolerance){3e-2, 2e-2, 2.5e-1, 4e-2, 3e-4};
}

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

static void expect_parameter(const ParameterList *list, const GoldenName *golden)
{
  const int32_t index = parameter_find(list, golden->name);
  if (index < 0) fail_msg("the network has no %s", golden->name);
  const Parameter *p = &list->items[index];
  const bool is_statistic = strstr(golden->name, ".running_") != NULL;
  if (p->trained == is_statistic) fail_msg("%s lies in the wrong block", golden->name);
  if (p->rank != golden->rank) fail_msg("%s has %d dimensions", golden->name, p->rank);
  for (int axis = 0; axis < p->rank; ++axis)
    if (p->dims[axis] != golden->dims[axis])
      fail_msg("%s: axis %d is %d", golden->name, axis, (int)p->dims[axis]);
}

static void expect_names(Encoder encoder)
{
  char path[1024];
  Graph *graph;
  GoldenName golden;
  int32_t count = 0;
  CHECK_OK(unet_build((Unet){.encoder = encoder, .bands = 3, .classes = 2}, &graph));
  const ParameterList *list = graph_parameters(graph);
  snprintf(path, sizeof path, "%s/unet_%s.names", GOLDEN_FOLDER, encoder_name(encoder));
  FILE *file = fopen(path, "r");
  if (file == NULL) fail_msg("%s cannot be opened", path);
  while (read_name(file, &golden)) {
    if (strstr(golden.name, "num_batches_tracked") != NULL) continue;
    expect_parameter(list, &golden);
    ++count;
  }
  fclose(file);
  assert_int_equal(list->count, count);
  graph_close(graph);
}

static void parameters_are_named_and_shaped_as_pytorch_has_them(void **state)
{
  expect_names(ENCODER_RESNET18);
  expect_names(ENCODER_RESNET34);
  expect_names(ENCODER_RESNET50);
}

/* --- values --- */

typedef struct Check {
  const Golden *golden;
  Element element;
  char where[96];
} Check;

static void expect_near(const Check *check, const char *name, const char *what, double got,
                        double expected, double tolerance)
{
  if (fabs(got - expected) <= tolerance) return;
  fail_msg("%s, %s: %s %s is %.9g, expected %.9g within %.3g", check->where,
           element_name(check->element), name, what, got, expected, tolerance);
}

/* Samples, and sums over all values. Values are held to the largest one, but to no less than
 * floor; sums to the sum of magnitudes. */
static void expect_tensor(const Check *check, const char *name, int64_t count, const float *values,
                          double tolerance, double floor)
{
  const double *digest = golden_find(check->golden, "%s.digest", name)->values;
  const double most = golden_value(golden_find(check->golden, "%s.most", name), 0);
  const GoldenTensor *sample = golden_find(check->golden, "%s.sample", name);
  const double scale = fmax(most, floor);
  for (int32_t i = 0; i < sample->count; ++i)
    expect_near(check, name, "sample", (double)values[formula_place(name, i, count)],
                golden_value(sample, i), tolerance * scale);
  const FormulaDigest got = formula_digest(name, count, values);
  const double sums = tolerance * fmax(digest[1], floor * (double)count);
  expect_near(check, name, "sum", got.sum, digest[0], sums);
  expect_near(check, name, "magnitude", got.magnitude, digest[1], sums);
  expect_near(check, name, "dot", got.dot, digest[2], sums);
  expect_near(check, name, "largest", largest_float(count, values), most, tolerance * scale);
}

static Golden *open_golden(Case c)
{
  char name[64];
  snprintf(name, sizeof name, "unet_%s_%d_%d.txt", encoder_name(c.encoder), c.bands, c.classes);
  return golden_open(name);
}

static UnetTrial *open_trial(const TestBackend *on, Case c, const Golden *golden, Element element,
                             bool training)
{
  const double *spec = golden_find(golden, "spec")->values;
  const Shape batch =
      image_shape((int32_t)spec[2], (int32_t)spec[3], (int32_t)spec[4], c.bands, element);
  UnetTrial *trial =
      unet_trial_open(on, (Unet){.encoder = c.encoder, .bands = c.bands, .classes = c.classes},
                      batch, training, formula_fill, golden_find(golden, "class_weights")->values);
  unet_trial_feed(trial, "unet");
  return trial;
}

static Check check_of(const TestBackend *on, Case c, const Golden *golden, Element element)
{
  Check check = {.golden = golden, .element = element};
  snprintf(check.where, sizeof check.where, "%s, %s of %d bands and %d classes", on->name,
           encoder_name(c.encoder), c.bands, c.classes);
  return check;
}

static void expect_loss(const Check *check, UnetTrial *trial, const char *name)
{
  const double expected = golden_value(golden_find(check->golden, "%s", name), 0);
  expect_near(check, name, "", unet_trial_loss(trial), expected,
              tolerance_of(check->element).loss * expected);
}

static void expect_evaluation(const TestBackend *on, Case c, Element element)
{
  Golden *golden = open_golden(c);
  UnetTrial *trial = open_trial(on, c, golden, element, false);
  const Check check = check_of(on, c, golden, element);
  CHECK_OK(network_load(trial->network, trial->trained, trial->statistics));
  network_forward(trial->network);
  CHECK_OK(device_synchronize(on->device));
  expect_tensor(&check, "eval.logits", trial->logit_count, unet_trial_logits(trial),
                tolerance_of(element).logits, 0);
  expect_loss(&check, trial, "eval.loss");
  unet_trial_close(trial);
  golden_close(golden);
}

static void logits_with_folded_norms_are_pytorchs(void **state)
{
  FOR_EACH_TWIN(on)
  for (int i = 0; i < CASE_COUNT; ++i)
    expect_evaluation(on, cases[i], ELEMENT_F32);
}

static void logits_with_folded_norms_are_pytorchs_in_bfloat16(void **state)
{
  FOR_EACH_TWIN(on)
  for (int i = 0; i < CASE_COUNT; ++i)
    expect_evaluation(on, cases[i], ELEMENT_BF16);
}

static void expect_parameters(const Check *check, const UnetTrial *trial, bool trained,
                              const char *prefix, const float *block, double tolerance,
                              double floor)
{
  const ParameterList *list = graph_parameters(trial->graph);
  for (int32_t i = 0; i < list->count; ++i) {
    const Parameter *p = &list->items[i];
    char name[128];
    if (p->trained != trained) continue;
    snprintf(name, sizeof name, "%s.%s", prefix, p->name);
    expect_tensor(check, name, p->count, block + p->offset, tolerance, floor);
  }
}

static void expect_training(const TestBackend *on, Case c, Element element)
{
  Golden *golden = open_golden(c);
  UnetTrial *t = open_trial(on, c, golden, element, true);
  const Check check = check_of(on, c, golden, element);
  const Tolerance tolerance = tolerance_of(element);
  const ParameterList *list = graph_parameters(t->graph);
  const float *trained = room_upload_floats(t->room, t->trained, list->trained_count);
  float *statistics = room_upload_floats(t->room, t->statistics, list->statistic_count);
  float *gradients =
      room_upload_floats(t->room, room_numbers(t->room, list->trained_count), list->trained_count);

  network_bind(t->network, trained, statistics, gradients);
  network_pack(t->network);
  network_forward(t->network);
  CHECK_OK(device_synchronize(on->device));
  expect_tensor(&check, "train.logits", t->logit_count, unet_trial_logits(t), tolerance.logits, 0);
  expect_parameters(&check, t, false, "stat",
                    room_download_floats(t->room, statistics, list->statistic_count),
                    tolerance.statistics, 0);
  expect_loss(&check, t, "train.loss");

  unet_trial_loss_backward(t);
  CHECK_OK(network_backward(t->network, NULL, NULL));
  CHECK_OK(device_synchronize(on->device));
  expect_parameters(&check, t, true, "grad",
                    room_download_floats(t->room, gradients, list->trained_count),
                    tolerance.gradients,
                    tolerance.gradient_floor * golden_value(golden_find(golden, "grad.most"), 0));
  unet_trial_close(t);
  golden_close(golden);
}

static void logits_gradients_and_statistics_of_training_are_pytorchs(void **state)
{
  FOR_EACH_TWIN(on)
  for (int i = 0; i < CASE_COUNT; ++i)
    expect_training(on, cases[i], ELEMENT_F32);
}

static void logits_gradients_and_statistics_of_training_are_pytorchs_in_bfloat16(void **state)
{
  FOR_EACH_TWIN(on)
  for (int i = 0; i < CASE_COUNT; ++i)
    expect_training(on, cases[i], ELEMENT_BF16);
}

static void sides_that_are_no_multiple_of_32_are_refused(void **state)
{
  Graph *graph;
  Network *network;
  CHECK_OK(unet_build((Unet){.encoder = ENCODER_RESNET18, .bands = 3, .classes = 2}, &graph));
  assert_int_equal(graph_size_multiple(graph), 32);
  const NetworkOptions options = {.element = ELEMENT_F32, .images = 1, .height = 64, .width = 48};
  CHECK_FAILS(STATUS_BAD_SHAPE, "multiples of 32 px",
              network_open(graph, backends_naive()->device, options, &network));
  assert_null(network);
  graph_close(graph);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(parameters_are_named_and_shaped_as_pytorch_has_them),
      cmocka_unit_test(logits_with_folded_norms_are_pytorchs),
      cmocka_unit_test(logits_gradients_and_statistics_of_training_are_pytorchs),
      cmocka_unit_test(logits_with_folded_norms_are_pytorchs_in_bfloat16),
      cmocka_unit_test(logits_gradients_and_statistics_of_training_are_pytorchs_in_bfloat16),
      cmocka_unit_test(sides_that_are_no_multiple_of_32_are_refused),
  };
  (void)mallopt(M_PERTURB, 0x80); /* memory that is not cleared holds huge numbers */
  return cmocka_run_group_tests(tests, NULL, NULL);
}
