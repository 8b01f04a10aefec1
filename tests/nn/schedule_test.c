#include "nn/schedule.h"

#include <math.h>
#include <stdbool.h>

#include "support/check.h"
#include "support/golden.h"

enum { STEPS = 40 };

static void expect_rates(const Golden *golden, const char *name, Schedule schedule)
{
  const GoldenTensor *rates = golden_find(golden, "%s", name);
  assert_int_equal(rates->count, STEPS);
  for (int step = 0; step < STEPS; ++step) {
    const double rate = schedule_rate(&schedule, step);
    if (fabs(rate - rates->values[step]) > 1e-8 * schedule.rate)
      fail_msg("%s: step %d has rate %.12g, not %.12g", name, step, rate, rates->values[step]);
  }
}

static void rates_are_pytorchs(void **state)
{
  Golden *golden = golden_open("op_schedule.txt");
  expect_rates(golden, "one_cycle",
               (Schedule){.kind = SCHEDULE_ONE_CYCLE,
                          .rate = 0.4,
                          .step_count = STEPS,
                          .warm_up_steps = 0,
                          .cycle_momentum = false});
  expect_rates(golden, "cosine",
               (Schedule){.kind = SCHEDULE_COSINE,
                          .rate = 0.4,
                          .step_count = STEPS,
                          .warm_up_steps = 0,
                          .cycle_momentum = false});
  expect_rates(golden, "constant",
               (Schedule){.kind = SCHEDULE_CONSTANT,
                          .rate = 0.4,
                          .step_count = STEPS,
                          .warm_up_steps = 0,
                          .cycle_momentum = false});
  expect_rates(golden, "cosine_warm",
               (Schedule){.kind = SCHEDULE_COSINE,
                          .rate = 0.4,
                          .step_count = STEPS,
                          .warm_up_steps = 5,
                          .cycle_momentum = false});
  expect_rates(golden, "constant_warm",
               (Schedule){.kind = SCHEDULE_CONSTANT,
                          .rate = 0.4,
                          .step_count = STEPS,
                          .warm_up_steps = 5,
                          .cycle_momentum = false});
  golden_close(golden);
}

static void momentum_moves_where_one_cycle_says_so(void **state)
{
  const Schedule cycle = {.kind = SCHEDULE_ONE_CYCLE,
                          .rate = 0.4,
                          .step_count = 101,
                          .warm_up_steps = 0,
                          .cycle_momentum = true};
  assert_true(fabs(schedule_momentum(&cycle, 0, 0.9) - 0.95) < 1e-12);
  /* the peak lies at 0.3 * 101 - 1 = 29.3 */
  assert_true(schedule_momentum(&cycle, 29, 0.9) < 0.8502);
  assert_true(schedule_momentum(&cycle, 29, 0.9) > 0.85);
  assert_true(fabs(schedule_momentum(&cycle, 100, 0.9) - 0.95) < 1e-12);
  const Schedule still[] = {{.kind = SCHEDULE_COSINE,
                             .rate = 0.4,
                             .step_count = 101,
                             .warm_up_steps = 10,
                             .cycle_momentum = true},
                            {.kind = SCHEDULE_ONE_CYCLE,
                             .rate = 0.4,
                             .step_count = 101,
                             .warm_up_steps = 0,
                             .cycle_momentum = false}};
  for (int64_t step = 0; step < 101; step += 10)
    for (int i = 0; i < 2; ++i)
      assert_true(schedule_momentum(&still[i], step, 0.9) == 0.9);
}

static void past_the_last_step_the_last_rate_stays(void **state)
{
  const Schedule cycle = {.kind = SCHEDULE_ONE_CYCLE,
                          .rate = 0.4,
                          .step_count = STEPS,
                          .warm_up_steps = 0,
                          .cycle_momentum = true};
  assert_true(schedule_rate(&cycle, 1000) == schedule_rate(&cycle, STEPS - 1));
  assert_true(schedule_momentum(&cycle, 1000, 0) == schedule_momentum(&cycle, STEPS - 1, 0));
  const Schedule cosine = {.kind = SCHEDULE_COSINE,
                           .rate = 0.4,
                           .step_count = STEPS,
                           .warm_up_steps = 0,
                           .cycle_momentum = false};
  assert_true(schedule_rate(&cosine, STEPS) == schedule_rate(&cosine, 1000));
  assert_true(schedule_rate(&cosine, 1000) >= 0);
}

static void a_milestone_divides_by_ten(void **state)
{
  const Schedule steps = {.kind = SCHEDULE_MULTI_STEP,
                          .rate = 0.5,
                          .step_count = 26,
                          .warm_up_steps = 2,
                          .milestones = {16, 22},
                          .milestone_count = 2};
  const struct {
    int64_t step;
    double rate;
  } expected[] = {{0, 0.25}, {1, 0.5}, {15, 0.5}, {16, 0.05}, {21, 0.05}, {22, 0.005}, {99, 0.005}};
  for (size_t i = 0; i < sizeof expected / sizeof *expected; ++i)
    assert_true(fabs(schedule_rate(&steps, expected[i].step) - expected[i].rate) < 1e-12);
}

static void poly_falls_to_nothing(void **state)
{
  const Schedule poly = {.kind = SCHEDULE_POLY, .rate = 2, .step_count = 110, .warm_up_steps = 10};
  assert_true(schedule_rate(&poly, 10) == 2);
  assert_true(fabs(schedule_rate(&poly, 60) - 2 * pow(0.5, 0.9)) < 1e-12);
  assert_true(schedule_rate(&poly, 110) == 0);
}

/* Whatever a user asks for, a rate is a number between 0 and the highest. */
static void short_trainings_have_finite_rates(void **state)
{
  const ScheduleKind kinds[] = {SCHEDULE_CONSTANT, SCHEDULE_COSINE, SCHEDULE_ONE_CYCLE,
                                SCHEDULE_MULTI_STEP, SCHEDULE_POLY};
  for (int k = 0; k < 5; ++k)
    for (int64_t steps = 1; steps <= 12; ++steps)
      for (int64_t warm_up = 0; warm_up <= steps + 1; ++warm_up) {
        const Schedule schedule = {.kind = kinds[k],
                                   .rate = 0.4,
                                   .step_count = steps,
                                   .warm_up_steps = warm_up,
                                   .cycle_momentum = true};
        for (int64_t step = 0; step < steps + 2; ++step) {
          const double rate = schedule_rate(&schedule, step);
          const double momentum = schedule_momentum(&schedule, step, 0.9);
          assert_true(rate >= 0 && rate <= 0.4 * (1 + 1e-12));
          assert_true(momentum >= 0.85 - 1e-12 && momentum <= 0.95 + 1e-12);
        }
      }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rates_are_pytorchs),
      cmocka_unit_test(momentum_moves_where_one_cycle_says_so),
      cmocka_unit_test(past_the_last_step_the_last_rate_stays),
      cmocka_unit_test(a_milestone_divides_by_ten),
      cmocka_unit_test(poly_falls_to_nothing),
      cmocka_unit_test(short_trainings_have_finite_rates),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
