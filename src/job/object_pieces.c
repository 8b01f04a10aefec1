#include "object_pieces.h"

#include "base/memory.h"

static int32_t root_of(int32_t *parent, int32_t run)
{
  while (parent[run] != run) {
    parent[run] = parent[parent[run]];
    run = parent[run];
  }
  return run;
}

/* The lower run stays the root, so that pieces are numbered by their first. */
static void join(int32_t *parent, int32_t a, int32_t b)
{
  a = root_of(parent, a);
  b = root_of(parent, b);
  if (a < b)
    parent[b] = a;
  else
    parent[a] = b;
}

static void join_rows(const ObjectMask *mask, int64_t row, int32_t *parent)
{
  int64_t above = mask->row_start[row - 1];
  int64_t below = mask->row_start[row];
  while (above < mask->row_start[row] && below < mask->row_start[row + 1]) {
    const RowRun a = mask->runs[above];
    const RowRun b = mask->runs[below];
    if (a.first_px < b.end_px && b.first_px < a.end_px)
      join(parent, (int32_t)above, (int32_t)below);
    if (a.end_px <= b.end_px)
      ++above;
    else
      ++below;
  }
}

/* Roots come before the runs that hang on them. */
static void number_pieces(const ObjectMask *mask, ObjectPieces *pieces)
{
  const int64_t run_count = object_mask_runs(mask);
  int32_t *piece = pieces->piece_of_run;
  for (int64_t run = 0; run < run_count; ++run)
    piece[run] = root_of(piece, (int32_t)run);
  for (int64_t run = 0; run < run_count; ++run) {
    piece[run] = piece[run] == run ? pieces->count++ : piece[piece[run]];
    pieces->area_px[piece[run]] += mask->runs[run].end_px - mask->runs[run].first_px;
  }
}

Status object_pieces_find(const ObjectMask *mask, ObjectPieces *pieces)
{
  const int64_t run_count = object_mask_runs(mask);
  void *memory;
  *pieces = (ObjectPieces){0};
  if (run_count > INT32_MAX)
    return status_set(STATUS_UNSUPPORTED, "a mask has %lld runs", (long long)run_count);
  TRY(memory_allocate((size_t)run_count, sizeof(int64_t) + sizeof(int32_t), "pieces of a mask",
                      &memory));
  pieces->area_px = memory;
  pieces->piece_of_run = (int32_t *)(pieces->area_px + run_count);
  for (int64_t run = 0; run < run_count; ++run)
    pieces->piece_of_run[run] = (int32_t)run;
  for (int64_t row = 1; row < mask->window.height_px; ++row)
    join_rows(mask, row, pieces->piece_of_run);
  number_pieces(mask, pieces);
  return STATUS_OK;
}

void object_pieces_close(ObjectPieces *pieces)
{
  memory_free(pieces->area_px);
  *pieces = (ObjectPieces){0};
}
