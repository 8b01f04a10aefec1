#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "geo/class_table.h"
#include "geo/grid.h"
#include "geo/pixel.h"
#include "store/array_file.h"
#include "tile_plan.h"

/* What is to be classified, settled on every rank before anything runs. */
typedef struct ClassifyTask {
  const char *raster_path;
  PixelType pixel;
  const int32_t *bands; /* of the raster (from 0), in the order of the network's input */
  int32_t band_count;
  const ClassEntry *classes; /* by index */
  int32_t class_count;
  PixelType map_type; /* of the class map: PIXEL_U8 or PIXEL_U16 */
  int32_t nodata;     /* in the class map: a value that no class has */
  TilePlan tiles;
  Grid output_grid; /* of the output window; its text lives as long as the job */
  Window output;    /* in pixels of the raster */
  bool blends;
  bool has_probability; /* bytes of blend.h are stored beside the classes, or instead of them */
  const char *folder;   /* of the shards */
  const char *identity;
  int32_t reader_threads;
} ClassifyTask;

ArrayType classify_array_type(const ClassifyTask *task);
/* A class index, or 255 (no number) as the class map holds it; to: uint8 or uint16. */
void classify_map_values(const ClassifyTask *task, const uint8_t *indices, int64_t count, void *to);
