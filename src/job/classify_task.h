#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "geo/class_table.h"
#include "geo/pixel.h"
#include "raster_task.h"
#include "store/array_file.h"
#include "tile_shard.h"

/* What is to be classified, settled on every rank before anything runs. */
typedef struct ClassifyTask {
  RasterTask raster;
  const ClassEntry *classes; /* by index */
  int32_t class_count;
  PixelType map_type; /* of the class map: PIXEL_U8 or PIXEL_U16 */
  int32_t nodata;     /* in the class map: a value that no class has */
  bool blends;
  bool has_probability; /* bytes of blend.h are stored beside the classes, or instead of them */
} ClassifyTask;

ArrayType classify_array_type(const ClassifyTask *task);
/* A class index, or 255 (no number) as the class map holds it; to: uint8 or uint16. */
void classify_map_values(const ClassifyTask *task, const uint8_t *indices, int64_t count, void *to);

/* Arrays of a shard: an element is a pixel. */
ShardArray classify_class_array(const ClassifyTask *task);
ShardArray classify_probability_array(const ClassifyTask *task); /* pixels x classes (blend.h) */
