#include "id_objects.h"

#include <stdlib.h>

#include "base/memory.h"

/* A run of pixels in a row that share their value. */
typedef struct Run {
  uint32_t id;
  int32_t row, first, end;
} Run;

static int by_id_and_place(const void *left, const void *right)
{
  const Run *a = left;
  const Run *b = right;
  if (a->id != b->id) return a->id < b->id ? -1 : 1;
  return a->row != b->row ? a->row - b->row : a->first - b->first;
}

/* runs NULL: only counts. */
static size_t find_runs(const uint32_t *ids, int32_t width, int32_t height, Run *runs)
{
  size_t count = 0;
  for (int32_t row = 0; row < height; ++row)
    for (int32_t x = 0; x < width;) {
      const uint32_t *line = ids + (int64_t)row * width;
      const int32_t first = x;
      while (x < width && line[x] == line[first])
        ++x;
      if (line[first] == 0) continue;
      if (runs != NULL) runs[count] = (Run){line[first], row, first, x};
      ++count;
    }
  return count;
}

static Status add_object(const Run *runs, size_t count, uint16_t class_value, ChipObjects *objects)
{
  uint8_t *mask;
  int32_t left = runs[0].first, right = runs[0].end;
  for (size_t i = 1; i < count; ++i) {
    if (runs[i].first < left) left = runs[i].first;
    if (runs[i].end > right) right = runs[i].end;
  }
  const int32_t top = runs[0].row;
  TRY(chip_objects_add_window(objects, class_value, left, top, right - left,
                              runs[count - 1].row + 1 - top, &mask));
  for (size_t i = 0; i < count; ++i)
    for (int32_t x = runs[i].first; x < runs[i].end; ++x)
      mask[(int64_t)(runs[i].row - top) * (right - left) + x - left] = 1;
  return STATUS_OK;
}

static Status add_objects(const Run *runs, size_t count, uint16_t class_value, ChipObjects *objects)
{
  for (size_t first = 0; first < count;) {
    size_t end = first;
    while (end < count && runs[end].id == runs[first].id)
      ++end;
    TRY(add_object(runs + first, end - first, class_value, objects));
    first = end;
  }
  return STATUS_OK;
}

Status id_objects_add(const uint32_t *ids, int32_t width_px, int32_t height_px,
                      uint16_t class_value, ChipObjects *objects)
{
  void *runs;
  const size_t count = find_runs(ids, width_px, height_px, NULL);
  TRY(memory_allocate(count, sizeof(Run), "objects of a chip", &runs));
  (void)find_runs(ids, width_px, height_px, runs);
  qsort(runs, count, sizeof(Run), by_id_and_place);
  const Status status = add_objects(runs, count, class_value, objects);
  memory_free(runs);
  return status;
}
