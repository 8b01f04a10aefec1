#pragma once

#include "ellipsoid.h"
#include "gdal_door.h"

/* Area of a polygon or multipolygon on the ellipsoid, holes taken off. Edges are straight on the
 * map. Errors: STATUS_MISMATCH outside of the reference system's domain; STATUS_NO_MEMORY. */
Status area_of_geometry(const Ellipsoid *ellipsoid, OGRGeometryH geometry, double *area_m2);
