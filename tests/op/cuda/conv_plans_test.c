#include "conv_plans.h"

#include <stdio.h>
#include <unistd.h>

#include "base/path.h"
#include "support/check.h"

/* Engines come from the cache as they came from the heuristics, and by a clock where one is given.
 * No GPU is needed: it is described to cuDNN, and the clock is made up. */

static char folder[OUTPUT_PATH_BYTES];

static int make_folder(void **state)
{
  (void)snprintf(folder, sizeof folder, "/tmp/quadrat-engines-XXXXXX");
  return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
  return path_remove_tree(folder) == STATUS_OK ? 0 : -1;
}

/* A described device with plans of its own run. */
typedef struct Trial {
  CudnnBag bag;
  ConvPlans plans;
} Trial;

static Trial open_trial(const char *device, EngineTimer timer)
{
  char path[512];
  char json[4096] = "";
  Trial trial = {.plans = {.timer = timer}};
  (void)snprintf(path, sizeof path, "%s/%s.json", DEVICES_FOLDER, device);
  FILE *file = fopen(path, "r");
  if (file == NULL) fail_msg("%s cannot be opened", path);
  assert_in_range(fread(json, 1, sizeof json - 1, file), 100, sizeof json - 2);
  (void)fclose(file);
  CHECK_OK(device_properties_of_json(json, &trial.bag, &trial.plans.properties));
  CHECK_OK(plan_cache_open(folder, device, &trial.plans.cache));
  return trial;
}

static void close_trial(Trial *trial)
{
  CHECK_OK(plan_cache_save(trial->plans.cache));
  plan_cache_close(trial->plans.cache);
  cudnn_bag_empty(&trial->bag);
}

static const EngineTimer no_timer = {.time = NULL};

typedef struct Case {
  int32_t images, size, in, out, kernel, stride, pad;
} Case;

static const Case cases[] = {
    {8, 128, 64, 64, 3, 1, 1}, {8, 512, 8, 64, 7, 2, 3}, {8, 64, 64, 256, 1, 1, 0},
    {2, 33, 24, 40, 3, 2, 1},  {1, 1, 1024, 8, 1, 1, 0},
};
enum { CASES = sizeof cases / sizeof *cases, PASSES = 4 };

static ConvGraph graph_of(Case c, ConvPass pass, Element element)
{
  const bool fused = pass == CONV_FORWARD_FUSED;
  const Conv2d conv = {.in_channels = c.in,
                       .out_channels = c.out,
                       .kernel_height = c.kernel,
                       .kernel_width = c.kernel,
                       .stride = c.stride,
                       .pad = c.pad,
                       .dilation = 1,
                       .groups = 1,
                       .bias = fused,
                       .add = fused,
                       .relu = fused};
  const Shape x = {c.images, c.size, c.size, c.in, element};
  Conv2dPlan plan;
  CHECK_OK(conv2d_plan(conv, x, 8, !fused, true, &plan));
  return conv_graph_of(&plan, pass);
}

static ConvEngine *engine_of(const ConvPlans *plans, const ConvGraph *graph)
{
  ConvEngine *engine = NULL;
  CHECK_OK(conv_plans_engine(plans, graph, &engine));
  assert_non_null(engine);
  return engine;
}

enum { PLAN_TEXT_BYTES = 1 << 16 };

/* All that cuDNN says of a plan. */
static void describe_plan(const ConvEngine *engine, char text[PLAN_TEXT_BYTES])
{
  int64_t bytes = 0;
  memset(text, 0, PLAN_TEXT_BYTES);
  CHECK_OK(cudnn_status(
      cudnnBackendGetAttribute(engine->plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION,
                               CUDNN_TYPE_CHAR, PLAN_TEXT_BYTES - 1, &bytes, text),
      "describe a plan"));
  assert_in_range(bytes, 100, PLAN_TEXT_BYTES - 1);
}

static void expect_same_engine(const ConvEngine *one, const ConvEngine *other)
{
  static char texts[2][PLAN_TEXT_BYTES];
  describe_plan(one, texts[0]);
  describe_plan(other, texts[1]);
  assert_string_equal(texts[0], texts[1]);
  assert_true(one->named && other->named && plan_choice_equal(&one->choice, &other->choice));
  assert_int_equal(one->workspace_bytes, other->workspace_bytes);
  assert_int_equal(one->tensor_cores, other->tensor_cores);
  assert_int_equal(one->compiled_at_run_time, other->compiled_at_run_time);
}

static void expect_same_from_the_cache(const char *device, Element element)
{
  for (int i = 0; i < CASES * PASSES; ++i) {
    const ConvGraph graph = graph_of(cases[i / PASSES], (ConvPass)(i % PASSES), element);
    Trial first = open_trial(device, no_timer);
    ConvEngine *chosen = engine_of(&first.plans, &graph);
    assert_true(chosen->offered > 0);
    close_trial(&first);
    Trial second = open_trial(device, no_timer);
    ConvEngine *restored = engine_of(&second.plans, &graph);
    assert_int_equal(restored->offered, 0); /* the heuristics were not asked */
    expect_same_engine(chosen, restored);
    ConvEngine *plain = NULL;
    CHECK_OK(conv_engine_choose(&graph, second.plans.properties, second.plans.rule, &plain));
    expect_same_engine(plain, restored);
    conv_engine_close(plain);
    conv_engine_close(restored);
    conv_engine_close(chosen);
    close_trial(&second);
  }
}

static void an_engine_from_the_cache_is_the_one_that_the_heuristics_name(void **state)
{
  expect_same_from_the_cache("h200", ELEMENT_BF16);
  expect_same_from_the_cache("h200", ELEMENT_F32);
  expect_same_from_the_cache("t4", ELEMENT_F16);
}

/* Puts a choice under the graph's key, as a file of another origin might. */
static void plant(const Trial *trial, const ConvGraph *graph, const PlanChoice *choice)
{
  char key[PLAN_KEY_BYTES];
  conv_plans_key(graph, trial->plans.rule, false, key);
  CHECK_OK(plan_cache_keep(trial->plans.cache, key, choice));
}

static void expect_replaced(const ConvGraph *graph, const PlanChoice *planted)
{
  Trial trial = open_trial("h200", no_timer);
  plant(&trial, graph, planted);
  ConvEngine *engine = engine_of(&trial.plans, graph);
  assert_true(engine->offered > 0);
  ConvEngine *plain = NULL;
  CHECK_OK(conv_engine_choose(graph, trial.plans.properties, trial.plans.rule, &plain));
  expect_same_engine(plain, engine);
  conv_engine_close(plain);
  conv_engine_close(engine);
  engine = engine_of(&trial.plans, graph); /* the right one is kept now */
  assert_int_equal(engine->offered, 0);
  conv_engine_close(engine);
  close_trial(&trial);
}

static void a_choice_that_cannot_be_made_is_made_anew(void **state)
{
  const ConvGraph graph = graph_of(cases[0], CONV_FORWARD, ELEMENT_BF16);
  const PlanChoice none = {.engine = 999999};
  const PlanChoice knob = {.engine = 0, .knob_count = 1, .knobs = {9999}, .values = {-5}};
  PlanChoice crowded = {.engine = 0, .knob_count = PLAN_KNOBS_MOST};
  expect_replaced(&graph, &none);
  expect_replaced(&graph, &knob);
  expect_replaced(&graph, &crowded);
}

static void float32_stays_off_the_tensor_cores_whatever_the_file_says(void **state)
{
  const ConvGraph graph = graph_of(cases[0], CONV_FORWARD, ELEMENT_F32);
  Trial trial = open_trial("h200", no_timer);
  ConvEngine *rounding = NULL;
  CHECK_OK(conv_engine_choose(&graph, trial.plans.properties, (EngineRule){.allow_tf32 = true},
                              &rounding));
  assert_true(rounding->tensor_cores);
  expect_replaced(&graph, &rounding->choice);
  conv_engine_close(rounding);
  close_trial(&trial);
}

/* A clock that gives its times one after another; 0: it fails. */
typedef struct Script {
  const double *seconds;
  int count;
  int asked;
  PlanChoice timed[ENGINES_TIMED];
} Script;

static Status follow(void *context, const ConvGraph *graph, const ConvEngine *engine,
                     double *seconds)
{
  Script *script = context;
  assert_in_range(script->asked, 0, ENGINES_TIMED - 1);
  CHECK_OK(engine->plan == NULL ? STATUS_DEVICE : STATUS_OK);
  const int at = script->asked++;
  *seconds = at < script->count ? script->seconds[at] : 100.0;
  return *seconds == 0.0 ? status_set(STATUS_DEVICE, "this engine fails") : STATUS_OK;
}

static EngineTimer timer_of(Script *script)
{
  return (EngineTimer){.time = follow, .context = script};
}

/* Which of the engines, in the order in which they were timed, is taken. */
static PlanChoice fastest_of(const ConvGraph *graph, Script *script)
{
  Trial trial = open_trial("h200", timer_of(script));
  ConvEngine *engine = engine_of(&trial.plans, graph);
  const PlanChoice choice = engine->choice;
  conv_engine_close(engine);
  close_trial(&trial);
  return choice;
}

static PlanChoice nth_of(const ConvGraph *graph, int n)
{
  double seconds[ENGINES_TIMED] = {8, 8, 8, 8, 8, 8, 8, 8};
  Script script = {.seconds = seconds, .count = ENGINES_TIMED};
  seconds[n] = 1;
  Trial trial = open_trial("h200", no_timer);
  ConvEngine *engine = NULL;
  CHECK_OK(conv_engine_choose_fastest(graph, trial.plans.properties, trial.plans.rule,
                                      timer_of(&script), &engine));
  const PlanChoice choice = engine->choice;
  conv_engine_close(engine);
  close_trial(&trial);
  return choice;
}

static void expect_nth(const double *seconds, int count, int n)
{
  const ConvGraph graph = graph_of(cases[0], CONV_FORWARD, ELEMENT_BF16);
  Script script = {.seconds = seconds, .count = count};
  ConvEngine *engine = NULL;
  Trial trial = open_trial("h200", no_timer);
  CHECK_OK(conv_engine_choose_fastest(&graph, trial.plans.properties, trial.plans.rule,
                                      timer_of(&script), &engine));
  const PlanChoice expected = nth_of(&graph, n);
  assert_int_equal(script.asked, ENGINES_TIMED);
  assert_true(plan_choice_equal(&engine->choice, &expected));
  conv_engine_close(engine);
  close_trial(&trial);
}

static void the_engines_that_are_timed_differ(void **state)
{
  const ConvGraph graph = graph_of(cases[0], CONV_FORWARD, ELEMENT_BF16);
  for (int i = 0; i < ENGINES_TIMED; ++i)
    for (int j = 0; j < i; ++j) {
      const PlanChoice one = nth_of(&graph, i);
      const PlanChoice other = nth_of(&graph, j);
      assert_false(plan_choice_equal(&one, &other));
    }
}

static void the_fastest_is_taken(void **state)
{
  expect_nth((const double[]){5, 4, 3, 2, 1, 2, 3, 4}, 8, 4);
  expect_nth((const double[]){1, 4, 3, 2, 5, 2, 3, 4}, 8, 0);
  expect_nth((const double[]){9, 8, 7, 6, 5, 4, 3, 2}, 8, 7);
}

static void of_equals_the_first_in_the_order_of_the_heuristics_is_taken(void **state)
{
  expect_nth((const double[]){5, 1, 1, 1, 1, 1, 1, 1}, 8, 1);
  expect_nth((const double[]){1, 0.981, 0.982, 0.981, 0.99, 1, 1, 1}, 8, 0);
  expect_nth((const double[]){1, 0.979, 0.961, 0.98, 0.99, 1, 1, 1}, 8, 1);
}

static void an_engine_that_fails_under_the_clock_is_out(void **state)
{
  expect_nth((const double[]){0, 0, 3, 4, 0, 5, 0, 6}, 8, 2);
  expect_nth((const double[]){2, 0, 3, 1, 0, 5, 0, 6}, 8, 3);
}

static Status fail_always(void *context, const ConvGraph *graph, const ConvEngine *engine,
                          double *seconds)
{
  ++*(int *)context;
  return status_set(STATUS_NO_MEMORY, "there is no memory to time an engine in");
}

static void where_the_clock_fails_for_all_the_heuristics_decide(void **state)
{
  char key[PLAN_KEY_BYTES];
  int asked = 0;
  PlanChoice kept;
  const ConvGraph graph = graph_of(cases[0], CONV_FORWARD, ELEMENT_BF16);
  const PlanChoice first = nth_of(&graph, 0);
  Trial trial = open_trial("h200", (EngineTimer){.time = fail_always, .context = &asked});
  ConvEngine *engine = engine_of(&trial.plans, &graph);
  assert_true(asked >= ENGINES_TIMED);
  assert_true(plan_choice_equal(&engine->choice, &first));
  conv_plans_key(&graph, trial.plans.rule, true, key);
  assert_false(plan_cache_find(trial.plans.cache, key, &kept));
  conv_engine_close(engine);
  close_trial(&trial);
}

static void a_graph_is_timed_once_for_all_runs(void **state)
{
  static const double seconds[] = {5, 4, 1, 2, 3, 4, 5, 6};
  const ConvGraph graph = graph_of(cases[0], CONV_BACKWARD_WEIGHT, ELEMENT_BF16);
  Script first = {.seconds = seconds, .count = ENGINES_TIMED};
  Script second = first;
  const PlanChoice one = fastest_of(&graph, &first);
  const PlanChoice other = fastest_of(&graph, &second);
  const PlanChoice expected = nth_of(&graph, 2);
  assert_int_equal(first.asked, ENGINES_TIMED);
  assert_int_equal(second.asked, 0);
  assert_true(plan_choice_equal(&one, &expected));
  assert_true(plan_choice_equal(&other, &expected));
}

static void runs_without_a_clock_do_not_see_what_others_timed(void **state)
{
  static const double seconds[] = {5, 4, 1, 2, 3, 4, 5, 6};
  const ConvGraph graph = graph_of(cases[0], CONV_FORWARD, ELEMENT_BF16);
  Script script = {.seconds = seconds, .count = ENGINES_TIMED};
  const PlanChoice timed = fastest_of(&graph, &script);
  for (int run = 0; run < 2; ++run) {
    Trial trial = open_trial("h200", no_timer);
    ConvEngine *engine = engine_of(&trial.plans, &graph);
    const PlanChoice first = nth_of(&graph, 0);
    assert_int_equal(engine->offered == 0, run == 1);
    assert_true(plan_choice_equal(&engine->choice, &first));
    assert_false(plan_choice_equal(&engine->choice, &timed));
    conv_engine_close(engine);
    close_trial(&trial);
  }
  script.asked = 0;
  const PlanChoice again = fastest_of(&graph, &script);
  assert_int_equal(script.asked, 0);
  assert_true(plan_choice_equal(&again, &timed));
}

/* Adds one to a number of the graph, by its place. */
static ConvGraph changed(ConvGraph graph, int which)
{
  int32_t *const numbers[] = {&graph.x.images,     &graph.x.height,   &graph.x.width,
                              &graph.x.channels,   &graph.y.images,   &graph.y.height,
                              &graph.y.width,      &graph.y.channels, &graph.kernel_height,
                              &graph.kernel_width, &graph.stride,     &graph.pad,
                              &graph.dilation,     &graph.groups};
  bool *const flags[] = {&graph.bias, &graph.add, &graph.relu};
  if (which < 14) ++*numbers[which];
  if (which >= 14 && which < 17) *flags[which - 14] = !*flags[which - 14];
  if (which == 17) graph.pass = CONV_BACKWARD_DATA;
  if (which == 18) graph.x.element = ELEMENT_F16;
  if (which == 19) graph.y.element = ELEMENT_F16;
  return graph;
}

static void the_key_tells_any_two_questions_apart(void **state)
{
  enum { CHANGES = 20 };
  static char keys[CHANGES + 3][PLAN_KEY_BYTES];
  const ConvGraph graph = graph_of(cases[3], CONV_FORWARD, ELEMENT_F32);
  conv_plans_key(&graph, (EngineRule){0}, false, keys[CHANGES]);
  conv_plans_key(&graph, (EngineRule){0}, true, keys[CHANGES + 1]);
  conv_plans_key(&graph, (EngineRule){.allow_tf32 = true}, false, keys[CHANGES + 2]);
  for (int i = 0; i < CHANGES; ++i) {
    const ConvGraph other = changed(graph, i);
    conv_plans_key(&other, (EngineRule){0}, false, keys[i]);
  }
  for (int i = 0; i < CHANGES + 3; ++i)
    for (int j = 0; j < i; ++j)
      assert_string_not_equal(keys[i], keys[j]);
}

static void the_longest_key_has_room(void **state)
{
  const int32_t most = INT32_MIN;
  char key[PLAN_KEY_BYTES];
  const ConvGraph graph = {.pass = CONV_BACKWARD_WEIGHT,
                           .x = {most, most, most, most, ELEMENT_F32},
                           .y = {most, most, most, most, ELEMENT_BF16},
                           .kernel_height = most,
                           .kernel_width = most,
                           .stride = most,
                           .pad = most,
                           .dilation = most,
                           .groups = most,
                           .bias = true,
                           .add = true,
                           .relu = true};
  conv_plans_key(&graph, (EngineRule){.allow_tf32 = true}, true, key);
  assert_non_null(strstr(key, ", relu"));
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
  const struct CMUnitTest tests[] = {
      IN_FOLDER(an_engine_from_the_cache_is_the_one_that_the_heuristics_name),
      IN_FOLDER(a_choice_that_cannot_be_made_is_made_anew),
      IN_FOLDER(float32_stays_off_the_tensor_cores_whatever_the_file_says),
      IN_FOLDER(the_engines_that_are_timed_differ),
      IN_FOLDER(the_fastest_is_taken),
      IN_FOLDER(of_equals_the_first_in_the_order_of_the_heuristics_is_taken),
      IN_FOLDER(an_engine_that_fails_under_the_clock_is_out),
      IN_FOLDER(where_the_clock_fails_for_all_the_heuristics_decide),
      IN_FOLDER(a_graph_is_timed_once_for_all_runs),
      IN_FOLDER(runs_without_a_clock_do_not_see_what_others_timed),
      IN_FOLDER(the_key_tells_any_two_questions_apart),
      IN_FOLDER(the_longest_key_has_room),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
