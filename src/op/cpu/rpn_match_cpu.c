#include "box_span_cpu.h"
#include "cpu_backend.h"

/* Few anchors have an IoU with an object that matters, and where they lie is known without looking:
 * an IoU of t wants an intersection of t (area + area) / (1 + t). First the highest IoU of each
 * object is found, then the best object of each anchor, so that nothing is shared between threads
 * but what the first wrote. */
typedef struct Range {
  int32_t first, end;
} Range;

static double lesser(double a, double b)
{
  return a < b ? a : b;
}

/* Rounded down, and into 0 … count; 0 for a NaN. */
static int32_t place_in(double place, int32_t count)
{
  return place > 0.0 ? (int32_t)lesser(place, count) : 0;
}

/* Which of count cells, moved by 0, stride, 2 stride …, share at least this length with low … high;
 * some more too. */
static Range overlapped(double low, double high, double cell_low, double cell_high, double length,
                        int32_t stride_px, int32_t count)
{
  return (Range){place_in((low + length - cell_high) / stride_px, count),
                 place_in((high - length - cell_low) / stride_px + 2.0, count)};
}

static Box cell_box(const AnchorMap *map, int32_t cell)
{
  return box_load(map->cells[cell], 0);
}

/* The intersection with an object from which on an IoU can be iou; a little less, for rounding. */
static double needed_area(Box cell, Box object, float iou)
{
  const double t = (double)iou * (1.0 - 1e-4);
  return t * ((double)box_area(cell) + (double)box_area(object)) / (1.0 + t);
}

/* Columns of a row whose anchors can have this IoU with the object. */
static Range columns_of(const AnchorMap *map, int32_t cell, int32_t y, Box object, float iou)
{
  const Box of_cell = cell_box(map, cell);
  const double dy = (double)y * map->stride_y_px;
  const double above = lesser(-(double)of_cell.y1 - dy, -(double)object.y1);
  const double height = lesser((double)of_cell.y2 + dy, (double)object.y2) + above;
  const double area = needed_area(of_cell, object, iou);
  const double width = lesser((double)(of_cell.x2 - of_cell.x1), (double)(object.x2 - object.x1));
  if (!(height > 0.0) || height * width < area) return (Range){0, 0};
  return overlapped((double)object.x1, (double)object.x2, (double)of_cell.x1, (double)of_cell.x2,
                    area / height, map->stride_x_px, map->width);
}

static void fill_span(const AnchorMap *map, int32_t cell, int32_t y, Range run, BoxSpan *span)
{
  for (int32_t x = run.first; x < run.end; ++x)
    box_span_set(span, x - run.first, anchor_box_at(map, cell, y, x));
  box_span_fill_up(span, run.end - run.first);
}

static Range run_at(int32_t x, int32_t end)
{
  return (Range){x, end - x < BOX_SPAN_MOST ? end : x + BOX_SPAN_MOST};
}

/* The larger of highest and what the anchors of one cell have. */
static float highest_of_cell(const AnchorMap *map, int32_t cell, Box object, float highest)
{
  const Box of_cell = cell_box(map, cell);
  const double area = needed_area(of_cell, object, highest);
  const double width = lesser((double)(of_cell.x2 - of_cell.x1), (double)(object.x2 - object.x1));
  const Range rows =
      overlapped((double)object.y1, (double)object.y2, (double)of_cell.y1, (double)of_cell.y2,
                 width > 0.0 ? area / width : 0.0, map->stride_y_px, map->height);
  for (int32_t y = rows.first; y < rows.end; ++y) {
    const Range columns = columns_of(map, cell, y, object, highest);
    for (int32_t x = columns.first; x < columns.end; x += BOX_SPAN_MOST) {
      BoxSpan span;
      const Range run = run_at(x, columns.end);
      fill_span(map, cell, y, run, &span);
      const float here = box_span_highest(&span, 0, run.end - run.first, object);
      highest = here > highest ? here : highest;
    }
  }
  return highest;
}

/* Of count cells the one whose middle is nearest to the object's. */
static int32_t nearest(float low, float high, float cell_low, float cell_high, int32_t stride_px,
                       int32_t count)
{
  const double middle = 0.5 * ((double)low + (double)high - (double)cell_low - (double)cell_high);
  return place_in(middle / stride_px + 0.5, count - 1);
}

/* The nearest anchor of each cell comes first: most others need not be looked at then. */
static float highest_of_object(const Rpn *rpn, Box object)
{
  float highest = 0.0F;
  for (int32_t i = 0; i < rpn->map_count * rpn->anchor_count; ++i) {
    const AnchorMap *map = &rpn->maps[i / rpn->anchor_count];
    const int32_t cell = i % rpn->anchor_count;
    const Box of_cell = cell_box(map, cell);
    const int32_t y =
        nearest(object.y1, object.y2, of_cell.y1, of_cell.y2, map->stride_y_px, map->height);
    const int32_t x =
        nearest(object.x1, object.x2, of_cell.x1, of_cell.x2, map->stride_x_px, map->width);
    const float here = box_iou(anchor_box_at(map, cell, y, x), object);
    highest = here > highest ? here : highest;
  }
  for (int32_t i = 0; i < rpn->map_count * rpn->anchor_count; ++i)
    highest =
        highest_of_cell(&rpn->maps[i / rpn->anchor_count], i % rpn->anchor_count, object, highest);
  return highest;
}

/* The objects of one image. */
typedef struct Objects {
  int32_t count;
  const float *boxes;
  const float *highest;
} Objects;

static BestObject best_of_anchor(Box anchor, Objects objects)
{
  BestObject best = {0.0F, 0};
  for (int32_t g = 0; g < objects.count; ++g)
    best = best_object_of(best, box_iou(anchor, box_load(objects.boxes, g)), g);
  return best;
}

/* Anchors of one cell in a run of a row: IoUs from low on, and those that rescue. */
static void match_run(const AnchorMap *map, int32_t cell, int32_t y, Range run, float low,
                      Objects objects, BestSpan *best)
{
  BoxSpan span;
  fill_span(map, cell, y, run, &span);
  for (int32_t g = 0; g < objects.count; ++g) {
    const Box object = box_load(objects.boxes, g);
    const float highest = objects.highest[g];
    if (!(highest > 0.0F && span.y1[0] < object.y2 && span.y2[0] > object.y1)) continue;
    const Range columns = columns_of(map, cell, y, object, highest < low ? highest : low);
    const int32_t first = columns.first > run.first ? columns.first : run.first;
    const int32_t end = columns.end < run.end ? columns.end : run.end;
    box_span_match(&span, first - run.first, end - run.first, object, g, highest, best);
  }
}

/* matches: of the row. */
static void match_row(const Rpn *rpn, RpnMatching matching, const AnchorMap *map, int32_t y,
                      Objects objects, int32_t *matches)
{
  for (int32_t x = 0; x < map->width; x += BOX_SPAN_MOST)
    for (int32_t cell = 0; cell < rpn->anchor_count; ++cell) {
      const Range run = run_at(x, map->width);
      BestSpan spans = {.iou = {0}};
      match_run(map, cell, y, run, matching.low, objects, &spans);
      for (int32_t i = 0; i < run.end - run.first; ++i) {
        BestObject best = {spans.iou[i], spans.object[i]};
        const bool rescued = spans.rescued[i] != 0;
        if (rescued && best.iou < matching.low)
          best = best_of_anchor(anchor_box_at(map, cell, y, x + i), objects);
        matches[(int64_t)(x + i) * rpn->anchor_count + cell] =
            rpn_match_element(matching, objects.count, best, rescued);
      }
    }
}

/* Where a row, counted through all maps of an image, lies. */
typedef struct Row {
  int32_t map, y;
  int64_t first_anchor;
} Row;

static Row row_of(const Rpn *rpn, int64_t row)
{
  Row at = {0};
  for (; row >= rpn->maps[at.map].height; ++at.map) {
    row -= rpn->maps[at.map].height;
    at.first_anchor += anchor_map_pixels(rpn, at.map) * rpn->anchor_count;
  }
  at.y = (int32_t)row;
  at.first_anchor += row * rpn->maps[at.map].width * rpn->anchor_count;
  return at;
}

size_t rpn_match_scratch_bytes_cpu(const Rpn *rpn, int32_t truth_capacity)
{
  return (size_t)rpn->images * (size_t)truth_capacity * sizeof(float);
}

void rpn_match_cpu(Device *device, const Rpn *rpn, RpnMatching matching, const Truth *truth,
                   int32_t *matches, void *scratch)
{
  const int64_t anchors = rpn_anchor_count(rpn);
  const int64_t places = (int64_t)rpn->images * truth->capacity;
  float *highest = scratch;
#pragma omp parallel for schedule(dynamic)
  for (int64_t place = 0; place < places; ++place)
    if (place % truth->capacity < truth->counts[place / truth->capacity])
      highest[place] = highest_of_object(rpn, box_load(truth->boxes, place));

  int64_t rows = 0;
  for (int32_t m = 0; m < rpn->map_count; ++m)
    rows += rpn->maps[m].height;
#pragma omp parallel for schedule(dynamic)
  for (int64_t row = 0; row < rpn->images * rows; ++row) {
    const int64_t image = row / rows;
    const Row at = row_of(rpn, row % rows);
    const Objects objects = {.count = truth->counts[image],
                             .boxes = truth->boxes + image * truth->capacity * 4,
                             .highest = highest + image * truth->capacity};
    match_row(rpn, matching, &rpn->maps[at.map], at.y, objects,
              matches + image * anchors + at.first_anchor);
  }
}
