#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/option.h"

typedef struct ClassifyOptions {
  const char *raster;
  const char *model;
  const char *output;
  const char *probability;
  const char *result;
  const char *polygons;
  const char *quicklook;
  OptionReals extent;
  OptionReals bands;
  int64_t tile_size;
  int64_t padding;
  int64_t batch_size;
  int32_t merge;
  bool predict_background;
  double min_area;
  double simplify;
  int32_t device;
  int32_t precision;
  int64_t threads;
  int64_t reader_threads;
  int64_t checkpoint_every;
  bool overwrite;
  int32_t resume;
} ClassifyOptions;

enum { MERGE_CROP, MERGE_BLEND };
enum { RESUME_AUTO, RESUME_NO };

extern const OptionTable classify_table;

/* What can be said against the options before any file is opened. */
Status classify_options_check(const ClassifyOptions *given);
