#include "object_mask.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "object_mask_parts.h"

/* A run anywhere in the raster. */
typedef struct PlacedRun {
  int64_t y_px;
  int64_t first_px;
  int64_t end_px;
} PlacedRun;

static int64_t least(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
  return a > b ? a : b;
}

static Status allocate_runs(int64_t count, PlacedRun **runs)
{
  void *memory;
  TRY(memory_allocate((size_t)count, sizeof(PlacedRun), "runs of a mask", &memory));
  *runs = memory;
  return STATUS_OK;
}

static Window window_of(const PlacedRun *runs, int64_t count)
{
  if (count == 0) return (Window){0};
  int64_t left = runs[0].first_px;
  int64_t right = runs[0].end_px;
  for (int64_t r = 1; r < count; ++r) {
    left = least(left, runs[r].first_px);
    right = most(right, runs[r].end_px);
  }
  return (Window){.x_px = left,
                  .y_px = runs[0].y_px,
                  .width_px = right - left,
                  .height_px = runs[count - 1].y_px - runs[0].y_px + 1};
}

Status object_mask_allocate(Window window, int64_t run_count, ObjectMaskParts *parts)
{
  *parts = (ObjectMaskParts){0};
  if (window.width_px > INT32_MAX)
    return status_set(STATUS_UNSUPPORTED, "a mask is %lld columns wide; %d is the most",
                      (long long)window.width_px, (int)INT32_MAX);
  const size_t starts_bytes = ((size_t)window.height_px + 1) * sizeof *parts->row_start;
  const size_t runs_bytes = (size_t)run_count * sizeof *parts->runs;
  void *memory;
  TRY(memory_allocate(1, sizeof *parts->mask + starts_bytes + runs_bytes, "mask of an object",
                      &memory));
  parts->mask = memory;
  parts->row_start = (int64_t *)(void *)(parts->mask + 1);
  parts->runs = (RowRun *)(void *)((char *)parts->row_start + starts_bytes);
  parts->mask->window = window;
  parts->mask->row_start = parts->row_start;
  parts->mask->runs = parts->runs;
  return STATUS_OK;
}

/* runs: by row, then column, none touching the one before it in its row. */
static Status make_mask(const PlacedRun *runs, int64_t count, ObjectMask **mask)
{
  ObjectMaskParts parts;
  const Window window = window_of(runs, count);
  TRY(object_mask_allocate(window, count, &parts));
  int64_t next = 0;
  for (int64_t row = 0; row < window.height_px; ++row) {
    parts.row_start[row] = next;
    for (; next < count && runs[next].y_px == window.y_px + row; ++next) {
      parts.runs[next] = (RowRun){.first_px = (int32_t)(runs[next].first_px - window.x_px),
                                  .end_px = (int32_t)(runs[next].end_px - window.x_px)};
      parts.mask->area_px += runs[next].end_px - runs[next].first_px;
    }
  }
  parts.row_start[window.height_px] = count;
  *mask = parts.mask;
  return STATUS_OK;
}

static Status make_and_free(PlacedRun *runs, int64_t count, ObjectMask **mask)
{
  const Status status = make_mask(runs, count, mask);
  memory_free(runs);
  return status;
}

/* Counts the runs, and writes them where runs is not NULL. */
static int64_t runs_of_bytes(const uint8_t *bytes, int64_t row_bytes, Window window,
                             PlacedRun *runs)
{
  int64_t count = 0;
  for (int64_t row = 0; row < window.height_px; ++row) {
    const uint8_t *line = bytes + row * row_bytes;
    for (int64_t x = 0; x < window.width_px; ++x) {
      if (line[x] == 0) continue;
      const int64_t first = x;
      while (x < window.width_px && line[x] != 0)
        ++x;
      if (runs != NULL)
        runs[count] = (PlacedRun){window.y_px + row, window.x_px + first, window.x_px + x};
      ++count;
    }
  }
  return count;
}

Status object_mask_from_bytes(const uint8_t *bytes, int64_t row_bytes, Window window,
                              ObjectMask **mask)
{
  PlacedRun *runs;
  *mask = NULL;
  TRY(allocate_runs(runs_of_bytes(bytes, row_bytes, window, NULL), &runs));
  return make_and_free(runs, runs_of_bytes(bytes, row_bytes, window, runs), mask);
}

Status object_mask_from_window(Window window, ObjectMask **mask)
{
  ObjectMaskParts parts;
  *mask = NULL;
  if (window_is_empty(window)) window = (Window){0};
  TRY(object_mask_allocate(window, window.height_px, &parts));
  for (int64_t row = 0; row < window.height_px; ++row) {
    parts.row_start[row] = row;
    parts.runs[row] = (RowRun){0, (int32_t)window.width_px};
  }
  parts.row_start[window.height_px] = window.height_px;
  parts.mask->area_px = window_pixels(window);
  *mask = parts.mask;
  return STATUS_OK;
}

static int64_t clipped_runs(const ObjectMask *mask, Window window, PlacedRun *runs)
{
  const Window common = window_intersect(mask->window, window);
  const int64_t left = common.x_px - mask->window.x_px;
  const int64_t right = left + common.width_px;
  int64_t count = 0;
  for (int64_t y = common.y_px; y < common.y_px + common.height_px; ++y) {
    const int64_t row = y - mask->window.y_px;
    for (int64_t r = mask->row_start[row]; r < mask->row_start[row + 1]; ++r) {
      const int64_t first = most(mask->runs[r].first_px, left);
      const int64_t end = least(mask->runs[r].end_px, right);
      if (first >= end) continue;
      runs[count++] = (PlacedRun){y, mask->window.x_px + first, mask->window.x_px + end};
    }
  }
  return count;
}

static Status copy_mask(const ObjectMask *mask, ObjectMask **copy)
{
  ObjectMaskParts parts;
  const int64_t run_count = object_mask_runs(mask);
  const size_t row_count = (size_t)mask->window.height_px + 1;
  TRY(object_mask_allocate(mask->window, run_count, &parts));
  memcpy(parts.row_start, mask->row_start, row_count * sizeof *parts.row_start);
  memcpy(parts.runs, mask->runs, (size_t)run_count * sizeof *parts.runs);
  parts.mask->area_px = mask->area_px;
  *copy = parts.mask;
  return STATUS_OK;
}

Status object_mask_clip(const ObjectMask *mask, Window window, ObjectMask **part)
{
  PlacedRun *runs;
  *part = NULL;
  if (window_contains(window, mask->window)) return copy_mask(mask, part);
  TRY(allocate_runs(object_mask_runs(mask), &runs));
  return make_and_free(runs, clipped_runs(mask, window, runs), part);
}

static int by_place(const void *left, const void *right)
{
  const PlacedRun *a = left;
  const PlacedRun *b = right;
  if (a->y_px != b->y_px) return a->y_px < b->y_px ? -1 : 1;
  if (a->first_px != b->first_px) return a->first_px < b->first_px ? -1 : 1;
  return 0; /* whichever ends later, both become one */
}

/* Sorted runs, those that overlap or touch made one; how many are left. */
static int64_t fuse(PlacedRun *runs, int64_t count)
{
  int64_t kept = 0;
  for (int64_t r = 0; r < count; ++r) {
    PlacedRun *last = runs + kept - 1;
    if (kept > 0 && last->y_px == runs[r].y_px && last->end_px >= runs[r].first_px)
      last->end_px = most(last->end_px, runs[r].end_px);
    else
      runs[kept++] = runs[r];
  }
  return kept;
}

Status object_mask_union(const ObjectMask *const *masks, int64_t count, ObjectMask **mask)
{
  PlacedRun *runs;
  int64_t run_count = 0;
  *mask = NULL;
  for (int64_t m = 0; m < count; ++m)
    run_count += object_mask_runs(masks[m]);
  TRY(allocate_runs(run_count, &runs));
  run_count = 0;
  for (int64_t m = 0; m < count; ++m)
    run_count += clipped_runs(masks[m], masks[m]->window, runs + run_count);
  qsort(runs, (size_t)run_count, sizeof *runs, by_place);
  return make_and_free(runs, fuse(runs, run_count), mask);
}

void object_mask_close(ObjectMask *mask)
{
  memory_free(mask);
}

int64_t object_mask_runs(const ObjectMask *mask)
{
  return mask->row_start[mask->window.height_px];
}

int64_t object_mask_area_within(const ObjectMask *mask, Window window)
{
  const Window common = window_intersect(mask->window, window);
  if (window_equal(common, mask->window)) return mask->area_px;
  const int64_t left = common.x_px - mask->window.x_px;
  const int64_t right = left + common.width_px;
  const int64_t top = common.y_px - mask->window.y_px;
  int64_t area = 0;
  for (int64_t row = top; row < top + common.height_px; ++row)
    for (int64_t r = mask->row_start[row]; r < mask->row_start[row + 1]; ++r) {
      const int64_t first = most(mask->runs[r].first_px, left);
      const int64_t end = least(mask->runs[r].end_px, right);
      area += end > first ? end - first : 0;
    }
  return area;
}

/* Pixels of row y, columns left … right - 1, that both cover. */
static int64_t shared_in_row(const ObjectMask *a, const ObjectMask *b, int64_t y, int64_t left,
                             int64_t right)
{
  const int64_t a_row = y - a->window.y_px;
  const int64_t b_row = y - b->window.y_px;
  int64_t i = a->row_start[a_row];
  int64_t j = b->row_start[b_row];
  int64_t area = 0;
  while (i < a->row_start[a_row + 1] && j < b->row_start[b_row + 1]) {
    const int64_t a_end = a->window.x_px + a->runs[i].end_px;
    const int64_t b_end = b->window.x_px + b->runs[j].end_px;
    const int64_t first = most(
        left, most(a->window.x_px + a->runs[i].first_px, b->window.x_px + b->runs[j].first_px));
    const int64_t end = least(right, least(a_end, b_end));
    area += end > first ? end - first : 0;
    if (a_end <= b_end)
      ++i;
    else
      ++j;
  }
  return area;
}

int64_t object_mask_shared_within(const ObjectMask *a, const ObjectMask *b, Window window)
{
  const Window common = window_intersect(window_intersect(a->window, b->window), window);
  int64_t area = 0;
  for (int64_t y = common.y_px; y < common.y_px + common.height_px; ++y)
    area += shared_in_row(a, b, y, common.x_px, common.x_px + common.width_px);
  return area;
}

int64_t object_mask_shared(const ObjectMask *a, const ObjectMask *b)
{
  return object_mask_shared_within(a, b, a->window);
}

int object_mask_sides(const ObjectMask *mask, Window window, int32_t reach_px)
{
  const int64_t width = least(reach_px, window.width_px);
  const int64_t height = least(reach_px, window.height_px);
  const Window strip[4] = {
      {window.x_px, window.y_px, width, window.height_px},
      {window.x_px, window.y_px, window.width_px, height},
      {window.x_px + window.width_px - width, window.y_px, width, window.height_px},
      {window.x_px, window.y_px + window.height_px - height, window.width_px, height}};
  int sides = 0;
  for (int s = 0; s < 4; ++s)
    if (object_mask_area_within(mask, strip[s]) > 0) sides |= 1 << s;
  return sides;
}

void object_mask_paint(const ObjectMask *mask, Window window, uint8_t value, uint8_t *bytes,
                       int64_t row_bytes)
{
  const Window common = window_intersect(mask->window, window);
  const int64_t left = common.x_px - mask->window.x_px;
  const int64_t right = left + common.width_px;
  for (int64_t y = common.y_px; y < common.y_px + common.height_px; ++y) {
    const int64_t row = y - mask->window.y_px;
    uint8_t *line = bytes + (y - window.y_px) * row_bytes;
    for (int64_t r = mask->row_start[row]; r < mask->row_start[row + 1]; ++r) {
      const int64_t first = most(mask->runs[r].first_px, left);
      const int64_t end = least(mask->runs[r].end_px, right);
      if (first >= end) continue;
      memset(line + (mask->window.x_px - window.x_px) + first, value, (size_t)(end - first));
    }
  }
}
