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
  expect_rates(golden, "one_cycle", (Schedule){SCHEDULE_ONE_CYCLE, 0.4, STEPS, 0, false});
  expect_rates(golden, "cosine", (Schedule){SCHEDULE_COSINE, 0.4, STEPS, 0, false});
  expect_rates(golden, "constant", (Schedule){SCHEDULE_CONSTANT, 0.4, STEPS, 0, false});
  expect_rates(golden, "cosine_warm", (Schedule){SCHEDULE_COSINE, 0.4, STEPS, 5, false});
  expect_rates(golden, "constant_warm", (Schedule){SCHEDULE_CONSTANT, 0.4, STEPS, 5, false});
  golden_close(golden);
}

static void momentum_moves_where_one_cycle_says_so(void **state)
{
  const Schedule cycle = {SCHEDULE_ONE_CYCLE, 0.4, 101, 0, true};
  assert_true(fabs(schedule_momentum(&cycle, 0, 0.9) - 0.95) < 1e-12);
  /* the peak lies at 0.3 * 101 - 1 = 29.3 */
  assert_true(schedule_momentum(&cycle, 29, 0.9) < 0.8502);
  assert_true(schedule_momentum(&cycle, 29, 0.9) > 0.85);
  assert_true(fabs(schedule_momentum(&cycle, 100, 0.9) - 0.95) < 1e-12);
  const Schedule still[] = {{SCHEDULE_COSINE, 0.4, 101, 10, true},
                            {SCHEDULE_ONE_CYCLE, 0.4, 101, 0, false}};
  for (int64_t step = 0; step < 101; step += 10)
    for (int i = 0; i < 2; ++i)
      assert_true(schedule_momentum(&still[i], step, 0.9) == 0.9);
}

static void past_the_last_step_the_last_rate_stays(void **state)
{
  const Schedule cycle = {SCHEDULE_ONE_CYCLE, 0.4, STEPS, 0, true};
  assert_true(schedule_rate(&cycle, 1000) == schedule_rate(&cycle, STEPS - 1));
  assert_true(schedule_momentum(&cycle, 1000, 0) == schedule_momentum(&cycle, STEPS - 1, 0));
  const Schedule cosine = {SCHEDULE_COSINE, 0.4, STEPS, 0, false};
  assert_true(schedule_rate(&cosine, STEPS) == schedule_rate(&cosine, 1000));
  assert_true(schedule_rate(&cosine, 1000) >= 0);
}

/* Whatever a user asks for, a rate is a number between 0 and the highest. */
static void short_trainings_have_finite_rates(void **state)
{
  const ScheduleKind kinds[] = {SCHEDULE_CONSTANT, SCHEDULE_COSINE, SCHEDULE_ONE_CYCLE};
  for (int k = 0; k < 3; ++k)
    for (int64_t steps = 1; steps <= 12; ++steps)
      for (int64_t warm_up = 0; warm_up <= steps + 1; ++warm_up) {
        const Schedule schedule = {kinds[k], 0.4, steps, warm_up, true};
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
      cmocka_unit_test(short_trainings_have_finite_rates),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
