#pragma once

/* What a chip set in HDF5 is made of. Shards hold the arrays, with N chips each; the file that
 * joins them shows the same arrays over all shards, and tables that say what the chips are. */

#include "chip/chip_writer.h"
#include "store/array_file.h"

#define CHIP_FILE_FORMAT "quadrat chip set"
enum { CHIP_SHARD_NAME_BYTES = 16, CHIP_ARRAY_COUNT = 8 };

typedef enum ChipArray {
  CHIP_ARRAY_IMAGES,   /* N x H x W x B, the pixel type */
  CHIP_ARRAY_VALID,    /* N x H x W, uint8 */
  CHIP_ARRAY_LABELS,   /* N x H x W, uint8 or uint16: class values */
  CHIP_ARRAY_PLACES,   /* N x 5, int64: raster, x, y, width, height in its pixels */
  CHIP_ARRAY_GRIDS,    /* N x 6, float64: pixel_to_map */
  CHIP_ARRAY_CLASSES,  /* N x C, int64: valid pixels of each class */
  CHIP_ARRAY_BANDS,    /* N x B x 5, float64: BandSum */
  CHIP_ARRAY_CHECKSUMS /* N, int64: XXH64 of image, valid and labels as they are stored */
} ChipArray;

const char *chip_array_name(ChipArray array);
/* The array for N chips, in chunks of one image each. In a folder of tiles the first three are
 * empty: N is 0. */
ArrayLayout chip_array_layout(ChipArray array, const ChipForm *form, int64_t chip_count);
ArrayType chip_array_type(PixelType pixel);
bool chip_pixel_type(ArrayType type, PixelType *pixel); /* false for what no chip holds */

/* "part-0003.h5" */
void chip_shard_name(int32_t number, char name[CHIP_SHARD_NAME_BYTES]);
/* Of one chip as it is stored; label_bytes 1 or 2. */
uint64_t chip_checksum(const ChipForm *form, const void *image, const uint8_t *valid,
                       const void *stored_labels);
