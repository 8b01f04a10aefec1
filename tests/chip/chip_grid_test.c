#include "chip/chip_grid.h"

#include "support/check.h"

static ChipGrid lay(ChipGridKind kind, Window area, int64_t tile_px, int64_t stride_px)
{
  ChipGrid grid;
  CHECK_OK(chip_grid_make(kind, area, tile_px, stride_px, &grid));
  return grid;
}

static void check_covered_once_each(const ChipGrid *grid)
{
  enum { SIDE = 64 };
  uint8_t covered[SIDE][SIDE] = {{0}};
  const Window area = grid->area;
  for (int64_t i = 0; i < chip_grid_count(grid); ++i) {
    const Window chip = chip_grid_window(grid, i);
    for (int64_t j = 0; j < i; ++j)
      assert_false(window_equal(chip, chip_grid_window(grid, j)));
    const Window inside = window_intersect(chip, area);
    for (int64_t y = inside.y_px; y < inside.y_px + inside.height_px; ++y)
      for (int64_t x = inside.x_px; x < inside.x_px + inside.width_px; ++x)
        covered[y - area.y_px][x - area.x_px] = 1;
  }
  for (int64_t y = 0; y < area.height_px; ++y)
    for (int64_t x = 0; x < area.width_px; ++x)
      assert_int_equal(covered[y][x], 1);
}

static void every_pixel_is_covered_and_no_chip_stands_twice(void **state)
{
  for (int kind = 0; kind < 2; ++kind)
    for (int64_t width = 5; width < 40; width += 7)
      for (int64_t stride = 3; stride <= 10; ++stride) {
        const ChipGrid grid = lay((ChipGridKind)kind, (Window){100, 7, width, 23}, 10, stride);
        check_covered_once_each(&grid);
      }
}

static void plain_chips_stay_inside_an_area_that_holds_one(void **state)
{
  const Window area = {0, 0, 33, 21};
  const ChipGrid grid = lay(CHIP_GRID_PLAIN, area, 10, 7);
  static const int64_t columns[] = {0, 7, 14, 21, 23};
  assert_int_equal(grid.columns, 5);
  assert_int_equal(grid.rows, 3);
  for (int64_t i = 0; i < chip_grid_count(&grid); ++i) {
    const Window chip = chip_grid_window(&grid, i);
    assert_true(window_contains(area, chip));
    assert_int_equal(chip.x_px, columns[i % 5]);
  }
}

static void an_area_below_a_tile_gives_one_that_hangs_over(void **state)
{
  const ChipGrid grid = lay(CHIP_GRID_PLAIN, (Window){4, 5, 6, 7}, 10, 10);
  assert_int_equal(chip_grid_count(&grid), 1);
  assert_true(window_equal(chip_grid_window(&grid, 0), (Window){4, 5, 10, 10}));
}

/* The palm sample of ArcGIS: tile 448, stride 128; 0, 128, 256 and 384 in each block, blocks by
 * row, chips by row within. */
static void esri_counts_by_blocks(void **state)
{
  const ChipGrid grid = lay(CHIP_GRID_ESRI, (Window){0, 0, 896, 1000}, 448, 128);
  assert_int_equal(grid.columns, 8);
  assert_int_equal(grid.rows,
                   9); /* two blocks of four, and one that begins 104 px before the end */
  static const struct {
    int64_t index, x, y;
  } known[] = {{0, 0, 0},    {1, 128, 0},    {3, 384, 0},    {4, 0, 128},   {15, 384, 384},
               {16, 448, 0}, {17, 576, 0},   {31, 832, 384}, {32, 0, 448},  {63, 832, 832},
               {64, 0, 896}, {67, 384, 896}, {68, 448, 896}, {71, 832, 896}};
  for (size_t i = 0; i < sizeof known / sizeof *known; ++i) {
    const Window chip = chip_grid_window(&grid, known[i].index);
    assert_int_equal(chip.x_px, known[i].x);
    assert_int_equal(chip.y_px, known[i].y);
    assert_int_equal(chip.width_px, 448);
  }
  assert_int_equal(chip_grid_count(&grid), 72);
}

static void impossible_grids_are_refused(void **state)
{
  ChipGrid grid;
  const Window area = {0, 0, 50, 50};
  CHECK_FAILS(STATUS_BAD_OPTION, "stride=11", chip_grid_make(CHIP_GRID_ESRI, area, 10, 11, &grid));
  CHECK_FAILS(STATUS_BAD_OPTION, "stride=0", chip_grid_make(CHIP_GRID_PLAIN, area, 10, 0, &grid));
  CHECK_FAILS(STATUS_MISMATCH, "empty",
              chip_grid_make(CHIP_GRID_PLAIN, (Window){0, 0, 0, 9}, 10, 10, &grid));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_pixel_is_covered_and_no_chip_stands_twice),
      cmocka_unit_test(plain_chips_stay_inside_an_area_that_holds_one),
      cmocka_unit_test(an_area_below_a_tile_gives_one_that_hangs_over),
      cmocka_unit_test(esri_counts_by_blocks),
      cmocka_unit_test(impossible_grids_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
