#pragma once

/* Chips and labels of a folder as files. */

#include "base/output.h"
#include "chip/chip_writer.h"

/* A shard's own folder of tiles, empty but for images and, where chips have files of labels,
 * labels. */
Status tile_folder_make(const char *folder, ChipFormat format, int32_t shard,
                        char path[OUTPUT_PATH_BYTES]);
/* folder/images/000000007.tif with its world file and, where they do not wait for the chip's final
 * number, its labels. labels: uint8 or uint16, as the form has it. */
Status tile_write(const char *folder, int64_t number, const ChipForm *form, const Chip *chip,
                  const void *labels);
