#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A rectangle of pixels of some grid. It may lie outside of it. Column x_px … x_px + width_px - 1,
 * rows likewise. */
typedef struct Window {
  int64_t x_px;
  int64_t y_px;
  int64_t width_px;
  int64_t height_px;
} Window;

bool window_is_empty(Window window); /* a width or a height below 1 */
bool window_equal(Window a, Window b);
int64_t window_pixels(Window window); /* 0 if empty */
/* What both hold; all zero if nothing. */
Window window_intersect(Window a, Window b);
bool window_overlaps(Window a, Window b);
/* The smallest that holds both; an empty one adds nothing. */
Window window_cover(Window a, Window b);
/* margin_px more on each of the four sides; a negative margin shrinks, at most to an empty window
 * about the centre. */
Window window_grow(Window window, int64_t margin_px);
/* Whether every pixel of inner is in outer. An empty window is in every window. */
bool window_contains(Window outer, Window inner);
bool window_contains_pixel(Window window, int64_t column, int64_t row);
