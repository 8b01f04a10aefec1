#include "coco_mask.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

typedef struct Tracing {
  const uint8_t *mask;
  int32_t width, height;
  uint8_t *seen; /* upper edges that a ring has passed, per pixel */
  CocoRings *rings;
  int64_t corner_count, corner_capacity; /* pairs */
  int32_t ring_capacity;
} Tracing;

typedef struct Step {
  int32_t x, y;
} Step;

/* Right, down, left, up: the object is always on the right hand. */
static const Step steps[4] = {{1, 0}, {0, 1}, {-1, 0}, {0, -1}};
/* Of a corner, the pixel ahead on the right and on the left, by direction. */
static const Step ahead_right[4] = {{0, 0}, {-1, 0}, {-1, -1}, {0, -1}};
static const Step ahead_left[4] = {{0, -1}, {0, 0}, {-1, 0}, {-1, -1}};

static bool is_set(const Tracing *t, int32_t x, int32_t y)
{
  return x >= 0 && y >= 0 && x < t->width && y < t->height &&
         t->mask[(int64_t)y * t->width + x] != 0;
}

static Status grow(void **items, int64_t count, int64_t *capacity, size_t size)
{
  void *memory;
  if (count < *capacity) return STATUS_OK;
  const int64_t wanted = *capacity == 0 ? 64 : 2 * *capacity;
  TRY(memory_allocate((size_t)wanted, size, "outline of a mask", &memory));
  if (count > 0) memcpy(memory, *items, (size_t)count * size);
  memory_free(*items);
  *items = memory;
  *capacity = wanted;
  return STATUS_OK;
}

static Status put_corner(Tracing *t, Step at)
{
  void *corners = t->rings->corners;
  const Status status =
      grow(&corners, t->corner_count, &t->corner_capacity, 2 * sizeof *t->rings->corners);
  t->rings->corners = corners;
  if (status != STATUS_OK) return status;
  t->rings->corners[2 * t->corner_count] = at.x;
  t->rings->corners[2 * t->corner_count++ + 1] = at.y;
  return STATUS_OK;
}

static Status end_ring(Tracing *t)
{
  void *ends = t->rings->ends;
  int64_t capacity = t->ring_capacity;
  const Status status = grow(&ends, t->rings->ring_count, &capacity, sizeof *t->rings->ends);
  t->rings->ends = ends;
  t->ring_capacity = (int32_t)capacity;
  if (status == STATUS_OK) t->rings->ends[t->rings->ring_count++] = (int32_t)t->corner_count;
  return status;
}

/* Where two pixels touch by a corner only, the ring keeps to its own. */
static int turn(const Tracing *t, Step at, int direction)
{
  const Step right = ahead_right[direction];
  const Step left = ahead_left[direction];
  if (!is_set(t, at.x + right.x, at.y + right.y)) return (direction + 1) % 4;
  return is_set(t, at.x + left.x, at.y + left.y) ? (direction + 3) % 4 : direction;
}

/* Round the object is clockwise as one sees it: a positive area where y points down. */
static Status trace_ring(Tracing *t, Step start)
{
  Step at = start;
  int direction = 0;
  int64_t twice_area = 0;
  TRY(put_corner(t, at));
  do {
    if (direction == 0) t->seen[(int64_t)at.y * t->width + at.x] = 1;
    const Step next = {at.x + steps[direction].x, at.y + steps[direction].y};
    twice_area += (int64_t)at.x * next.y - (int64_t)next.x * at.y;
    at = next;
    const int turned = turn(t, at, direction);
    const bool closed = at.x == start.x && at.y == start.y && turned == 0;
    if (turned != direction && !closed) TRY(put_corner(t, at));
    direction = turned;
    if (closed) break;
  } while (true);
  if (twice_area < 0) t->rings->has_hole = true;
  return end_ring(t);
}

static Status trace_all(Tracing *t)
{
  for (int32_t y = 0; y < t->height; ++y)
    for (int32_t x = 0; x < t->width; ++x) {
      const bool is_upper_edge = is_set(t, x, y) && !is_set(t, x, y - 1);
      if (is_upper_edge && t->seen[(int64_t)y * t->width + x] == 0)
        TRY(trace_ring(t, (Step){x, y}));
    }
  return STATUS_OK;
}

Status coco_rings_trace(const uint8_t *mask, int32_t width_px, int32_t height_px, CocoRings *rings)
{
  void *seen;
  *rings = (CocoRings){.ring_count = 0};
  TRY(memory_allocate((size_t)width_px * (size_t)height_px, 1, "outline of a mask", &seen));
  Tracing tracing = {
      .mask = mask, .width = width_px, .height = height_px, .seen = seen, .rings = rings};
  const Status status = trace_all(&tracing);
  memory_free(seen);
  return status;
}

void coco_rings_free(CocoRings *rings)
{
  memory_free(rings->corners);
  memory_free(rings->ends);
  *rings = (CocoRings){.ring_count = 0};
}

/* The first of the pixels 0 … most - 1 whose centre is not before a place; most: none. */
static int32_t first_centre(double place, int32_t most)
{
  const double pixel = ceil(place - 0.5);
  if (!(pixel > 0)) return 0;
  return pixel < most ? (int32_t)pixel : most;
}

/* Marks in each row that the edge crosses where the inside begins or ends. */
static void cross(double ax, double ay, double bx, double by, int32_t width, int32_t height,
                  uint8_t *parity)
{
  const double low = fmin(ay, by);
  const double high = fmax(ay, by);
  const int32_t end = first_centre(high, height);
  for (int32_t row = first_centre(low, height); row < end; ++row) {
    const double x = ax + (row + 0.5 - ay) / (by - ay) * (bx - ax);
    parity[(int64_t)row * (width + 1) + first_centre(x, width)] ^= 1;
  }
}

void coco_fill_ring(const double *corners, size_t count, int32_t width_px, int32_t height_px,
                    uint8_t *parity, uint8_t *mask)
{
  memset(parity, 0, (size_t)(width_px + 1) * (size_t)height_px);
  for (size_t i = 0; i < count; ++i) {
    const double *a = corners + 2 * i;
    const double *b = corners + 2 * ((i + 1) % count);
    cross(a[0], a[1], b[0], b[1], width_px, height_px, parity);
  }
  for (int32_t row = 0; row < height_px; ++row) {
    uint8_t inside = 0;
    for (int32_t column = 0; column < width_px; ++column) {
      inside ^= parity[(int64_t)row * (width_px + 1) + column];
      mask[(int64_t)row * width_px + column] |= inside;
    }
  }
}

size_t coco_runs_of_mask(const uint8_t *mask, int32_t x_px, int32_t y_px, int32_t width_px,
                         int32_t height_px, int32_t picture_width_px, int32_t picture_height_px,
                         uint32_t *runs)
{
  size_t count = 0;
  uint8_t last = 0;
  runs[0] = 0;
  for (int32_t x = 0; x < picture_width_px; ++x)
    for (int32_t y = 0; y < picture_height_px; ++y) {
      const int32_t in_x = x - x_px;
      const int32_t in_y = y - y_px;
      const bool inside = in_x >= 0 && in_y >= 0 && in_x < width_px && in_y < height_px;
      const uint8_t value = inside ? mask[(int64_t)in_y * width_px + in_x] : 0;
      if (value != last) runs[++count] = 0;
      ++runs[count];
      last = value;
    }
  return count + 1;
}

void coco_runs_write(const uint32_t *runs, size_t count, char *text)
{
  for (size_t i = 0; i < count; ++i) {
    int64_t rest = (int64_t)runs[i] - (i > 2 ? (int64_t)runs[i - 2] : 0);
    bool more = true;
    while (more) {
      int bits = (int)(rest & 0x1f);
      rest >>= 5;
      more = (bits & 0x10) != 0 ? rest != -1 : rest != 0;
      if (more) bits |= 0x20;
      *text++ = (char)(bits + 48);
    }
  }
  *text = '\0';
}

static Status bad_runs(const char *why)
{
  return status_set(STATUS_BAD_INPUT, "the run lengths of a mask %s", why);
}

/* One number: five bits a character, the lowest first, the last one with its sign. */
static Status read_number(const char **text, int64_t *number)
{
  int64_t value = 0;
  for (int shift = 0; shift < 45; shift += 5) {
    const int bits = (unsigned char)**text - 48;
    if (bits < 0 || bits > 0x3f) return bad_runs("hold a character that none has");
    ++*text;
    value += (int64_t)(bits & 0x1f) << shift;
    if ((bits & 0x20) != 0) continue;
    *number = (bits & 0x10) != 0 ? value - ((int64_t)1 << (shift + 5)) : value;
    return STATUS_OK;
  }
  return bad_runs("hold a number without an end");
}

Status coco_runs_read(const char *text, size_t capacity, uint32_t *runs, size_t *count)
{
  *count = 0;
  while (*text != '\0') {
    int64_t number = 0;
    TRY(read_number(&text, &number));
    if (*count > 2) number += runs[*count - 2];
    if (number < 0 || number > UINT32_MAX) return bad_runs("hold a length below 0 or too large");
    if (*count == capacity) return bad_runs("are more than its picture has pixels");
    runs[(*count)++] = (uint32_t)number;
  }
  return STATUS_OK;
}

Status coco_runs_fill(const uint32_t *runs, size_t count, int32_t width_px, int32_t height_px,
                      uint8_t *picture)
{
  const int64_t pixels = (int64_t)width_px * height_px;
  int64_t at = 0;
  for (size_t i = 0; i < count; ++i) {
    if (runs[i] > pixels - at) return bad_runs("go beyond its picture");
    for (const int64_t end = at + runs[i]; at < end; ++at)
      picture[at % height_px * width_px + at / height_px] = (uint8_t)(i % 2);
  }
  return at == pixels ? STATUS_OK : bad_runs("do not fill its picture");
}
