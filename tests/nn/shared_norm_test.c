#include <math.h>

#include "comm/gradients.h"
#include "network_trial.h"
#include "odd_graphs.h"
#include "support/ranks.h"

/* A batch that is shared out over ranks, with statistics over all of them, against the same batch
 * on one rank. */
enum { IMAGES = 12, HEIGHT = 12, WIDTH = 8 }; /* 12 images: for 1, 2, 3 and 4 ranks */

static NetworkOptions options_of(int32_t images)
{
  return (NetworkOptions){.training = true,
                          .rank_count = comm_rank_count(ranks_world),
                          .element = ELEMENT_F32,
                          .images = images,
                          .height = HEIGHT,
                          .width = WIDTH};
}

static void expect_parameters(const TestBackend *on, const ParameterList *list, bool trained,
                              const float *got, const float *expected, double tolerance,
                              double floor)
{
  for (int32_t i = 0; i < list->count; ++i) {
    const Parameter *p = &list->items[i];
    if (p->trained != trained) continue;
    const double scale = fmax(largest_float(p->count, expected + p->offset), floor);
    expect_floats((Expectation){on, ELEMENT_F32, p->name, tolerance * scale}, p->count,
                  got + p->offset, expected + p->offset);
  }
}

static void expect_shared(const TestBackend *on, const Graph *graph)
{
  const ParameterList *list = graph_parameters(graph);
  const int ranks = comm_rank_count(ranks_world);
  const int32_t images = IMAGES / ranks;
  void *block;
  Gradients *sums;
  CHECK_OK(device_allocate(on->device, sizeof(float), "a test", &block));
  CHECK_OK(gradients_open(ranks_world, on->device, block, 1, 1 << 20, &sums));

  NetworkOptions options = options_of(images);
  options.shared_norm = sums;
  NetworkTrial *whole = network_trial_open(on, graph, options_of(IMAGES));
  NetworkTrial *part = network_trial_open(on, graph, options);
  const int64_t outputs = network_trial_output_count(part);
  part->first_image = comm_rank(ranks_world) * images;
  const float *weights = room_formula(whole->room, "weights", ranks * outputs);
  const int64_t first = comm_rank(ranks_world) * outputs;

  const float *expected = network_trial_forward(whole);
  const float *got = network_trial_forward(part);
  expect_floats(
      (Expectation){on, ELEMENT_F32, "output", 1e-5 * largest_float(ranks * outputs, expected)},
      outputs, got, expected + first);
  expect_parameters(
      on, list, false, room_download_floats(part->room, part->statistics, list->statistic_count),
      room_download_floats(whole->room, whole->statistics, list->statistic_count), 1e-5, 0);

  const float *wanted = network_trial_backward(whole, weights);
  float *gradients = network_trial_backward(part, weights + first);
  CHECK_OK(comm_sum_float(ranks_world, gradients, (size_t)list->trained_count));
  expect_parameters(on, list, true, gradients, wanted, 1e-4,
                    1e-2 * largest_float(list->trained_count, wanted));

  network_trial_close(part);
  network_trial_close(whole);
  gradients_close(sums);
  device_release(on->device, block);
}

static void shared_statistics_make_of_all_ranks_one_batch(void **state)
{
  Graph *graphs[] = {odd_graph_open(), residual_graph_open()};
  for (int i = 0; i < 2; ++i) {
    FOR_EACH_BACKEND(on)
    expect_shared(on, graphs[i]);
    graph_close(graphs[i]);
  }
}

int main(int argument_count, char **arguments)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(shared_statistics_make_of_all_ranks_one_batch),
  };
  return RANKS_RUN_TESTS(argument_count, arguments, tests);
}
