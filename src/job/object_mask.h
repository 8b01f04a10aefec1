#pragma once

#include <stdint.h>

#include "base/status.h"
#include "geo/window.h"

/* Which pixels of a raster a thing covers: runs, row by row. Memory goes with its outline, not with
 * its area. Masks do not change once made; what makes one hands it to the caller, who closes it.
 *
 * Everything below treats pixels as a set: no order of calls, and no order of inputs, shows. */
typedef struct RowRun {
  int32_t first_px; /* column, from the left of the mask's window */
  int32_t end_px;   /* behind the last column; above first_px */
} RowRun;

typedef struct ObjectMask {
  Window window;            /* in pixels of the raster; no larger than the pixels need; all zero for
                               a mask without pixels */
  int64_t area_px;          /* how many pixels */
  const int64_t *row_start; /* height + 1 places in runs; borrowed */
  const RowRun *runs;       /* by row, then column; runs of a row do not touch; borrowed */
} ObjectMask;

/* bytes: window's height rows of row_bytes, of which the first window.width_px count; what is not 0
 * is set. */
Status object_mask_from_bytes(const uint8_t *bytes, int64_t row_bytes, Window window,
                              ObjectMask **mask);
Status object_mask_from_window(Window window, ObjectMask **mask);
/* The pixels that lie in the window. */
Status object_mask_clip(const ObjectMask *mask, Window window, ObjectMask **part);
/* The pixels of any of them. */
Status object_mask_union(const ObjectMask *const *masks, int64_t count, ObjectMask **mask);
void object_mask_close(ObjectMask *mask); /* accepts NULL */

int64_t object_mask_runs(const ObjectMask *mask);
int64_t object_mask_area_within(const ObjectMask *mask, Window window);
/* Pixels of the window that both cover. */
int64_t object_mask_shared_within(const ObjectMask *a, const ObjectMask *b, Window window);
int64_t object_mask_shared(const ObjectMask *a, const ObjectMask *b);

/* Sides of a window. */
enum { SIDE_LEFT = 1, SIDE_TOP = 2, SIDE_RIGHT = 4, SIDE_BOTTOM = 8 };
/* The sides that a pixel of the mask inside of the window lies on, or no more than reach_px - 1
 * pixels away from. */
int object_mask_sides(const ObjectMask *mask, Window window, int32_t reach_px);

/* Sets value where the mask is, in window's height rows of row_bytes; the rest is left as it is. */
void object_mask_paint(const ObjectMask *mask, Window window, uint8_t value, uint8_t *bytes,
                       int64_t row_bytes);

/* As bytes, for shards: numbers of seven bits a byte, low ones first, the high bit set while more
 * follow (signed ones folded: 0, -1, 1, -2 …): left, top, width and height of the window; then for
 * each row the number of runs, and for each run the columns left out before it and its length. The
 * same pixels give the same bytes, on any machine. */
int64_t object_mask_packed_bytes(const ObjectMask *mask);
void object_mask_pack(const ObjectMask *mask, uint8_t *bytes);
/* used: how many of size bytes the mask took. Errors: STATUS_BAD_INPUT for bytes that no mask
 * gives. */
Status object_mask_unpack(const uint8_t *bytes, int64_t size, int64_t *used, ObjectMask **mask);
