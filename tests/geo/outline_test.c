#include "geo/outline.h"

#include "base/memory.h"
#include "base/random.h"
#include "support/check.h"

enum { SIDE_MOST = 40, PIXELS_MOST = SIDE_MOST * SIDE_MOST };

typedef struct Pixels {
  int width;
  int height;
  uint8_t set[PIXELS_MOST];
  int64_t row_start[SIDE_MOST + 1];
  PixelRun runs[PIXELS_MOST];
} Pixels;

static PixelSet set_of(Pixels *pixels)
{
  int64_t count = 0;
  for (int row = 0; row < pixels->height; ++row) {
    const uint8_t *line = pixels->set + row * pixels->width;
    pixels->row_start[row] = count;
    for (int i = 0; i < pixels->width; ++i) {
      if (line[i] == 0) continue;
      if (i == 0 || line[i - 1] == 0) pixels->runs[count++].first_px = i;
      pixels->runs[count - 1].end_px = i + 1;
    }
  }
  pixels->row_start[pixels->height] = count;
  return (PixelSet){
      .window = {1000, -50, pixels->width, pixels->height},
      .row_start = pixels->row_start,
      .runs = pixels->runs,
  };
}

static Pixels pixels_of(int width, int height, const char *text)
{
  Pixels pixels = {.width = width, .height = height};
  for (int i = 0; i < width * height; ++i)
    pixels.set[i] = text[i] == '#';
  return pixels;
}

static double doubled_area(const Outline *outline, const OutlineRing *ring)
{
  const OutlinePoint *points = outline->points + ring->first;
  double sum = 0;
  for (int64_t i = 0; i < ring->count; ++i) {
    const OutlinePoint *next = &points[(i + 1) % ring->count];
    sum += points[i].x_px * next->y_px - next->x_px * points[i].y_px;
  }
  return sum;
}

/* Crossings of the ring with a ray to the left of a pixel's centre. */
static bool ring_holds(const Outline *outline, const OutlineRing *ring, double x, double y)
{
  const OutlinePoint *points = outline->points + ring->first;
  bool inside = false;
  for (int64_t i = 0; i < ring->count; ++i) {
    const OutlinePoint *a = &points[i];
    const OutlinePoint *b = &points[(i + 1) % ring->count];
    if (a->x_px == b->x_px && a->x_px < x && (a->y_px < y) != (b->y_px < y)) inside = !inside;
  }
  return inside;
}

/* The part that holds a pixel's centre and none of whose holes does, or -1. */
static int part_at(const Outline *outline, double x, double y)
{
  int found = -1;
  for (int64_t i = 0; i < outline->ring_count; ++i) {
    const OutlineRing *ring = &outline->rings[i];
    if (!ring_holds(outline, ring, x, y)) continue;
    if (!ring->is_hole)
      found = found < ring->part || found < 0 ? ring->part : found;
    else if (found == ring->part)
      found = -1;
  }
  return found;
}

/* Numbers the parts (4-neighbours) row by row; parts: -1 where nothing is set. */
static int fill_parts(const Pixels *pixels, int *parts)
{
  static int stack[PIXELS_MOST];
  int count = 0;
  for (int i = 0; i < pixels->width * pixels->height; ++i)
    parts[i] = -1;
  for (int i = 0; i < pixels->width * pixels->height; ++i) {
    int depth = 0;
    if (pixels->set[i] == 0 || parts[i] >= 0) continue;
    parts[i] = count;
    stack[depth++] = i;
    while (depth > 0) {
      const int at = stack[--depth];
      const int x = at % pixels->width, y = at / pixels->width;
      const int steps[4][2] = {{1, 0}, {-1, 0}, {0, 1}, {0, -1}};
      for (int k = 0; k < 4; ++k) {
        const int nx = x + steps[k][0], ny = y + steps[k][1];
        if (nx < 0 || ny < 0 || nx >= pixels->width || ny >= pixels->height) continue;
        const int next = ny * pixels->width + nx;
        if (pixels->set[next] == 0 || parts[next] >= 0) continue;
        parts[next] = count;
        stack[depth++] = next;
      }
    }
    ++count;
  }
  return count;
}

static void check_ring(const Outline *outline, const OutlineRing *ring)
{
  const OutlinePoint *points = outline->points + ring->first;
  assert_true(ring->count >= 4 && ring->count % 2 == 0);
  assert_true((doubled_area(outline, ring) > 0) == !ring->is_hole);
  for (int64_t i = 0; i < ring->count; ++i) {
    const OutlinePoint *next = &points[(i + 1) % ring->count];
    assert_true((points[i].x_px == next->x_px) != (points[i].y_px == next->y_px));
    for (int64_t j = 0; j < i; ++j)
      assert_false(points[i].x_px == points[j].x_px && points[i].y_px == points[j].y_px);
  }
}

static void check_pixels(Pixels *pixels)
{
  static int parts[PIXELS_MOST];
  Outline outline;
  const PixelSet set = set_of(pixels);
  double doubled = 0;
  int64_t area_px = 0;
  int32_t part = -1;
  CHECK_OK(outline_trace(&set, &outline));
  assert_int_equal(outline.part_count, fill_parts(pixels, parts));
  for (int64_t i = 0; i < outline.ring_count; ++i) {
    const OutlineRing *ring = &outline.rings[i];
    check_ring(&outline, ring);
    doubled += doubled_area(&outline, ring);
    /* One outer ring a part, before its holes. */
    assert_int_equal(ring->part, ring->is_hole ? part : part + 1);
    part = ring->part;
  }
  assert_int_equal(part + 1, outline.part_count);
  for (int i = 0; i < pixels->width * pixels->height; ++i) {
    const double x = 1000 + i % pixels->width + 0.5, y = -50 + i / pixels->width + 0.5;
    area_px += pixels->set[i];
    assert_int_equal(part_at(&outline, x, y), parts[i]);
  }
  assert_true(doubled == 2.0 * (double)area_px);
  outline_free(&outline);
}

static void a_pixel_has_four_corners_clockwise(void **state)
{
  Pixels pixels = pixels_of(1, 1, "#");
  Outline outline;
  const PixelSet set = set_of(&pixels);
  CHECK_OK(outline_trace(&set, &outline));
  assert_int_equal(outline.ring_count, 1);
  assert_int_equal(outline.point_count, 4);
  assert_true(doubled_area(&outline, &outline.rings[0]) == 2);
  for (int i = 0; i < 4; ++i) {
    assert_true(outline.points[i].x_px == 1000 || outline.points[i].x_px == 1001);
    assert_true(outline.points[i].y_px == -50 || outline.points[i].y_px == -49);
  }
  outline_free(&outline);
}

static void straight_sides_have_no_points_between(void **state)
{
  Pixels pixels = pixels_of(4, 3, "############");
  Outline outline;
  const PixelSet set = set_of(&pixels);
  CHECK_OK(outline_trace(&set, &outline));
  assert_int_equal(outline.point_count, 4);
  outline_free(&outline);
}

static void pixels_that_touch_in_a_corner_are_two_parts(void **state)
{
  Pixels pixels = pixels_of(2, 2, "#..#");
  check_pixels(&pixels);
  pixels = pixels_of(2, 2, ".##.");
  check_pixels(&pixels);
}

static void holes_that_touch_each_other_or_the_outside_are_rings_of_their_own(void **state)
{
  Pixels pixels = pixels_of(5, 5, "######.####.#.#####.#####");
  check_pixels(&pixels);
  pixels = pixels_of(4, 4, "#####.####.#####");
  check_pixels(&pixels);
  pixels = pixels_of(4, 4, "#####.####.####."); /* a hole that opens in a corner */
  check_pixels(&pixels);
  pixels = pixels_of(4, 4, ".#####.##.######");
  check_pixels(&pixels);
}

static void an_island_in_a_hole_is_a_part_of_its_own(void **state)
{
  Pixels pixels = pixels_of(5, 5, "######...##.#.##...######");
  check_pixels(&pixels);
}

static void nothing_has_no_outline(void **state)
{
  Pixels pixels = pixels_of(2, 2, "....");
  check_pixels(&pixels);
  Outline outline;
  const PixelSet none = {.window = {0, 0, 0, 0}};
  CHECK_OK(outline_trace(&none, &outline));
  assert_int_equal(outline.ring_count, 0);
  outline_free(&outline);
}

static void any_pixels_are_given_back(void **state)
{
  for (uint64_t seed = 0; seed < 600; ++seed) {
    Random random = random_stream(7, seed);
    Pixels pixels = {.width = 1 + (int)random_below(&random, seed % 10 == 0 ? SIDE_MOST : 9),
                     .height = 1 + (int)random_below(&random, seed % 10 == 0 ? SIDE_MOST : 9)};
    const double share = 0.2 + 0.75 * random_uniform(&random);
    for (int i = 0; i < pixels.width * pixels.height; ++i)
      pixels.set[i] = random_uniform(&random) < share;
    check_pixels(&pixels);
  }
}

static void a_box_is_four_corners(void **state)
{
  Outline outline;
  const double box[4] = {1.5, 2, 4, 7.25};
  CHECK_OK(outline_of_box(box, &outline));
  assert_int_equal(outline.ring_count, 1);
  assert_int_equal(outline.part_count, 1);
  assert_false(outline.rings[0].is_hole);
  assert_true(doubled_area(&outline, &outline.rings[0]) == 2 * 2.5 * 5.25);
  outline_free(&outline);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_pixel_has_four_corners_clockwise),
      cmocka_unit_test(straight_sides_have_no_points_between),
      cmocka_unit_test(pixels_that_touch_in_a_corner_are_two_parts),
      cmocka_unit_test(holes_that_touch_each_other_or_the_outside_are_rings_of_their_own),
      cmocka_unit_test(an_island_in_a_hole_is_a_part_of_its_own),
      cmocka_unit_test(nothing_has_no_outline),
      cmocka_unit_test(any_pixels_are_given_back),
      cmocka_unit_test(a_box_is_four_corners),
  };
  return cmocka_run_group_tests_name("outline", tests, NULL, NULL);
}
