#include "geo/window.h"
#include "support/check.h"

#define CHECK_WINDOW(window, x, y, width, height)                                                  \
  assert_true(window_equal(window, (Window){x, y, width, height}))

static void what_two_windows_share_is_their_intersection(void **state)
{
  const Window a = {-2, 0, 10, 6};
  CHECK_WINDOW(window_intersect(a, (Window){5, 4, 10, 10}), 5, 4, 3, 2);
  CHECK_WINDOW(window_intersect(a, (Window){8, 0, 4, 4}), 0, 0, 0, 0); /* side by side */
  CHECK_WINDOW(window_intersect(a, (Window){0, 0, 0, 5}), 0, 0, 0, 0);
  assert_true(window_overlaps(a, (Window){7, 5, 1, 1}));
  assert_false(window_overlaps(a, (Window){8, 5, 1, 1}));
}

static void a_cover_holds_both_and_ignores_the_empty(void **state)
{
  CHECK_WINDOW(window_cover((Window){0, 0, 2, 2}, (Window){5, -3, 1, 1}), 0, -3, 6, 5);
  CHECK_WINDOW(window_cover((Window){100, 100, 0, 3}, (Window){5, -3, 1, 1}), 5, -3, 1, 1);
}

static void a_window_grows_on_all_sides_and_shrinks_to_nothing(void **state)
{
  CHECK_WINDOW(window_grow((Window){10, 20, 4, 6}, 3), 7, 17, 10, 12);
  CHECK_WINDOW(window_grow((Window){10, 20, 5, 9}, -2), 12, 22, 1, 5);
  CHECK_WINDOW(window_grow((Window){10, 20, 4, 8}, -3), 12, 23, 0, 2);
}

static void containment_includes_the_edges_and_the_empty(void **state)
{
  const Window outer = {0, 0, 4, 4};
  assert_true(window_contains(outer, outer));
  assert_false(window_contains(outer, (Window){1, 1, 4, 1}));
  assert_true(window_contains(outer, (Window){90, 90, 0, 0}));
  assert_true(window_contains_pixel(outer, 3, 3));
  assert_false(window_contains_pixel(outer, 4, 3));
}

static void pixels_are_counted_beyond_32_bits(void **state)
{
  assert_true(window_pixels((Window){0, 0, 100000, 100000}) == 10000000000LL);
  assert_true(window_pixels((Window){0, 0, -5, -5}) == 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_two_windows_share_is_their_intersection),
      cmocka_unit_test(a_cover_holds_both_and_ignores_the_empty),
      cmocka_unit_test(a_window_grows_on_all_sides_and_shrinks_to_nothing),
      cmocka_unit_test(containment_includes_the_edges_and_the_empty),
      cmocka_unit_test(pixels_are_counted_beyond_32_bits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
