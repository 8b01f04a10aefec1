#include "object_link.h"

#include <stdlib.h>

#include "base/memory.h"
#include "object_link_border.h"
#include "object_pieces.h"

/* Two things, and what both tiles see. */
typedef struct Link {
  LinkRule rule;
  const SeenThing *a;
  const SeenThing *b;
  Window overlap;
  bool masks_agree; /* there, as a whole */
} Link;

/* What one thing has in the overlap. */
typedef struct Part {
  const SeenThing *thing;
  ObjectMask *mask;
  ObjectPieces pieces;
  int *cut_by; /* for each piece: CUT_BY_A | CUT_BY_B */
} Part;

enum { CUT_BY_A = 1, CUT_BY_B = 2 };

/* Pixels that a piece of one and a piece of the other have in common. */
typedef struct Common {
  int32_t a;
  int32_t b;
  int64_t area_px;
} Common;

static bool agrees(double agreement, int64_t common_px, int64_t a_px, int64_t b_px)
{
  return common_px > 0 && (double)common_px >= agreement * (double)(a_px + b_px - common_px);
}

static bool run_meets_side(int64_t y, int64_t first, int64_t end, const SeenThing *tile,
                           int32_t edge_px)
{
  const Window seen = tile->seen;
  const int sides = tile->cutting_sides;
  return ((sides & SIDE_LEFT) != 0 && first < seen.x_px + edge_px) ||
         ((sides & SIDE_RIGHT) != 0 && end > seen.x_px + seen.width_px - edge_px) ||
         ((sides & SIDE_TOP) != 0 && y < seen.y_px + edge_px) ||
         ((sides & SIDE_BOTTOM) != 0 && y >= seen.y_px + seen.height_px - edge_px);
}

static void mark_cuts(Part *part, const Link *link)
{
  const int32_t edge_px = link->rule.edge_px;
  const ObjectMask *mask = part->mask;
  for (int64_t row = 0; row < mask->window.height_px; ++row)
    for (int64_t r = mask->row_start[row]; r < mask->row_start[row + 1]; ++r) {
      const int64_t y = mask->window.y_px + row;
      const int64_t first = mask->window.x_px + mask->runs[r].first_px;
      const int64_t end = mask->window.x_px + mask->runs[r].end_px;
      int *cut_by = part->cut_by + part->pieces.piece_of_run[r];
      if (run_meets_side(y, first, end, link->a, edge_px)) *cut_by |= CUT_BY_A;
      if (run_meets_side(y, first, end, link->b, edge_px)) *cut_by |= CUT_BY_B;
    }
}

static Status find_part(const SeenThing *thing, Window overlap, Part *part)
{
  void *memory;
  part->thing = thing;
  TRY(object_mask_clip(thing->mask, overlap, &part->mask));
  TRY(object_pieces_find(part->mask, &part->pieces));
  TRY(memory_allocate((size_t)part->pieces.count, sizeof *part->cut_by, "pieces of a mask",
                      &memory));
  part->cut_by = memory;
  return STATUS_OK;
}

static void close_part(Part *part)
{
  memory_free(part->cut_by);
  object_pieces_close(&part->pieces);
  object_mask_close(part->mask);
}

/* The stretches of row y that runs of both cover; returns how many there are now. */
static int64_t add_row(const Part *a, const Part *b, int64_t y, Common *common, int64_t count)
{
  const ObjectMask *am = a->mask;
  const ObjectMask *bm = b->mask;
  const int64_t *a_row = am->row_start + (y - am->window.y_px);
  const int64_t *b_row = bm->row_start + (y - bm->window.y_px);
  const int64_t shift = bm->window.x_px - am->window.x_px;
  int64_t i = a_row[0];
  int64_t j = b_row[0];
  while (i < a_row[1] && j < b_row[1]) {
    const int64_t b_first = bm->runs[j].first_px + shift;
    const int64_t b_end = bm->runs[j].end_px + shift;
    const int64_t first = am->runs[i].first_px > b_first ? am->runs[i].first_px : b_first;
    const int64_t end = am->runs[i].end_px < b_end ? am->runs[i].end_px : b_end;
    if (first < end)
      common[count++] = (Common){a->pieces.piece_of_run[i], b->pieces.piece_of_run[j], end - first};
    if (am->runs[i].end_px <= b_end)
      ++i;
    else
      ++j;
  }
  return count;
}

static int by_pieces(const void *left, const void *right)
{
  const Common *x = left;
  const Common *y = right;
  if (x->a != y->a) return x->a < y->a ? -1 : 1;
  if (x->b != y->b) return x->b < y->b ? -1 : 1;
  return 0;
}

static bool is_most_of(LinkRule rule, int64_t area_px, const SeenThing *thing)
{
  return thing->is_cut && (double)area_px >= rule.agreement * (double)thing->mask->area_px;
}

static bool piece_counts(LinkRule rule, const Part *a, const Part *b, Common common)
{
  if (!agrees(rule.agreement, common.area_px, a->pieces.area_px[common.a],
              b->pieces.area_px[common.b]))
    return false;
  const int cut_by = a->cut_by[common.a] | b->cut_by[common.b];
  return cut_by == (CUT_BY_A | CUT_BY_B) || is_most_of(rule, common.area_px, a->thing) ||
         is_most_of(rule, common.area_px, b->thing);
}

static bool any_piece_counts(LinkRule rule, const Part *a, const Part *b, Common *common)
{
  const Window both = window_intersect(a->mask->window, b->mask->window);
  int64_t count = 0;
  for (int64_t y = both.y_px; y < both.y_px + both.height_px; ++y)
    count = add_row(a, b, y, common, count);
  qsort(common, (size_t)count, sizeof *common, by_pieces);
  for (int64_t c = 0; c < count; ++c) {
    const bool is_last = c + 1 == count || by_pieces(common + c, common + c + 1) != 0;
    if (is_last && piece_counts(rule, a, b, common[c])) return true;
    if (!is_last) common[c + 1].area_px += common[c].area_px;
  }
  return false;
}

static int all_cuts(const Part *part)
{
  int cut_by = 0;
  for (int32_t piece = 0; piece < part->pieces.count; ++piece)
    cut_by |= part->cut_by[piece];
  return cut_by;
}

static Status compare_pieces(LinkRule rule, const Part *a, const Part *b, bool *linked)
{
  const int64_t most = object_mask_runs(a->mask) + object_mask_runs(b->mask);
  void *memory;
  TRY(memory_allocate((size_t)most, sizeof(Common), "pieces of a mask", &memory));
  *linked = any_piece_counts(rule, a, b, memory);
  memory_free(memory);
  return STATUS_OK;
}

/* Fills both parts, which their owner closes. */
static Status compare_parts(const Link *link, Part *a, Part *b, bool *linked)
{
  TRY(find_part(link->a, link->overlap, a));
  TRY(find_part(link->b, link->overlap, b));
  mark_cuts(a, link);
  mark_cuts(b, link);
  *linked = link->masks_agree && (all_cuts(a) | all_cuts(b)) == (CUT_BY_A | CUT_BY_B);
  return *linked ? STATUS_OK : compare_pieces(link->rule, a, b, linked);
}

static Status test_parts(const Link *link, bool *linked)
{
  Part a = {0};
  Part b = {0};
  const Status status = compare_parts(link, &a, &b, linked);
  close_part(&a);
  close_part(&b);
  return status;
}

Status object_link_test(LinkRule rule, const SeenThing *a, const SeenThing *b, bool *linked)
{
  Link link = {.rule = rule, .a = a, .b = b, .overlap = window_intersect(a->seen, b->seen)};
  *linked = false;
  if (window_is_empty(link.overlap)) return object_link_border(rule, a, b, linked);
  const int64_t shared_px = object_mask_shared_within(a->mask, b->mask, link.overlap);
  if (shared_px == 0) return STATUS_OK;
  link.masks_agree =
      agrees(rule.agreement, shared_px, object_mask_area_within(a->mask, link.overlap),
             object_mask_area_within(b->mask, link.overlap));
  *linked = link.masks_agree && ((double)shared_px >= rule.agreement * (double)a->mask->area_px ||
                                 (double)shared_px >= rule.agreement * (double)b->mask->area_px);
  if (*linked || (!a->is_cut && !b->is_cut)) return STATUS_OK;
  return test_parts(&link, linked);
}
