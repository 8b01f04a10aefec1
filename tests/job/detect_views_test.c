#include "detect_views.h"

#include "base/random.h"
#include "support/check.h"

enum { WIDTH = 9, HEIGHT = 6, SIDE = 8 };

/* A thing whose mask is any pixels of its window. */
static DetectThing thing_with(const uint8_t *mask, int32_t x, int32_t y, int32_t width,
                              int32_t height)
{
  return (DetectThing){.class_index = 1,
                       .score = 0.5F,
                       .x1 = (float)x,
                       .y1 = (float)y,
                       .x2 = (float)(x + width),
                       .y2 = (float)(y + height),
                       .mask_x_px = x,
                       .mask_y_px = y,
                       .mask_width_px = width,
                       .mask_height_px = height,
                       .mask = mask};
}

/* What an engine that sees a picture of one thing gives: the box of what is set. */
static DetectThing look_at(const uint8_t *picture, int32_t width, int32_t height, uint8_t *mask)
{
  int32_t left = width, top = height, right = 0, bottom = 0;
  for (int32_t i = 0; i < width * height; ++i) {
    const int32_t x = i % width, y = i / width;
    if (picture[i] == 0) continue;
    left = x < left ? x : left;
    right = x + 1 > right ? x + 1 : right;
    top = y < top ? y : top;
    bottom = y + 1 > bottom ? y + 1 : bottom;
  }
  for (int32_t i = 0; i < (right - left) * (bottom - top); ++i)
    mask[i] = picture[(top + i / (right - left)) * width + left + i % (right - left)];
  return thing_with(mask, left, top, right - left, bottom - top);
}

static void check_view(int32_t view, const uint8_t *picture, int32_t width, int32_t height)
{
  uint8_t shown[WIDTH * WIDTH], mask[WIDTH * WIDTH], straight_mask[WIDTH * WIDTH];
  const bool exchanged = (view & 4) != 0;
  DetectList list = {0};
  detect_view_show(view, width, height, 1, picture, shown);
  const DetectThing seen =
      look_at(shown, exchanged ? height : width, exchanged ? width : height, mask);
  const DetectThing straight = look_at(picture, width, height, straight_mask);
  const DetectTile tile = {.things = &seen, .count = 1};
  CHECK_OK(detect_view_return(view, width, height, &tile, &list));
  const DetectFound *found = &list.items[0];
  assert_true(found->x1 == straight.x1 && found->y1 == straight.y1);
  assert_true(found->x2 == straight.x2 && found->y2 == straight.y2);
  assert_int_equal(found->mask_x_px, straight.mask_x_px);
  assert_int_equal(found->mask_y_px, straight.mask_y_px);
  assert_int_equal(found->mask_width_px, straight.mask_width_px);
  assert_int_equal(found->mask_height_px, straight.mask_height_px);
  assert_memory_equal(detect_list_mask(&list, found), straight_mask,
                      (size_t)(straight.mask_width_px * straight.mask_height_px));
  detect_list_free(&list);
}

static void what_is_seen_in_a_view_comes_back_in_place(void **state)
{
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Random random = random_stream(3, seed);
    uint8_t picture[WIDTH * WIDTH] = {0};
    for (int32_t i = 0; i < 6; ++i)
      picture[random_below(&random, WIDTH * HEIGHT)] = 1;
    for (int32_t view = 0; view < DETECT_VIEWS_MOST; ++view)
      check_view(view, picture, WIDTH, HEIGHT);
  }
}

static void all_views_of_a_square_differ_and_oblong_tiles_keep_their_sides(void **state)
{
  uint8_t picture[SIDE * SIDE], shown[DETECT_VIEWS_MOST][SIDE * SIDE];
  for (uint8_t i = 0; i < SIDE * SIDE; ++i)
    picture[i] = i;
  assert_int_equal(detect_view_count(SIDE, SIDE), 8);
  assert_int_equal(detect_view_count(WIDTH, HEIGHT), 4);
  for (int32_t view = 0; view < DETECT_VIEWS_MOST; ++view) {
    detect_view_show(view, SIDE, SIDE, 1, picture, shown[view]);
    for (int32_t other = 0; other < view; ++other)
      assert_memory_not_equal(shown[view], shown[other], SIDE * SIDE);
  }
  assert_memory_equal(shown[0], picture, SIDE * SIDE);
}

/* Adds a square of side x side px at x, y to a view's list. */
static void add(DetectList *list, int32_t class_index, float score, int32_t x, int32_t y,
                int32_t side)
{
  uint8_t mask[SIDE * SIDE];
  memset(mask, 1, sizeof mask);
  DetectThing thing = thing_with(mask, x, y, side, side);
  thing.class_index = class_index;
  thing.score = score;
  const DetectTile tile = {.things = &thing, .count = 1};
  CHECK_OK(detect_list_take(list, &tile));
}

static void free_all(DetectList *views, DetectList *merged)
{
  for (int32_t i = 0; i < 4; ++i)
    detect_list_free(&views[i]);
  detect_list_free(merged);
}

static void things_seen_in_several_views_are_one_by_policy(void **state)
{
  static const float scores[] = {0.75F, 1.0F, 0.5F};
  for (int32_t policy = DETECT_MEAN; policy <= DETECT_MIN; ++policy) {
    DetectList views[4] = {{0}}, merged = {0};
    add(&views[0], 1, 0.5F, 0, 0, 4);
    add(&views[2], 1, 1.0F, 0, 0, 4);
    CHECK_OK(detect_views_merge(views, 4, (DetectPolicy)policy, &merged));
    assert_int_equal(merged.count, 1);
    assert_true(merged.items[0].score == scores[policy]);
    free_all(views, &merged);
  }
}

static void what_a_single_view_of_four_saw_stays_only_by_the_highest_score(void **state)
{
  DetectList views[4] = {{0}}, merged = {0};
  add(&views[1], 1, 0.9F, 0, 0, 4);
  CHECK_OK(detect_views_merge(views, 4, DETECT_MEAN, &merged));
  CHECK_OK(detect_views_merge(views, 4, DETECT_MIN, &merged));
  assert_int_equal(merged.count, 0);
  CHECK_OK(detect_views_merge(views, 4, DETECT_MAX, &merged));
  assert_int_equal(merged.count, 1);
  free_all(views, &merged);
}

static void classes_and_neighbours_are_kept_apart(void **state)
{
  static const float scores[] = {0.9F, 0.8F, 0.7F};
  DetectList views[4] = {{0}}, merged = {0};
  for (int32_t view = 0; view < 2; ++view) {
    add(&views[view], 1, 0.9F, 0, 0, 4);
    add(&views[view], 2, 0.8F, 0, 0, 4);
    add(&views[view], 1, 0.7F, 3, 0, 4); /* shares a quarter of its pixels with the first */
  }
  CHECK_OK(detect_views_merge(views, 2, DETECT_MEAN, &merged));
  assert_int_equal(merged.count, 3);
  for (int64_t i = 0; i < 3; ++i)
    assert_float_equal(merged.items[i].score, scores[i], 1e-6F); /* a mean of two */
  free_all(views, &merged);
}

static void a_view_gives_a_thing_one_member_at_most(void **state)
{
  DetectList views[4] = {{0}}, merged = {0};
  add(&views[0], 1, 0.5F, 0, 0, 4);
  add(&views[1], 1, 0.5F, 0, 0, 4);
  add(&views[1], 1, 1.0F, 0, 0, 4); /* a double: the surer is the first's, the other one its own */
  CHECK_OK(detect_views_merge(views, 2, DETECT_MEAN, &merged));
  assert_int_equal(merged.count, 2);
  assert_true(merged.items[0].score == 0.75F && merged.items[1].score == 0.5F);
  free_all(views, &merged);
}

/* 4 x 4 px at 0, 0 in two views; in the other two 4 x 4 px at 1, 0: columns 0 and 4 have half of
 * the votes each, which is enough. With three to one they have not. */
static void a_pixel_is_of_the_thing_if_half_of_the_views_say_so(void **state)
{
  for (int32_t at_first = 2; at_first <= 3; ++at_first) {
    DetectList views[4] = {{0}}, merged = {0};
    for (int32_t view = 0; view < 4; ++view)
      add(&views[view], 1, 0.5F, view < at_first ? 0 : 1, 0, 4);
    CHECK_OK(detect_views_merge(views, 4, DETECT_MEAN, &merged));
    assert_int_equal(merged.count, 1);
    const DetectFound *found = &merged.items[0];
    const uint8_t *mask = detect_list_mask(&merged, found);
    assert_int_equal(found->mask_width_px, 5);
    assert_true(found->x1 == (at_first == 2 ? 0.5F : 0.25F));
    for (int32_t column = 0; column < 5; ++column)
      assert_int_equal(mask[column], column < 4 || at_first == 2);
    free_all(views, &merged);
  }
}

/* NoData. */

static void masks_end_where_data_do_and_what_is_mostly_hidden_goes(void **state)
{
  uint8_t valid[SIDE * SIDE];
  DetectList list = {0}, kept = {0};
  int64_t dropped = 0;
  for (int32_t i = 0; i < SIDE * SIDE; ++i)
    valid[i] = i % SIDE >= 4;   /* the left half is empty */
  add(&list, 1, 0.9F, 2, 0, 4); /* half of it is seen: stays */
  add(&list, 2, 0.8F, 1, 0, 4); /* a quarter: goes */
  add(&list, 3, 0.7F, 4, 4, 4); /* all of it */
  CHECK_OK(detect_list_keep_data(&list, valid, SIDE, SIDE, &kept, &dropped));
  assert_int_equal(dropped, 1);
  assert_int_equal(kept.count, 2);
  const DetectFound *cut = &kept.items[0];
  const uint8_t *mask = detect_list_mask(&kept, cut);
  assert_true(cut->x1 == 4 && cut->x2 == 6 && cut->y1 == 0 && cut->y2 == 4);
  for (int32_t i = 0; i < 16; ++i)
    assert_int_equal(mask[i], i % 4 >= 2);
  assert_int_equal(kept.items[1].class_index, 3);
  assert_true(kept.items[1].x1 == 4 && kept.items[1].x2 == 8);
  detect_list_free(&list);
  detect_list_free(&kept);
}

static void boxes_go_by_the_pixels_whose_centres_they_hold(void **state)
{
  uint8_t valid[SIDE * SIDE];
  DetectList list = {0}, kept = {0};
  int64_t dropped = 0;
  for (int32_t i = 0; i < SIDE * SIDE; ++i)
    valid[i] = i % SIDE >= 4;
  const DetectFound half = {.class_index = 1, .x1 = 1.6F, .y1 = 0, .x2 = 6.4F, .y2 = 2};
  const DetectFound less = {.class_index = 2, .x1 = 1.4F, .y1 = 0, .x2 = 6.4F, .y2 = 2};
  CHECK_OK(detect_list_copy(&list, &half, NULL));
  CHECK_OK(detect_list_copy(&list, &less, NULL));
  CHECK_OK(detect_list_keep_data(&list, valid, SIDE, SIDE, &kept, &dropped));
  assert_int_equal(dropped, 1);
  assert_int_equal(kept.count, 1);
  assert_int_equal(kept.items[0].class_index, 1);
  assert_null(detect_list_mask(&kept, &kept.items[0]));
  detect_list_free(&list);
  detect_list_free(&kept);
}

static void a_mask_of_nothing_is_left_out(void **state)
{
  static const uint8_t nothing[16] = {0};
  uint8_t valid[SIDE * SIDE];
  DetectList list = {0}, kept = {0};
  int64_t dropped = 0;
  memset(valid, 1, sizeof valid);
  const DetectThing thing = thing_with(nothing, 0, 0, 4, 4);
  const DetectTile tile = {.things = &thing, .count = 1};
  CHECK_OK(detect_list_take(&list, &tile));
  CHECK_OK(detect_list_keep_data(&list, valid, SIDE, SIDE, &kept, &dropped));
  assert_int_equal(kept.count, 0);
  assert_int_equal(dropped, 1);
  detect_list_free(&list);
  detect_list_free(&kept);
}

static void overlap_is_that_of_masks_else_of_boxes(void **state)
{
  DetectList list = {0};
  add(&list, 1, 0.9F, 0, 0, 4);
  add(&list, 1, 0.9F, 2, 0, 4);
  const DetectFound box = {.x1 = 0, .y1 = 0, .x2 = 4, .y2 = 2};
  CHECK_OK(detect_list_copy(&list, &box, NULL));
  assert_true(detect_overlap(&list, &list.items[0], &list, &list.items[1]) == 8.0 / 24);
  assert_true(detect_overlap(&list, &list.items[0], &list, &list.items[2]) == 0.5);
  detect_list_free(&list);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_seen_in_a_view_comes_back_in_place),
      cmocka_unit_test(all_views_of_a_square_differ_and_oblong_tiles_keep_their_sides),
      cmocka_unit_test(things_seen_in_several_views_are_one_by_policy),
      cmocka_unit_test(what_a_single_view_of_four_saw_stays_only_by_the_highest_score),
      cmocka_unit_test(classes_and_neighbours_are_kept_apart),
      cmocka_unit_test(a_view_gives_a_thing_one_member_at_most),
      cmocka_unit_test(a_pixel_is_of_the_thing_if_half_of_the_views_say_so),
      cmocka_unit_test(masks_end_where_data_do_and_what_is_mostly_hidden_goes),
      cmocka_unit_test(boxes_go_by_the_pixels_whose_centres_they_hold),
      cmocka_unit_test(a_mask_of_nothing_is_left_out),
      cmocka_unit_test(overlap_is_that_of_masks_else_of_boxes),
  };
  return cmocka_run_group_tests_name("detect_views", tests, NULL, NULL);
}
