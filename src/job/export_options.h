#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/option.h"

/* What a user says to export. */
typedef struct ExportOptions {
  const char *raster; /* one path, or several parted by ';' */
  const char *labels, *layer, *class_field, *classes;
  double buffer;
  bool assume_raster_crs;
  OptionReals bands;  /* counted from 1; none: all */
  OptionReals extent; /* x_min, y_min, x_max, y_max; none: the whole raster */
  const char *mask, *mask_layer;
  int64_t tile_size;
  int64_t stride; /* 0: tile_size */
  int32_t grid;   /* ChipGridKind */
  double rotation;
  bool all_tiles;
  double minimum_label_share, minimum_valid_share;
  double min_polygon_overlap_ratio;
  int32_t format; /* ChipFormat */
  const char *output;
  int64_t compress;
  bool forward_slashes;
  bool overwrite;
} ExportOptions;

extern const OptionTable export_table;

/* Local. What the table cannot check: options that do not go with each other. */
Status export_options_check(const ExportOptions *options);
