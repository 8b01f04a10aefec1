#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "geo/window.h"

/* Outlines of a set of pixels, along the pixels' edges: exact, burned back they give the set. */

/* A set of pixels as runs, row by row. */
typedef struct PixelRun {
  int32_t first_px; /* column, from the left of the set's window */
  int32_t end_px;   /* behind the last column; above first_px */
} PixelRun;

typedef struct PixelSet {
  Window window;
  const int64_t *row_start; /* height + 1 places in runs */
  const PixelRun *runs;     /* by row, then column; runs of a row do not touch */
} PixelSet;

typedef struct OutlinePoint {
  double x_px; /* column and row of a corner; whole numbers as traced */
  double y_px;
} OutlinePoint;

typedef struct OutlineRing {
  int64_t first; /* of its points; it closes itself, the last is not the first again */
  int64_t count;
  int32_t part; /* pixels that are neighbours by an edge; parts are numbered from 0 by their first
                   pixel, row by row */
  bool is_hole;
} OutlineRing;

/* Rings by part, a part's outer ring before its holes. Outer rings turn clockwise and holes
 * counter-clockwise where rows count downwards. No ring touches itself, no two of a part share more
 * than single points: as polygons, parts are valid. */
typedef struct Outline {
  OutlineRing *rings;
  OutlinePoint *points;
  int64_t ring_count;
  int64_t point_count;
  int32_t part_count;
} Outline;

/* Points are in pixels of what the set's window is in. Memory goes with the number of runs. */
Status outline_trace(const PixelSet *set, Outline *outline);
/* Of the rectangle x1, y1, x2, y2. */
Status outline_of_box(const double box[4], Outline *outline);
void outline_free(Outline *outline); /* accepts an empty one */
