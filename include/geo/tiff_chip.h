#pragma once

#include <stdint.h>

#include "base/status.h"
#include "geo/grid.h"
#include "geo/pixel.h"

/* Small images in files of their own: the chips and labels of ArcGIS' folders. */
typedef struct ChipImage {
  PixelType type;
  int32_t width_px;
  int32_t height_px;
  int32_t band_count; /* all of the file's, alpha among them */
  void *pixels;       /* height x width x band_count, channels last */
} ChipImage;

/* A GeoTIFF in one strip, LZW, with GeoTIFF keys, and a world file beside it (.tfw: six lines, ten
 * decimals, centre of the first pixel). Written in place: chips are many, and whoever lists them
 * (map.txt) comes last. Errors: STATUS_IO; nothing is left behind. */
Status tiff_chip_write(const char *path, const Grid *grid, const ChipImage *chip);

/* Reads a chip or a label of any format GDAL knows (TIFF, PNG, JPEG). chip->pixels is freed by
 * chip_image_free. Errors: STATUS_IO, STATUS_BAD_INPUT (truncated), STATUS_UNSUPPORTED (a type that
 * pixel.h lacks). */
Status chip_image_read(const char *path, ChipImage *chip);
void chip_image_free(ChipImage *chip); /* accepts an empty one */

/* The first band of a label whose values tell objects apart, of 8, 16 or 32 bits, height x width;
 * values below 0 become 0. ids is freed by memory_free. Errors as chip_image_read. */
Status chip_ids_read(const char *path, int32_t *width_px, int32_t *height_px, uint32_t **ids);
