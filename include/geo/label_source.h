#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "geo/class_table.h"
#include "geo/grid.h"
#include "geo/pixel.h"
#include "geo/window.h"

/* Where labels come from: features of any OGR format with a class field, or a raster of class
 * values. Which one it is, GDAL decides by opening it. */
typedef struct LabelSource LabelSource;

typedef struct LabelOptions {
  /* NULL or "": the first one with features */
  const char *layer;
  /* NULL or "": classvalue, value, class_value, class_id or class, the first that there is; "none",
   * or no such field: all features are class 1 */
  const char *class_field;
  /* NULL or "": all; "building=1;road=2": only these, with these values */
  const char *classes;
  /* Widens features, in map units of the labels' own reference system; points become circles of 32
   * corners. */
  double buffer;
  /* Labels without a reference system have the raster's; else that is an error. */
  bool assume_raster_crs;
} LabelOptions;

/* What became of the features; all 0 for a raster of classes. */
typedef struct LabelCounts {
  int64_t read;      /* all of the layer */
  int64_t kept;      /* in the end, near the raster */
  int64_t repaired;  /* of those kept: invalid polygons that were made valid */
  int64_t dropped;   /* empty, not repairable, or not to be brought into the raster's system */
  int64_t outside;   /* do not touch the raster's bounds, or have no geometry */
  int64_t classless; /* the class field is empty, or names a class that is not listed */
} LabelCounts;

/* Opens labels for a raster's grid; features are taken into its reference system and kept in
 * memory.
 *
 *   within  NULL: labels are needed for all of the raster, and that nothing overlaps is an error;
 *           else only for this window, and nothing there is no error (a rank's share)
 *
 * Features. An integer field is the class value (a real field too, if whole); names come from a
 * text field beside it (classname, class_name, class, name) where there is one. A text field whose
 * values are all whole numbers counts as integer; the values of any other are numbered 1, 2, … in
 * the order of their bytes. Values must lie in 0 … 65535; 0 is unlabelled. The table holds
 * all classes of the layer, near the raster or not, and is the same on every rank.
 *
 * Rasters. One band of whole numbers in the raster's reference system, on any grid; NoData is 0.
 * The table is the attribute table, the category names or, where there is neither, the values that
 * occur (which reads all of it).
 *
 * Errors: STATUS_IO, STATUS_BAD_INPUT as for a raster; STATUS_BAD_OPTION for a layer, field or
 * class list that does not fit (it names what there is); STATUS_MISMATCH if a reference system is
 * missing or nothing overlaps (it names both extents and both systems). */
Status label_source_open(const char *path, const LabelOptions *options, const Grid *raster,
                         const Window *within, LabelSource **source);
void label_source_close(LabelSource *source); /* accepts NULL */

bool label_source_is_raster(const LabelSource *source);
/* Sorted by value; lives as long as the source. */
const ClassEntry *label_source_classes(const LabelSource *source, int32_t *count);
LabelCounts label_source_counts(const LabelSource *source);
/* "class_id", or "" where every feature is class 1. */
const char *label_source_class_field(const LabelSource *source);

/* Writes the class of each pixel of a chip, height x width of PIXEL_U8 or PIXEL_U16; 0 where no
 * label is. The chip's grid is in the raster's reference system and may be turned.
 *
 * A polygon owns the pixels whose centre it holds, a line those it crosses, a point the one it is
 * in (GDAL's rasterize). Where features overlap, the larger class value wins. A raster of classes
 * gives each pixel the class at its centre.
 *
 * One thread at a time per source. Errors: STATUS_MISMATCH for a value that does not fit type;
 * STATUS_BAD_INPUT from a raster. */
Status label_source_burn(LabelSource *source, const Grid *chip, PixelType type, void *class_values);

/* Whether a label touches the chip's area, exactly, not by boxes; for a raster: whether any pixel
 * burns to other than 0. The answer is apart from the status, since a raster of labels may be
 * unreadable. */
Status label_source_touches(LabelSource *source, const Grid *chip, bool *touches);

/* A feature as a chip shows it: one object, however many parts it has. */
typedef struct LabelObject {
  int64_t feature; /* its number in the layer */
  int32_t class_value;
  double area_map; /* of what lies in the chip, square map units; 0: a point or a line */
  double share;    /* of the feature's area, 0 … 1 */
  Window window;   /* of the chip's pixels: all that it burns lie in it; empty: it has none there */
} LabelObject;

/* mask: window's height x width, 1 where the object is; lives until the call ends. */
typedef Status LabelObjectTaker(void *context, const LabelObject *object, const uint8_t *mask);

/* Calls take for each feature that meets the chip with more than its edge, in the order of class
 * value, then number, without those of class value 0. Pixels are burned as by label_source_burn,
 * each feature for itself. Stops at the first error of take. Errors: STATUS_UNSUPPORTED for a raster
 * of classes, which tells no objects apart. */
Status label_source_burn_objects(LabelSource *source, const Grid *chip, LabelObjectTaker *take,
                                 void *context);
