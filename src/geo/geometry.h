#pragma once

#include "gdal_door.h"

/* Takes a geometry of any kind and gives back one that can be burned: flat, without curves,
 * polygons valid; NULL, and the geometry ended, if nothing is left of it. repaired: it was invalid.
 */
OGRGeometryH geometry_take_clean(OGRGeometryH taken, bool *repaired);
/* As geometry_take_clean, of which only areas are left: a valid polygon or multipolygon. */
OGRGeometryH geometry_take_areas(OGRGeometryH taken, bool *repaired);
/* The outline of a grid on the map, shrunk_px inside of its edges. Ended by OGR_G_DestroyGeometry.
 */
OGRGeometryH geometry_of_grid(const Grid *grid, double shrunk_px);
