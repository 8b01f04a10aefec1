#include "object_rival.h"

#include <stdlib.h>

#include "base/memory.h"
#include "object_index.h"
#include "object_room.h"

typedef struct Pair {
  int32_t weaker;
  int32_t stronger;
} Pair;

typedef struct Search {
  double agreement;
  LiveThing *things;
  int32_t count;
  ObjectIndex *index; /* of the stronger ones that are not outranked */
  const LiveThing **ranked;
  Pair *pairs;
  int64_t pair_count;
  int64_t pair_capacity;
} Search;

static int by_strength(const void *left, const void *right)
{
  const LiveThing *a = *(const LiveThing *const *)left;
  const LiveThing *b = *(const LiveThing *const *)right;
  if (a->score != b->score) return a->score > b->score ? -1 : 1;
  return (a->index > b->index) - (a->index < b->index);
}

/* Against what is stronger; pairs of one that turns out to be outranked are dropped. */
static Status compare(Search *search, LiveThing *thing)
{
  const int32_t weaker = (int32_t)(thing - search->things);
  const int64_t pair_count = search->pair_count;
  const int32_t *near;
  int64_t count;
  TRY(object_index_find(search->index, thing->mask->window, &near, &count));
  for (int64_t n = 0; n < count && !thing->is_outranked; ++n) {
    const LiveThing *other = search->things + near[n];
    if (other->class_index != thing->class_index) continue;
    const int64_t shared_px = object_mask_shared(thing->mask, other->mask);
    if (shared_px == 0) continue;
    thing->is_outranked = (double)shared_px >= search->agreement * (double)thing->mask->area_px;
    TRY(object_room((void **)&search->pairs, &search->pair_capacity, search->pair_count + 1,
                    sizeof *search->pairs, "things that overlap"));
    search->pairs[search->pair_count++] = (Pair){.weaker = weaker, .stronger = near[n]};
  }
  if (!thing->is_outranked) return object_index_add(search->index, weaker, thing->mask->window);
  search->pair_count = pair_count;
  return STATUS_OK;
}

static Status compare_all(Search *search)
{
  void *memory;
  TRY(object_index_open(&search->index));
  TRY(memory_allocate((size_t)search->count, sizeof(LiveThing *), "things of a tile", &memory));
  search->ranked = memory;
  for (int32_t t = 0; t < search->count; ++t)
    search->ranked[t] = search->things + t;
  qsort(search->ranked, (size_t)search->count, sizeof *search->ranked, by_strength);
  for (int32_t t = 0; t < search->count; ++t)
    TRY(compare(search, search->things + (search->ranked[t] - search->things)));
  return STATUS_OK;
}

static Status note_pairs(Search *search)
{
  LiveThing *things = search->things;
  for (int64_t p = 0; p < search->pair_count; ++p) {
    ++things[search->pairs[p].weaker].rival_count;
    ++things[search->pairs[p].stronger].rival_count;
  }
  for (int32_t t = 0; t < search->count; ++t) {
    void *memory;
    if (things[t].rival_count == 0) continue;
    TRY(memory_allocate((size_t)things[t].rival_count, sizeof *things[t].rivals,
                        "things that overlap", &memory));
    things[t].rivals = memory;
    things[t].rival_count = 0;
  }
  for (int64_t p = 0; p < search->pair_count; ++p) {
    LiveThing *weaker = things + search->pairs[p].weaker;
    LiveThing *stronger = things + search->pairs[p].stronger;
    weaker->rivals[weaker->rival_count++] = stronger->index;
    stronger->rivals[stronger->rival_count++] = weaker->index;
  }
  return STATUS_OK;
}

Status object_rivals_find(double agreement, LiveThing *things, int64_t count)
{
  Search search = {.agreement = agreement, .things = things, .count = (int32_t)count};
  if (count > INT32_MAX)
    return status_set(STATUS_UNSUPPORTED, "%lld things in one tile", (long long)count);
  Status status = compare_all(&search);
  if (status == STATUS_OK) status = note_pairs(&search);
  object_index_close(search.index);
  memory_free(search.ranked);
  memory_free(search.pairs);
  return status;
}
