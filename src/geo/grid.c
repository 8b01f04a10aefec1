#include "geo/grid.h"

#include <math.h>
#include <string.h>

#include "base/require.h"
#include "ellipsoid.h"
#include "geo/crs.h"

void grid_pixel_to_map(const Grid *grid, double column, double row, double *x, double *y)
{
  const double *m = grid->pixel_to_map;
  *x = m[0] + column * m[1] + row * m[2];
  *y = m[3] + column * m[4] + row * m[5];
}

void grid_map_to_pixel(const Grid *grid, double x, double y, double *column, double *row)
{
  const double *m = grid->pixel_to_map;
  const double determinant = m[1] * m[5] - m[2] * m[4];
  require(determinant != 0);
  const double east = x - m[0];
  const double north = y - m[3];
  *column = (east * m[5] - north * m[2]) / determinant;
  *row = (north * m[1] - east * m[4]) / determinant;
}

Window grid_window(const Grid *grid)
{
  return (Window){0, 0, grid->width_px, grid->height_px};
}

Extent grid_extent(const Grid *grid)
{
  Extent extent = {INFINITY, INFINITY, -INFINITY, -INFINITY};
  for (int corner = 0; corner < 4; ++corner) {
    double x, y;
    grid_pixel_to_map(grid, corner % 2 == 0 ? 0 : (double)grid->width_px,
                      corner / 2 == 0 ? 0 : (double)grid->height_px, &x, &y);
    extent.x_min = fmin(extent.x_min, x);
    extent.y_min = fmin(extent.y_min, y);
    extent.x_max = fmax(extent.x_max, x);
    extent.y_max = fmax(extent.y_max, y);
  }
  return extent;
}

void grid_cell_size(const Grid *grid, double *width, double *height)
{
  *width = hypot(grid->pixel_to_map[1], grid->pixel_to_map[4]);
  *height = hypot(grid->pixel_to_map[2], grid->pixel_to_map[5]);
}

static double distance_m(const Ellipsoid *ellipsoid, const double longitude[2],
                         const double latitude[2])
{
  double east_m, north_m;
  ellipsoid_radii_m(ellipsoid, (latitude[0] + latitude[1]) / 2, &east_m, &north_m);
  const double turn = remainder(longitude[1] - longitude[0], 2 * 3.14159265358979323846);
  return hypot(turn * east_m, (latitude[1] - latitude[0]) * north_m);
}

/* Half a pixel to both sides of the centre, along columns and along rows. */
static Status measure_cell(const Ellipsoid *ellipsoid, const Grid *grid, double *width_m,
                           double *height_m)
{
  const double column = (double)grid->width_px / 2;
  const double row = (double)grid->height_px / 2;
  double x[4], y[4];
  grid_pixel_to_map(grid, column - 0.5, row, &x[0], &y[0]);
  grid_pixel_to_map(grid, column + 0.5, row, &x[1], &y[1]);
  grid_pixel_to_map(grid, column, row - 0.5, &x[2], &y[2]);
  grid_pixel_to_map(grid, column, row + 0.5, &x[3], &y[3]);
  TRY(ellipsoid_place(ellipsoid, 4, x, y));
  *width_m = distance_m(ellipsoid, x, y);
  *height_m = distance_m(ellipsoid, x + 2, y + 2);
  return STATUS_OK;
}

Status grid_cell_size_m(const Grid *grid, double *width_m, double *height_m)
{
  Ellipsoid *ellipsoid;
  TRY(ellipsoid_open(grid->crs_wkt, &ellipsoid));
  const Status status = measure_cell(ellipsoid, grid, width_m, height_m);
  ellipsoid_close(ellipsoid);
  return status;
}

Grid grid_subgrid(const Grid *grid, Window window)
{
  Grid part = *grid;
  part.width_px = window.width_px;
  part.height_px = window.height_px;
  grid_pixel_to_map(grid, (double)window.x_px, (double)window.y_px, &part.pixel_to_map[0],
                    &part.pixel_to_map[3]);
  return part;
}

Grid grid_turned(const Grid *grid, Window window, double angle_degrees)
{
  Grid part = grid_subgrid(grid, window);
  const double quarters = angle_degrees / 90; /* exact at quarter turns, where cos is not */
  const double angle = angle_degrees * (3.14159265358979323846 / 180);
  const double c = fmod(fabs(quarters), 2) == 1 ? 0 : cos(angle);
  const double s = fmod(fabs(quarters), 2) == 0 ? 0 : sin(angle);
  double x, y;
  grid_pixel_to_map(&part, (double)window.width_px / 2, (double)window.height_px / 2, &x, &y);
  double *m = part.pixel_to_map;
  for (int side = 1; side <= 2; ++side) {
    const double east = m[side];
    const double north = m[side + 3];
    m[side] = c * east - s * north;
    m[side + 3] = s * east + c * north;
  }
  m[0] = x - (double)window.width_px / 2 * m[1] - (double)window.height_px / 2 * m[2];
  m[3] = y - (double)window.width_px / 2 * m[4] - (double)window.height_px / 2 * m[5];
  return part;
}

/* Pixels as numbers stay far from the ends of int64_t, also where an extent is nonsense. */
static double clamp_px(double px)
{
  return fmax(-1e15, fmin(1e15, px));
}

Window grid_window_of_extent(const Grid *grid, Extent extent)
{
  const double touched_px = 1e-3;
  double left = INFINITY, right = -INFINITY, top = INFINITY, bottom = -INFINITY;
  for (int corner = 0; corner < 4; ++corner) {
    double column, row;
    grid_map_to_pixel(grid, corner % 2 == 0 ? extent.x_min : extent.x_max,
                      corner / 2 == 0 ? extent.y_min : extent.y_max, &column, &row);
    left = fmin(left, column);
    right = fmax(right, column);
    top = fmin(top, row);
    bottom = fmax(bottom, row);
  }
  Window window;
  window.x_px = (int64_t)floor(clamp_px(left) + touched_px);
  window.y_px = (int64_t)floor(clamp_px(top) + touched_px);
  window.width_px = (int64_t)ceil(clamp_px(right) - touched_px) - window.x_px;
  window.height_px = (int64_t)ceil(clamp_px(bottom) - touched_px) - window.y_px;
  return window_is_empty(window) ? (Window){0} : window;
}

static Status check_cells(const Grid *a, const Grid *b)
{
  const double far_px = (double)(a->width_px > a->height_px ? a->width_px : a->height_px);
  double cell_width, cell_height;
  grid_cell_size(a, &cell_width, &cell_height);
  const double allowed = 0.01 * fmin(cell_width, cell_height) / fmax(far_px, 1);
  static const int sides[] = {1, 2, 4, 5};
  for (size_t i = 0; i < sizeof sides / sizeof sides[0]; ++i)
    if (!(fabs(a->pixel_to_map[sides[i]] - b->pixel_to_map[sides[i]]) <= allowed))
      return status_set(STATUS_MISMATCH, "the pixels differ in size or direction: %.9g and %.9g",
                        a->pixel_to_map[sides[i]], b->pixel_to_map[sides[i]]);
  return STATUS_OK;
}

Status grid_check_aligned(const Grid *a, const Grid *b, int64_t *offset_x_px, int64_t *offset_y_px)
{
  if (!crs_same(a->crs_wkt, b->crs_wkt)) {
    char a_name[CRS_NAME_BYTES], b_name[CRS_NAME_BYTES];
    crs_name(a->crs_wkt, a_name);
    crs_name(b->crs_wkt, b_name);
    return status_set(STATUS_MISMATCH, "the reference systems differ: %s and %s", a_name, b_name);
  }
  TRY(check_cells(a, b));
  double column, row;
  grid_map_to_pixel(a, b->pixel_to_map[0], b->pixel_to_map[3], &column, &row);
  const double off_column = fabs(column - nearbyint(column));
  const double off_row = fabs(row - nearbyint(row));
  if (!(off_column <= 0.01) || !(off_row <= 0.01) || fabs(column) > 1e15 || fabs(row) > 1e15)
    return status_set(STATUS_MISMATCH,
                      "the pixels lie beside each other: the one begins at column %.3f, row %.3f "
                      "of the other",
                      column, row);
  *offset_x_px = (int64_t)nearbyint(column);
  *offset_y_px = (int64_t)nearbyint(row);
  return STATUS_OK;
}
