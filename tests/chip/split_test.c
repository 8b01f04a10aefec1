#include "chip/split.h"
#include "support/check.h"

enum { SIDE = 20, CHIPS = SIDE * SIDE, TILE_PX = 64 };

/* A square of chips, every stride_px pixels. */
static void lay(int64_t stride_px, ChipPlace *places)
{
  for (int64_t i = 0; i < CHIPS; ++i)
    places[i] = (ChipPlace){0, i % SIDE * stride_px, i / SIDE * stride_px, TILE_PX, TILE_PX};
}

static bool overlap(ChipPlace a, ChipPlace b)
{
  return a.raster == b.raster && a.x_px < b.x_px + b.width_px && b.x_px < a.x_px + a.width_px &&
         a.y_px < b.y_px + b.height_px && b.y_px < a.y_px + a.height_px;
}

static void check_apart(const ChipPlace *places, const Split *split)
{
  for (int64_t t = 0; t < split->training_count; ++t)
    for (int64_t v = 0; v < split->validation_count; ++v)
      assert_false(overlap(places[split->training[t]], places[split->validation[v]]));
}

static void no_ground_is_in_both_parts_however_chips_overlap(void **state)
{
  static const int64_t strides[] = {64, 48, 32, 16};
  ChipPlace places[CHIPS];
  for (int i = 0; i < 4; ++i) {
    Split split;
    lay(strides[i], places);
    CHECK_OK(split_make(places, CHIPS, NULL, 0.1, 5, &split));
    assert_true(split.validation_count > 0);
    assert_int_equal(split.training_count + split.validation_count + split.left_out_count, CHIPS);
    check_apart(places, &split);
    if (strides[i] == 64) assert_int_equal(split.left_out_count, 0);
    split_free(&split);
  }
}

static void the_share_is_kept(void **state)
{
  ChipPlace places[CHIPS];
  Split split;
  lay(64, places);
  CHECK_OK(split_make(places, CHIPS, NULL, 0.1, 1, &split));
  assert_int_equal(split.validation_count, 40); /* 10 of 100 blocks of 4 chips */
  split_free(&split);
  CHECK_OK(split_make(places, CHIPS, NULL, 0, 1, &split));
  assert_int_equal(split.validation_count, 0);
  assert_int_equal(split.training_count, CHIPS);
  split_free(&split);
}

static void a_seed_is_a_split(void **state)
{
  ChipPlace places[CHIPS];
  Split a, b, c;
  lay(64, places);
  CHECK_OK(split_make(places, CHIPS, NULL, 0.2, 1, &a));
  CHECK_OK(split_make(places, CHIPS, NULL, 0.2, 1, &b));
  CHECK_OK(split_make(places, CHIPS, NULL, 0.2, 2, &c));
  const size_t bytes = (size_t)a.validation_count * sizeof *a.validation;
  assert_memory_equal(a.validation, b.validation, bytes);
  assert_memory_not_equal(a.validation, c.validation, bytes);
  split_free(&a);
  split_free(&b);
  split_free(&c);
}

/* Half of the ground has labels: of ten blocks drawn, five lie there. */
static void blocks_are_spread_over_their_content(void **state)
{
  ChipPlace places[CHIPS];
  float shares[CHIPS];
  Split split;
  lay(64, places);
  for (int64_t i = 0; i < CHIPS; ++i)
    shares[i] = i / SIDE < SIDE / 2 ? 1 : 0;
  for (uint64_t seed = 0; seed < 5; ++seed) {
    int64_t labelled = 0;
    CHECK_OK(split_make(places, CHIPS, shares, 0.1, seed, &split));
    for (int64_t v = 0; v < split.validation_count; ++v)
      labelled += shares[split.validation[v]] > 0;
    assert_int_equal(labelled, split.validation_count / 2);
    split_free(&split);
  }
}

static void a_set_that_leaves_nothing_to_teach_is_refused(void **state)
{
  const ChipPlace places[2] = {{0, 0, 0, 64, 64}, {0, 8, 0, 64, 64}};
  Split split;
  CHECK_FAILS(STATUS_MISMATCH, "none is left to train on",
              split_make(places, 2, NULL, 0.5, 1, &split));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_ground_is_in_both_parts_however_chips_overlap),
      cmocka_unit_test(the_share_is_kept),
      cmocka_unit_test(a_seed_is_a_split),
      cmocka_unit_test(blocks_are_spread_over_their_content),
      cmocka_unit_test(a_set_that_leaves_nothing_to_teach_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
