#pragma once

/* Labels of RCNN_Masks: for each class that a chip has, a picture of its size whose pixels hold the
 * number of their object. */

#include "chip/chip_writer.h"

/* folder/labels/CLASS/000000007.tif, with its world file. Objects of a class are numbered from 1 in
 * their order, the larger ones lie below: where they overlap, the pixels belong to the smallest.
 * Errors: STATUS_IO; STATUS_UNSUPPORTED for more than 65535 objects of one class. */
Status tile_masks_write(const char *folder, int64_t number, const ChipForm *form, const Chip *chip);
