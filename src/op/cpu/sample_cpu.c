#include "sample_cpu.h"

#include <math.h>
#include <string.h>

typedef struct Kind {
  const int32_t *matches;
  int64_t items;
  bool background;
} Kind;

static bool is_of(Kind kind, int64_t i)
{
  return kind.background ? kind.matches[i] == MATCH_BACKGROUND : kind.matches[i] >= 0;
}

static int64_t count_of(Kind kind)
{
  int64_t count = 0;
  for (int64_t i = 0; i < kind.items; ++i)
    count += is_of(kind, i);
  return count;
}

/* The ranks of a kind below a limit. */
static int64_t collect(Kind kind, uint64_t state, uint64_t limit, uint64_t *ranks)
{
  int64_t count = 0;
  for (int64_t i = 0; i < kind.items; ++i) {
    if (!is_of(kind, i)) continue;
    const uint64_t rank = sample_rank(state, (uint32_t)i);
    ranks[count] = rank;
    count += rank < limit;
  }
  return count;
}

static void swap(uint64_t *ranks, int64_t a, int64_t b)
{
  const uint64_t rank = ranks[a];
  ranks[a] = ranks[b];
  ranks[b] = rank;
}

/* Where a rank from the middle goes when the lesser ones are brought before it. */
static int64_t part(uint64_t *ranks, int64_t first, int64_t end)
{
  swap(ranks, first + (end - first) / 2, end - 1);
  const uint64_t pivot = ranks[end - 1];
  int64_t place = first;
  for (int64_t i = first; i < end - 1; ++i)
    if (ranks[i] < pivot) swap(ranks, i, place++);
  swap(ranks, place, end - 1);
  return place;
}

/* Brings the least wanted of count ranks to the front. */
static void select_least(uint64_t *ranks, int64_t count, int64_t wanted)
{
  int64_t first = 0, end = count; /* what lies before is among them, what lies behind is not */
  while (first < wanted && wanted < end) {
    const int64_t place = part(ranks, first, end);
    if (place < wanted)
      first = place + 1;
    else
      end = place;
  }
}

static void take_all(Kind kind, uint8_t *taken)
{
  for (int64_t i = 0; i < kind.items; ++i)
    if (is_of(kind, i)) taken[i] = 1;
}

/* Keys are spread evenly, so a share of them that is a little larger than what is wanted of all
 * nearly always holds it; if not, a larger one does. */
static void take_least(Kind kind, uint64_t state, int64_t available, int64_t wanted, uint8_t *taken,
                       uint64_t *room)
{
  const double likely = (double)wanted + 6.0 * sqrt((double)wanted) + 8.0;
  int64_t count = 0;
  for (double share = likely / (double)available; count < wanted; share *= 2.0)
    count = collect(kind, state, share < 1.0 ? (uint64_t)(share * 0x1p64) : UINT64_MAX, room);
  select_least(room, count, wanted);
  for (int64_t i = 0; i < wanted; ++i)
    taken[(uint32_t)room[i]] = 1;
}

/* Returns how many were there to take. */
static int64_t take(Kind kind, uint64_t state, int64_t most, uint8_t *taken, uint64_t *room)
{
  if (most <= 0) return 0;
  const int64_t available = count_of(kind);
  if (available <= most) {
    take_all(kind, taken);
    return available;
  }
  take_least(kind, state, available, most, taken, room);
  return most;
}

void sample_draw(int64_t items, const int32_t *matches, uint64_t state, int32_t count,
                 int32_t positive_count, uint8_t *taken, uint64_t *room)
{
  const Kind positive = {.matches = matches, .items = items};
  const Kind background = {.matches = matches, .items = items, .background = true};
  memset(taken, 0, (size_t)items);
  const int64_t positives = take(positive, state, positive_count, taken, room);
  take(background, state, count - positives, taken, room);
}
