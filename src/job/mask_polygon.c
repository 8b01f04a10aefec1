/* Polygons to masks by the rule of pycocotools: the same pixels, so that the same scores. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "mask_runs_private.h"

/* Fine columns and rows in a pixel. */
static const double fine_per_px = 5;
static const double corner_most_px = 1e6;
static const double outline_most_px = 1e7; /* a second's work */

/* A corner or a point of the outline, in fine columns and rows. */
typedef struct FinePoint {
  int32_t x, y;
} FinePoint;

/* Where the outline crosses the middle of a column: places in the image's run order, height_px for
 * each column plus the row at which inside and outside change. */
typedef struct Crossings {
  int32_t height_px;
  int32_t width_px;
  FinePoint last;
  bool begun;
  uint32_t *places;
  int64_t count;
  int64_t capacity;
} Crossings;

static Status add_place(Crossings *crossings, uint32_t place)
{
  void *memory;
  if (crossings->count == crossings->capacity) {
    const int64_t capacity = crossings->capacity == 0 ? 64 : 2 * crossings->capacity;
    TRY(memory_allocate((size_t)capacity, sizeof(uint32_t), "an outline", &memory));
    if (crossings->count > 0)
      memcpy(memory, crossings->places, (size_t)crossings->count * sizeof(uint32_t));
    memory_free(crossings->places);
    crossings->places = memory;
    crossings->capacity = capacity;
  }
  crossings->places[crossings->count++] = place;
  return STATUS_OK;
}

static Status add_point(Crossings *crossings, FinePoint point)
{
  const FinePoint last = crossings->last;
  const bool crosses = crossings->begun && point.x != last.x;
  crossings->last = point;
  crossings->begun = true;
  if (!crosses) return STATUS_OK;
  const double fine_x = point.x < last.x ? point.x : point.x - 1;
  const double column = (fine_x + 0.5) / fine_per_px - 0.5;
  if (floor(column) != column || column < 0 || column > crossings->width_px - 1) return STATUS_OK;
  const double fine_y = point.y < last.y ? point.y : last.y;
  double row = (fine_y + 0.5) / fine_per_px - 0.5;
  row = ceil(row < 0 ? 0 : row > crossings->height_px ? crossings->height_px : row);
  return add_place(crossings, (uint32_t)column * (uint32_t)crossings->height_px + (uint32_t)row);
}

/* All fine points from one corner to the next. They are the same for both directions. */
static Status add_edge(Crossings *crossings, FinePoint from, FinePoint to)
{
  const int32_t width = abs(to.x - from.x), height = abs(to.y - from.y);
  const bool flat = width >= height;
  const bool flip = flat ? from.x > to.x : from.y > to.y;
  const FinePoint low = flip ? to : from, high = flip ? from : to;
  const int32_t length = flat ? width : height;
  const double slope = length == 0 ? 0
                       : flat      ? (double)(high.y - low.y) / width
                                   : (double)(high.x - low.x) / height;
  for (int32_t step = 0; step <= length; ++step) {
    const int32_t t = flip ? length - step : step;
    const FinePoint point = flat ? (FinePoint){t + low.x, (int32_t)(low.y + slope * t + 0.5)}
                                 : (FinePoint){(int32_t)(low.x + slope * t + 0.5), t + low.y};
    TRY(add_point(crossings, point));
  }
  return STATUS_OK;
}

static FinePoint corner(const double *xy, int64_t index)
{
  return (FinePoint){(int32_t)(fine_per_px * xy[2 * index] + 0.5),
                     (int32_t)(fine_per_px * xy[2 * index + 1] + 0.5)};
}

static Status check_corners(const double *xy, int64_t corner_count)
{
  double length_px = 0;
  for (int64_t i = 0; i < 2 * corner_count; ++i) {
    if (!(fabs(xy[i]) <= corner_most_px))
      return status_set(STATUS_BAD_INPUT, "corner %lld of a polygon lies at %g, %g px",
                        (long long)(i / 2), xy[i - i % 2], xy[i - i % 2 + 1]);
    if (i >= 2) length_px += fabs(xy[i] - xy[i - 2]);
  }
  if (length_px > outline_most_px)
    return status_set(STATUS_BAD_INPUT, "the outline of a polygon is %g px long", length_px);
  return STATUS_OK;
}

static Status add_outline(const double *xy, int64_t corner_count, Crossings *crossings)
{
  for (int64_t i = 0; i < corner_count; ++i)
    TRY(add_edge(crossings, corner(xy, i), corner(xy, i + 1 == corner_count ? 0 : i + 1)));
  return add_place(crossings, (uint32_t)(crossings->height_px * crossings->width_px));
}

static int by_size(const void *left, const void *right)
{
  const uint32_t a = *(const uint32_t *)left;
  const uint32_t b = *(const uint32_t *)right;
  return a < b ? -1 : a > b;
}

/* Sorted places to runs; two at one place cancel each other. Writes over places that were read. */
static int64_t runs_of_places(uint32_t *places, int64_t place_count)
{
  int64_t count = 0;
  uint32_t last = 0;
  bool joins = false;
  for (int64_t i = 0; i < place_count; ++i) {
    const uint32_t length = places[i] - last;
    last = places[i];
    if (joins) {
      places[count - 1] += length;
      joins = false;
    } else if (length == 0 && i > 0) {
      joins = true;
    } else {
      places[count++] = length;
    }
  }
  return count;
}

static Status make_runs(Crossings *crossings, MaskRuns *runs)
{
  qsort(crossings->places, (size_t)crossings->count, sizeof(uint32_t), by_size);
  const int64_t count = runs_of_places(crossings->places, crossings->count);
  TRY(mask_runs_make(count, crossings->height_px, crossings->width_px, runs));
  memcpy(runs->counts, crossings->places, (size_t)count * sizeof(uint32_t));
  return STATUS_OK;
}

Status mask_runs_of_polygon(const double *xy, int64_t corner_count, int32_t height_px,
                            int32_t width_px, MaskRuns *runs)
{
  Crossings crossings = {.height_px = height_px, .width_px = width_px};
  *runs = (MaskRuns){.count = 0};
  TRY(mask_runs_check_size(height_px, width_px));
  TRY(check_corners(xy, corner_count));
  Status status = add_outline(xy, corner_count, &crossings);
  if (status == STATUS_OK) status = make_runs(&crossings, runs);
  memory_free(crossings.places);
  return status;
}
