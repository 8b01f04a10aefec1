#include "geo/window.h"

static int64_t larger(int64_t a, int64_t b)
{
  return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

bool window_is_empty(Window window)
{
  return window.width_px < 1 || window.height_px < 1;
}

bool window_equal(Window a, Window b)
{
  return a.x_px == b.x_px && a.y_px == b.y_px && a.width_px == b.width_px &&
         a.height_px == b.height_px;
}

int64_t window_pixels(Window window)
{
  return window_is_empty(window) ? 0 : window.width_px * window.height_px;
}

Window window_intersect(Window a, Window b)
{
  if (window_is_empty(a) || window_is_empty(b)) return (Window){0};
  const int64_t x = larger(a.x_px, b.x_px);
  const int64_t y = larger(a.y_px, b.y_px);
  const int64_t x_end = smaller(a.x_px + a.width_px, b.x_px + b.width_px);
  const int64_t y_end = smaller(a.y_px + a.height_px, b.y_px + b.height_px);
  if (x_end <= x || y_end <= y) return (Window){0};
  return (Window){x, y, x_end - x, y_end - y};
}

bool window_overlaps(Window a, Window b)
{
  return !window_is_empty(window_intersect(a, b));
}

Window window_cover(Window a, Window b)
{
  if (window_is_empty(a)) return b;
  if (window_is_empty(b)) return a;
  const int64_t x = smaller(a.x_px, b.x_px);
  const int64_t y = smaller(a.y_px, b.y_px);
  return (Window){x, y, larger(a.x_px + a.width_px, b.x_px + b.width_px) - x,
                  larger(a.y_px + a.height_px, b.y_px + b.height_px) - y};
}

Window window_grow(Window window, int64_t margin_px)
{
  const int64_t left = larger(margin_px, -(window.width_px / 2));
  const int64_t top = larger(margin_px, -(window.height_px / 2));
  return (Window){window.x_px - left, window.y_px - top, larger(0, window.width_px + 2 * margin_px),
                  larger(0, window.height_px + 2 * margin_px)};
}

bool window_contains(Window outer, Window inner)
{
  return window_is_empty(inner) || window_equal(window_intersect(outer, inner), inner);
}

bool window_contains_pixel(Window window, int64_t column, int64_t row)
{
  return window_contains(window, (Window){column, row, 1, 1});
}
