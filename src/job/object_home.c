#include "object_home.h"

#include "object_mask.h"

void object_centre(Window window, int64_t *column, int64_t *row)
{
  *column = window.x_px + (window.width_px - 1) / 2;
  *row = window.y_px + (window.height_px - 1) / 2;
}

static int64_t core_column(const TilePlan *plan, int64_t column)
{
  return tile_plan_core(plan, column).x_px;
}

static int64_t core_row(const TilePlan *plan, int64_t row)
{
  return tile_plan_core(plan, row * plan->columns.count).y_px;
}

/* The last of count cores that begins at place_px or before it; else the first. */
static int64_t find_core(const TilePlan *plan, int64_t count, int64_t place_px,
                         int64_t (*start)(const TilePlan *, int64_t))
{
  int64_t first = 0;
  int64_t end = count;
  while (end - first > 1) {
    const int64_t middle = first + (end - first) / 2;
    if (start(plan, middle) <= place_px)
      first = middle;
    else
      end = middle;
  }
  return first;
}

int64_t object_owner(const TilePlan *plan, Window window)
{
  int64_t column;
  int64_t row;
  object_centre(window, &column, &row);
  return find_core(plan, plan->rows.count, row, core_row) * plan->columns.count +
         find_core(plan, plan->columns.count, column, core_column);
}

/* All that tiles see together. */
static Window hull(Window raster, const TilePlan *plan)
{
  const Window first = tile_plan_tile(plan, 0);
  const Window last = tile_plan_tile(plan, plan->tile_count - 1);
  return window_intersect(raster, window_cover(first, last));
}

Window object_seen(Window raster, const TilePlan *plan, int64_t tile, int *cutting_sides)
{
  const Window all = hull(raster, plan);
  const Window seen = window_intersect(all, tile_plan_tile(plan, tile));
  int sides = 0;
  if (seen.x_px > all.x_px) sides |= SIDE_LEFT;
  if (seen.y_px > all.y_px) sides |= SIDE_TOP;
  if (seen.x_px + seen.width_px < all.x_px + all.width_px) sides |= SIDE_RIGHT;
  if (seen.y_px + seen.height_px < all.y_px + all.height_px) sides |= SIDE_BOTTOM;
  *cutting_sides = sides;
  return seen;
}
