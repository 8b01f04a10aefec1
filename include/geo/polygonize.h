#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "geo/class_table.h"

/* Turns a class map into polygons, one per connected patch of one class (4-neighbours), with the
 * fields class_value, class_name and area_m2 (classvalue and classname in a Shapefile, whose names
 * have 10 characters). NoData gives none.
 *
 * The ending of the output decides: .gpkg (with a style that QGIS applies), .fgb, .geojson
 * (longitude and latitude, RFC 7946), .shp. Polygons come in the order in which GDALPolygonize
 * completes them, from the top (a FlatGeobuf sorts them by place); the same map gives the same
 * bytes. Burned back onto the map's grid they give the map, pixel by pixel, if neither min_area_m2
 * nor simplify is used.
 *
 * area_m2 is the area on the ellipsoid of the map's reference system: edges are straight on the
 * map, cut into pieces of at most 100 m and taken to the equal-area cylinder of that ellipsoid;
 * better than 0.01 % but for polygons that hold a pole. Without a reference system the field is
 * empty. */
typedef struct PolygonizeOptions {
  bool keep_background; /* class 0 gives polygons too */
  double min_area_m2;   /* smaller ones are left out; 0: none */
  /* Tolerance of Douglas and Peucker in map units, each polygon by itself, so that neighbours part;
   * 0: none. */
  double simplify;
} PolygonizeOptions;

typedef struct PolygonizeCounts {
  int64_t written;
  int64_t too_small;
} PolygonizeCounts;

/* Memory does not grow with the map but for the longest outline: polygons go through a file beside
 * the output. Errors: STATUS_BAD_OPTION for an ending that has no format; STATUS_IO;
 * STATUS_BAD_INPUT from the map. */
Status polygonize_class_map(const char *map_path, const char *output_path,
                            const ClassEntry *classes, int32_t class_count,
                            const PolygonizeOptions *options, PolygonizeCounts *counts);
