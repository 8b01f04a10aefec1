#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* The objects of one chip: a class, a box and, in most sets, a mask each. Objects may overlap, so
 * each has a mask of its own, cut to the pixels of its box. */
typedef struct ChipObject {
  int64_t feature;      /* the label's number in its layer; -1: unknown */
  double area_map;      /* of the label's part in the chip, square map units; 0: unknown */
  uint16_t class_value; /* 1 … 65535 */
  bool has_mask;
  /* x1, y1, x2, y2 in pixels of the chip, (0, 0) its upper left corner. With a mask: its first
   * column, first row, last column + 1, last row + 1. */
  float box[4];
  int32_t x_px, y_px, width_px, height_px; /* with a mask: the window that it covers; else 0 */
  int64_t mask_offset;                     /* into mask_bytes: height_px x width_px, each 0 or 1 */
} ChipObject;

/* All zero is an empty list. What it holds is freed by chip_objects_free; memory is kept when it is
 * filled again. */
typedef struct ChipObjects {
  int32_t count;
  ChipObject *items;
  uint8_t *mask_bytes; /* one byte per pixel, mask after mask */
  int64_t mask_byte_count;
  int32_t capacity; /* of items */
  int64_t mask_capacity;
} ChipObjects;

void chip_objects_free(ChipObjects *objects); /* leaves it empty */
void chip_objects_clear(ChipObjects *objects);
/* Adds an object without a mask. Errors: STATUS_NO_MEMORY. */
Status chip_objects_add_box(ChipObjects *objects, uint16_t class_value, const float box[4]);
/* Room for an object with a mask in a window of pixels; the caller fills the mask, which is zero.
 * The box is the window's until chip_objects_fit. */
Status chip_objects_add_window(ChipObjects *objects, uint16_t class_value, int32_t x_px,
                               int32_t y_px, int32_t width_px, int32_t height_px, uint8_t **mask);
/* Makes the window and the box of the last object as small as its mask; removes it, and says false,
 * where no pixel of it is set. */
bool chip_objects_fit(ChipObjects *objects);
void chip_objects_drop(ChipObjects *objects); /* removes the last one */

/* Masks as they are stored: a bit per pixel, row after row without a gap, the highest bit first;
 * each mask begins with a byte of its own. */
size_t chip_mask_packed_bytes(int32_t width_px, int32_t height_px);
void chip_mask_pack(const uint8_t *mask, int64_t pixel_count, uint8_t *packed);
void chip_mask_unpack(const uint8_t *packed, int64_t pixel_count, uint8_t *mask);
