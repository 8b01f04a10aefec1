#pragma once

#include "base/status.h"

/* Takes places of a reference system to longitude and latitude on its own ellipsoid, where lengths
 * and areas are true. No datum is changed, so no grid files are needed and nothing is lost. One
 * thread at a time. */
typedef struct Ellipsoid Ellipsoid;

/* Errors: STATUS_MISMATCH without a reference system, or for one that is not tied to the Earth. */
Status ellipsoid_open(const char *crs_wkt, Ellipsoid **ellipsoid);
void ellipsoid_close(Ellipsoid *ellipsoid); /* accepts NULL */

/* x and y become longitude and latitude in radians. Errors: STATUS_MISMATCH outside of the system's
 * domain. */
Status ellipsoid_place(const Ellipsoid *ellipsoid, int count, double *x, double *y);
/* 100 m, in map units: edges cut to such pieces bend too little on the ellipsoid to matter. */
double ellipsoid_short_edge(const Ellipsoid *ellipsoid);
/* Metres per radian of longitude and of latitude. */
void ellipsoid_radii_m(const Ellipsoid *ellipsoid, double latitude, double *east_m,
                       double *north_m);
/* Area of a ring of longitudes and latitudes, whose edges are straight on the equal-area cylinder
 * of the ellipsoid (Snyder, "Map Projections: A Working Manual", 1987, eq. 3-12 and 10-18). Never
 * negative; the ring closes itself and may cross the 180th meridian. */
double ellipsoid_ring_area_m2(const Ellipsoid *ellipsoid, int count, const double *longitude,
                              const double *latitude);
