#include <math.h>

#include "nn/network.h"
#include "nn/odd_graphs.h"
#include "nn/optimizer.h"
#include "support/backends.h"

/* Training in float16, on the plug-in's kernels: gradients that would underflow survive under a loss
 * scale, and a training goes as in float32. */

enum { IMAGES = 2, HEIGHT = 12, WIDTH = 8, BANDS = 5, CLASSES = 3 };

static const SegmentationLoss loss = {.class_count = CLASSES};

/* A training of a small graph, with a loss over random labels. */
typedef struct Trial {
  const TestBackend *on;
  Room *room;
  Graph *graph;
  Network *network;
  Optimizer *optimizer;
  Shape logits;
  const float *weights;
  const uint8_t *labels;
  float *sums;
  void *scratch;
  int64_t trained_count;
} Trial;

static void upload_parameters(Trial *t)
{
  const ParameterList *list = graph_parameters(t->graph);
  float *trained = room_numbers(t->room, list->trained_count);
  float *statistics = room_numbers(t->room, list->statistic_count);
  for (int32_t i = 0; i < list->count; ++i) {
    const Parameter *p = &list->items[i];
    formula_fill(p->name, p->rank, p->dims, (p->trained ? trained : statistics) + p->offset);
  }
  CHECK_OK(optimizer_upload(t->optimizer, trained, statistics, NULL));
}

static void upload_image(Trial *t)
{
  const Shape shape = network_input_shape(t->network);
  const int64_t pixels = shape_pixels(shape);
  const float *numbers = room_formula(t->room, "input", pixels * BANDS);
  float *padded = room_numbers(t->room, pixels * shape.channels);
  for (int64_t i = 0; i < pixels * BANDS; ++i)
    padded[i / BANDS * shape.channels + i % BANDS] = numbers[i];
  t->on->ops->convert(t->on->device, shape_elements(shape), ELEMENT_F32,
                      room_upload_floats(t->room, padded, shape_elements(shape)), shape.element,
                      network_input(t->network));
}

static const uint8_t *upload_labels(Trial *t)
{
  const int64_t pixels = shape_pixels(t->logits);
  const float *numbers = room_formula(t->room, "labels", pixels);
  uint8_t *labels = room_host(t->room, pixels, 1);
  for (int64_t i = 0; i < pixels; ++i)
    labels[i] = (uint8_t)(numbers[i] < -0.3F ? 0 : numbers[i] < 0.3F ? 1 : 2);
  return room_upload(t->room, labels, (size_t)pixels);
}

static Trial open_trial(const TestBackend *on, Element element, bool loss_scaling)
{
  const NetworkOptions options = {
      .training = true, .element = element, .images = IMAGES, .height = HEIGHT, .width = WIDTH};
  const OptimizerOptions sgd = {.kind = OPTIMIZER_SGD,
                                .schedule = {.kind = SCHEDULE_CONSTANT, .rate = 0.001},
                                .momentum = 0.9,
                                .loss_scaling = loss_scaling};
  Trial t = {.on = on, .room = room_open(on), .graph = residual_graph_open()};
  CHECK_OK(network_open(t.graph, on->device, options, &t.network));
  CHECK_OK(network_allocate(t.network));
  CHECK_OK(optimizer_open(graph_parameters(t.graph), on->device, sgd, &t.optimizer));
  network_bind(t.network, optimizer_trained(t.optimizer), optimizer_statistics(t.optimizer),
               optimizer_gradients(t.optimizer));
  t.trained_count = graph_parameters(t.graph)->trained_count;
  t.logits = network_output_shape(t.network, 0);
  t.weights = room_upload_floats(t.room, (float[CLASSES]){1, 1, 1}, CLASSES);
  t.labels = upload_labels(&t);
  t.sums = room_device(t.room, (size_t)segmentation_sums_count(CLASSES) * sizeof *t.sums);
  t.scratch = room_device(t.room, on->ops->segmentation_loss_scratch_bytes(loss, t.logits));
  upload_parameters(&t);
  upload_image(&t);
  return t;
}

static void close_trial(Trial *t)
{
  optimizer_close(t->optimizer);
  network_close(t->network);
  graph_close(t->graph);
  room_close(t->room);
}

/* Forward and backward of the loss times scale (device memory); returns the loss. */
static double learn(Trial *t, const float *scale)
{
  const Backend *ops = t->on->ops;
  float sums[2 + 3 * CLASSES];
  optimizer_clear_gradients(t->optimizer);
  network_pack(t->network);
  network_forward(t->network);
  ops->segmentation_loss_sums(t->on->device, loss, t->weights, t->logits,
                              network_output(t->network, 0), t->labels, t->sums, t->scratch);
  ops->segmentation_loss_backward(t->on->device, loss, t->weights, t->sums, scale, t->logits,
                                  network_output(t->network, 0), t->labels,
                                  network_output_gradient(t->network, 0));
  CHECK_OK(network_backward(t->network, NULL, NULL));
  device_download(t->on->device, sums, t->sums, sizeof sums);
  CHECK_OK(device_synchronize(t->on->device));
  return segmentation_loss_value(loss, sums);
}

/* The distance of gradients over scale to those of float32, as a share of their norm. */
static double error_of(Trial *t, float scale, const float *expected)
{
  const float *factor = room_upload_floats(t->room, &scale, 1);
  (void)learn(t, factor);
  const float *got =
      room_download_floats(t->room, optimizer_gradients(t->optimizer), t->trained_count);
  double error = 0;
  double norm = 0;
  for (int64_t i = 0; i < t->trained_count; ++i) {
    const double difference = (double)got[i] / (double)scale - (double)expected[i];
    error += difference * difference;
    norm += (double)expected[i] * (double)expected[i];
  }
  return sqrt(error / norm);
}

static const TestBackend *named(const char *name)
{
  FOR_EACH_TWIN(on)
  if (strcmp(on->name, name) == 0) return on;
  fail_msg("there is no backend %s", name);
  return NULL;
}

static void small_gradients_vanish_in_float16_without_a_loss_scale(void **state)
{
  Trial truth = open_trial(named("cpu"), ELEMENT_F32, false);
  (void)learn(&truth, NULL);
  const float *expected =
      room_download_floats(truth.room, optimizer_gradients(truth.optimizer), truth.trained_count);
  Trial half = open_trial(named("cuda"), ELEMENT_F16, false);
  /* as if there were 2^20 times the pixels */
  assert_true(error_of(&half, 0x1p-20F, expected) > 0.1);
  assert_true(error_of(&half, 0x1p-20F * LOSS_SCALE_FIRST, expected) < 0.01);
  assert_true(error_of(&half, 1, expected) < 0.01);
  assert_true(!isfinite(error_of(&half, 0x1p30F, expected))); /* beyond its range */
  close_trial(&half);
  close_trial(&truth);
}

enum { STEPS = 12 };

static void train(Trial *t, double losses[STEPS])
{
  for (int step = 0; step < STEPS; ++step) {
    losses[step] = learn(t, optimizer_loss_scale(t->optimizer));
    optimizer_step(t->optimizer, step);
  }
  CHECK_OK(device_synchronize(t->on->device));
}

/* How often the scale was halved, which is how many steps were left out. */
static int steps_left_out(Trial *t, float first)
{
  const float *scaling = room_download_floats(t->room, optimizer_loss_scale(t->optimizer), 2);
  int count = 0;
  for (float scale = first; scale > scaling[0]; scale /= 2)
    ++count;
  assert_true(scaling[1] == (float)(STEPS - count)); /* all before the first that was taken */
  return count;
}

static void a_training_in_float16_goes_as_in_float32(void **state)
{
  double expected[STEPS];
  double got[STEPS];
  Trial full = open_trial(named("cpu"), ELEMENT_F32, false);
  Trial half = open_trial(named("cuda"), ELEMENT_F16, true);
  train(&full, expected);
  train(&half, got);
  const int late = steps_left_out(&half, LOSS_SCALE_FIRST);
  assert_in_range(late, 0, 3);
  assert_true(expected[STEPS - 1 - late] < 0.9 * expected[0]);
  for (int step = 0; step + late < STEPS; ++step)
    if (!(fabs(got[step + late] / expected[step] - 1) < 0.01))
      fail_msg("loss of step %d: %g in float16, %g in float32", step, got[step + late],
               expected[step]);
  close_trial(&full);
  close_trial(&half);
}

static void a_scale_that_is_too_large_comes_down_by_itself(void **state)
{
  const float first = 0x1p19F;
  double losses[STEPS];
  Trial half = open_trial(named("cuda"), ELEMENT_F16, true);
  device_upload(half.on->device, optimizer_state(half.optimizer) + half.trained_count, &first,
                sizeof first);
  CHECK_OK(device_synchronize(half.on->device));
  train(&half, losses);
  const int late = steps_left_out(&half, first);
  assert_in_range(late, 3, STEPS - 2);
  /* the weights stay; the running statistics, about which sums are taken, do not */
  for (int step = 1; step <= late; ++step)
    assert_true(fabs(losses[step] / losses[0] - 1) < 1e-3);
  assert_true(losses[STEPS - 1] < losses[late]);
  close_trial(&half);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(small_gradients_vanish_in_float16_without_a_loss_scale),
      cmocka_unit_test(a_training_in_float16_goes_as_in_float32),
      cmocka_unit_test(a_scale_that_is_too_large_comes_down_by_itself),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
