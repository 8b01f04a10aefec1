#include "plan.h"
#include "support/ranks.h"

/* Bytes of a batch: what stands whatever its size, what each sample adds, and a jump. */
typedef struct Law {
  int64_t fixed, each, jump_from, jump;
  int64_t refused_from; /* no kernel takes so many; 0: all are taken */
  int tries;
} Law;

static size_t bytes_of(const Law *law, int64_t batch)
{
  return (size_t)(law->fixed + law->each * batch +
                  (law->jump_from > 0 && batch >= law->jump_from ? law->jump : 0));
}

static Status try_batch(void *context, int64_t batch, PlanMemory *memory)
{
  Law *law = context;
  ++law->tries;
  if (law->refused_from > 0 && batch >= law->refused_from)
    return status_set(STATUS_BAD_SHAPE, "too many");
  memory->host[PLAN_ACTIVATIONS] = bytes_of(law, batch);
  return STATUS_OK;
}

static int64_t largest(Law *law, int64_t room, int64_t known, int64_t most)
{
  const Log log = {.quiet = true};
  const Job job = {.comm = ranks_world, .log = &log};
  const Plan plan = {.room_bytes = (size_t)room};
  PlanMemory memory = {0};
  int64_t found = -1;
  memory.host[PLAN_ACTIVATIONS] = bytes_of(law, known);
  law->tries = 0;
  CHECK_OK(plan_largest_batch(&job, &plan, known, &memory, most, try_batch, law, &found));
  return found;
}

static void the_largest_batch_that_fits_is_found_in_a_few_tries(void **state)
{
  Law law = {.fixed = 1000, .each = 70};
  assert_int_equal(largest(&law, 1000 + 70 * 37 + 69, 8, 4096), 37);
  assert_in_range(law.tries, 1, 6);
  assert_int_equal(largest(&law, 1000 + 70 * 37, 64, 4096), 37);
  assert_int_equal(largest(&law, 1000 + 70 * 37, 37, 4096), 37);
  assert_int_equal(largest(&law, 1000 + 70 * 3, 2, 4096), 3);
}

static void a_batch_of_one_may_be_all_or_too_much(void **state)
{
  Law law = {.fixed = 1000, .each = 70};
  assert_int_equal(largest(&law, 1070, 16, 4096), 1);
  assert_int_equal(largest(&law, 1069, 16, 4096), 0);
  assert_int_equal(largest(&law, 1069, 1, 4096), 0);
}

static void there_is_no_need_for_more_than_the_most(void **state)
{
  Law law = {.fixed = 1000, .each = 70};
  assert_int_equal(largest(&law, INT64_C(1) << 40, 8, 100), 100);
  assert_int_equal(largest(&law, INT64_C(1) << 40, 1, 1), 1);
}

static void jumps_and_refused_sizes_do_not_mislead(void **state)
{
  Law jump = {.fixed = 1000, .each = 70, .jump_from = 30, .jump = 5000};
  assert_int_equal(largest(&jump, 1000 + 70 * 35, 8, 4096), 29);
  Law refused = {.fixed = 1000, .each = 70, .refused_from = 21};
  assert_int_equal(largest(&refused, INT64_C(1) << 40, 8, 4096), 20);
}

/* Ranks that see other amounts of free memory try the same batches, and take what all have. */
static void the_rank_with_the_least_room_decides(void **state)
{
  Law law = {.fixed = 1000, .each = 70};
  const int64_t more = 70 * 1000 * comm_rank(ranks_world);
  assert_int_equal(largest(&law, 1000 + 70 * 37 + more, 8, 4096), 37);
}

int main(int argument_count, char **arguments)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_largest_batch_that_fits_is_found_in_a_few_tries),
      cmocka_unit_test(a_batch_of_one_may_be_all_or_too_much),
      cmocka_unit_test(there_is_no_need_for_more_than_the_most),
      cmocka_unit_test(the_rank_with_the_least_room_decides),
      cmocka_unit_test(jumps_and_refused_sizes_do_not_mislead),
  };
  return RANKS_RUN_TESTS(argument_count, arguments, tests);
}
