#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "geo/class_table.h"
#include "geo/grid.h"
#include "geo/outline.h"

/* Writes objects found in a raster as features, one multipolygon each, valid, outer rings
 * counter-clockwise on the map, holes kept, in the order in which they come. Fields:
 *
 *   Class        text      the class' name
 *   class_value  integer   (classvalue in a Shapefile, whose names have 10 characters)
 *   Confidence   real      0 … 1, or 0 … 100
 *   area_m2      real      of the feature, on the ellipsoid (polygonize.h); empty without a
 *                          reference system
 *   tile         integer   the tile that owns it, counted row by row from 0
 *   fragments    integer   how many things, each found in one tile, it was put together of
 *   model        text      digest of the model that found it
 *
 * A GeoPackage gets a style that QGIS applies, outlines in the colours of the classes; notes become
 * its metadata; and where regularize asks for it a second layer, NAME_regular, with the same
 * features, fields and numbers (fid), but right-angled where that does them justice, and two fields
 * more: regular (1, or 0 where the outline is that of the first layer) and iou (with it). The same
 * objects give the same bytes. */
typedef struct ObjectFile ObjectFile;

typedef struct ObjectFileOptions {
  const char *format; /* GDAL's name of the format; "": by the path's ending */
  const Grid *grid;   /* whose pixels outlines are in */
  const ClassEntry *classes;
  int32_t class_count;
  const char *model;
  double confidence_scale; /* 1 or 100 */
  double min_area_m2;      /* smaller ones are left out; 0: none */
  double simplify_px;      /* tolerance of Douglas and Peucker, 0: exact outlines */
  bool regularize;
} ObjectFileOptions;

typedef struct ObjectFields {
  int32_t class_value;
  double confidence; /* 0 … 1 */
  int64_t tile;
  int64_t fragments;
} ObjectFields;

typedef struct ObjectWritten {
  bool is_written; /* false: too small */
  bool is_regular;
  double area_m2; /* NAN where it is not known */
} ObjectWritten;

/* Whether path and format name one that can be written, before any work. */
Status object_file_check(const char *path, const char *format, bool regularize);

/* Errors: STATUS_BAD_OPTION for the format; STATUS_MISMATCH for a least area without a reference
 * system; STATUS_UNSUPPORTED for regularize where it is no GeoPackage; STATUS_IO. */
Status object_file_create(const char *path, const ObjectFileOptions *options, ObjectFile **file);
Status object_file_write(ObjectFile *file, const Outline *outline, const ObjectFields *fields,
                         ObjectWritten *written);
/* Metadata of the file, where its format has some. */
void object_file_note(ObjectFile *file, const char *key, const char *text);
Status object_file_finish(ObjectFile *file);
void object_file_close(ObjectFile *file); /* accepts NULL; removes what was not finished */
