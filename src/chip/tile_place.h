#pragma once

/* Where chips of a folder lie, by their world files. */

#include "chip/chip_set.h"
#include "geo/grid.h"

/* The grid of a chip of that size: its world file, else what GDAL finds in the picture. *found is
 * false where there is neither; that is no error. crs_wkt of the grid is "". */
Status tile_grid(const char *image_path, int32_t width_px, int32_t height_px, Grid *grid,
                 bool *found);
/* The chip's box in pixels of first, another chip's grid: no raster is there any more. */
ChipPlace tile_place(const Grid *first, const Grid *grid);
