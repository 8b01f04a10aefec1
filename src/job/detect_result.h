#pragma once

#include "detect_setup.h"
#include "store/array_file.h"

/* The HDF5 result, written as objects come:
 *
 *   objects/box          n x 4, float64   x1, y1, x2, y2 in pixels of the raster
 *   objects/score        n, float64       0 … 1
 *   objects/class_value  n, int32
 *   objects/area_m2      n, float64       NaN where it is not known
 *   objects/tile         n, int64         whose core holds the centre
 *   objects/fragments    n, int64         things, each found in a tile, that it stands for
 *   objects/first_run    n + 1, int64     where its mask begins in masks/run; the last: where all
 *                                         end
 *   masks/run            k x 3, int32     row, first column, length, in pixels of the raster
 *   class_names          texts; their values are the attribute class_values of objects
 *
 * and the groups plan, options, provenance, counters, coverage with their attributes. The same
 * objects give the same bytes: neither time nor ranks are told. Objects are in the order of the
 * features' file. */
typedef struct DetectResult DetectResult;

/* path "": *result is NULL, which the calls below accept. */
Status detect_result_open(const char *path, DetectResult **result);
Status detect_result_add(DetectResult *result, const WholeObject *object, int32_t class_value,
                         double area_m2);

/* What became of all that was found, and of all pixels. found = kept + merged + suppressed. */
typedef struct DetectCounts {
  MergeCounts merge;
  int64_t found;      /* with those left out for lack of data */
  int64_t suppressed; /* likewise */
  int64_t without_data;
  int64_t full_tiles;
  int64_t still_full_tiles;
  int64_t parts;       /* looks at parts of full tiles */
  int64_t regular;     /* objects with right angles */
  int64_t other_class; /* of those unwanted, objects of other classes, and of too small an area */
  int64_t too_small;
  int64_t output_px;
  int64_t nodata_px;
} DetectCounts;

Status detect_result_finish(DetectResult *result, const Job *job, const DetectOptions *given,
                            const DetectTask *task, const DetectCounts *counts);
void detect_result_close(DetectResult *result);

/* "name=value; name=value", for notes. Lives in the arena. */
Status detect_options_text(const Job *job, const DetectOptions *given, char **text);
Status detect_counts_text(const Job *job, const DetectCounts *counts, char **text);
