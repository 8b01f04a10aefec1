#pragma once

#include "detect_engine.h"
#include "object_merge.h"

/* Things found in a tile, with their masks, in memory of their own: what is done to an engine's
 * answer (augmentation, splitting, NoData) goes from list to list. Places as in DetectThing. */
typedef struct DetectFound {
  int32_t class_index; /* from 1 */
  float score;
  float x1, y1, x2, y2;
  int32_t mask_x_px; /* 0 x 0 without a mask */
  int32_t mask_y_px;
  int32_t mask_width_px;
  int32_t mask_height_px;
  int64_t mask_at; /* in the list's bytes, rows of mask_width_px, 0 or 1 */
} DetectFound;

typedef struct DetectList {
  DetectFound *items;
  int64_t count;
  int64_t capacity;
  uint8_t *bytes;
  int64_t byte_count;
  int64_t byte_capacity;
} DetectList;

void detect_list_clear(DetectList *list); /* keeps the memory */
void detect_list_free(DetectList *list);

/* Adds a thing whose mask (zeroed, or none for a window of 0 x 0) is to be filled in; *mask and
 * earlier pointers into the list live until the next call. */
Status detect_list_add(DetectList *list, const DetectFound *found, uint8_t **mask);
/* Adds a copy; mask: NULL where there is none. */
Status detect_list_copy(DetectList *list, const DetectFound *found, const uint8_t *mask);
/* Adds what an engine found in a tile, in its order. */
Status detect_list_take(DetectList *list, const DetectTile *tile);

/* NULL where it has no mask. */
const uint8_t *detect_list_mask(const DetectList *list, const DetectFound *found);

/* Intersection over union: of the masks where both have one, else of the boxes. 0 for two of no
 * area. */
double detect_overlap(const DetectList *list_a, const DetectFound *a, const DetectList *list_b,
                      const DetectFound *b);

/* By falling score; among equals in the order in which they were added. order: count of them. */
Status detect_list_order(const DetectList *list, int64_t *order);

/* What is left of a tile's things where there are data. A mask loses its pixels without data; a
 * thing whose mask (or box, where there is none) lies by more than half where nothing is to be seen
 * goes, and one whose mask was empty. The box of a mask that lost pixels is cut to those that are
 * left. valid: height x width of the tile. Adds to *dropped. */
Status detect_list_keep_data(const DetectList *list, const uint8_t *valid, int32_t width_px,
                             int32_t height_px, DetectList *kept, int64_t *dropped);

/* Things as object_merge.h takes them. */
typedef struct DetectThings {
  FoundThing *items;
  ObjectMask **masks;
  int64_t count;
} DetectThings;

/* The things of a tile whose first pixel is the raster's (x_px, y_px). things is freed in any case.
 */
Status detect_things_make(const DetectList *list, int64_t x_px, int64_t y_px, DetectThings *things);
void detect_things_free(DetectThings *things);
