#include <math.h>
#include <stdio.h>

#include "model/training_trial.h"

/* Training here follows the losses of a CPU (tests/golden/training_curves.txt, which says how they
 * were made): step by step in float32, and in bfloat16 to the same end.
 * QUADRAT_CURVE_STEPS=N: only the first steps of the curves, and no training to the end. */

/* Of a loss. What rounding alone does to these curves is in the golden file. */
static const double curve_tolerance = 1e-3;

static int steps_wanted = TRAINING_STEPS_MOST; /* set before any test */

static void expect_curve(const TestBackend *on, const TrainingRecipe *recipe)
{
  Golden *golden = golden_open("training_curves.txt");
  const GoldenTensor *expected = golden_find(golden, "%s.losses", recipe->name);
  const int steps = steps_wanted < recipe->steps ? steps_wanted : recipe->steps;
  double largest = 0;
  assert_int_equal(expected->count, recipe->steps);
  Training training = training_open(on, recipe, ELEMENT_F32, 0);
  for (int step = 0; step < steps; ++step) {
    const double loss = training_step(&training);
    const double apart = fabs(loss / expected->values[step] - 1);
    if (!(apart <= curve_tolerance))
      fail_msg("%s: %s, step %d: the loss is %.9g, a CPU's %.9g", on->name, recipe->name, step,
               loss, expected->values[step]);
    largest = fmax(largest, apart);
  }
  (void)printf("figure: %s, float32, %d steps: losses at most %.1e apart\n", recipe->name, steps,
               largest);
  training_close(&training);
  golden_close(golden);
}

static void losses_of_a_unet_are_a_cpus_step_by_step(void **state)
{
  FOR_EACH_TWIN(on)
  expect_curve(on, &unet_curve);
}

static void losses_of_a_mask_rcnn_are_a_cpus_step_by_step(void **state)
{
  FOR_EACH_TWIN(on)
  expect_curve(on, &mask_rcnn_curve);
}

static TrainingScore score_after(const TestBackend *on, const TrainingRecipe *recipe,
                                 Element element)
{
  Training training = training_open(on, recipe, element, 0);
  for (int step = 0; step < recipe->steps; ++step)
    (void)training_step(&training);
  const TrainingScore score = training_score(&training);
  (void)printf("figure: %s, %s, %d steps: found %.4f, mean IoU %.4f\n", recipe->name,
               element_name(element), recipe->steps, score.found, score.mean_iou);
  (void)fflush(stdout);
  training_close(&training);
  return score;
}

static void expect_as_good(TrainingScore score, TrainingScore expected, double tolerance)
{
  assert_true(score.found >= expected.found - tolerance);
  assert_true(score.mean_iou >= expected.mean_iou - tolerance);
}

static void a_unet_learns_as_much_in_bfloat16_as_on_a_cpu_in_float32(void **state)
{
  Golden *golden = golden_open("training_curves.txt");
  const GoldenTensor *score = golden_find(golden, "%s.score", unet_learning.name);
  const TrainingScore expected = {score->values[0], score->values[1]};
  FOR_EACH_TWIN(on)
  expect_as_good(score_after(on, &unet_learning, ELEMENT_BF16), expected, 0.01);
  golden_close(golden);
}

/* Against float32 on the same device, which takes a CPU many minutes; of 256 objects. */
static void a_mask_rcnn_learns_as_much_in_bfloat16_as_in_float32(void **state)
{
  FOR_EACH_TWIN(on)
  {
    const TrainingScore expected = score_after(on, &mask_rcnn_learning, ELEMENT_F32);
    assert_true(expected.found > 0.5);
    expect_as_good(score_after(on, &mask_rcnn_learning, ELEMENT_BF16), expected, 0.07);
  }
}

int main(void)
{
  const struct CMUnitTest curves[] = {
      cmocka_unit_test(losses_of_a_unet_are_a_cpus_step_by_step),
      cmocka_unit_test(losses_of_a_mask_rcnn_are_a_cpus_step_by_step),
  };
  const struct CMUnitTest learning[] = {
      cmocka_unit_test(a_unet_learns_as_much_in_bfloat16_as_on_a_cpu_in_float32),
      cmocka_unit_test(a_mask_rcnn_learns_as_much_in_bfloat16_as_in_float32),
  };
  const char *steps = getenv("QUADRAT_CURVE_STEPS");
  if (steps != NULL) steps_wanted = (int)strtol(steps, NULL, 10);
  const int failed = cmocka_run_group_tests(curves, NULL, NULL);
  return steps != NULL ? failed : failed + cmocka_run_group_tests(learning, NULL, NULL);
}
