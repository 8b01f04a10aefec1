#include "regular_outline.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

static const double tolerance_px = 1.5;

typedef struct Point {
  double x;
  double y;
} Point;

/* A ring of raw points, and which of them simplification kept. */
typedef struct Ring {
  Point *points;
  int count; /* without the closing point */
  int *kept;
  int kept_count;
} Ring;

/* One line of the result: level ones are at a y, upright ones at an x. */
typedef struct Line {
  bool is_level;
  double place;
  double weight;
} Line;

static void ring_free(Ring *ring)
{
  memory_free(ring->points);
  memory_free(ring->kept);
  *ring = (Ring){0};
}

static double distance_to_line(Point p, Point a, Point b)
{
  const double length = hypot(b.x - a.x, b.y - a.y);
  if (length <= 0) return hypot(p.x - a.x, p.y - a.y);
  return fabs((b.x - a.x) * (p.y - a.y) - (b.y - a.y) * (p.x - a.x)) / length;
}

static int farthest_from(const Ring *ring, Point place)
{
  int best = 0;
  double most = -1;
  for (int i = 0; i < ring->count; ++i) {
    const double distance = hypot(ring->points[i].x - place.x, ring->points[i].y - place.y);
    if (distance <= most) continue;
    most = distance;
    best = i;
  }
  return best;
}

/* Douglas and Peucker over first … last (which may pass the end of the ring); marks what stays. */
static void simplify_span(const Ring *ring, int first, int last, double tolerance, uint8_t *stays,
                          int *stack)
{
  int depth = 0;
  stack[depth++] = first;
  stack[depth++] = last;
  while (depth > 0) {
    const int end = stack[--depth];
    const int start = stack[--depth];
    int worst = -1;
    double most = tolerance;
    for (int i = start + 1; i < end; ++i) {
      const double distance =
          distance_to_line(ring->points[i % ring->count], ring->points[start % ring->count],
                           ring->points[end % ring->count]);
      if (distance <= most) continue;
      most = distance;
      worst = i;
    }
    if (worst < 0) continue;
    stays[worst % ring->count] = 1;
    stack[depth++] = start;
    stack[depth++] = worst;
    stack[depth++] = worst;
    stack[depth++] = end;
  }
}

/* Anchors: the point farthest from the first one, and the one farthest from that. */
static bool simplify(Ring *ring, double tolerance)
{
  void *memory;
  const size_t count = (size_t)ring->count;
  if (memory_allocate(count, 5 * sizeof(int) + 1, "a ring", &memory) != STATUS_OK) return false;
  int *stack = memory;
  uint8_t *stays = (uint8_t *)(stack + 5 * count);
  int a = farthest_from(ring, ring->points[0]);
  int b = farthest_from(ring, ring->points[a]);
  if (a > b) {
    const int swap = a;
    a = b;
    b = swap;
  }
  stays[a] = stays[b] = 1;
  simplify_span(ring, a, b, tolerance, stays, stack);
  simplify_span(ring, b, a + ring->count, tolerance, stays, stack);
  ring->kept_count = 0;
  for (int i = 0; i < ring->count; ++i)
    if (stays[i] != 0) ring->kept[ring->kept_count++] = i;
  memory_free(memory);
  return true;
}

static bool ring_read(OGRGeometryH geometry, double tolerance, Ring *ring)
{
  void *memory;
  *ring = (Ring){.count = OGR_G_GetPointCount(geometry) - 1};
  if (ring->count < 4) return false;
  if (memory_allocate((size_t)ring->count, sizeof(Point), "a ring", &memory) != STATUS_OK)
    return false;
  ring->points = memory;
  if (memory_allocate((size_t)ring->count, sizeof(int), "a ring", &memory) != STATUS_OK)
    return false;
  ring->kept = memory;
  for (int i = 0; i < ring->count; ++i)
    ring->points[i] = (Point){OGR_G_GetX(geometry, i), OGR_G_GetY(geometry, i)};
  return simplify(ring, tolerance) && ring->kept_count >= 4;
}

static double direction_of(const Ring *ring)
{
  double cosines = 0;
  double sines = 0;
  for (int i = 0; i < ring->kept_count; ++i) {
    const Point a = ring->points[ring->kept[i]];
    const Point b = ring->points[ring->kept[(i + 1) % ring->kept_count]];
    const double length = hypot(b.x - a.x, b.y - a.y);
    const double angle = 4 * atan2(b.y - a.y, b.x - a.x);
    cosines += length * cos(angle);
    sines += length * sin(angle);
  }
  return atan2(sines, cosines) / 4;
}

static Point turned(Point p, double cosine, double sine)
{
  return (Point){p.x * cosine - p.y * sine, p.x * sine + p.y * cosine};
}

static void turn_ring(Ring *ring, double angle)
{
  for (int i = 0; i < ring->count; ++i)
    ring->points[i] = turned(ring->points[i], cos(angle), sin(angle));
}

/* Lines. */

static bool edge_is_level(const Ring *ring, int kept)
{
  const Point a = ring->points[ring->kept[kept % ring->kept_count]];
  const Point b = ring->points[ring->kept[(kept + 1) % ring->kept_count]];
  return fabs(b.x - a.x) >= fabs(b.y - a.y);
}

/* The mean place of the raw edges between two kept points. */
static void add_edge(const Ring *ring, int kept, Line *line)
{
  const int first = ring->kept[kept % ring->kept_count];
  int last = ring->kept[(kept + 1) % ring->kept_count];
  if (last <= first) last += ring->count;
  for (int i = first; i < last; ++i) {
    const Point a = ring->points[i % ring->count];
    const Point b = ring->points[(i + 1) % ring->count];
    const double length = hypot(b.x - a.x, b.y - a.y);
    line->place += length * (line->is_level ? (a.y + b.y) / 2 : (a.x + b.x) / 2);
    line->weight += length;
  }
}

/* lines has room for kept_count. They alternate; 0 where they do not make a ring. */
static int find_lines(const Ring *ring, Line *lines)
{
  int start = 0;
  int count = 0;
  while (start < ring->kept_count &&
         edge_is_level(ring, start) == edge_is_level(ring, start + ring->kept_count - 1))
    ++start;
  if (start == ring->kept_count) return 0;
  for (int i = start; i < start + ring->kept_count; ++i) {
    const bool is_level = edge_is_level(ring, i);
    if (count == 0 || lines[count - 1].is_level != is_level)
      lines[count++] = (Line){.is_level = is_level};
    add_edge(ring, i, &lines[count - 1]);
  }
  for (int i = 0; i < count; ++i)
    lines[i].place /= lines[i].weight;
  return count;
}

/* Draws together the neighbours of the shortest line as long as it is a mere step. */
static int join_steps(Line *lines, int count, double step)
{
  while (count > 4) {
    int shortest = 0;
    double least = INFINITY;
    for (int i = 0; i < count; ++i) {
      const double length =
          fabs(lines[(i + 1) % count].place - lines[(i + count - 1) % count].place);
      if (length >= least) continue;
      least = length;
      shortest = i;
    }
    if (least >= step) return count;
    Line *before = &lines[(shortest + count - 1) % count];
    const Line after = lines[(shortest + 1) % count];
    const double weight = before->weight + after.weight;
    before->place = (before->place * before->weight + after.place * after.weight) / weight;
    before->weight = weight;
    /* The two that go may stand at the list's end and start. */
    const int gone[2] = {shortest, (shortest + 1) % count};
    int left = 0;
    for (int i = 0; i < count; ++i)
      if (i != gone[0] && i != gone[1]) lines[left++] = lines[i];
    count = left;
  }
  return count;
}

static OGRGeometryH ring_of_lines(const Line *lines, int count, double direction)
{
  OGRGeometryH ring = OGR_G_CreateGeometry(wkbLinearRing);
  for (int i = 0; i <= count; ++i) {
    const Line *a = &lines[i % count];
    const Line *b = &lines[(i + 1) % count];
    const Point corner = a->is_level ? (Point){b->place, a->place} : (Point){a->place, b->place};
    const Point placed = turned(corner, cos(direction), sin(direction));
    OGR_G_AddPoint_2D(ring, placed.x, placed.y);
  }
  return ring;
}

/* Sums over the middles of the raw edges between two kept points, about their mean place. */
typedef struct Spread {
  double weight;
  double x, y;
  double xx, yy, xy;
} Spread;

static Spread spread_of(const Ring *ring, int kept)
{
  Spread sum = {0};
  const int first = ring->kept[kept];
  int last = ring->kept[(kept + 1) % ring->kept_count];
  if (last <= first) last += ring->count;
  for (int i = first; i < last; ++i) {
    const Point a = ring->points[i % ring->count];
    const Point b = ring->points[(i + 1) % ring->count];
    const double length = hypot(b.x - a.x, b.y - a.y);
    const double x = (a.x + b.x) / 2 - ring->points[first].x;
    const double y = (a.y + b.y) / 2 - ring->points[first].y;
    sum.weight += length;
    sum.x += length * x;
    sum.y += length * y;
    sum.xx += length * x * x;
    sum.yy += length * y * y;
    sum.xy += length * x * y;
  }
  sum.xx -= sum.x * sum.x / sum.weight;
  sum.yy -= sum.y * sum.y / sum.weight;
  sum.xy -= sum.x * sum.y / sum.weight;
  return sum;
}

/* How far the raw edges of a ring that was turned upright still lean, by least squares over all
 * sides at once. Long sides say most: their spread grows with the third power of the length. */
static double lean_of(const Ring *ring)
{
  double along = 0;
  double across = 0;
  for (int i = 0; i < ring->kept_count; ++i) {
    const Spread spread = spread_of(ring, i);
    const bool is_level = edge_is_level(ring, i);
    along += is_level ? spread.xx : spread.yy;
    across += is_level ? spread.xy : -spread.xy;
  }
  return along > 0 ? atan(across / along) : 0;
}

/* Turns the ring upright; the direction is that of the simplified edges, then that of the raw
 * ones, twice. */
static double straighten(Ring *ring)
{
  double direction = direction_of(ring);
  turn_ring(ring, -direction);
  for (int i = 0; i < 2; ++i) {
    const double lean = lean_of(ring);
    turn_ring(ring, -lean);
    direction += lean;
  }
  return direction;
}

/* From a ring that stands upright. */
static OGRGeometryH ring_from(const Ring *ring, double direction, double tolerance)
{
  void *memory;
  if (memory_allocate((size_t)ring->kept_count, sizeof(Line), "lines", &memory) != STATUS_OK)
    return NULL;
  int count = find_lines(ring, memory);
  if (count >= 4) count = join_steps(memory, count, tolerance);
  OGRGeometryH made = count >= 4 ? ring_of_lines(memory, count, direction) : NULL;
  memory_free(memory);
  return made;
}

/* *direction is found from an outer ring and used for a hole. */
static OGRGeometryH regular_ring(OGRGeometryH raw, double tolerance, bool is_outer,
                                 double *direction)
{
  Ring ring;
  OGRGeometryH made = NULL;
  if (ring_read(raw, tolerance, &ring)) {
    if (is_outer)
      *direction = straighten(&ring);
    else
      turn_ring(&ring, -*direction);
    made = ring_from(&ring, *direction, tolerance);
  }
  ring_free(&ring);
  return made;
}

/* A hole that cannot be made regular stays as it is. */
static OGRGeometryH regular_polygon(OGRGeometryH polygon, double tolerance)
{
  double direction = 0;
  OGRGeometryH made = OGR_G_CreateGeometry(wkbPolygon);
  for (int i = 0; i < OGR_G_GetGeometryCount(polygon); ++i) {
    OGRGeometryH raw = OGR_G_GetGeometryRef(polygon, i);
    OGRGeometryH ring = regular_ring(raw, tolerance, i == 0, &direction);
    if (ring == NULL && i == 0) {
      OGR_G_DestroyGeometry(made);
      return NULL;
    }
    (void)OGR_G_AddGeometryDirectly(made, ring == NULL ? OGR_G_Clone(raw) : ring);
  }
  return made;
}

static OGRGeometryH regular_parts(OGRGeometryH geometry, double tolerance)
{
  if (OGR_GT_Flatten(OGR_G_GetGeometryType(geometry)) == wkbPolygon)
    return regular_polygon(geometry, tolerance);
  OGRGeometryH made = OGR_G_CreateGeometry(wkbMultiPolygon);
  for (int i = 0; i < OGR_G_GetGeometryCount(geometry); ++i) {
    OGRGeometryH part = regular_polygon(OGR_G_GetGeometryRef(geometry, i), tolerance);
    if (part == NULL) {
      OGR_G_DestroyGeometry(made);
      return NULL;
    }
    (void)OGR_G_AddGeometryDirectly(made, part);
  }
  return made;
}

static double overlap(OGRGeometryH a, OGRGeometryH b)
{
  OGRGeometryH both = OGR_G_Intersection(a, b);
  if (both == NULL) return 0;
  const double shared = OGR_G_Area(both);
  OGR_G_DestroyGeometry(both);
  return shared / (OGR_G_Area(a) + OGR_G_Area(b) - shared);
}

OGRGeometryH regular_outline(OGRGeometryH geometry, double pixel, double least_iou, double *iou)
{
  *iou = 0;
  OGRGeometryH made = regular_parts(geometry, tolerance_px * pixel);
  if (made == NULL) return NULL;
  if (OGR_G_IsValid(made)) *iou = overlap(geometry, made);
  if (*iou >= least_iou) return made;
  OGR_G_DestroyGeometry(made);
  return NULL;
}
