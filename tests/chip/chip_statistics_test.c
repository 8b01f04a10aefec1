#include "chip/chip_statistics.h"

#include <math.h>

#include "support/check.h"

static void numbers_of_a_chip_leave_nodata_out(void **state)
{
  static const int16_t image[4][2] = {{-4, 10}, {99, 99}, {2, 20}, {8, 30}};
  static const uint8_t valid[4] = {1, 0, 1, 1};
  BandSum sums[2];
  band_sum_of_chip(PIXEL_I16, image, valid, 4, 2, sums);
  assert_true(sums[0].count == 3 && sums[0].least == -4 && sums[0].most == 8 && sums[0].mean == 2);
  assert_true(sums[0].squares == 72);
  assert_true(sums[1].mean == 20 && sums[1].squares == 200);
  assert_true(band_sum_standard_deviation(&sums[0]) == sqrt(24));
}

static void a_chip_without_data_changes_nothing(void **state)
{
  static const float image[2] = {7, 7};
  static const uint8_t valid[2] = {0, 0};
  BandSum sum, total = {.count = 2, .least = -3, .most = -1, .mean = -2, .squares = 2};
  band_sum_of_chip(PIXEL_F32, image, valid, 2, 1, &sum);
  assert_true(sum.count == 0 && sum.mean == 0 && band_sum_standard_deviation(&sum) == 0);
  band_sum_merge(&total, &sum);
  assert_true(total.count == 2 && total.most == -1 && total.squares == 2);
  band_sum_merge(&sum, &total);
  assert_true(sum.least == -3 && sum.mean == -2);
}

/* Large values with a small spread: sums of squares would lose all of it. */
static void merging_gives_the_numbers_of_the_whole(void **state)
{
  enum { COUNT = 4096, PIECE = 256 };
  static float image[COUNT];
  static uint8_t valid[COUNT];
  BandSum whole, merged = {.count = 0};
  for (int i = 0; i < COUNT; ++i) {
    image[i] = 8388608.0F + (float)(i * 37 % 11);
    valid[i] = 1;
  }
  band_sum_of_chip(PIXEL_F32, image, valid, COUNT, 1, &whole);
  for (int i = 0; i < COUNT; i += PIECE) {
    BandSum piece;
    band_sum_of_chip(PIXEL_F32, image + i, valid + i, PIECE, 1, &piece);
    band_sum_merge(&merged, &piece);
  }
  assert_true(merged.count == COUNT);
  assert_true(fabs(merged.mean - whole.mean) < 1e-6);
  assert_true(fabs(merged.squares / whole.squares - 1) < 1e-12);
  assert_true(fabs(band_sum_standard_deviation(&merged) - sqrt(10)) < 0.01); /* of 0 … 10 */
}

static void a_set_counts_classes_per_chip(void **state)
{
  Arena *arena;
  SetSum sum;
  const BandSum band = {.count = 0};
  CHECK_OK(arena_open(&arena));
  CHECK_OK(set_sum_open(arena, 1, 3, &sum));
  set_sum_add(&sum, &band, (const int64_t[3]){5, 3, 0});
  set_sum_add(&sum, &band, (const int64_t[3]){0, 7, 1});
  set_sum_add(&sum, &band, (const int64_t[3]){8, 0, 0});
  assert_int_equal(sum.chip_count, 3);
  assert_int_equal(sum.classes_per_chip_least, 0);
  assert_int_equal(sum.classes_per_chip_most, 2);
  assert_int_equal(sum.classes_per_chip_sum, 3);
  assert_int_equal(sum.classes[1].pixel_count, 10);
  assert_int_equal(sum.classes[1].chip_count, 2);
  assert_int_equal(sum.classes[1].least, 0);
  assert_int_equal(sum.classes[1].most, 7);
  assert_int_equal(sum.classes[0].chip_count, 2);
  assert_int_equal(set_sum_labelled(&sum), 11);
  arena_close(arena);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(numbers_of_a_chip_leave_nodata_out),
      cmocka_unit_test(a_chip_without_data_changes_nothing),
      cmocka_unit_test(merging_gives_the_numbers_of_the_whole),
      cmocka_unit_test(a_set_counts_classes_per_chip),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
