#include "nn/optimizer.h"

#include <math.h>

#include "odd_graphs.h"
#include "support/backends.h"

/* A graph's parameters, and an optimiser that holds them on one backend. */
typedef struct Trial {
  const TestBackend *on;
  Room *room;
  Graph *graph;
  int64_t trained_count, statistic_count;
  float *trained, *statistics, *gradients; /* host */
  Optimizer *optimizer;
} Trial;

static Trial open_trial(const TestBackend *on, OptimizerOptions options)
{
  Trial t = {.on = on, .room = room_open(on), .graph = odd_graph_open()};
  const ParameterList *list = graph_parameters(t.graph);
  t.trained_count = list->trained_count;
  t.statistic_count = list->statistic_count;
  t.trained = room_formula(t.room, "trained", t.trained_count);
  t.statistics = room_formula(t.room, "statistics", t.statistic_count);
  t.gradients = room_formula(t.room, "gradients", t.trained_count);
  CHECK_OK(optimizer_open(list, on->device, options, &t.optimizer));
  CHECK_OK(optimizer_upload(t.optimizer, t.trained, t.statistics, NULL));
  return t;
}

static void close_trial(Trial *t)
{
  optimizer_close(t->optimizer);
  graph_close(t->graph);
  room_close(t->room);
}

static void step(Trial *t, int64_t number)
{
  device_upload(t->on->device, optimizer_gradients(t->optimizer), t->gradients,
                (size_t)t->trained_count * sizeof(float));
  optimizer_step(t->optimizer, number);
  CHECK_OK(device_synchronize(t->on->device));
}

static float *trained_now(Trial *t)
{
  return room_download_floats(t->room, optimizer_trained(t->optimizer), t->trained_count);
}

static OptimizerOptions plain_sgd(double rate)
{
  return (OptimizerOptions){.kind = OPTIMIZER_SGD,
                            .schedule = {.kind = SCHEDULE_CONSTANT, .rate = rate}};
}

static void sgd_goes_down_the_gradient_by_the_rate(void **state)
{
  FOR_EACH_TWIN(on)
  {
    Trial t = open_trial(on, plain_sgd(0.5));
    step(&t, 0);
    const float *now = trained_now(&t);
    for (int64_t i = 0; i < t.trained_count; ++i)
      assert_float_equal(now[i], t.trained[i] - 0.5F * t.gradients[i], 1e-6F);
    close_trial(&t);
  }
}

static void every_step_has_the_rate_of_its_number(void **state)
{
  OptimizerOptions options = plain_sgd(0.5);
  options.schedule.warm_up_steps = 4;
  FOR_EACH_TWIN(on)
  {
    Trial t = open_trial(on, options);
    step(&t, 1); /* the second of four that rise to 0.5 */
    const float *now = trained_now(&t);
    for (int64_t i = 0; i < t.trained_count; ++i)
      assert_float_equal(now[i], t.trained[i] - 0.25F * t.gradients[i], 1e-6F);
    close_trial(&t);
  }
}

static void a_norm_above_the_limit_is_scaled_down_to_it(void **state)
{
  OptimizerOptions options = plain_sgd(1);
  FOR_EACH_TWIN(on)
  for (int limited = 0; limited < 2; ++limited) {
    double norm = 0;
    options.norm_limit = limited == 1 ? 0.5 : 0;
    Trial t = open_trial(on, options);
    for (int64_t i = 0; i < t.trained_count; ++i)
      norm += (double)t.gradients[i] * (double)t.gradients[i];
    norm = sqrt(norm);
    step(&t, 0);
    const float told = *room_download_floats(t.room, optimizer_norm(t.optimizer), 1);
    assert_true(fabs((double)told / norm - 1) < 1e-6);
    const float scale = limited == 1 ? (float)(0.5 / norm) : 1;
    const float *now = trained_now(&t);
    for (int64_t i = 0; i < t.trained_count; ++i)
      assert_float_equal(now[i], t.trained[i] - scale * t.gradients[i], 1e-6F);
    close_trial(&t);
  }
}

/* The scale as it is now, and the steps since it changed. */
static const float *loss_scaling_now(Trial *t)
{
  return room_download_floats(t->room, optimizer_loss_scale(t->optimizer), 2);
}

static void without_loss_scaling_there_is_no_scale(void **state)
{
  FOR_EACH_TWIN(on)
  {
    Trial t = open_trial(on, plain_sgd(1));
    assert_null(optimizer_loss_scale(t.optimizer));
    assert_int_equal(optimizer_state_count(t.optimizer), t.trained_count);
    close_trial(&t);
  }
}

/* A power of two changes no digit. */
static void gradients_times_the_loss_scale_give_the_same_step(void **state)
{
  OptimizerOptions options = plain_sgd(0.5);
  FOR_EACH_TWIN(on)
  for (int limited = 0; limited < 2; ++limited) {
    options.norm_limit = limited == 1 ? 0.5 : 0;
    options.loss_scaling = false;
    Trial plain = open_trial(on, options);
    step(&plain, 0);
    options.loss_scaling = true;
    Trial scaled = open_trial(on, options);
    const float by = loss_scaling_now(&scaled)[0];
    assert_true(by == 65536.0F);
    for (int64_t i = 0; i < scaled.trained_count; ++i)
      scaled.gradients[i] *= by;
    step(&scaled, 0);
    const float *expected = trained_now(&plain), *now = trained_now(&scaled);
    for (int64_t i = 0; i < plain.trained_count; ++i)
      assert_true(fabsf(now[i] - expected[i]) <= 1e-6F);
    const float told = *room_download_floats(scaled.room, optimizer_norm(scaled.optimizer), 1);
    const float expected_norm =
        *room_download_floats(plain.room, optimizer_norm(plain.optimizer), 1);
    assert_true(told == expected_norm);
    assert_true(loss_scaling_now(&scaled)[1] == 1.0F);
    close_trial(&plain);
    close_trial(&scaled);
  }
}

static void a_step_that_overflows_is_left_out_and_the_next_is_taken(void **state)
{
  OptimizerOptions options = plain_sgd(0.5);
  options.momentum = 0.5;
  options.loss_scaling = true;
  FOR_EACH_TWIN(on)
  {
    Trial t = open_trial(on, options);
    const float kept = t.gradients[3];
    t.gradients[3] = INFINITY;
    step(&t, 0);
    const float *now = trained_now(&t);
    assert_memory_equal(now, t.trained, (size_t)t.trained_count * sizeof *now);
    assert_true(loss_scaling_now(&t)[0] == 32768.0F);
    t.gradients[3] = kept;
    for (int64_t i = 0; i < t.trained_count; ++i)
      t.gradients[i] *= 32768.0F;
    step(&t, 1);
    now = trained_now(&t);
    for (int64_t i = 0; i < t.trained_count; ++i)
      assert_float_equal(now[i], t.trained[i] - 0.5F * t.gradients[i] / 32768.0F, 1e-6F);
    close_trial(&t);
  }
}

static void the_loss_scale_is_part_of_the_state_that_is_kept(void **state)
{
  OptimizerOptions options = plain_sgd(0.5);
  options.loss_scaling = true;
  FOR_EACH_TWIN(on)
  {
    Trial t = open_trial(on, options);
    const size_t count = optimizer_state_count(t.optimizer);
    assert_int_equal(count, t.trained_count + 2);
    float *kept = room_numbers(t.room, (int64_t)count);
    t.gradients[0] = NAN;
    step(&t, 0);
    CHECK_OK(optimizer_download(t.optimizer, t.trained, t.statistics, kept));
    assert_true(kept[count - 2] == 32768.0F && kept[count - 1] == 0.0F);
    close_trial(&t);
    Trial again = open_trial(on, options);
    kept = room_numbers(again.room, (int64_t)count);
    kept[count - 2] = 32768.0F;
    kept[count - 1] = 5.0F;
    CHECK_OK(optimizer_upload(again.optimizer, again.trained, again.statistics, kept));
    assert_true(loss_scaling_now(&again)[0] == 32768.0F);
    assert_true(loss_scaling_now(&again)[1] == 5.0F);
    close_trial(&again);
  }
}

/* Two steps of Loshchilov and Hutter's AdamW (2019, algorithm 2), in double precision. */
static void adamw_keeps_both_moments_and_corrects_their_bias(void **state)
{
  const OptimizerOptions options = {.kind = OPTIMIZER_ADAMW,
                                    .schedule = {.kind = SCHEDULE_CONSTANT, .rate = 0.01},
                                    .momentum = 0.8,
                                    .weight_decay = 0.1};
  FOR_EACH_TWIN(on)
  {
    Trial t = open_trial(on, options);
    step(&t, 0);
    for (int64_t i = 0; i < t.trained_count; ++i)
      t.gradients[i] *= 3;
    step(&t, 1);
    const float *now = trained_now(&t);
    for (int64_t i = 0; i < t.trained_count; ++i) {
      const double g[] = {(double)t.gradients[i] / 3, (double)t.gradients[i]};
      double w = (double)t.trained[i], m = 0, v = 0;
      for (int s = 0; s < 2; ++s) {
        m = 0.8 * m + 0.2 * g[s];
        v = 0.999 * v + 0.001 * g[s] * g[s];
        const double unbiased_m = m / (1 - pow(0.8, s + 1));
        const double unbiased_v = v / (1 - pow(0.999, s + 1));
        w = w * (1 - 0.01 * 0.1) - 0.01 * unbiased_m / (sqrt(unbiased_v) + 1e-8);
      }
      assert_float_equal(now[i], (float)w, 1e-5F);
    }
    close_trial(&t);
  }
}

static OptimizerOptions options_of(OptimizerKind kind)
{
  return (OptimizerOptions){.kind = kind,
                            .schedule = {.kind = SCHEDULE_ONE_CYCLE,
                                         .rate = 0.01,
                                         .step_count = 8,
                                         .cycle_momentum = true},
                            .momentum = 0.9,
                            .weight_decay = 0.1,
                            .norm_limit = 5};
}

/* What is downloaded is all that a training needs to go on: the same bits with a stop in between as
 * without. */
static void expect_resumed(const TestBackend *on, OptimizerOptions options)
{
  Trial whole = open_trial(on, options);
  Trial begun = open_trial(on, options);
  Trial resumed = open_trial(on, options);
  for (int64_t s = 0; s < 6; ++s)
    step(&whole, s);
  for (int64_t s = 0; s < 3; ++s)
    step(&begun, s);
  float *trained = room_numbers(whole.room, whole.trained_count);
  float *statistics = room_numbers(whole.room, whole.statistic_count);
  float *moments = room_numbers(whole.room, (int64_t)optimizer_state_count(whole.optimizer));
  CHECK_OK(optimizer_download(begun.optimizer, trained, statistics, moments));
  CHECK_OK(optimizer_upload(resumed.optimizer, trained, statistics, moments));
  for (int64_t s = 3; s < 6; ++s)
    step(&resumed, s);
  const size_t bytes = (size_t)whole.trained_count * sizeof(float);
  assert_memory_equal(trained_now(&resumed), trained_now(&whole), bytes);
  assert_memory_not_equal(trained_now(&begun), trained_now(&whole), bytes);
  assert_memory_equal(statistics, whole.statistics, (size_t)whole.statistic_count * sizeof(float));
  close_trial(&whole);
  close_trial(&begun);
  close_trial(&resumed);
}

static void a_training_goes_on_as_if_it_had_not_stopped(void **state)
{
  FOR_EACH_TWIN(on)
  {
    expect_resumed(on, options_of(OPTIMIZER_SGD));
    expect_resumed(on, options_of(OPTIMIZER_ADAMW));
  }
}

static void the_state_has_one_block_or_two(void **state)
{
  const TestBackend *on = backends_next(backends_naive());
  Trial sgd = open_trial(on, options_of(OPTIMIZER_SGD));
  Trial adamw = open_trial(on, options_of(OPTIMIZER_ADAMW));
  assert_int_equal(optimizer_state_count(sgd.optimizer), sgd.trained_count);
  assert_int_equal(optimizer_state_count(adamw.optimizer), 2 * adamw.trained_count);
  close_trial(&sgd);
  close_trial(&adamw);
}

static void cleared_gradients_are_zero(void **state)
{
  FOR_EACH_TWIN(on)
  {
    Trial t = open_trial(on, plain_sgd(1));
    device_upload(on->device, optimizer_gradients(t.optimizer), t.gradients,
                  (size_t)t.trained_count * sizeof(float));
    optimizer_clear_gradients(t.optimizer);
    const float *now =
        room_download_floats(t.room, optimizer_gradients(t.optimizer), t.trained_count);
    for (int64_t i = 0; i < t.trained_count; ++i)
      assert_true(now[i] == 0.0F);
    close_trial(&t);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sgd_goes_down_the_gradient_by_the_rate),
      cmocka_unit_test(every_step_has_the_rate_of_its_number),
      cmocka_unit_test(a_norm_above_the_limit_is_scaled_down_to_it),
      cmocka_unit_test(without_loss_scaling_there_is_no_scale),
      cmocka_unit_test(gradients_times_the_loss_scale_give_the_same_step),
      cmocka_unit_test(a_step_that_overflows_is_left_out_and_the_next_is_taken),
      cmocka_unit_test(the_loss_scale_is_part_of_the_state_that_is_kept),
      cmocka_unit_test(adamw_keeps_both_moments_and_corrects_their_bias),
      cmocka_unit_test(a_training_goes_on_as_if_it_had_not_stopped),
      cmocka_unit_test(the_state_has_one_block_or_two),
      cmocka_unit_test(cleared_gradients_are_zero),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
