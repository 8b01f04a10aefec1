#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "raster_task.h"

typedef struct ClassifyOptions {
  RasterOptions run;
  const char *output;
  const char *probability;
  const char *result;
  const char *polygons;
  const char *quicklook;
  int32_t merge;
  bool predict_background;
  double min_area;
  double simplify;
} ClassifyOptions;

enum { MERGE_CROP, MERGE_BLEND };

extern const OptionTable classify_table;

/* What can be said against the options before any file is opened. */
Status classify_options_check(const ClassifyOptions *given);
