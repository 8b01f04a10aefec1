#include "memory_plan.h"

#include <stdbool.h>

#include "base/memory.h"

static bool meet_in_time(const Piece *a, const Piece *b)
{
  return a->first <= b->last && b->first <= a->last;
}

static size_t aligned(size_t bytes)
{
  return (bytes + PIECE_ALIGNMENT_BYTES - 1) / PIECE_ALIGNMENT_BYTES * PIECE_ALIGNMENT_BYTES;
}

/* placed is in the order of offsets, so one walk finds the first gap. */
static size_t first_gap(const Piece *pieces, const int32_t *placed, int32_t placed_count,
                        const Piece *piece)
{
  size_t offset = 0;
  for (int32_t i = 0; i < placed_count; ++i) {
    const Piece *other = &pieces[placed[i]];
    if (!meet_in_time(piece, other)) continue;
    if (other->offset >= offset + aligned(piece->bytes)) break;
    const size_t end = other->offset + aligned(other->bytes);
    if (end > offset) offset = end;
  }
  return offset;
}

static void insert(const Piece *pieces, int32_t *placed, int32_t placed_count, int32_t index)
{
  int32_t i = placed_count;
  for (; i > 0 && pieces[placed[i - 1]].offset > pieces[index].offset; --i)
    placed[i] = placed[i - 1];
  placed[i] = index;
}

static int32_t largest_unplaced(const Piece *pieces, int32_t count, const bool *done)
{
  int32_t largest = -1;
  for (int32_t i = 0; i < count; ++i)
    if (!done[i] && (largest < 0 || pieces[i].bytes > pieces[largest].bytes)) largest = i;
  return largest;
}

static size_t place(Piece *pieces, int32_t count, int32_t *placed, bool *done)
{
  size_t total_bytes = 0;
  for (int32_t n = 0; n < count; ++n) {
    const int32_t index = largest_unplaced(pieces, count, done);
    Piece *piece = &pieces[index];
    piece->offset = first_gap(pieces, placed, n, piece);
    insert(pieces, placed, n, index);
    done[index] = true;
    const size_t end = piece->offset + aligned(piece->bytes);
    if (end > total_bytes) total_bytes = end;
  }
  return total_bytes;
}

Status memory_plan_place(Piece *pieces, int32_t count, size_t *total_bytes)
{
  void *placed;
  void *done = NULL;
  TRY(memory_allocate((size_t)count, sizeof(int32_t), "memory plan", &placed));
  const Status status = memory_allocate((size_t)count, sizeof(bool), "memory plan", &done);
  if (status == STATUS_OK) *total_bytes = place(pieces, count, placed, done);
  memory_free(done);
  memory_free(placed);
  return status;
}
