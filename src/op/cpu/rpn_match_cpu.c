#include "box_span_cpu.h"
#include "cpu_backend.h"

/* An object meets few of the anchors: of each row of a map those columns are looked at whose
 * anchors can touch it. IoUs are taken twice, first for the highest of each object, then for the
 * best of each anchor, so that nothing is shared between threads but what the first wrote. */
typedef struct Range {
  int32_t first, end;
} Range;

/* Which of count cells, moved by 0, stride, 2 stride …, can overlap low … high; some more too. */
static Range overlapped(float low, float high, float cell_low, float cell_high, int32_t stride_px,
                        int32_t count)
{
  const double first = floor(((double)low - (double)cell_high) / stride_px);
  const double end = ceil(((double)high - (double)cell_low) / stride_px) + 1.0;
  return (Range){(int32_t)fmin(fmax(first, 0.0), count), (int32_t)fmin(fmax(end, 0.0), count)};
}

static Box anchor_at(const AnchorMap *map, int32_t cell, int32_t y, int32_t x)
{
  const float *of_cell = map->cells[cell];
  const float dx = (float)(x * map->stride_x_px), dy = (float)(y * map->stride_y_px);
  return (Box){of_cell[0] + dx, of_cell[1] + dy, of_cell[2] + dx, of_cell[3] + dy};
}

static void fill_span(const AnchorMap *map, int32_t cell, int32_t y, int32_t first, int32_t end,
                      BoxSpan *span)
{
  for (int32_t x = first; x < end; ++x)
    box_span_set(span, x - first, anchor_at(map, cell, y, x));
}

static float highest_of_cell(const AnchorMap *map, int32_t cell, Box object)
{
  const float *of_cell = map->cells[cell];
  const Range rows =
      overlapped(object.y1, object.y2, of_cell[1], of_cell[3], map->stride_y_px, map->height);
  const Range columns =
      overlapped(object.x1, object.x2, of_cell[0], of_cell[2], map->stride_x_px, map->width);
  float highest = 0.0F;
  for (int32_t y = rows.first; y < rows.end; ++y)
    for (int32_t x = columns.first; x < columns.end; x += BOX_SPAN_MOST) {
      BoxSpan span;
      const int32_t end = columns.end - x < BOX_SPAN_MOST ? columns.end : x + BOX_SPAN_MOST;
      fill_span(map, cell, y, x, end, &span);
      const float here = box_span_highest(&span, 0, end - x, object);
      highest = here > highest ? here : highest;
    }
  return highest;
}

static float highest_of_object(const Rpn *rpn, Box object)
{
  float highest = 0.0F;
  for (int32_t m = 0; m < rpn->map_count; ++m)
    for (int32_t cell = 0; cell < rpn->anchor_count; ++cell) {
      const float here = highest_of_cell(&rpn->maps[m], cell, object);
      highest = here > highest ? here : highest;
    }
  return highest;
}

/* The objects of one image. */
typedef struct Objects {
  int32_t count;
  const float *boxes;
  const float *highest;
} Objects;

/* Anchors of one cell in columns first … end - 1 of a row. */
static void match_anchors(const AnchorMap *map, int32_t cell, int32_t y, Range run, Objects objects,
                          BestSpan *best)
{
  const float *of_cell = map->cells[cell];
  BoxSpan span;
  fill_span(map, cell, y, run.first, run.end, &span);
  for (int32_t g = 0; g < objects.count; ++g) {
    const Box object = box_load(objects.boxes, g);
    if (!(span.y1[0] < object.y2 && span.y2[0] > object.y1)) continue;
    const Range columns =
        overlapped(object.x1, object.x2, of_cell[0], of_cell[2], map->stride_x_px, map->width);
    const int32_t first = columns.first > run.first ? columns.first : run.first;
    const int32_t end = columns.end < run.end ? columns.end : run.end;
    box_span_match(&span, first - run.first, end - run.first, object, g, objects.highest[g], best);
  }
}

/* matches: of the row. */
static void match_row(const Rpn *rpn, RpnMatching matching, const AnchorMap *map, int32_t y,
                      Objects objects, int32_t *matches)
{
  for (int32_t x = 0; x < map->width; x += BOX_SPAN_MOST) {
    const Range run = {x, map->width - x < BOX_SPAN_MOST ? map->width : x + BOX_SPAN_MOST};
    for (int32_t cell = 0; cell < rpn->anchor_count; ++cell) {
      BestSpan best = {.iou = {0}};
      match_anchors(map, cell, y, run, objects, &best);
      for (int32_t i = 0; i < run.end - run.first; ++i)
        matches[(int64_t)(x + i) * rpn->anchor_count + cell] =
            rpn_match_element(matching, objects.count, (BestObject){best.iou[i], best.object[i]},
                              best.rescued[i] != 0);
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
