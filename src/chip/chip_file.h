#pragma once

/* What a chip set in HDF5 is made of. Shards hold the arrays, with N chips each; the file that
 * joins them shows the same arrays over all shards, and tables that say what the chips are. */

#include "base/output.h"
#include "chip/chip_writer.h"
#include "store/array_file.h"

#define CHIP_FILE_FORMAT "quadrat chip set"
/* Attributes of a shard: how many places for chips, and labels in them, had each outcome. */
#define CHIP_FILE_OUTCOMES "outcomes"
#define CHIP_FILE_OBJECT_OUTCOMES "object_outcomes"
enum { CHIP_SHARD_NAME_BYTES = 16, CHIP_ARRAY_COUNT = 14 };

typedef enum ChipArray {
  CHIP_ARRAY_IMAGES,    /* N x H x W x B, the pixel type */
  CHIP_ARRAY_VALID,     /* N x H x W, uint8 */
  CHIP_ARRAY_LABELS,    /* N x H x W, uint8 or uint16: class values */
  CHIP_ARRAY_PLACES,    /* N x 5, int64: raster, x, y, width, height in its pixels */
  CHIP_ARRAY_GRIDS,     /* N x 6, float64: pixel_to_map */
  CHIP_ARRAY_CLASSES,   /* N x C, int64: valid pixels of each class */
  CHIP_ARRAY_BANDS,     /* N x B x 5, float64: BandSum */
  CHIP_ARRAY_CHECKSUMS, /* N, int64: XXH64 of image, valid and labels as they are stored */
  /* Of sets with objects; M objects, those of a chip after those of the chip before. */
  CHIP_ARRAY_OBJECT_COUNTS,    /* N x 2, int64: objects, bytes of their masks */
  CHIP_ARRAY_OBJECT_CHECKSUMS, /* N, int64: XXH64 of the chip's part of what follows */
  CHIP_ARRAY_OBJECTS,          /* M x 6, int64: feature, class value, mask's x, y, width, height */
  CHIP_ARRAY_OBJECT_BOXES,     /* M x 4, float32: x1, y1, x2, y2 */
  CHIP_ARRAY_OBJECT_AREAS,     /* M, float64: square map units */
  CHIP_ARRAY_OBJECT_MASKS      /* bytes, uint8: packed as chip_mask_pack does */
} ChipArray;

const char *chip_array_name(ChipArray array);
/* How many of the list above a format has. */
int chip_array_count(ChipFormat format);
/* The array for what a shard, or a set, holds; images in chunks of one each. In a folder of tiles
 * the first three are empty: N is 0. */
ArrayLayout chip_array_layout(ChipArray array, const ChipForm *form, ShardCount count);
/* Rows of the array: chips, objects or bytes. */
int64_t chip_array_rows(ChipArray array, const ChipForm *form, ShardCount count);
ArrayType chip_array_type(PixelType pixel);
bool chip_pixel_type(ArrayType type, PixelType *pixel); /* false for what no chip holds */

/* What a set is written as: 2 where it has objects, which version 1 did not know. */
int chip_set_version(ChipFormat format);
/* folder/part-0003.h5 */
Status chip_shard_path(const char *folder, int32_t number, char path[OUTPUT_PATH_BYTES]);
/* "part-0003.h5" */
void chip_shard_name(int32_t number, char name[CHIP_SHARD_NAME_BYTES]);
/* Of one chip as it is stored; label_bytes 1 or 2. */
uint64_t chip_checksum(const ChipForm *form, const void *image, const uint8_t *valid,
                       const void *stored_labels);
