#include "blend.h"

#include <math.h>

#include "support/check.h"

static void probabilities_become_steps_of_a_250th(void **state)
{
  const float probabilities[4][2] = {{0, 1}, {0.25F, 0.75F}, {0.1F, 0.9F}, {NAN, 0.5F}};
  const uint8_t valid[4] = {1, 1, 0, 1};
  const uint8_t wanted[8] = {0,           250, 63, 188, BLEND_NODATA, BLEND_NODATA, BLEND_FAILED,
                             BLEND_FAILED};
  uint8_t bytes[8];
  blend_bytes(&probabilities[0][0], valid, 4, 2, bytes);
  assert_memory_equal(bytes, wanted, 8);
}

/* Two tiles of 4 x 1 px; the core lies where they overlap: columns 2 and 3. Weights there, with a
 * ramp of 2 px: 2 and 1 of the left tile, 1 and 2 of the right one (times 1 in y). */
static const Window left = {0, 0, 4, 1};
static const Window right = {2, 0, 4, 1};
static const Window core = {2, 0, 2, 1};
static const uint8_t left_bytes[8] = {9, 9, 9, 9, 200, 50, 200, 50};
static const uint8_t right_bytes[8] = {50, 200, 80, 170, 9, 9, 9, 9};

static void blend_two(int32_t margin_px, const Window windows[2], const uint8_t *const bytes[2],
                      uint8_t classes[2], uint8_t means[4])
{
  Blend blend;
  CHECK_OK(blend_open(2, 2, margin_px, 2, &blend));
  blend_begin(&blend, (Window){0, 0, 2, 1}); /* of an earlier core nothing stays */
  blend_add(&blend, left, left_bytes);
  blend_begin(&blend, core);
  blend_add(&blend, windows[0], bytes[0]);
  blend_add(&blend, windows[1], bytes[1]);
  blend_finish(&blend, classes, means);
  blend_close(&blend);
}

static void tiles_count_less_towards_their_edges_in_any_order(void **state)
{
  const uint8_t wanted[4] = {150, 100, 120, 130}; /* (2 * 200 + 50) / 3, (200 + 2 * 80) / 3 */
  const Window windows[2][2] = {{left, right}, {right, left}};
  const uint8_t *const bytes[2][2] = {{left_bytes, right_bytes}, {right_bytes, left_bytes}};
  for (int i = 0; i < 2; ++i) {
    uint8_t classes[2];
    uint8_t means[4];
    blend_two(0, windows[i], bytes[i], classes, means);
    assert_int_equal(classes[0], 0);
    assert_int_equal(classes[1], 1);
    assert_memory_equal(means, wanted, 4);
  }
}

static void a_margin_counts_as_good_as_nothing(void **state)
{
  /* One pixel of margin: the weights are 1 and 1 in both columns. */
  const uint8_t wanted[4] = {125, 125, 140, 110};
  const Window windows[2] = {left, right};
  const uint8_t *const bytes[2] = {left_bytes, right_bytes};
  uint8_t classes[2];
  uint8_t means[4];
  blend_two(1, windows, bytes, classes, means);
  assert_memory_equal(means, wanted, 4);
}

static void the_first_of_equal_classes_wins(void **state)
{
  const uint8_t equal[8] = {125, 125, 125, 125, 125, 125, 125, 125};
  const Window windows[2] = {left, right};
  const uint8_t *const bytes[2] = {equal, equal};
  uint8_t classes[2];
  uint8_t means[4];
  blend_two(0, windows, bytes, classes, means);
  assert_int_equal(classes[0], 0);
  assert_int_equal(classes[1], 0);
}

static void a_pixel_that_one_tile_could_not_tell_is_failed(void **state)
{
  uint8_t broken[8];
  memcpy(broken, right_bytes, 8);
  broken[0] = broken[1] = BLEND_FAILED;
  broken[2] = broken[3] = BLEND_NODATA;
  const Window windows[2] = {left, right};
  const uint8_t *const bytes[2] = {left_bytes, broken};
  uint8_t classes[2];
  uint8_t means[4];
  blend_two(0, windows, bytes, classes, means);
  assert_int_equal(classes[0], BLEND_FAILED);
  assert_int_equal(classes[1], BLEND_NODATA);
  assert_int_equal(means[0], BLEND_FAILED);
  assert_int_equal(means[3], BLEND_NODATA);
}

int main(void)
{
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(probabilities_become_steps_of_a_250th),
      cmocka_unit_test(tiles_count_less_towards_their_edges_in_any_order),
      cmocka_unit_test(a_margin_counts_as_good_as_nothing),
      cmocka_unit_test(the_first_of_equal_classes_wins),
      cmocka_unit_test(a_pixel_that_one_tile_could_not_tell_is_failed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
