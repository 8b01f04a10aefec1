#pragma once

#include <stddef.h>
#include <string.h>

#include "box_element.h"

/* Candidates in lists: those of one image and one map (proposals) or class (detections). Within a
 * list they stand in falling order of their keys; non-maximum suppression keeps some of them; those
 * of an image's lists are then taken together in falling order of score, then in rising order of
 * tie, which differs between all candidates of an image. Both twins lay their scratch out so.
 *
 *   first      where a list begins in the columns of candidates
 *   alive      whether a candidate has not been dropped yet
 *   kept       from a list's first on: its kept candidates, as places in the list, in order */
typedef struct Ranked {
  uint32_t key;
  int32_t index; /* of the anchor in its map, or of the row */
} Ranked;

typedef struct BoxLists {
  int64_t *first; /* lists */
  int32_t *count;
  int32_t *kept_count;
  Ranked *ranked; /* candidates */
  Ranked *sorted;
  float *x1, *y1, *x2, *y2;
  float *score;
  int32_t *tie;
  int32_t *alive;
  int32_t *kept;
} BoxLists;

/* Float32 as unsigned numbers of the same order, the two zeros equal; 0 is NaN's. */
SHARED_INLINE uint32_t order_key(float value)
{
  const float one_zero = value + 0.0F;
  uint32_t bits;
  memcpy(&bits, &one_zero, sizeof bits);
  if (value != value) return 0;
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

SHARED_INLINE float order_value(uint32_t key)
{
  const uint32_t bits = (key & 0x80000000U) != 0 ? key & 0x7FFFFFFFU : ~key;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* Greater comes first, then the lower index. Never 0. */
SHARED_INLINE uint64_t ranked_order(uint32_t key, int32_t index)
{
  return (uint64_t)key << 32 | (0xFFFFFFFFU - (uint32_t)index);
}

SHARED_INLINE uint64_t order_of(float score, int32_t tie)
{
  return ranked_order(order_key(score), tie);
}

SHARED_INLINE Ranked ranked_of(uint64_t order)
{
  const Ranked ranked = {(uint32_t)(order >> 32), (int32_t)(0xFFFFFFFFU - (uint32_t)order)};
  return ranked;
}

SHARED_INLINE Box listed_box(const BoxLists *lists, int64_t candidate)
{
  const Box box = {lists->x1[candidate], lists->y1[candidate], lists->x2[candidate],
                   lists->y2[candidate]};
  return box;
}

/* A candidate that is alive from the start where its box has sides of least_side_px. */
SHARED_INLINE void list_candidate(const BoxLists *lists, int64_t candidate, Box box, float score,
                                  int32_t tie, float least_side_px)
{
  lists->x1[candidate] = box.x1;
  lists->y1[candidate] = box.y1;
  lists->x2[candidate] = box.x2;
  lists->y2[candidate] = box.y2;
  lists->score[candidate] = score;
  lists->tie[candidate] = tie;
  lists->alive[candidate] = box_has_sides(box, least_side_px) ? 1 : 0;
}

/* The k-th kept candidate of a list. */
SHARED_INLINE int64_t kept_candidate(const BoxLists *lists, int32_t list, int32_t k)
{
  return lists->first[list] + lists->kept[lists->first[list] + k];
}

/* Pieces of scratch, one after the other; only counts them where memory is NULL. */
typedef struct ScratchPieces {
  char *memory;
  size_t bytes;
} ScratchPieces;

static inline void *scratch_piece(ScratchPieces *pieces, int64_t count, size_t size)
{
  enum { PIECE_ALIGNMENT = 256 };
  const size_t wanted = (size_t)count * size + PIECE_ALIGNMENT - 1;
  void *piece = pieces->memory == NULL ? NULL : pieces->memory + pieces->bytes;
  pieces->bytes += wanted / PIECE_ALIGNMENT * PIECE_ALIGNMENT;
  return piece;
}

static inline BoxLists box_lists_in(ScratchPieces *pieces, int32_t list_count, int64_t candidates)
{
  BoxLists lists;
  lists.first = (int64_t *)scratch_piece(pieces, list_count, sizeof(int64_t));
  lists.count = (int32_t *)scratch_piece(pieces, list_count, sizeof(int32_t));
  lists.kept_count = (int32_t *)scratch_piece(pieces, list_count, sizeof(int32_t));
  lists.ranked = (Ranked *)scratch_piece(pieces, candidates, sizeof(Ranked));
  lists.sorted = (Ranked *)scratch_piece(pieces, candidates, sizeof(Ranked));
  lists.x1 = (float *)scratch_piece(pieces, candidates, sizeof(float));
  lists.y1 = (float *)scratch_piece(pieces, candidates, sizeof(float));
  lists.x2 = (float *)scratch_piece(pieces, candidates, sizeof(float));
  lists.y2 = (float *)scratch_piece(pieces, candidates, sizeof(float));
  lists.score = (float *)scratch_piece(pieces, candidates, sizeof(float));
  lists.tie = (int32_t *)scratch_piece(pieces, candidates, sizeof(int32_t));
  lists.alive = (int32_t *)scratch_piece(pieces, candidates, sizeof(int32_t));
  lists.kept = (int32_t *)scratch_piece(pieces, candidates, sizeof(int32_t));
  return lists;
}
