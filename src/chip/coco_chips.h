#pragma once

/* Reads the annotations of a COCO folder. */

#include "base/arena.h"
#include "chip/chip_set.h"
#include "object_list.h"
#include "store/document.h"
#include "tile_map.h"

typedef struct CocoChips {
  TilePair *pairs; /* of each image; without labels */
  int64_t image_count;
  ChipClass *classes; /* by value, 0 first; without counts */
  int32_t class_count;
  ObjectList objects;
  int64_t crowd_count, degenerate_count;
} CocoChips;

/* The name of the annotations in a folder; NULL where there are none. */
const char *coco_annotations_name(const char *folder);

/* Images and categories. A category's number is its class value; where one is 0, which means
 * background here, all are one more. Pictures lie in folder/images or in folder. What it gives lives
 * in the arena. Errors: STATUS_IO; STATUS_BAD_INPUT. */
Status coco_chips_tables(const Document *root, const char *folder, Arena *arena, CocoChips *set);
/* The objects of images that are all width x height. Masks are taken from polygons (a pixel belongs
 * to what holds its centre; parts are joined) and from run lengths of both kinds. Crowds are left
 * out and counted, and so is what has no pixel. Ended by coco_chips_free, also after an error. */
Status coco_chips_objects(const Document *root, int32_t width_px, int32_t height_px,
                          CocoChips *set);
void coco_chips_free(CocoChips *set);
