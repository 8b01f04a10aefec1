#include "base/random.h"
#include "support/check.h"

/* Known answers of the authors' library (Random123, kat_vectors): philox4x32 10, counter and key
 * all 0. */
static void numbers_are_those_of_philox_4x32_10(void **state)
{
  Random random = random_stream(0, 0);
  assert_int_equal(random_bits(&random), 0x6627e8d5);
  assert_int_equal(random_bits(&random), 0xe169c58d);
  assert_int_equal(random_bits(&random), 0xbc57ac4c);
  assert_int_equal(random_bits(&random), 0x9b00dbd8);
}

static void streams_of_one_seed_differ(void **state)
{
  Random a = random_stream(5, 1);
  Random b = random_stream(5, 2);
  assert_int_not_equal(random_bits(&a), random_bits(&b));
}

static void a_shuffle_is_a_permutation(void **state)
{
  int64_t items[100];
  int64_t seen[100] = {0};
  for (int64_t i = 0; i < 100; ++i)
    items[i] = i;
  Random random = random_stream(3, 0);
  random_shuffle(&random, items, 100);
  int64_t moved = 0;
  for (int64_t i = 0; i < 100; ++i) {
    ++seen[items[i]];
    moved += items[i] != i;
  }
  for (int64_t i = 0; i < 100; ++i)
    assert_int_equal(seen[i], 1);
  assert_true(moved > 80);
}

static void limits_are_kept_and_reached(void **state)
{
  Random random = random_stream(1, 1);
  int64_t seen[5] = {0};
  for (int i = 0; i < 1000; ++i)
    ++seen[random_below(&random, 5)];
  for (int i = 0; i < 5; ++i)
    assert_in_range(seen[i], 150, 250);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(numbers_are_those_of_philox_4x32_10),
      cmocka_unit_test(streams_of_one_seed_differ),
      cmocka_unit_test(a_shuffle_is_a_permutation),
      cmocka_unit_test(limits_are_kept_and_reached),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
