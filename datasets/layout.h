#pragma once

#include "base/status.h"
#include "object.h"
#include "street.h"

/* Objects of the cells near a window. A list holds what fits; a cell never makes more than
 * LAYOUT_CELL_MAX. */
enum { LAYOUT_CELL_MAX = 360, LAYOUT_REACH_M = 34 };

typedef struct Layout {
  Object *items;
  size_t count, capacity;
} Layout;

Status layout_open(Layout *layout, size_t capacity);
void layout_close(Layout *layout);

/* The objects that may touch the rectangle or throw a shadow on it, sorted by kind, then by cell,
 * then by age: the order in which any window draws them. */
void layout_gather(Layout *layout, const World *world, Point least, Point most);
