#include "geo/outline.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/require.h"

/* Every run has two upright edges, one row high: 2 * run is its left one, 2 * run + 1 its right
 * one. Each end of an edge meets exactly one other end, straight on or along the line between two
 * rows; an end is 2 * edge for the upper, 2 * edge + 1 for the lower one. Where four edges meet
 * (two pixels that touch in a corner), each turns round its own pixel, so that parts are joined by
 * edges alone. */

typedef struct Tracing {
  const PixelSet *set;
  int64_t run_count;
  int64_t *link;    /* of each end: the other one, 4 * run_count */
  uint8_t *crossed; /* of each end: it lies where four edges meet */
  int64_t *part;    /* of each run: a run before it of the same part, or itself */
  uint8_t *traced;  /* of each edge */
  int64_t *row;     /* of each run */
  Outline *outline;
  int64_t ring_capacity;
  int64_t point_capacity;
  OutlinePoint *loop; /* the ring being traced */
  uint8_t *loop_crossed;
  int64_t loop_count;
  int64_t loop_capacity;
} Tracing;

static int64_t edge_x(const Tracing *t, int64_t edge)
{
  const PixelRun *run = &t->set->runs[edge / 2];
  return edge % 2 == 0 ? run->first_px : run->end_px;
}

/* Parts: union and find. */

static int64_t find_part(Tracing *t, int64_t run)
{
  while (t->part[run] != run) {
    t->part[run] = t->part[t->part[run]];
    run = t->part[run];
  }
  return run;
}

static void join_parts(Tracing *t, int64_t a, int64_t b)
{
  const int64_t first = find_part(t, a);
  const int64_t second = find_part(t, b);
  if (first < second)
    t->part[second] = first;
  else
    t->part[first] = second;
}

static void join_rows(Tracing *t, int64_t above, int64_t above_end, int64_t below,
                      int64_t below_end)
{
  const PixelRun *runs = t->set->runs;
  while (above < above_end && below < below_end) {
    if (runs[above].first_px < runs[below].end_px && runs[below].first_px < runs[above].end_px)
      join_parts(t, above, below);
    if (runs[above].end_px <= runs[below].end_px)
      ++above;
    else
      ++below;
  }
}

/* Links. */

static void link_ends(Tracing *t, int64_t a, int64_t b)
{
  t->link[a] = b;
  t->link[b] = a;
}

/* The line between the rows of two spans of edges; either may be empty. Along it goes an open end:
 * the one where the present level piece began. */
static void link_line(Tracing *t, int64_t above, int64_t above_end, int64_t below,
                      int64_t below_end)
{
  int64_t open = -1;
  while (above < above_end || below < below_end) {
    const bool takes_above =
        above < above_end && (below >= below_end || edge_x(t, above) <= edge_x(t, below));
    const bool takes_below =
        below < below_end && (above >= above_end || edge_x(t, below) <= edge_x(t, above));
    const int64_t upper = 2 * above + 1;
    const int64_t lower = 2 * below;
    if (takes_above && takes_below && open < 0)
      link_ends(t, upper, lower);
    else if (takes_above && takes_below) {
      /* Four edges: a right edge above closes the piece, else the one below does. */
      const bool above_closes = above % 2 == 1;
      t->crossed[upper] = t->crossed[lower] = 1;
      link_ends(t, open, above_closes ? upper : lower);
      open = above_closes ? lower : upper;
    } else {
      const int64_t end = takes_above ? upper : lower;
      if (open >= 0) link_ends(t, open, end);
      open = open >= 0 ? -1 : end;
    }
    above += takes_above;
    below += takes_below;
  }
  require(open < 0);
}

static void link_all(Tracing *t)
{
  const int64_t *row_start = t->set->row_start;
  const int64_t rows = t->set->window.height_px;
  for (int64_t run = 0; run < t->run_count; ++run)
    t->part[run] = run;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t run = row_start[row]; run < row_start[row + 1]; ++run)
      t->row[run] = row;
  link_line(t, 0, 0, 2 * row_start[0], 2 * row_start[1]);
  for (int64_t row = 1; row < rows; ++row) {
    link_line(t, 2 * row_start[row - 1], 2 * row_start[row], 2 * row_start[row],
              2 * row_start[row + 1]);
    join_rows(t, row_start[row - 1], row_start[row], row_start[row], row_start[row + 1]);
  }
  link_line(t, 2 * row_start[rows - 1], 2 * row_start[rows], 0, 0);
}

/* Rings. */

static Status grow(void **memory, int64_t used, int64_t capacity, size_t size)
{
  void *larger;
  TRY(memory_allocate((size_t)capacity, size, "outlines", &larger));
  if (used > 0) memcpy(larger, *memory, (size_t)used * size);
  memory_free(*memory);
  *memory = larger;
  return STATUS_OK;
}

static Status grow_loop(Tracing *t)
{
  void *points = t->loop;
  void *crossed = t->loop_crossed;
  const int64_t capacity = t->loop_capacity < 64 ? 128 : 2 * t->loop_capacity;
  Status status = grow(&points, t->loop_count, capacity, sizeof *t->loop);
  t->loop = points;
  if (status == STATUS_OK) status = grow(&crossed, t->loop_count, capacity, 1);
  t->loop_crossed = crossed;
  if (status == STATUS_OK) t->loop_capacity = capacity;
  return status;
}

static Status add_to_loop(Tracing *t, int64_t x, int64_t y, bool crossed)
{
  if (t->loop_count == t->loop_capacity) TRY(grow_loop(t));
  t->loop[t->loop_count] = (OutlinePoint){.x_px = (double)(x + t->set->window.x_px),
                                          .y_px = (double)(y + t->set->window.y_px)};
  t->loop_crossed[t->loop_count++] = crossed;
  return STATUS_OK;
}

/* From the edge back to itself: right edges downwards, left edges upwards. */
static Status follow(Tracing *t, int64_t first)
{
  int64_t edge = first;
  t->loop_count = 0;
  do {
    t->traced[edge] = 1;
    const bool goes_down = edge % 2 == 1;
    const int64_t end = 2 * edge + (goes_down ? 1 : 0);
    const int64_t next_end = t->link[end];
    const int64_t next = next_end / 2;
    const int64_t y = t->row[edge / 2] + (goes_down ? 1 : 0);
    if (edge_x(t, edge) != edge_x(t, next)) {
      TRY(add_to_loop(t, edge_x(t, edge), y, t->crossed[end] != 0));
      TRY(add_to_loop(t, edge_x(t, next), y, t->crossed[next_end] != 0));
    }
    edge = next;
  } while (edge != first);
  return STATUS_OK;
}

static double doubled_area(const OutlinePoint *points, int64_t count)
{
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const OutlinePoint *a = &points[i];
    const OutlinePoint *b = &points[i + 1 < count ? i + 1 : 0];
    sum += (a->x_px - points[0].x_px) * (b->y_px - points[0].y_px) -
           (b->x_px - points[0].x_px) * (a->y_px - points[0].y_px);
  }
  return sum;
}

static Status add_ring(Tracing *t, int64_t run, int64_t count, const OutlinePoint *points)
{
  Outline *outline = t->outline;
  void *memory = outline->rings;
  if (outline->ring_count == t->ring_capacity) {
    t->ring_capacity = t->ring_capacity == 0 ? 16 : 2 * t->ring_capacity;
    TRY(grow(&memory, outline->ring_count, t->ring_capacity, sizeof *outline->rings));
    outline->rings = memory;
  }
  require(outline->point_count + count <= t->point_capacity);
  outline->rings[outline->ring_count++] = (OutlineRing){.first = outline->point_count,
                                                        .count = count,
                                                        .part = (int32_t)find_part(t, run),
                                                        .is_hole = doubled_area(points, count) < 0};
  memcpy(outline->points + outline->point_count, points, (size_t)count * sizeof *points);
  outline->point_count += count;
  return STATUS_OK;
}

/* Splitting: a loop that comes to the same corner twice is two rings that touch there. */

typedef struct Corner {
  OutlinePoint place;
  int64_t index;
} Corner;

static int by_place(const void *left, const void *right)
{
  const Corner *a = left;
  const Corner *b = right;
  if (a->place.y_px != b->place.y_px) return a->place.y_px < b->place.y_px ? -1 : 1;
  if (a->place.x_px != b->place.x_px) return a->place.x_px < b->place.x_px ? -1 : 1;
  return a->index < b->index ? -1 : a->index > b->index;
}

/* earlier[i]: the point before i at the same corner, or -1. */
static void pair_corners(const Tracing *t, Corner *corners, int64_t *earlier)
{
  int64_t count = 0;
  for (int64_t i = 0; i < t->loop_count; ++i) {
    earlier[i] = -1;
    if (t->loop_crossed[i] != 0) corners[count++] = (Corner){t->loop[i], i};
  }
  qsort(corners, (size_t)count, sizeof *corners, by_place);
  for (int64_t i = 1; i < count; ++i)
    if (corners[i].place.x_px == corners[i - 1].place.x_px &&
        corners[i].place.y_px == corners[i - 1].place.y_px)
      earlier[corners[i].index] = corners[i - 1].index;
}

/* Takes the loop apart with a stack of its points: where a point is there already, what lies above
 * it is a ring. */
static Status split_with(Tracing *t, int64_t run, const int64_t *earlier, int64_t *place,
                         OutlinePoint *stack)
{
  int64_t depth = 0;
  for (int64_t i = 0; i < t->loop_count; ++i) {
    const int64_t partner = earlier[i];
    if (partner >= 0 && place[partner] >= 0 && place[partner] < depth) {
      const int64_t bottom = place[partner];
      TRY(add_ring(t, run, depth - bottom, stack + bottom));
      depth = bottom;
    }
    place[i] = depth;
    stack[depth++] = t->loop[i];
  }
  return add_ring(t, run, depth, stack);
}

static Status split_loop(Tracing *t, int64_t run)
{
  void *memory;
  const size_t count = (size_t)t->loop_count;
  const size_t bytes = 2 * sizeof(int64_t) + sizeof(OutlinePoint) + sizeof(Corner);
  TRY(memory_allocate(count, bytes, "outlines", &memory));
  int64_t *earlier = memory;
  int64_t *place = earlier + count;
  OutlinePoint *stack = (OutlinePoint *)(place + count);
  Corner *corners = (Corner *)(stack + count);
  pair_corners(t, corners, earlier);
  const Status status = split_with(t, run, earlier, place, stack);
  memory_free(memory);
  return status;
}

static bool meets_corners(const Tracing *t)
{
  int64_t crossed = 0;
  for (int64_t i = 0; i < t->loop_count; ++i)
    crossed += t->loop_crossed[i];
  return crossed > 1;
}

static Status trace_rings(Tracing *t)
{
  for (int64_t edge = 0; edge < 2 * t->run_count; ++edge) {
    if (t->traced[edge] != 0) continue;
    TRY(follow(t, edge));
    if (meets_corners(t))
      TRY(split_loop(t, edge / 2));
    else
      TRY(add_ring(t, edge / 2, t->loop_count, t->loop));
  }
  return STATUS_OK;
}

/* Order: rings keep the order of tracing, in which a part's first ring begins with its first run.
 * Its outer ring comes first, though a loop that was split may give a hole before it. */
static int by_part(const void *left, const void *right)
{
  const OutlineRing *a = left;
  const OutlineRing *b = right;
  if (a->part != b->part) return a->part < b->part ? -1 : 1;
  if (a->is_hole != b->is_hole) return a->is_hole ? 1 : -1;
  return a->first < b->first ? -1 : a->first > b->first;
}

static void number_parts(Outline *outline)
{
  int32_t last = -1;
  qsort(outline->rings, (size_t)outline->ring_count, sizeof *outline->rings, by_part);
  for (int64_t i = 0; i < outline->ring_count; ++i) {
    const int32_t part = outline->rings[i].part;
    if (part != last) ++outline->part_count;
    last = part;
    outline->rings[i].part = outline->part_count - 1;
  }
}

/* Memory. */

static Status allocate(Tracing *t)
{
  void *memory;
  const size_t runs = (size_t)t->run_count;
  TRY(memory_allocate(4 * runs, sizeof *t->link, "outlines", &memory));
  t->link = memory;
  TRY(memory_allocate(4 * runs, 1, "outlines", &memory));
  t->crossed = memory;
  TRY(memory_allocate(2 * runs, 1, "outlines", &memory));
  t->traced = memory;
  TRY(memory_allocate(2 * runs, sizeof *t->part, "outlines", &memory));
  t->part = memory;
  t->row = t->part + runs;
  /* Every edge gives at most two points. */
  t->point_capacity = 4 * t->run_count;
  TRY(memory_allocate(4 * runs, sizeof *t->outline->points, "outlines", &memory));
  t->outline->points = memory;
  return STATUS_OK;
}

static Status trace(Tracing *t)
{
  TRY(allocate(t));
  if (t->run_count == 0) return STATUS_OK;
  if (t->run_count > INT32_MAX)
    return status_set(STATUS_UNSUPPORTED, "an object of %lld runs of pixels is too large",
                      (long long)t->run_count);
  link_all(t);
  TRY(trace_rings(t));
  number_parts(t->outline);
  return STATUS_OK;
}

Status outline_trace(const PixelSet *set, Outline *outline)
{
  *outline = (Outline){0};
  const int64_t rows = set->window.height_px;
  Tracing t = {.set = set,
               .outline = outline,
               .run_count = window_is_empty(set->window) ? 0 : set->row_start[rows]};
  const Status status = trace(&t);
  memory_free(t.link);
  memory_free(t.crossed);
  memory_free(t.traced);
  memory_free(t.part);
  memory_free(t.loop);
  memory_free(t.loop_crossed);
  if (status != STATUS_OK) outline_free(outline);
  return status;
}

Status outline_of_box(const double box[4], Outline *outline)
{
  void *memory;
  *outline = (Outline){0};
  TRY(memory_allocate(4, sizeof(OutlinePoint), "outlines", &memory));
  outline->points = memory;
  const OutlinePoint corners[4] = {
      {box[0], box[1]}, {box[2], box[1]}, {box[2], box[3]}, {box[0], box[3]}};
  memcpy(outline->points, corners, sizeof corners);
  outline->point_count = 4;
  const Status status = memory_allocate(1, sizeof(OutlineRing), "outlines", &memory);
  if (status != STATUS_OK) {
    outline_free(outline);
    return status;
  }
  outline->rings = memory;
  outline->rings[0].count = 4;
  outline->ring_count = outline->part_count = 1;
  return STATUS_OK;
}

void outline_free(Outline *outline)
{
  memory_free(outline->rings);
  memory_free(outline->points);
  *outline = (Outline){0};
}
