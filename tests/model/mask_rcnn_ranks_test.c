#include "comm/gradients.h"
#include "golden_detector.h"
#include "support/ranks.h"

#include <math.h>

/* A batch of two images shared out over two ranks, against the same batch on one: the losses are
 * those of all ranks' samples, and so are the gradients. */
enum { IMAGES = 2 };

typedef struct Outcome {
  double losses[DETECTOR_LOSSES];
  float *gradients;
} Outcome;

/* Some images of the golden scene, from first on; sums NULL: alone. */
static DetectorTrial *trial_of(const GoldenDetector *golden, const TestBackend *on, int32_t first,
                               int32_t count, Gradients *sums)
{
  DetectorOptions options = golden->options[1];
  options.images = count;
  options.gradients = sums;
  options.rank_count = sums == NULL ? 1 : comm_rank_count(ranks_world);
  if (!golden->model.norm_frozen) options.shared_norm = sums;
  DetectorTrial *trial = golden_detector_trial(golden, on, options);
  const DetectorScene scene = golden_detector_scene(golden, trial->room);
  int32_t images[IMAGES];
  for (int32_t i = 0; i < count; ++i)
    images[i] = first + i;
  const DetectorScene part = scene_of_images(trial->room, &scene, images, count);
  trial->first_image = (uint64_t)first;
  detector_trial_feed(trial, &part);
  return trial;
}

static Outcome learn(DetectorTrial *trial)
{
  Outcome outcome;
  detector_trial_forward(trial);
  detector_trial_learn(trial);
  detector_trial_losses(trial, outcome.losses);
  outcome.gradients = detector_trial_gradients(trial);
  return outcome;
}

static void expect_near(const TestBackend *on, const ParameterList *list, const Outcome *got,
                        const Outcome *expected)
{
  for (int i = 0; i < DETECTOR_LOSSES; ++i)
    if (!(fabs(got->losses[i] - expected->losses[i]) <= 1e-5 * expected->losses[i]))
      fail_msg("%s is %.9g on all ranks, %.9g on one", detector_loss_name((DetectorLoss)i),
               got->losses[i], expected->losses[i]);
  const double floor = 1e-5 * largest_float(list->trained_count, expected->gradients);
  for (int32_t i = 0; i < list->count; ++i) {
    const Parameter *p = &list->items[i];
    if (!p->trained) continue;
    const double scale = fmax(largest_float(p->count, expected->gradients + p->offset), floor);
    expect_floats((Expectation){on, ELEMENT_F32, p->name, 1e-3 * scale}, p->count,
                  got->gradients + p->offset, expected->gradients + p->offset);
  }
}

/* drawn: few of the candidates are sampled, those that the images' numbers choose. empty: the images
 * of the last rank have no objects. */
static void expect_one_batch(const char *name, bool drawn, bool empty)
{
  const TestBackend *on = backends_next(backends_naive());
  GoldenDetector golden = golden_detector_open(name);
  const int32_t images = IMAGES / comm_rank_count(ranks_world);
  void *block;
  Gradients *sums;
  if (drawn) {
    golden.options[1].rpn_sampling = (RpnSampling){.count = 64, .positive_count = 32};
    golden.options[1].roi_sampling.count = 32;
    golden.options[1].roi_sampling.positive_count = 8;
  }
  CHECK_OK(device_allocate(on->device, sizeof(float), "a test", &block));
  CHECK_OK(gradients_open(ranks_world, on->device, block, 1, 1 << 20, &sums));
  DetectorTrial *whole = trial_of(&golden, on, 0, IMAGES, NULL);
  DetectorTrial *part = trial_of(&golden, on, comm_rank(ranks_world) * images, images, sums);
  if (empty) {
    whole->scene.counts[IMAGES - 1] = 0;
    detector_trial_feed(whole, &whole->scene);
    if (comm_rank(ranks_world) == comm_rank_count(ranks_world) - 1) {
      part->scene.counts[images - 1] = 0;
      detector_trial_feed(part, &part->scene);
    }
  }
  const Outcome expected = learn(whole);
  const Outcome got = learn(part);
  const ParameterList *list = &part->parts.parameters;
  CHECK_OK(comm_sum_float(ranks_world, got.gradients, (size_t)list->trained_count));
  expect_near(on, list, &got, &expected);
  detector_trial_close(part);
  detector_trial_close(whole);
  gradients_close(sums);
  device_release(on->device, block);
  golden_detector_close(&golden);
}

static void losses_and_gradients_of_all_ranks_are_those_of_one(void **state)
{
  expect_one_batch("mask_rcnn_resnet18_frozen", false, false);
}

static void samples_do_not_depend_on_ranks(void **state)
{
  expect_one_batch("mask_rcnn_resnet18_frozen", true, false);
}

static void a_rank_without_objects_takes_part_in_the_same_sums(void **state)
{
  expect_one_batch("mask_rcnn_resnet18_frozen", false, true);
}

static void shared_norms_make_of_all_ranks_one_batch(void **state)
{
  expect_one_batch("mask_rcnn_resnet18_trained", false, false);
}

int main(int argument_count, char **arguments)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(losses_and_gradients_of_all_ranks_are_those_of_one),
      cmocka_unit_test(samples_do_not_depend_on_ranks),
      cmocka_unit_test(a_rank_without_objects_takes_part_in_the_same_sums),
      cmocka_unit_test(shared_norms_make_of_all_ranks_one_batch),
  };
  return RANKS_RUN_TESTS(argument_count, arguments, tests);
}
