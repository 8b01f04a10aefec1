#include "fold.h"

#include "support/check.h"

/* Two channels of two weights each; variance + eps is 4 and 0.25, so all roots are exact. */
static void a_norm_is_folded_by_its_scale_and_shift(void **state)
{
  const float weights[] = {1, -2, 3, 0.5F};
  const FoldedNorm norm = {.channels = 2,
                           .weight = (const float[]){6, 2},
                           .bias = (const float[]){10, -1},
                           .mean = (const float[]){7, -3},
                           .variance = (const float[]){3.75F, 0},
                           .eps = 0.25F};
  float folded_weight[4], folded_bias[2];
  fold_norm(norm, 4, weights, folded_weight, folded_bias);
  /* scales 6 / 2 and 2 / 0.5; shifts 10 - 7 * 3 and -1 + 3 * 4 */
  const float expected_weight[] = {3, -6, 12, 2};
  const float expected_bias[] = {-11, 11};
  for (int i = 0; i < 4; ++i)
    assert_float_equal(folded_weight[i], expected_weight[i], 0);
  for (int i = 0; i < 2; ++i)
    assert_float_equal(folded_bias[i], expected_bias[i], 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_norm_is_folded_by_its_scale_and_shift)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
