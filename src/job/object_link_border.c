#include "object_link_border.h"

#include <stdlib.h>

#include "base/memory.h"

/* The border between two tiles, and what either has beside it. */
typedef struct Border {
  bool is_vertical;
  int64_t first_px; /* along the border: rows of a vertical one, columns of one that lies */
  int64_t end_px;
  Window a_strip; /* edge_px deep */
  Window b_strip;
} Border;

typedef struct Run {
  int64_t first_px;
  int64_t end_px;
} Run;

static int64_t least(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
  return a > b ? a : b;
}

static Window turn(Window window)
{
  return (Window){window.y_px, window.x_px, window.height_px, window.width_px};
}

/* A vertical border, a's right and b's left or the other way round. */
static bool find_vertical(Window a, Window b, int32_t edge_px, Border *border)
{
  const int64_t depth = least(edge_px, least(a.width_px, b.width_px));
  const bool a_is_left = a.x_px + a.width_px == b.x_px;
  if (!a_is_left && b.x_px + b.width_px != a.x_px) return false;
  border->first_px = most(a.y_px, b.y_px);
  border->end_px = least(a.y_px + a.height_px, b.y_px + b.height_px);
  if (border->first_px >= border->end_px) return false;
  const int64_t x = a_is_left ? b.x_px : a.x_px;
  const Window left = {x - depth, border->first_px, depth, border->end_px - border->first_px};
  const Window right = {x, left.y_px, depth, left.height_px};
  border->a_strip = a_is_left ? left : right;
  border->b_strip = a_is_left ? right : left;
  border->is_vertical = true;
  return true;
}

/* Between neighbours only: over any other border there is a tile that sees both sides. */
static bool find_border(const SeenThing *a, const SeenThing *b, int32_t edge_px, Border *border)
{
  if (llabs(a->tile_column - b->tile_column) == 1 &&
      find_vertical(a->seen, b->seen, edge_px, border))
    return true;
  if (llabs(a->tile_row - b->tile_row) != 1 ||
      !find_vertical(turn(a->seen), turn(b->seen), edge_px, border))
    return false;
  border->a_strip = turn(border->a_strip);
  border->b_strip = turn(border->b_strip);
  border->is_vertical = false;
  return true;
}

/* line: 1 for each place along the border where the mask has a pixel in the strip. */
static void mark(const ObjectMask *mask, const Border *border, Window strip, uint8_t *line)
{
  const Window common = window_intersect(mask->window, strip);
  for (int64_t y = common.y_px; y < common.y_px + common.height_px; ++y) {
    const int64_t row = y - mask->window.y_px;
    for (int64_t r = mask->row_start[row]; r < mask->row_start[row + 1]; ++r) {
      const int64_t first = most(common.x_px, mask->window.x_px + mask->runs[r].first_px);
      const int64_t end =
          least(common.x_px + common.width_px, mask->window.x_px + mask->runs[r].end_px);
      if (first < end && border->is_vertical) line[y - border->first_px] = 1;
      for (int64_t x = first; x < end && !border->is_vertical; ++x)
        line[x - border->first_px] = 1;
    }
  }
}

/* The next run of the line from *place on. */
static bool next_run(const uint8_t *line, int64_t count, int64_t *place, Run *run)
{
  while (*place < count && line[*place] == 0)
    ++*place;
  run->first_px = *place;
  while (*place < count && line[*place] != 0)
    ++*place;
  run->end_px = *place;
  return run->first_px < run->end_px;
}

/* How much of a lies beside b, diagonal neighbours too. */
static int64_t beside(Run a, Run b)
{
  return most(0, least(a.end_px, b.end_px + 1) - most(a.first_px, b.first_px - 1));
}

static bool runs_meet(double agreement, Run a, Run b)
{
  const int64_t contact_px = most(beside(a, b), beside(b, a));
  const int64_t shorter_px = least(a.end_px - a.first_px, b.end_px - b.first_px);
  return contact_px > 0 && (double)contact_px >= agreement * (double)shorter_px;
}

static bool lines_meet(double agreement, const uint8_t *a_line, const uint8_t *b_line,
                       int64_t count)
{
  Run a;
  Run b;
  for (int64_t i = 0; next_run(a_line, count, &i, &a);)
    for (int64_t j = most(0, a.first_px - 1); next_run(b_line, count, &j, &b);) {
      while (b.first_px > 0 && b_line[b.first_px - 1] != 0) /* it may begin before j did */
        --b.first_px;
      if (b.first_px > a.end_px) break;
      if (runs_meet(agreement, a, b)) return true;
    }
  return false;
}

Status object_link_border(LinkRule rule, const SeenThing *a, const SeenThing *b, bool *linked)
{
  Border border;
  void *memory;
  *linked = false;
  if (!find_border(a, b, rule.edge_px, &border)) return STATUS_OK;
  if (!window_overlaps(a->mask->window, border.a_strip) ||
      !window_overlaps(b->mask->window, border.b_strip))
    return STATUS_OK;
  const int64_t count = border.end_px - border.first_px;
  TRY(memory_allocate((size_t)count, 2, "border of two tiles", &memory));
  uint8_t *a_line = memory;
  uint8_t *b_line = a_line + count;
  mark(a->mask, &border, border.a_strip, a_line);
  mark(b->mask, &border, border.b_strip, b_line);
  *linked = lines_meet(rule.agreement, a_line, b_line, count);
  memory_free(memory);
  return STATUS_OK;
}
