#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "world.h"

/* The ground that the flight covered: a polygon with the stepped edges that photos leave, somewhat
 * turned against the raster. Pixels whose centre lies outside are NoData. In pixels of the raster.
 */
enum { FLIGHT_CORNERS_MAX = 128 };

typedef struct Flight {
  int count;
  double x_px[FLIGHT_CORNERS_MAX], y_px[FLIGHT_CORNERS_MAX];
} Flight;

/* Leaves out between 1 and 15 % of the raster. */
Flight flight_over(const World *world, int64_t width_px, int64_t height_px);
/* Pixels that were not covered become 0, 0, 0; returns how many. rgb: width_px x height_px x 3, its
 * first pixel at (column, row). */
int64_t flight_clear(const Flight *flight, int64_t column, int64_t row, int32_t width_px,
                     int32_t height_px, uint8_t *rgb);
bool flight_covers(const Flight *flight, double x_px, double y_px);
