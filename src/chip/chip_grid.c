#include "chip/chip_grid.h"

#include "base/require.h"

static int64_t ceil_divide(int64_t a, int64_t b)
{
  return (a + b - 1) / b;
}

static int64_t least(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

/* Chips along one side of a whole block of Esri's grid. */
static int64_t steps_of_block(const ChipGrid *grid)
{
  return ceil_divide(grid->tile_px, grid->stride_px);
}

static int64_t chips_along(const ChipGrid *grid, int64_t length_px)
{
  if (grid->kind == CHIP_GRID_PLAIN)
    return length_px <= grid->tile_px ? 1
                                      : ceil_divide(length_px - grid->tile_px, grid->stride_px) + 1;
  const int64_t whole_blocks = ceil_divide(length_px, grid->tile_px) - 1;
  const int64_t rest_px = length_px - whole_blocks * grid->tile_px;
  return whole_blocks * steps_of_block(grid) + ceil_divide(rest_px, grid->stride_px);
}

Status chip_grid_make(ChipGridKind kind, Window area, int64_t tile_px, int64_t stride_px,
                      ChipGrid *grid)
{
  if (tile_px < 1 || stride_px < 1)
    return status_set(STATUS_BAD_OPTION, "tile_size=%lld and stride=%lld: both start at 1 px",
                      (long long)tile_px, (long long)stride_px);
  if (kind == CHIP_GRID_ESRI && stride_px > tile_px)
    return status_set(STATUS_BAD_OPTION,
                      "stride=%lld: grid=esri takes strides up to tile_size=%lld; grid=plain takes "
                      "larger ones",
                      (long long)stride_px, (long long)tile_px);
  if (window_is_empty(area)) return status_set(STATUS_MISMATCH, "the area for chips is empty");
  *grid = (ChipGrid){.kind = kind, .area = area, .tile_px = tile_px, .stride_px = stride_px};
  grid->columns = chips_along(grid, area.width_px);
  grid->rows = chips_along(grid, area.height_px);
  return STATUS_OK;
}

int64_t chip_grid_count(const ChipGrid *grid)
{
  return grid->columns * grid->rows;
}

/* Position of the n-th chip along a side, from the area's start. */
static int64_t offset_px(const ChipGrid *grid, int64_t n, int64_t length_px)
{
  if (grid->kind == CHIP_GRID_PLAIN) {
    const int64_t last_px = length_px > grid->tile_px ? length_px - grid->tile_px : 0;
    return least(n * grid->stride_px, last_px);
  }
  const int64_t steps = steps_of_block(grid);
  return n / steps * grid->tile_px + n % steps * grid->stride_px;
}

/* Esri's order: by block, and within the block by row. */
static void place_in_blocks(const ChipGrid *grid, int64_t index, int64_t *column, int64_t *row)
{
  const int64_t steps = steps_of_block(grid);
  const int64_t first_row = index / (steps * grid->columns) * steps;
  const int64_t rows = least(steps, grid->rows - first_row);
  const int64_t rest = index - first_row * grid->columns;
  const int64_t first_column = rest / (steps * rows) * steps;
  const int64_t columns = least(steps, grid->columns - first_column);
  const int64_t in_block = rest - first_column * rows;
  *row = first_row + in_block / columns;
  *column = first_column + in_block % columns;
}

Window chip_grid_window(const ChipGrid *grid, int64_t index)
{
  int64_t column = index % grid->columns;
  int64_t row = index / grid->columns;
  require(index >= 0 && index < chip_grid_count(grid));
  if (grid->kind == CHIP_GRID_ESRI) place_in_blocks(grid, index, &column, &row);
  return (Window){.x_px = grid->area.x_px + offset_px(grid, column, grid->area.width_px),
                  .y_px = grid->area.y_px + offset_px(grid, row, grid->area.height_px),
                  .width_px = grid->tile_px,
                  .height_px = grid->tile_px};
}
