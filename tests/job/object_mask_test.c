#include "object_mask.h"

#include "base/random.h"
#include "object_pieces.h"
#include "support/check.h"

/* 9 x 5 px at column 100, row 50; the first and last columns and the last row are empty. */
static const char *const picture[] = {
    ".##..###.", //
    ".#.....#.", //
    ".........", //
    "...#.#...", //
    ".........",
};
static const Window place = {100, 50, 9, 5};

static ObjectMask *draw(const char *const *rows, Window window)
{
  uint8_t bytes[4096] = {0};
  ObjectMask *mask;
  for (int64_t y = 0; y < window.height_px; ++y)
    for (int64_t x = 0; x < window.width_px; ++x)
      bytes[y * window.width_px + x] = rows[y][x] == '#' ? 7 : 0;
  CHECK_OK(object_mask_from_bytes(bytes, window.width_px, window, &mask));
  return mask;
}

static void a_mask_keeps_its_pixels_and_no_empty_margin(void **state)
{
  ObjectMask *mask = draw(picture, place);
  uint8_t bytes[5][9];
  assert_true(window_equal(mask->window, (Window){101, 50, 7, 4}));
  assert_int_equal(mask->area_px, 9);
  assert_int_equal(object_mask_runs(mask), 6);
  memset(bytes, '.', sizeof bytes);
  object_mask_paint(mask, place, '#', bytes[0], 9);
  for (int y = 0; y < 5; ++y)
    assert_memory_equal(bytes[y], picture[y], 9);
  object_mask_close(mask);
}

static void a_part_is_painted_clipped_and_counted_the_same(void **state)
{
  ObjectMask *mask = draw(picture, place);
  for (int64_t x = 97; x < 112; ++x)
    for (int64_t y = 47; y < 57; ++y)
      for (int64_t width = 0; width < 6; ++width) {
        const Window window = {x, y, width, 3};
        uint8_t bytes[3][6] = {{0}};
        int64_t painted = 0;
        ObjectMask *part;
        object_mask_paint(mask, window, 1, bytes[0], 6);
        for (int i = 0; i < 18; ++i)
          painted += bytes[i / 6][i % 6];
        CHECK_OK(object_mask_clip(mask, window, &part));
        assert_int_equal(part->area_px, painted);
        assert_int_equal(object_mask_area_within(mask, window), painted);
        assert_true(window_contains(window, part->window));
        object_mask_close(part);
      }
  object_mask_close(mask);
}

static void a_mask_without_pixels_has_no_place(void **state)
{
  const uint8_t nothing[6] = {0};
  ObjectMask *mask;
  CHECK_OK(object_mask_from_bytes(nothing, 3, (Window){5, 5, 3, 2}, &mask));
  assert_true(window_equal(mask->window, (Window){0, 0, 0, 0}));
  assert_int_equal(mask->area_px, 0);
  assert_int_equal(object_mask_runs(mask), 0);
  assert_int_equal(object_mask_sides(mask, (Window){0, 0, 9, 9}, 1), 0);
  object_mask_close(mask);
  CHECK_OK(object_mask_from_window((Window){3, 3, 0, 4}, &mask));
  assert_int_equal(mask->area_px, 0);
  object_mask_close(mask);
}

static void a_window_as_a_mask_is_full(void **state)
{
  ObjectMask *mask;
  CHECK_OK(object_mask_from_window((Window){3, 4, 5, 6}, &mask));
  assert_int_equal(mask->area_px, 30);
  assert_int_equal(object_mask_area_within(mask, (Window){7, 0, 100, 5}), 1);
  object_mask_close(mask);
}

/* Bit by bit, on masks of 20 x 12 px at random, half of the pixels set. */
static void shared_pixels_and_unions_are_those_of_the_bits(void **state)
{
  Random random = random_stream(11, 0);
  for (int round = 0; round < 200; ++round) {
    uint8_t bits[2][12][20];
    uint8_t both[12][20] = {{0}};
    ObjectMask *masks[2];
    ObjectMask *either;
    const Window windows[2] = {{40, 30, 20, 12}, {40 + round % 7, 30 - round % 5, 20, 12}};
    int64_t shared = 0;
    int64_t total = 0;
    for (int m = 0; m < 2; ++m) {
      for (int i = 0; i < 240; ++i)
        bits[m][i / 20][i % 20] = random_bits(&random) & 1;
      CHECK_OK(object_mask_from_bytes(bits[m][0], 20, windows[m], &masks[m]));
    }
    for (int y = 0; y < 12; ++y)
      for (int x = 0; x < 20; ++x) {
        const int ax = x + round % 7;
        const int ay = y - round % 5;
        const bool in_a = ax < 20 && ay >= 0 && bits[0][ay][ax] != 0;
        shared += in_a && bits[1][y][x] != 0;
      }
    assert_int_equal(object_mask_shared(masks[0], masks[1]), shared);
    assert_int_equal(object_mask_shared(masks[1], masks[0]), shared);
    CHECK_OK(object_mask_union((const ObjectMask *const *)masks, 2, &either));
    assert_int_equal(either->area_px, masks[0]->area_px + masks[1]->area_px - shared);
    object_mask_paint(either, windows[1], 1, both[0], 20);
    for (int y = 0; y < 12; ++y)
      for (int x = 0; x < 20; ++x) {
        const int ax = x + round % 7;
        const int ay = y - round % 5;
        total += both[y][x] != ((ax < 20 && ay >= 0 && bits[0][ay][ax] != 0) || bits[1][y][x] != 0);
      }
    assert_int_equal(total, 0);
    object_mask_close(either);
    object_mask_close(masks[0]);
    object_mask_close(masks[1]);
  }
}

static void runs_that_touch_become_one(void **state)
{
  ObjectMask *masks[2];
  ObjectMask *either;
  CHECK_OK(object_mask_from_window((Window){0, 0, 4, 2}, &masks[0]));
  CHECK_OK(object_mask_from_window((Window){4, 0, 3, 1}, &masks[1]));
  CHECK_OK(object_mask_union((const ObjectMask *const *)masks, 2, &either));
  assert_int_equal(object_mask_runs(either), 2);
  assert_int_equal(either->area_px, 11);
  object_mask_close(either);
  object_mask_close(masks[0]);
  object_mask_close(masks[1]);
}

static void sides_are_those_that_a_pixel_comes_close_to(void **state)
{
  ObjectMask *mask;
  const Window window = {10, 20, 30, 40};
  CHECK_OK(object_mask_from_window((Window){11, 25, 3, 3}, &mask));
  assert_int_equal(object_mask_sides(mask, window, 1), 0);
  assert_int_equal(object_mask_sides(mask, window, 2), SIDE_LEFT);
  assert_int_equal(object_mask_sides(mask, window, 6), SIDE_LEFT | SIDE_TOP);
  object_mask_close(mask);
  CHECK_OK(object_mask_from_window((Window){39, 59, 1, 1}, &mask));
  assert_int_equal(object_mask_sides(mask, window, 1), SIDE_RIGHT | SIDE_BOTTOM);
  object_mask_close(mask);
  CHECK_OK(object_mask_from_window((Window){0, 0, 100, 100}, &mask));
  assert_int_equal(object_mask_sides(mask, window, 1),
                   SIDE_LEFT | SIDE_TOP | SIDE_RIGHT | SIDE_BOTTOM);
  object_mask_close(mask);
  CHECK_OK(object_mask_from_window((Window){0, 25, 10, 1}, &mask)); /* beside the window */
  assert_int_equal(object_mask_sides(mask, window, 1), 0);
  object_mask_close(mask);
}

static void pieces_are_joined_by_sides_not_by_corners(void **state)
{
  static const char *const rows[] = {
      "##..##", //
      ".#..#.", //
      "..#.##", //
      "###..#",
  };
  ObjectMask *mask = draw(rows, (Window){0, 0, 6, 4});
  ObjectPieces pieces;
  CHECK_OK(object_pieces_find(mask, &pieces));
  assert_int_equal(pieces.count, 3);
  assert_int_equal(pieces.area_px[0], 3);
  assert_int_equal(pieces.area_px[1], 6);
  assert_int_equal(pieces.area_px[2], 4);
  object_pieces_close(&pieces);
  object_mask_close(mask);
}

static void a_spiral_is_one_piece(void **state)
{
  static const char *const rows[] = {
      "#######", //
      "......#", //
      "#####.#", //
      "#...#.#", //
      "#.###.#", //
      "#.....#", //
      "#######",
  };
  ObjectMask *mask = draw(rows, (Window){0, 0, 7, 7});
  ObjectPieces pieces;
  CHECK_OK(object_pieces_find(mask, &pieces));
  assert_int_equal(pieces.count, 1);
  assert_int_equal(pieces.area_px[0], mask->area_px);
  object_pieces_close(&pieces);
  object_mask_close(mask);
}

static void packed_bytes_are_those_of_the_format(void **state)
{
  static const char *const rows[] = {"#.##", "...#"};
  const uint8_t expected[] = {/* left 200 */ 0x90, 0x03,
                              /* top -3 */ 5,
                              /* 4 x 2 */ 4,       2,
                              /* two runs */ 2,    0,    1, 1, 2,
                              /* one run */ 1,     3,    1};
  uint8_t bytes[sizeof expected];
  ObjectMask *mask = draw(rows, (Window){200, -3, 4, 2});
  assert_int_equal(object_mask_packed_bytes(mask), sizeof expected);
  object_mask_pack(mask, bytes);
  assert_memory_equal(bytes, expected, sizeof expected);
  object_mask_close(mask);
}

static void check_same(const ObjectMask *a, const ObjectMask *b)
{
  assert_true(window_equal(a->window, b->window));
  assert_int_equal(a->area_px, b->area_px);
  assert_int_equal(object_mask_runs(a), object_mask_runs(b));
  assert_memory_equal(a->runs, b->runs, (size_t)object_mask_runs(a) * sizeof *a->runs);
  assert_memory_equal(a->row_start, b->row_start,
                      ((size_t)a->window.height_px + 1) * sizeof *a->row_start);
}

static void what_is_packed_comes_back_and_no_less_of_it_does(void **state)
{
  Random random = random_stream(12, 0);
  for (int round = 0; round < 100; ++round) {
    uint8_t bits[12][20];
    uint8_t bytes[1024];
    ObjectMask *mask;
    ObjectMask *back;
    int64_t used = 0;
    for (int i = 0; i < 240; ++i)
      bits[i / 20][i % 20] = random_below(&random, 10) < (uint32_t)round / 10;
    CHECK_OK(
        object_mask_from_bytes(bits[0], 20, (Window){round * 1000, 70000 - round, 20, 12}, &mask));
    const int64_t size = object_mask_packed_bytes(mask);
    assert_true(size < (int64_t)sizeof bytes);
    object_mask_pack(mask, bytes);
    CHECK_OK(object_mask_unpack(bytes, (int64_t)sizeof bytes, &used, &back));
    assert_int_equal(used, size);
    check_same(mask, back);
    object_mask_close(back);
    for (int64_t shorter = 0; shorter < size; ++shorter)
      CHECK_FAILS(STATUS_BAD_INPUT, "no mask", object_mask_unpack(bytes, shorter, &used, &back));
    object_mask_close(mask);
  }
}

/* Whatever is accepted is what its mask packs into: there is one way to write a mask. */
static void changed_bytes_are_refused_or_are_those_of_another_mask(void **state)
{
  Random random = random_stream(13, 0);
  int64_t accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    uint8_t bits[6][9];
    uint8_t bytes[256];
    uint8_t again[256];
    ObjectMask *mask;
    int64_t used;
    for (int i = 0; i < 54; ++i)
      bits[i / 9][i % 9] = random_bits(&random) & 1;
    CHECK_OK(object_mask_from_bytes(bits[0], 9, (Window){5, 7, 9, 6}, &mask));
    const int64_t size = object_mask_packed_bytes(mask);
    object_mask_pack(mask, bytes);
    object_mask_close(mask);
    for (uint32_t change = random_below(&random, 3); change < 3; ++change)
      bytes[random_below(&random, (uint32_t)size)] =
          (uint8_t)(random_bits(&random) & (round % 2 == 0 ? 0xff : 0x07));
    if (object_mask_unpack(bytes, size, &used, &mask) != STATUS_OK) continue;
    ++accepted;
    assert_true(used <= size);
    assert_int_equal(object_mask_packed_bytes(mask), used);
    object_mask_pack(mask, again);
    assert_memory_equal(again, bytes, (size_t)used);
    object_mask_close(mask);
  }
  assert_true(accepted > 100);
}

static void bytes_that_no_mask_gives_are_refused(void **state)
{
  static const struct {
    int64_t size;
    uint8_t bytes[12];
  } wrong[] = {
      {5, {0, 0, 0, 1, 0}},                                /* rows without columns */
      {5, {2, 0, 0, 0, 0}},                                /* nothing, but somewhere */
      {6, {0, 0, 1, 1, 0, 0}},                             /* an empty first row */
      {8, {0, 0, 2, 1, 1, 0, 3, 0}},                       /* a run longer than the window */
      {8, {0, 0, 2, 1, 1, 1, 0, 0}},                       /* a run of nothing */
      {9, {0, 0, 3, 1, 2, 0, 1, 0, 2}},                    /* runs that touch */
      {7, {0, 0, 3, 1, 1, 0, 2}},                          /* a window wider than its runs */
      {7, {0, 0, 3, 1, 1, 1, 2}},                          /* the same, on the left */
      {8, {0x80, 0, 0, 1, 1, 1, 0, 1}},                    /* a number longer than it need be */
      {10, {0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1, 1}}, /* too wide */
  };
  int64_t used;
  ObjectMask *mask;
  for (size_t w = 0; w < sizeof wrong / sizeof *wrong; ++w)
    CHECK_FAILS(STATUS_BAD_INPUT, "no mask",
                object_mask_unpack(wrong[w].bytes, wrong[w].size, &used, &mask));
}

int main(void)
{
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_mask_keeps_its_pixels_and_no_empty_margin),
      cmocka_unit_test(a_part_is_painted_clipped_and_counted_the_same),
      cmocka_unit_test(a_mask_without_pixels_has_no_place),
      cmocka_unit_test(a_window_as_a_mask_is_full),
      cmocka_unit_test(shared_pixels_and_unions_are_those_of_the_bits),
      cmocka_unit_test(runs_that_touch_become_one),
      cmocka_unit_test(sides_are_those_that_a_pixel_comes_close_to),
      cmocka_unit_test(pieces_are_joined_by_sides_not_by_corners),
      cmocka_unit_test(a_spiral_is_one_piece),
      cmocka_unit_test(packed_bytes_are_those_of_the_format),
      cmocka_unit_test(what_is_packed_comes_back_and_no_less_of_it_does),
      cmocka_unit_test(changed_bytes_are_refused_or_are_those_of_another_mask),
      cmocka_unit_test(bytes_that_no_mask_gives_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
