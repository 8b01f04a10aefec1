#include "fold.h"

#include "support/check.h"

/* Two channels of two weights each; variance + eps is 4 and 0.25, so all roots are exact. */
static void a_norm_is_folded_by_its_scale_and_shift(void **state)
{
  const float trained[] = {1, -2, 3, 0.5F, 6, 2, 10, -1};
  const float statistics[] = {7, -3, 4 - 1e-5F, 0.25F - 1e-5F};
  const Parameter weight = {.rank = 4, .dims = {2, 2, 1, 1}, .count = 4, .offset = 0};
  const Parameter norm[4] = {{.count = 2, .offset = 4},
                             {.count = 2, .offset = 6},
                             {.count = 2, .offset = 0},
                             {.count = 2, .offset = 2}};
  float folded_weight[4], folded_bias[2];
  fold_norm(&weight, norm, trained, statistics, folded_weight, folded_bias);
  /* scales 6 / 2 and 2 / 0.5; shifts 10 - 7 * 3 and -1 + 3 * 4 */
  const float expected_weight[] = {3, -6, 12, 2};
  const float expected_bias[] = {-11, 11};
  for (int i = 0; i < 4; ++i)
    assert_float_equal(folded_weight[i], expected_weight[i], 1e-5F);
  for (int i = 0; i < 2; ++i)
    assert_float_equal(folded_bias[i], expected_bias[i], 1e-5F);
}

static void the_other_parameters_stay_out_of_it(void **state)
{
  float trained[12] = {0};
  float statistics[6] = {0};
  const Parameter weight = {.rank = 4, .dims = {1, 3, 1, 1}, .count = 3, .offset = 5};
  const Parameter norm[4] = {{.count = 1, .offset = 9},
                             {.count = 1, .offset = 10},
                             {.count = 1, .offset = 4},
                             {.count = 1, .offset = 5}};
  for (int i = 0; i < 12; ++i)
    trained[i] = 1e30F;
  for (int i = 0; i < 6; ++i)
    statistics[i] = 1e30F;
  const float own[] = {1, 2, 3};
  memcpy(trained + 5, own, sizeof own);
  trained[9] = 2;
  trained[10] = 0.5F;
  statistics[4] = 1;
  statistics[5] = 1;
  float folded_weight[3], folded_bias[1];
  fold_norm(&weight, norm, trained, statistics, folded_weight, folded_bias);
  for (int i = 0; i < 3; ++i)
    assert_float_equal(folded_weight[i], 2 * own[i], 1e-4F);
  assert_float_equal(folded_bias[0], -1.5F, 1e-4F);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_norm_is_folded_by_its_scale_and_shift),
      cmocka_unit_test(the_other_parameters_stay_out_of_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
