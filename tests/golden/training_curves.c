/* Records what tests/gpu/curve_test.c holds a GPU against: trainings on a CPU, by oneDNN.
 *
 *   ninja training_curves && tests/model/training_curves > ../tests/golden/training_curves.txt
 *
 * Beside each curve stands how far the same training parts from it when every weight is off by a
 * millionth of itself at first: what a test can ask of another machine. */
#include <math.h>
#include <stdio.h>

#include "model/training_trial.h"

static const double noise = 1e-6;

static void write_values(const char *name, const char *what, int count, const double *values)
{
  (void)printf("%s.%s 1 %d\n", name, what, count);
  for (int i = 0; i < count; ++i)
    (void)printf("%.9g%c", values[i], i % 8 == 7 || i == count - 1 ? '\n' : ' ');
  (void)fflush(stdout);
}

static void run(const TestBackend *on, const TrainingRecipe *recipe, double off, double *losses)
{
  Training training = training_open(on, recipe, ELEMENT_F32, off);
  for (int step = 0; step < recipe->steps; ++step)
    losses[step] = training_step(&training);
  training_close(&training);
}

static void record_curve(const TestBackend *on, const TrainingRecipe *recipe)
{
  double losses[TRAINING_STEPS_MOST];
  double others[TRAINING_STEPS_MOST];
  double apart = 0;
  run(on, recipe, 0, losses);
  run(on, recipe, noise, others);
  for (int step = 0; step < recipe->steps; ++step)
    apart = fmax(apart, fabs(others[step] / losses[step] - 1));
  write_values(recipe->name, "losses", recipe->steps, losses);
  write_values(recipe->name, "apart", 1, &apart);
}

static void record_score(const TestBackend *on, const TrainingRecipe *recipe)
{
  Training training = training_open(on, recipe, ELEMENT_F32, 0);
  for (int step = 0; step < recipe->steps; ++step)
    (void)training_step(&training);
  const TrainingScore score = training_score(&training);
  write_values(recipe->name, "score", 2, (double[]){score.found, score.mean_iou});
  training_close(&training);
}

int main(void)
{
  Device *device = NULL;
  CHECK_OK(device_open(-1, &device));
  const TestBackend cpu = {.name = "cpu", .ops = backend_of(device), .device = device};
  (void)printf(
      "# Trainings on a CPU in float32 (tests/model/training_trial.c). NAME.losses: of each step; "
      "NAME.apart:\n"
      "# the largest difference, as a share, when each weight is off by %g of itself at first; "
      "NAME.score: share\n"
      "# of pixels that are right, and mean IoU, after the learning recipe. Made by\n"
      "# tests/golden/training_curves.c.\n",
      noise);
  record_curve(&cpu, &unet_curve);
  record_curve(&cpu, &mask_rcnn_curve);
  record_score(&cpu, &unet_learning);
  device_close(device);
  return EXIT_SUCCESS;
}
