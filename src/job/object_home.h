#pragma once

#include "tile_plan.h"

/* The pixel that says where a thing is: the middle of its mask's window; of two middle columns or
 * rows the left or upper one. */
void object_centre(Window window, int64_t *column, int64_t *row);
/* The tile whose core holds the centre of the window, or comes closest to it. */
int64_t object_owner(const TilePlan *plan, Window window);
/* What a tile sees of the raster, and the sides of that behind which other tiles go on. */
Window object_seen(Window raster, const TilePlan *plan, int64_t tile, int *cutting_sides);
