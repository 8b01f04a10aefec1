#pragma once

/* Masks as COCO writes them: polygons, and run lengths down the columns. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Corners of rings that follow the edges of pixels, one ring per part that hangs together by sides;
 * filled by even and odd they give the mask again. */
typedef struct CocoRings {
  int32_t *corners; /* x, y, x, y, … of all rings */
  int32_t *ends;    /* of each ring: corners (pairs) up to its last */
  int32_t ring_count;
  bool has_hole; /* a ring runs round a hole; rings are then of no use */
} CocoRings;

/* mask: height x width, 0 or 1. Ended by coco_rings_free in any case. */
Status coco_rings_trace(const uint8_t *mask, int32_t width_px, int32_t height_px, CocoRings *rings);
void coco_rings_free(CocoRings *rings);

/* Sets in mask (height x width) the pixels whose centre lies inside of one ring: count corners, x and
 * y each, closed by itself; crossings by even and odd. parity: scratch of height x (width + 1). */
void coco_fill_ring(const double *corners, size_t count, int32_t width_px, int32_t height_px,
                    uint8_t *parity, uint8_t *mask);

/* Runs of 0 and 1 in turn, 0 first, down the columns of a picture in which the mask lies at x, y.
 * runs: room for picture's pixels + 1. Returns how many there are. */
size_t coco_runs_of_mask(const uint8_t *mask, int32_t x_px, int32_t y_px, int32_t width_px,
                         int32_t height_px, int32_t picture_width_px, int32_t picture_height_px,
                         uint32_t *runs);
/* Their compressed text, as pycocotools has it; room for 7 bytes per run + 1. */
void coco_runs_write(const uint32_t *runs, size_t count, char *text);
/* Reads it back: at most capacity runs. Errors: STATUS_BAD_INPUT, as for the next. */
Status coco_runs_read(const char *text, size_t capacity, uint32_t *runs, size_t *count);
/* Runs to a picture of height x width, rows first. Errors: STATUS_BAD_INPUT if they do not add up to
 * its pixels. */
Status coco_runs_fill(const uint32_t *runs, size_t count, int32_t width_px, int32_t height_px,
                      uint8_t *picture);
