#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "geo/window.h"

/* Where the pixels of a raster or of a chip lie. GDAL's affine order:
 *
 *   x = pixel_to_map[0] + column * pixel_to_map[1] + row * pixel_to_map[2]
 *
 *   y = pixel_to_map[3] + column * pixel_to_map[4] + row * pixel_to_map[5]
 *
 * (column, row) = (0, 0) is the outer corner of the first pixel, (0.5, 0.5) its centre. Grids may
 * be turned and sheared; they are never flat (the determinant is not 0). */
typedef struct Grid {
  int64_t width_px;
  int64_t height_px;
  double pixel_to_map[6];
  const char
      *crs_wkt; /* of x and y; "" where unknown; lives as long as what the grid was taken from */
} Grid;

/* The smallest upright rectangle of the map, in map units. */
typedef struct Extent {
  double x_min;
  double y_min;
  double x_max;
  double y_max;
} Extent;

/* x and y belong to the map, column and row may have fractions and lie outside. */
void grid_pixel_to_map(const Grid *grid, double column, double row, double *x, double *y);
void grid_map_to_pixel(const Grid *grid, double x, double y, double *column, double *row);

Window grid_window(const Grid *grid); /* the whole of it */
Extent grid_extent(const Grid *grid);
/* Length of a pixel's two sides in map units. */
void grid_cell_size(const Grid *grid, double *width, double *height);
/* The same on the ground, in metres, at the grid's centre. Errors: STATUS_MISMATCH without a
 * reference system or where it cannot be taken to longitude and latitude. */
Status grid_cell_size_m(const Grid *grid, double *width_m, double *height_m);

/* The grid of a window, which may hang over. Shares crs_wkt. */
Grid grid_subgrid(const Grid *grid, Window window);
/* As grid_subgrid, turned about the window's centre by angle_degrees, counter-clockwise on the map.
 */
Grid grid_turned(const Grid *grid, Window window, double angle_degrees);

/* The smallest window that holds the extent (map units); a pixel counts if more than a thousandth
 * of its side is touched. Not cut to the grid. */
Window grid_window_of_extent(const Grid *grid, Extent extent);

/* Whether two grids have one reference system and one lattice of pixels (within a hundredth of a
 * pixel over both). If so, b's pixel (0, 0) is a's pixel (offset_x_px, offset_y_px). Errors:
 * STATUS_MISMATCH that says what differs. */
Status grid_check_aligned(const Grid *a, const Grid *b, int64_t *offset_x_px, int64_t *offset_y_px);
