#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "geo/grid.h"

/* The polygons of a layer in memory, each with a class and a confidence, found by place: for what
 * compares objects with each other. Anything that OGR opens. */
typedef struct PolygonLayer PolygonLayer;

typedef struct PolygonLayerOptions {
  /* NULL or "": the first one with features */
  const char *layer;
  /* NULL or "": Class, Classvalue, class_value, class_id, Value or class_name, the first that there
   * is; "none", or no such field: all are one class */
  const char *class_field;
  /* NULL or "": Confidence, confidence_score or score; "none", or no such field: no polygon has one
   */
  const char *confidence_field;
  bool needs_confidence; /* no such field is an error */
  /* Polygons are taken into this system; NULL: they stay in their own */
  const char *crs_wkt;
  /* If that or the layer's own is unknown, they are the same; else that is an error */
  bool assume_crs;
} PolygonLayerOptions;

typedef struct PolygonLayerCounts {
  int64_t read;         /* features of the layer */
  int64_t kept;         /* polygons in memory */
  int64_t repaired;     /* of those kept: were invalid and made valid */
  int64_t unsure;       /* of those kept: confidence is empty or no number */
  int64_t classless;    /* of those kept: the class field is empty */
  int64_t without_area; /* no geometry, an empty or collapsed one, points, lines */
  int64_t unplaced;     /* cannot be taken into the other reference system */
} PolygonLayerCounts;

typedef struct PolygonItem {
  int64_t number; /* of its feature, in the order of the layer, from 0 */
  int32_t class_index;
  double confidence; /* NaN where there is none */
  double area;       /* on the map, in the square of its units; above 0 */
  Extent box;
} PolygonItem;

/* Curves are made straight, heights dropped, invalid polygons repaired, collections reduced to
 * their areas. A class is the text of its field: numbers as whole numbers where they are, so that 3
 * of one layer and "3" of another are the same; "" where the field is empty. Errors: STATUS_IO,
 * STATUS_BAD_INPUT; STATUS_BAD_OPTION for a layer or field that is not there (it names what there
 * is) or is of a wrong type; STATUS_MISMATCH for the reference system. A layer without polygons is
 * no error. */
Status polygon_layer_open(const char *path, const PolygonLayerOptions *options,
                          PolygonLayer **layer);
void polygon_layer_close(PolygonLayer *layer); /* accepts NULL */

/* Whether a path holds layers of features; else a raster. Errors: STATUS_IO, STATUS_BAD_INPUT. */
Status polygon_layer_probe(const char *path, bool *has_features);

PolygonLayerCounts polygon_layer_counts(const PolygonLayer *layer);
const char *polygon_layer_crs(const PolygonLayer *layer); /* WKT, "" where unknown */
/* Names of the fields, "" where there is none. */
const char *polygon_layer_class_field(const PolygonLayer *layer);
const char *polygon_layer_confidence_field(const PolygonLayer *layer);
/* Sorted: whole numbers by size, then texts by bytes. */
int32_t polygon_layer_class_count(const PolygonLayer *layer);
const char *polygon_layer_class(const PolygonLayer *layer, int32_t class_index);

/* Polygons are counted from 0 in the order of the layer. */
int64_t polygon_layer_count(const PolygonLayer *layer);
const PolygonItem *polygon_layer_item(const PolygonLayer *layer, int64_t index);
/* The polygons whose boxes meet the extent, rising; freed by memory_free. */
Status polygon_layer_near(const PolygonLayer *layer, Extent extent, int64_t **indices,
                          int64_t *count);

/* Area that two polygons of the same system share, exactly for upright rectangles, else by GEOS.
 * What is less than a thousand-millionth of the smaller one is rounding, and 0. Errors:
 * STATUS_UNSUPPORTED for a GDAL without GEOS; STATUS_BAD_INPUT where GEOS fails. */
Status polygon_layer_shared_area(const PolygonLayer *a, int64_t a_index, const PolygonLayer *b,
                                 int64_t b_index, double *area);
/* Whether a polygon touches or overlaps any of the other layer, of the same system. */
Status polygon_layer_touches(const PolygonLayer *layer, int64_t index, const PolygonLayer *other,
                             bool *touches);
/* The same for upright rectangles. */
double extent_area(Extent extent);
double extent_shared_area(Extent a, Extent b);

/* Writes features of the layer to a new file: kept, by number, says which of counts.read. All
 * fields and the reference system are kept; polygons that were repaired are written so, all others
 * as they are. Only for a layer in its own system. format is GDAL's name of one ("GPKG"); "": by
 * the output's ending. Written aside and renamed. Errors: STATUS_BAD_OPTION for a format that GDAL
 * does not write; STATUS_UNSUPPORTED for a field that it does not take; STATUS_IO. */
Status polygon_layer_copy(const PolygonLayer *layer, const bool *kept, const char *output_path,
                          const char *format);
/* Whether it would know how to, before any work. */
Status polygon_layer_check_format(const char *output_path, const char *format);
