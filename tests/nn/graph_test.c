#include "nn/graph.h"

#include <stdio.h>

#include "support/check.h"

static Graph *open_graph(int32_t bands)
{
  Graph *graph;
  CHECK_OK(graph_open(bands, &graph));
  return graph;
}

static Value conv(Graph *graph, Value x, int32_t channels, int32_t stride, const char *name)
{
  const GraphConv shape = {.out_channels = channels, .kernel = 3, .stride = stride, .pad = 1};
  return graph_conv2d(graph, x, shape, name);
}

static int32_t channels_of(const Graph *graph, Value value)
{
  int32_t count;
  const Node *nodes = graph_nodes(graph, &count);
  assert_in_range(value, 0, count - 1);
  return nodes[value].channels;
}

static void every_node_knows_its_channels(void **state)
{
  Graph *g = open_graph(5);
  const Value input = graph_input(g);
  const Value a = conv(g, input, 6, 2, "a");
  const Value b = graph_batch_norm2d(g, a, VALUE_NONE, true, "b");
  const Value p = graph_max_pool2d(g, b, (MaxPool2d){.size = 2, .stride = 2});
  const Value d = graph_decoder_conv2d(g, p, b, 7, "d");
  const Value u = graph_upsample_nearest(g, p);
  const Value c = graph_concat(g, (const Value[]){d, u, b}, 3);
  const Value r = graph_relu(g, c);
  const Value s = graph_add(g, r, c);
  CHECK_OK(graph_finish(g, s));
  const Value values[] = {input, a, b, p, d, u, c, r, s};
  const int32_t channels[] = {5, 6, 6, 6, 7, 6, 19, 19, 19};
  for (int i = 0; i < 9; ++i)
    assert_int_equal(channels_of(g, values[i]), channels[i]);
  assert_int_equal(graph_output(g, 0), s);
  graph_close(g);
}

static void expect_parameter(const Graph *graph, const char *name, int rank, int64_t d0, int64_t d1,
                             int64_t d2, int64_t d3)
{
  const ParameterList *list = graph_parameters(graph);
  const int32_t index = parameter_find(list, name);
  if (index < 0) fail_msg("there is no %s", name);
  const int64_t dims[4] = {d0, d1, d2, d3};
  assert_int_equal(list->items[index].rank, rank);
  int64_t count = 1;
  for (int i = 0; i < rank; ++i) {
    assert_int_equal(list->items[index].dims[i], dims[i]);
    count *= dims[i];
  }
  assert_int_equal(list->items[index].count, count);
}

static void parameters_carry_pytorchs_names_and_shapes(void **state)
{
  Graph *g = open_graph(4);
  const GraphConv grouped = {.out_channels = 6, .kernel = 5, .pad = 2, .groups = 2, .bias = true};
  const Value a = graph_conv2d(g, graph_input(g), grouped, "a.0");
  const Value b = graph_batch_norm2d(g, a, VALUE_NONE, false, "a.1");
  const Value p = graph_max_pool2d(g, b, (MaxPool2d){.size = 2, .stride = 2});
  const Value d = graph_decoder_conv2d(g, p, b, 3, "d");
  CHECK_OK(graph_finish(g, d));
  expect_parameter(g, "a.0.weight", 4, 6, 2, 5, 5);
  expect_parameter(g, "a.0.bias", 1, 6, 0, 0, 0);
  expect_parameter(g, "a.1.weight", 1, 6, 0, 0, 0);
  expect_parameter(g, "a.1.bias", 1, 6, 0, 0, 0);
  expect_parameter(g, "a.1.running_mean", 1, 6, 0, 0, 0);
  expect_parameter(g, "a.1.running_var", 1, 6, 0, 0, 0);
  expect_parameter(g, "d.weight", 4, 3, 12, 3, 3);
  assert_int_equal(graph_parameters(g)->count, 7);
  assert_int_equal(graph_parameters(g)->trained_count, 6 * 2 * 25 + 6 + 12 + 3 * 12 * 9);
  assert_int_equal(graph_parameters(g)->statistic_count, 12);
  graph_close(g);
}

/* Every part of both blocks belongs to exactly one parameter. */
static void parameters_fill_their_blocks_without_gaps(void **state)
{
  Graph *g = open_graph(3);
  Value x = graph_input(g);
  for (int i = 0; i < 40; ++i) {
    char name[16];
    snprintf(name, sizeof name, "c%d", i);
    x = conv(g, x, 2 + i % 3, 1, name);
    snprintf(name, sizeof name, "n%d", i);
    x = graph_batch_norm2d(g, x, VALUE_NONE, true, name);
  }
  CHECK_OK(graph_finish(g, x));
  const ParameterList *list = graph_parameters(g);
  int64_t ends[2] = {0, 0};
  assert_int_equal(list->count, 40 * 5);
  for (int32_t i = 0; i < list->count; ++i) {
    const Parameter *p = &list->items[i];
    assert_int_equal(p->offset, ends[p->trained]);
    ends[p->trained] += p->count;
  }
  assert_int_equal(ends[1], list->trained_count);
  assert_int_equal(ends[0], list->statistic_count);
  graph_close(g);
}

static void the_size_multiple_is_the_coarsest_step(void **state)
{
  Graph *g = open_graph(3);
  Value x = conv(g, graph_input(g), 4, 2, "a");
  const Value fine = x;
  x = graph_max_pool2d(g, x, (MaxPool2d){.size = 3, .stride = 2, .pad = 1});
  x = conv(g, x, 4, 2, "b");
  x = graph_upsample_nearest(g, x);
  x = graph_decoder_conv2d(g, x, fine, 4, "c");
  x = graph_decoder_conv2d(g, x, VALUE_NONE, 4, "d");
  CHECK_OK(graph_finish(g, x));
  assert_int_equal(graph_size_multiple(g), 8);
  graph_close(g);

  g = open_graph(3);
  CHECK_OK(graph_finish(g, conv(g, graph_input(g), 2, 1, "a")));
  assert_int_equal(graph_size_multiple(g), 1);
  graph_close(g);
}

static void the_first_failure_is_kept_with_its_sentence(void **state)
{
  Graph *g = open_graph(3);
  const Value a = conv(g, graph_input(g), 4, 1, "a");
  assert_int_equal(graph_relu(g, 77), VALUE_NONE);
  const Value b = conv(g, a, 4, 1, "b"); /* from here on nothing is built */
  assert_int_equal(b, VALUE_NONE);
  assert_int_equal(graph_concat(g, &a, 9), VALUE_NONE);
  assert_int_equal(graph_add(g, a, b), VALUE_NONE);
  CHECK_FAILS(STATUS_BAD_SHAPE, "no value 77", graph_finish(g, a));
  graph_close(g);
}

static void a_concat_takes_one_to_four_values(void **state)
{
  for (int32_t count = 0; count <= 5; ++count) {
    Graph *g = open_graph(3);
    const Value inputs[5] = {0, 0, 0, 0, 0};
    const Value x = graph_concat(g, inputs, count);
    if (count >= 1 && count <= 4)
      CHECK_OK(graph_finish(g, x));
    else
      CHECK_FAILS(STATUS_BAD_SHAPE, "concat of", graph_finish(g, x));
    graph_close(g);
  }
}

static void a_graph_without_output_is_refused(void **state)
{
  Graph *g = open_graph(3);
  (void)conv(g, graph_input(g), 4, 1, "a");
  CHECK_FAILS(STATUS_BAD_SHAPE, "no value", graph_finish(g, VALUE_NONE));
  graph_close(g);
}

static void a_graph_that_grows_without_end_is_refused(void **state)
{
  Graph *g = open_graph(3);
  Value x = graph_input(g);
  for (int i = 0; i < 5000; ++i)
    x = graph_relu(g, x);
  CHECK_FAILS(STATUS_BAD_SHAPE, "more than", graph_finish(g, x));
  graph_close(g);
}

static void an_image_has_at_least_one_band(void **state)
{
  Graph *graph;
  CHECK_FAILS(STATUS_BAD_SHAPE, "at least one band", graph_open(0, &graph));
  assert_null(graph);
  graph_close(NULL);
}

static void one_name_for_two_modules_is_refused(void **state)
{
  Graph *g = open_graph(3);
  Value x = conv(g, graph_input(g), 4, 1, "a");
  x = conv(g, x, 4, 1, "a");
  CHECK_FAILS(STATUS_BAD_SHAPE, "a.weight", graph_finish(g, x));
  graph_close(g);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_node_knows_its_channels),
      cmocka_unit_test(parameters_carry_pytorchs_names_and_shapes),
      cmocka_unit_test(parameters_fill_their_blocks_without_gaps),
      cmocka_unit_test(the_size_multiple_is_the_coarsest_step),
      cmocka_unit_test(the_first_failure_is_kept_with_its_sentence),
      cmocka_unit_test(a_concat_takes_one_to_four_values),
      cmocka_unit_test(a_graph_without_output_is_refused),
      cmocka_unit_test(a_graph_that_grows_without_end_is_refused),
      cmocka_unit_test(an_image_has_at_least_one_band),
      cmocka_unit_test(one_name_for_two_modules_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
