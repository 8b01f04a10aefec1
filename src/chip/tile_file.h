#pragma once

/* Chips and labels of Classified_Tiles as files. */

#include "base/output.h"
#include "chip/chip_writer.h"

/* A shard's own folder of tiles, empty, with images and labels in it. */
Status tile_folder_make(const char *folder, int32_t shard, char path[OUTPUT_PATH_BYTES]);
/* folder/images/000000007.tif and folder/labels/000000007.tif with their world files. labels: uint8
 * or uint16, as the form has it. */
Status tile_write(const char *folder, int64_t number, const ChipForm *form, const Chip *chip,
                  const void *labels);
