#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/* Coordinate reference systems travel as WKT; "" means unknown. Axes are always x = easting or
 * longitude, y = northing or latitude, whatever the authority says (GDAL's "traditional GIS
 * order"). */

enum { CRS_NAME_BYTES = 128 };

/* The WKT of what a user writes: "EPSG:32645", a PROJ string, WKT. Errors: STATUS_BAD_OPTION if
 * nobody knows it or wkt is too small (8 KiB do for all but the exotic). */
Status crs_of_text(const char *text, size_t wkt_bytes, char *wkt);
/* Same system, whatever their names; two unknown ones are the same. */
bool crs_same(const char *a_wkt, const char *b_wkt);
/* For sentences: "EPSG:3857 (WGS 84 / Pseudo-Mercator)", "unknown". */
void crs_name(const char *wkt, char name[CRS_NAME_BYTES]);
/* The EPSG code, 0 if it has none: what ArcGIS calls wkid. */
int crs_epsg(const char *wkt);
bool crs_is_geographic(const char *wkt);
