#include "nn/network.h"

#include <malloc.h>
#include <math.h>

#include "network_trial.h"
#include "odd_graphs.h"

enum { IMAGES = 2, HEIGHT = 12, WIDTH = 8 };

static NetworkOptions options_of(bool training, Element element)
{
  return (NetworkOptions){
      .training = training, .element = element, .images = IMAGES, .height = HEIGHT, .width = WIDTH};
}

/* --- gradients --- */

static double weighted_sum(int64_t count, const float *values, const float *weights)
{
  double sum = 0;
  for (int64_t i = 0; i < count; ++i)
    sum += (double)values[i] * (double)weights[i];
  return sum;
}

/* sum(weights * output) with one parameter moved along a direction. */
static double sum_at(NetworkTrial *t, const Parameter *p, const float *start,
                     const float *direction, float distance, const float *weights)
{
  float *values = t->host_trained + p->offset;
  for (int64_t i = 0; i < p->count; ++i)
    values[i] = start[i] + distance * direction[i];
  network_trial_set(t);
  return weighted_sum(network_trial_output_count(t), network_trial_forward(t), weights);
}

/* The slope along a random direction, by differences and by the gradient. Differences carry the
 * output's rounding, and the corners of relu and pooling that lie within their step. */
static void expect_slope(NetworkTrial *t, const Parameter *p, const float *gradient,
                         const float *weights, const char *what)
{
  const float step = t->options.frozen_norm ? 0x1p-12F : 0x1p-10F;
  const int64_t outputs = network_trial_output_count(t);
  const float *direction = room_formula(t->room, p->name, p->count);
  float *start = room_numbers(t->room, p->count);
  memcpy(start, t->host_trained + p->offset, (size_t)p->count * sizeof *start);
  const double ahead = sum_at(t, p, start, direction, step, weights);
  const double behind = sum_at(t, p, start, direction, -step, weights);
  memcpy(t->host_trained + p->offset, start, (size_t)p->count * sizeof *start);

  const double expected = (ahead - behind) / (2 * (double)step);
  const double got = weighted_sum(p->count, gradient + p->offset, direction);
  double typical = 0;
  for (int64_t i = 0; i < p->count; ++i)
    typical += pow((double)gradient[p->offset + i] * (double)direction[i], 2);
  const double rounding =
      1e-7 * (double)outputs * largest_float(outputs, network_trial_forward(t)) / (double)step;
  if (fabs(got - expected) > 0.03 * fmax(sqrt(typical), fabs(expected)) + rounding)
    fail_msg("%s, %s: the slope by %s is %.6g, by differences %.6g; typical %g, rounding %g",
             t->on->name, what, p->name, got, expected, sqrt(typical), rounding);
}

static void expect_slopes(const TestBackend *on, const Graph *graph, bool frozen, const char *what)
{
  NetworkOptions options = options_of(true, ELEMENT_F32);
  options.frozen_norm = frozen;
  NetworkTrial *t = network_trial_open(on, graph, options);
  const ParameterList *list = graph_parameters(graph);
  const float *weights = room_formula(t->room, "weights", network_trial_output_count(t));
  (void)network_trial_forward(t);
  const float *gradient = network_trial_backward(t, weights);
  for (int32_t i = 0; i < list->count; ++i) {
    const bool is_norm = list->items[i].rank == 1 && strstr(list->items[i].name, "n") != NULL;
    if (list->items[i].trained && !(frozen && is_norm))
      expect_slope(t, &list->items[i], gradient, weights, what);
  }
  network_trial_close(t);
}

static void gradients_are_slopes_through_every_kind_of_node(void **state)
{
  Graph *odd = odd_graph_open();
  Graph *residual = residual_graph_open();
  FOR_EACH_BACKEND(on)
  {
    expect_slopes(on, odd, false, "odd graph");
    expect_slopes(on, residual, false, "graph of residuals");
  }
  graph_close(odd);
  graph_close(residual);
}

static void gradients_are_slopes_with_frozen_norms(void **state)
{
  Graph *graph = odd_graph_open();
  FOR_EACH_BACKEND(on)
  expect_slopes(on, graph, true, "odd graph, frozen");
  graph_close(graph);
}

static void gradients_of_all_readers_of_a_value_add_up(void **state)
{
  for (int reader = 0; reader < READER_COUNT; ++reader)
    for (int first = 0; first < 2; ++first) {
      Graph *graph = reader_graph_open((Reader)reader, first == 1);
      FOR_EACH_BACKEND(on)
      expect_slopes(on, graph, false, reader_name((Reader)reader));
      graph_close(graph);
    }
}

/* A pooling and an enlargement of the image itself: nobody wants a gradient there. */
static void the_image_has_no_gradient(void **state)
{
  Graph *graph;
  CHECK_OK(graph_open(5, &graph));
  const Value image = graph_input(graph);
  const Value small = graph_max_pool2d(graph, image, (MaxPool2d){.size = 2, .stride = 2});
  const Value large = graph_upsample_nearest(graph, small);
  const Value sum = graph_add(graph, graph_relu(graph, image), image);
  const Value all = graph_concat(graph, (const Value[]){image, large, sum}, 3);
  const GraphConv head = {.out_channels = 3, .kernel = 3, .pad = 1};
  CHECK_OK(graph_finish(graph, graph_conv2d(graph, all, head, "head")));
  FOR_EACH_BACKEND(on)
  expect_slopes(on, graph, false, "everything reads the image");
  graph_close(graph);
}

/* --- the backends against the naive ops --- */

/* All that a training step gives, in float32 on the host. */
typedef struct Outcome {
  int64_t outputs;
  float *output, *gradients, *statistics;
} Outcome;

static Outcome train_once(NetworkTrial *t)
{
  Outcome outcome = {.outputs = network_trial_output_count(t)};
  outcome.output = network_trial_forward(t);
  outcome.gradients = network_trial_backward(t, room_formula(t->room, "weights", outcome.outputs));
  outcome.statistics =
      room_download_floats(t->room, t->statistics, graph_parameters(t->graph)->statistic_count);
  return outcome;
}

/* Held to the largest value of each tensor, or to floor. */
static void expect_parameters(const TestBackend *on, Element element, const ParameterList *list,
                              bool trained, const float *got, const float *expected,
                              double tolerance, double floor)
{
  for (int32_t i = 0; i < list->count; ++i) {
    const Parameter *p = &list->items[i];
    if (p->trained != trained) continue;
    const double scale = fmax(largest_float(p->count, expected + p->offset), floor);
    expect_floats((Expectation){on, element, p->name, tolerance * scale}, p->count, got + p->offset,
                  expected + p->offset);
  }
}

static void expect_twin(const TestBackend *on, const Graph *graph, Element element,
                        double tolerance)
{
  const ParameterList *list = graph_parameters(graph);
  NetworkTrial *twin = network_trial_open(on, graph, options_of(true, element));
  NetworkTrial *naive = network_trial_open(backends_naive(), graph, options_of(true, element));
  const Outcome got = train_once(twin);
  const Outcome expected = train_once(naive);
  expect_floats((Expectation){on, element, "output",
                              tolerance * largest_float(expected.outputs, expected.output)},
                expected.outputs, got.output, expected.output);
  expect_parameters(on, element, list, false, got.statistics, expected.statistics, tolerance, 0);
  const double most = largest_float(list->trained_count, expected.gradients);
  expect_parameters(on, element, list, true, got.gradients, expected.gradients, 10 * tolerance,
                    fmax(tolerance, 1e-3) * most);
  network_trial_close(naive);
  network_trial_close(twin);
}

static void a_training_step_is_that_of_the_naive_ops(void **state)
{
  Graph *graphs[] = {odd_graph_open(), residual_graph_open()};
  for (int i = 0; i < 2; ++i) {
    FOR_EACH_TWIN(on)
    {
      expect_twin(on, graphs[i], ELEMENT_F32, 1e-5);
      expect_twin(on, graphs[i], ELEMENT_BF16, 2e-2);
    }
    graph_close(graphs[i]);
  }
}

/* --- inference --- */

static void expect_folded(const TestBackend *on, const Graph *graph)
{
  const ParameterList *list = graph_parameters(graph);
  NetworkOptions options = options_of(true, ELEMENT_F32);
  options.frozen_norm = true;
  NetworkTrial *plain = network_trial_open(on, graph, options);
  NetworkTrial *folded = network_trial_open(on, graph, options_of(false, ELEMENT_F32));
  const Outcome expected = train_once(plain);
  const float *got = network_trial_forward(folded);
  expect_floats((Expectation){on, ELEMENT_F32, "output",
                              1e-5 * largest_float(expected.outputs, expected.output)},
                expected.outputs, got, expected.output);
  assert_memory_equal(expected.statistics, plain->host_statistics,
                      (size_t)list->statistic_count * sizeof(float));
  assert_true(network_bytes(folded->network) < network_bytes(plain->network));
  network_trial_close(folded);
  network_trial_close(plain);
}

static void folding_changes_nothing_but_the_rounding(void **state)
{
  Graph *graphs[] = {odd_graph_open(), residual_graph_open()};
  for (int i = 0; i < 2; ++i) {
    FOR_EACH_BACKEND(on)
    expect_folded(on, graphs[i]);
    graph_close(graphs[i]);
  }
}

static void an_inference_gives_the_same_bits_again(void **state)
{
  Graph *graph = residual_graph_open();
  FOR_EACH_BACKEND(on)
  {
    NetworkTrial *t = network_trial_open(on, graph, options_of(false, ELEMENT_F32));
    const float *first = network_trial_forward(t);
    const float *second = network_trial_forward(t);
    assert_memory_equal(first, second, (size_t)network_trial_output_count(t) * sizeof(float));
    network_trial_close(t);
  }
  graph_close(graph);
}

static void frozen_norms_learn_nothing(void **state)
{
  Graph *graph = odd_graph_open();
  const ParameterList *list = graph_parameters(graph);
  NetworkOptions options = options_of(true, ELEMENT_F32);
  options.frozen_norm = true;
  FOR_EACH_BACKEND(on)
  {
    NetworkTrial *t = network_trial_open(on, graph, options);
    const Outcome outcome = train_once(t);
    for (int32_t i = 0; i < list->count; ++i) {
      const Parameter *p = &list->items[i];
      if (!p->trained) continue;
      const bool is_norm = p->rank == 1 && (strstr(p->name, "norm") || strstr(p->name, "bn2"));
      const double most = largest_float(p->count, outcome.gradients + p->offset);
      if ((most > 0) == is_norm) fail_msg("the largest gradient of %s is %g", p->name, most);
    }
    network_trial_close(t);
  }
  graph_close(graph);
}

/* A forward pass, and the gradient of its output in place. */
static void aim(NetworkTrial *t)
{
  (void)network_trial_forward(t);
  network_trial_aim(t, room_formula(t->room, "weights", network_trial_output_count(t)));
}

/* --- the order in which gradients are complete --- */

typedef struct Watch {
  NetworkTrial *trial;
  const float *final;
  size_t last;
  int calls, stop_at;
} Watch;

static Status watch(void *context, size_t first)
{
  Watch *w = context;
  const size_t count = (size_t)graph_parameters(w->trial->graph)->trained_count;
  assert_true(first <= w->last);
  w->last = first;
  if (++w->calls == w->stop_at) return status_set(STATUS_COMM, "the link is down");
  if (w->final == NULL || first == count) return STATUS_OK;
  CHECK_OK(device_synchronize(w->trial->on->device));
  const float *now = room_download_floats(w->trial->room, w->trial->gradients, (int64_t)count);
  assert_memory_equal(now + first, w->final + first, (count - first) * sizeof(float));
  return STATUS_OK;
}

static Status watch_backward(Watch *w)
{
  const size_t count = (size_t)graph_parameters(w->trial->graph)->trained_count;
  w->last = count;
  w->calls = 0;
  device_clear(w->trial->on->device, w->trial->gradients, count * sizeof(float));
  aim(w->trial);
  return network_backward(w->trial->network, watch, w);
}

static void gradients_are_complete_from_where_ready_says(void **state)
{
  Graph *graph = residual_graph_open();
  NetworkOptions options = options_of(true, ELEMENT_F32);
  options.frozen_norm = true;
  NetworkTrial *t = network_trial_open(backends_naive(), graph, options);
  Watch w = {.trial = t};
  (void)train_once(t);
  CHECK_OK(watch_backward(&w));
  assert_int_equal(w.last, 0);
  w.final = room_download_floats(t->room, t->gradients, graph_parameters(graph)->trained_count);
  CHECK_OK(watch_backward(&w));
  assert_true(w.calls > 10);
  network_trial_close(t);
  graph_close(graph);
}

static void a_failure_of_ready_ends_the_backward_pass(void **state)
{
  Graph *graph = residual_graph_open();
  NetworkTrial *t = network_trial_open(backends_naive(), graph, options_of(true, ELEMENT_F32));
  Watch w = {.trial = t, .stop_at = 3};
  (void)train_once(t);
  CHECK_FAILS(STATUS_COMM, "the link is down", watch_backward(&w));
  assert_int_equal(w.calls, 3);
  network_trial_close(t);
  graph_close(graph);
}

/* Gradients are added to what is there. */
static void a_second_backward_pass_doubles_the_gradients(void **state)
{
  Graph *graph = odd_graph_open();
  NetworkOptions options = options_of(true, ELEMENT_F32);
  options.frozen_norm = true;
  const ParameterList *list = graph_parameters(graph);
  FOR_EACH_BACKEND(on)
  {
    NetworkTrial *t = network_trial_open(on, graph, options);
    const Outcome once = train_once(t);
    float *twice = room_numbers(t->room, list->trained_count);
    for (int64_t i = 0; i < list->trained_count; ++i)
      twice[i] = 2 * once.gradients[i];
    aim(t);
    CHECK_OK(network_backward(t->network, NULL, NULL));
    CHECK_OK(device_synchronize(on->device));
    expect_parameters(on, ELEMENT_F32, list, true,
                      room_download_floats(t->room, t->gradients, list->trained_count), twice, 1e-5,
                      1e-3 * largest_float(list->trained_count, twice));
    network_trial_close(t);
  }
  graph_close(graph);
}

/* --- refusals --- */

static Value conv_of(Graph *graph, Value x, const char *name)
{
  return graph_conv2d(graph, x, (GraphConv){.out_channels = 5, .kernel = 3, .pad = 1}, name);
}

static void expect_refused(Graph *graph, Value output, const char *words)
{
  Network *network;
  CHECK_OK(graph_finish(graph, output));
  CHECK_FAILS(STATUS_UNSUPPORTED, words,
              network_trial_try(backends_naive(), graph, options_of(true, ELEMENT_F32), &network));
  assert_null(network);
  CHECK_OK(network_trial_try(backends_naive(), graph, options_of(false, ELEMENT_F32), &network));
  network_close(network);
  graph_close(graph);
}

static Graph *open_graph(void)
{
  Graph *graph;
  CHECK_OK(graph_open(5, &graph));
  return graph;
}

static void what_cannot_be_trained_is_refused(void **state)
{
  Graph *g = open_graph();
  Value x = conv_of(g, graph_input(g), "a");
  const Value n = graph_batch_norm2d(g, x, VALUE_NONE, true, "n");
  expect_refused(g, graph_add(g, n, x), "only reader");

  g = open_graph();
  x = conv_of(g, graph_input(g), "a");
  (void)conv_of(g, x, "b");
  expect_refused(g, x, "nobody reads");

  g = open_graph();
  expect_refused(g, graph_batch_norm2d(g, graph_input(g), VALUE_NONE, true, "n"), "image itself");

  g = open_graph();
  x = conv_of(g, graph_input(g), "a");
  expect_refused(g, graph_batch_norm2d(g, x, graph_input(g), true, "n"), "image itself");

  g = open_graph();
  x = graph_max_pool2d(g, conv_of(g, graph_input(g), "a"), (MaxPool2d){.size = 2, .stride = 2});
  expect_refused(g, graph_decoder_conv2d(g, x, graph_input(g), 4, "d"), "image itself");
}

static void shapes_that_do_not_fit_are_refused(void **state)
{
  Network *network;
  Graph *g = open_graph();
  const Value small = graph_max_pool2d(g, graph_input(g), (MaxPool2d){.size = 2, .stride = 2});
  CHECK_OK(graph_finish(g, graph_add(g, small, graph_input(g))));
  CHECK_FAILS(STATUS_BAD_SHAPE, "",
              network_trial_try(backends_naive(), g, options_of(false, ELEMENT_F32), &network));
  assert_null(network);

  NetworkOptions odd = options_of(false, ELEMENT_F32);
  odd.width = 9;
  CHECK_FAILS(STATUS_BAD_SHAPE, "multiples of 2 px",
              network_trial_try(backends_naive(), g, odd, &network));
  graph_close(g);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(gradients_are_slopes_through_every_kind_of_node),
      cmocka_unit_test(gradients_are_slopes_with_frozen_norms),
      cmocka_unit_test(gradients_of_all_readers_of_a_value_add_up),
      cmocka_unit_test(the_image_has_no_gradient),
      cmocka_unit_test(a_training_step_is_that_of_the_naive_ops),
      cmocka_unit_test(folding_changes_nothing_but_the_rounding),
      cmocka_unit_test(an_inference_gives_the_same_bits_again),
      cmocka_unit_test(frozen_norms_learn_nothing),
      cmocka_unit_test(gradients_are_complete_from_where_ready_says),
      cmocka_unit_test(a_failure_of_ready_ends_the_backward_pass),
      cmocka_unit_test(a_second_backward_pass_doubles_the_gradients),
      cmocka_unit_test(what_cannot_be_trained_is_refused),
      cmocka_unit_test(shapes_that_do_not_fit_are_refused),
  };
  (void)mallopt(M_PERTURB, 0x80); /* memory that is not cleared holds huge numbers */
  return cmocka_run_group_tests(tests, NULL, NULL);
}
