#include "tile_plan.h"

#include <stdlib.h>

#include "support/check.h"

/* Counts how often each pixel of the output is owned; 100 x 100 at most. */
static void count_owners(const TilePlan *plan, Window output, uint8_t owners[100][100])
{
  memset(owners, 0, 100 * 100);
  for (int64_t tile = 0; tile < plan->tile_count; ++tile) {
    const Window core = tile_plan_core(plan, tile);
    assert_false(window_is_empty(core));
    assert_true(window_contains(output, core));
    assert_true(window_contains(tile_plan_tile(plan, tile), core));
    for (int64_t y = core.y_px; y < core.y_px + core.height_px; ++y)
      for (int64_t x = core.x_px; x < core.x_px + core.width_px; ++x)
        ++owners[y][x];
  }
}

/* A core's pixel is padding_px from its tile's edge, or the tile ends where the raster does. */
static void check_padding(const TilePlan *plan, Window raster, int64_t padding_px)
{
  for (int64_t tile = 0; tile < plan->tile_count; ++tile) {
    const Window window = tile_plan_tile(plan, tile);
    const Window core = tile_plan_core(plan, tile);
    assert_true(core.x_px - window.x_px >= padding_px || window.x_px == 0);
    assert_true(core.y_px - window.y_px >= padding_px || window.y_px == 0);
    assert_true(window.x_px + window.width_px - core.x_px - core.width_px >= padding_px ||
                window.x_px + window.width_px >= raster.width_px);
    assert_true(window.y_px + window.height_px - core.y_px - core.height_px >= padding_px ||
                window.y_px + window.height_px >= raster.height_px);
  }
}

static void check_plan(Window raster, Window output, TileOptions options)
{
  static uint8_t owners[100][100];
  TilePlan plan;
  CHECK_OK(tile_plan_make(raster, output, options, &plan));
  count_owners(&plan, output, owners);
  for (int64_t y = 0; y < 100; ++y)
    for (int64_t x = 0; x < 100; ++x)
      assert_int_equal(owners[y][x], window_contains_pixel(output, x, y));
  check_padding(&plan, raster, options.padding_px);
}

static void every_pixel_of_a_raster_has_one_owner(void **state)
{
  for (int64_t width = 1; width <= 100; ++width)
    for (int32_t tile = 4; tile <= 24; tile += 4)
      for (int32_t padding = 0; padding <= (tile - 4) / 2; ++padding) {
        const Window raster = {0, 0, width, 101 - width};
        check_plan(
            raster, raster,
            (TileOptions){
                .tile_px = tile, .padding_px = padding, .batch_size = 3, .size_multiple = 4});
      }
}

static void every_pixel_of_an_extent_has_one_owner_and_tiles_reach_beyond_it(void **state)
{
  const Window raster = {0, 0, 100, 90};
  for (int64_t x = 0; x < 50; x += 7)
    for (int64_t width = 1; width <= 50; width += 3)
      for (int32_t padding = 0; padding <= 6; ++padding)
        check_plan(raster, (Window){x, 49 - x, width, 41 - width / 2},
                   (TileOptions){
                       .tile_px = 16, .padding_px = padding, .batch_size = 2, .size_multiple = 4});
}

static void corners_of_tiles_are_multiples_of_the_networks(void **state)
{
  TilePlan plan;
  const Window raster = {0, 0, 97, 61};
  CHECK_OK(tile_plan_make(raster, raster, (TileOptions){16, 2, 1, 4}, &plan));
  assert_int_equal(plan.columns.count, 8); /* 16 + 7 * 12 >= 97 > 16 + 6 * 12 */
  assert_int_equal(plan.rows.count, 5);    /* 16 + 4 * 12 >= 61 > 16 + 3 * 12 */
  for (int64_t tile = 0; tile < plan.tile_count; ++tile) {
    const Window window = tile_plan_tile(&plan, tile);
    assert_int_equal(window.x_px % 4, 0);
    assert_int_equal(window.y_px % 4, 0);
    assert_true(window_contains((Window){0, 0, 97 + 3, 61 + 3}, window));
  }
  CHECK_OK(tile_plan_make(raster, (Window){19, 30, 50, 20}, (TileOptions){16, 2, 1, 4}, &plan));
  assert_true(window_equal(tile_plan_tile(&plan, 0), (Window){16, 28, 16, 16}));
}

static void a_small_raster_gets_one_tile_no_larger_than_it_needs(void **state)
{
  TilePlan plan;
  const Window raster = {0, 0, 33, 200};
  CHECK_OK(tile_plan_make(raster, raster, (TileOptions){512, 64, 4, 32}, &plan));
  assert_int_equal(plan.tile_count, 1);
  assert_true(window_equal(tile_plan_tile(&plan, 0), (Window){0, 0, 64, 224}));
  assert_true(window_equal(tile_plan_core(&plan, 0), raster));
}

static void tiles_shrink_until_they_overlap_no_more_than_they_must(void **state)
{
  TilePlan plan;
  const Window raster = {0, 0, 5000, 1500};
  CHECK_OK(tile_plan_make(raster, raster, (TileOptions){1024, 64, 1, 32}, &plan));
  assert_int_equal(plan.columns.count, 6);     /* 1024 + 5 * 896 >= 5000 > 1024 + 4 * 896 */
  assert_int_equal(plan.columns.tile_px, 960); /* 960 + 5 * 832 >= 5000 > 928 + 5 * 800 */
  assert_int_equal(plan.rows.count, 2);
  assert_int_equal(plan.rows.tile_px, 832); /* 832 + 704 >= 1500 > 800 + 672 */
}

static void segments_are_the_cores_of_a_unit_row_by_row(void **state)
{
  TilePlan plan;
  int64_t first;
  int64_t end;
  Window segment;
  const Window raster = {0, 0, 40, 40};
  CHECK_OK(tile_plan_make(raster, raster, (TileOptions){16, 0, 5, 4}, &plan));
  assert_int_equal(plan.tile_count, 9);
  assert_int_equal(plan.unit_count, 2);
  tile_plan_unit(&plan, 0, &first, &end);
  assert_true(tile_plan_next_segment(&plan, &first, end, &segment));
  assert_true(window_equal(segment, (Window){0, 0, 40, 14}));
  assert_true(tile_plan_next_segment(&plan, &first, end, &segment));
  assert_true(window_equal(segment, (Window){0, 14, 26, 12})); /* tiles 3 and 4 */
  assert_false(tile_plan_next_segment(&plan, &first, end, &segment));
  tile_plan_unit(&plan, 1, &first, &end);
  assert_int_equal(first, 5);
  assert_int_equal(end, 9);
}

static void sizes_that_cannot_be_are_refused(void **state)
{
  TilePlan plan;
  const Window raster = {0, 0, 100, 100};
  CHECK_FAILS(STATUS_BAD_OPTION, "multiple of 32",
              tile_plan_make(raster, raster, (TileOptions){500, 0, 1, 32}, &plan));
  CHECK_FAILS(STATUS_BAD_OPTION, "0 to 48 px",
              tile_plan_make(raster, raster, (TileOptions){128, 49, 1, 32}, &plan));
  CHECK_FAILS(STATUS_BAD_OPTION, "nothing",
              tile_plan_make(raster, (Window){0, 0, 0, 5}, (TileOptions){128, 4, 1, 32}, &plan));
}

int main(void)
{
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_pixel_of_a_raster_has_one_owner),
      cmocka_unit_test(every_pixel_of_an_extent_has_one_owner_and_tiles_reach_beyond_it),
      cmocka_unit_test(corners_of_tiles_are_multiples_of_the_networks),
      cmocka_unit_test(a_small_raster_gets_one_tile_no_larger_than_it_needs),
      cmocka_unit_test(tiles_shrink_until_they_overlap_no_more_than_they_must),
      cmocka_unit_test(segments_are_the_cores_of_a_unit_row_by_row),
      cmocka_unit_test(sizes_that_cannot_be_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
