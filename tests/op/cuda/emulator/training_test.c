#include <math.h>

#include "model/training_trial.h"

/* The GPU suite's trainings (tests/gpu/curve_test.c), a few small steps of them, on the plug-in's
 * kernels and by oneDNN. */

static const TestBackend *named(const char *name)
{
  FOR_EACH_TWIN(on)
  if (strcmp(on->name, name) == 0) return on;
  fail_msg("there is no backend %s", name);
  return NULL;
}

static void expect_same_steps(TrainingRecipe recipe, double tolerance)
{
  recipe.images = recipe.detects ? 1 : 2;
  recipe.side_px = recipe.detects ? 32 : 64;
  recipe.regions = 16;
  recipe.positives = recipe.detections = 2;
  recipe.steps = 2;
  recipe.held_out = 1;
  Training cpu = training_open(named("cpu"), &recipe, ELEMENT_F32, 0);
  Training gpu = training_open(named("cuda"), &recipe, ELEMENT_F32, 0);
  for (int step = 0; step < recipe.steps; ++step) {
    const double expected = training_step(&cpu);
    const double loss = training_step(&gpu);
    if (!(fabs(loss / expected - 1) <= tolerance))
      fail_msg("%s, step %d: the loss is %.9g, by oneDNN %.9g", recipe.name, step, loss, expected);
  }
  const TrainingScore expected = training_score(&cpu);
  const TrainingScore score = training_score(&gpu);
  assert_true(fabs(score.found - expected.found) <= 1e-3);
  assert_true(fabs(score.mean_iou - expected.mean_iou) <= 1e-3);
  training_close(&gpu);
  training_close(&cpu);
}

static void a_unets_losses_are_onednns(void **state)
{
  expect_same_steps(unet_curve, 1e-5);
}

static void a_mask_rcnns_losses_are_onednns(void **state)
{
  expect_same_steps(mask_rcnn_curve, 1e-4);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_unets_losses_are_onednns),
      cmocka_unit_test(a_mask_rcnns_losses_are_onednns),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
