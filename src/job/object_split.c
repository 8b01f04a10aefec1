#include "object_split.h"

#include <stdlib.h>

#include "base/memory.h"

enum { NONE = -1 };

/* A thing in its group: trees of parents, and a ring through all members. */
typedef struct Place {
  int32_t parent;
  int32_t next;
  int32_t count;  /* of the group, where it stands for it */
  bool has_whole; /* as count */
} Place;

typedef struct Split {
  double agreement;
  LiveThing *const *things;
  int32_t count;
  Place *places;
} Split;

/* A link with what it is sorted by. */
typedef struct RankedLink {
  double weaker;
  double stronger;
  ThingLink link;
} RankedLink;

static int by_rank(const void *left, const void *right)
{
  const RankedLink *a = left;
  const RankedLink *b = right;
  if (a->weaker != b->weaker) return a->weaker > b->weaker ? -1 : 1;
  if (a->stronger != b->stronger) return a->stronger > b->stronger ? -1 : 1;
  if (a->link.a != b->link.a) return a->link.a < b->link.a ? -1 : 1;
  return (a->link.b > b->link.b) - (a->link.b < b->link.b);
}

static RankedLink rank(const Split *split, ThingLink link)
{
  const ThingLink ordered = link.a < link.b ? link : (ThingLink){link.b, link.a};
  const double a = split->things[link.a]->score;
  const double b = split->things[link.b]->score;
  return (RankedLink){.weaker = a < b ? a : b, .stronger = a < b ? b : a, .link = ordered};
}

static int32_t root_of(Place *places, int32_t place)
{
  while (places[place].parent != place) {
    places[place].parent = places[places[place].parent].parent;
    place = places[place].parent;
  }
  return place;
}

/* Where a thing of the same tile is, or NONE. */
static int32_t find_thing(const Split *split, int64_t tile, int64_t index)
{
  int32_t first = 0;
  int32_t end = split->count;
  while (first < end) {
    const int32_t middle = first + (end - first) / 2;
    const LiveThing *thing = split->things[middle];
    if (thing->tile == tile && thing->index == index) return middle;
    if (thing->tile < tile || (thing->tile == tile && thing->index < index))
      first = middle + 1;
    else
      end = middle;
  }
  return NONE;
}

/* Whether a thing has a rival in the group of a root. */
static bool has_rival_in(const Split *split, int32_t place, int32_t root)
{
  const LiveThing *thing = split->things[place];
  for (int32_t r = 0; r < thing->rival_count; ++r) {
    const int32_t rival = find_thing(split, thing->tile, thing->rivals[r]);
    if (rival != NONE && root_of(split->places, rival) == root) return true;
  }
  return false;
}

/* Whether a whole thing and another may be of one object. */
static bool suits_whole(double agreement, const LiveThing *whole, const LiveThing *other)
{
  if (whole->tile == other->tile) return false;
  const int64_t whole_px = whole->mask->area_px;
  const int64_t other_px = other->mask->area_px;
  const bool may_be_larger = !other->seen.is_cut && other_px > whole_px;
  return (double)object_mask_shared(whole->mask, other->mask) >=
         agreement * (double)(may_be_larger ? whole_px : other_px);
}

/* The whole things of a's group against all of b's. */
static bool wholes_suit(const Split *split, int32_t a, int32_t b)
{
  int32_t whole = a;
  if (!split->places[a].has_whole) return true;
  do {
    int32_t other = b;
    if (!split->things[whole]->seen.is_cut) do {
        if (!suits_whole(split->agreement, split->things[whole], split->things[other]))
          return false;
        other = split->places[other].next;
      } while (other != b);
    whole = split->places[whole].next;
  } while (whole != a);
  return true;
}

static bool may_join(const Split *split, int32_t larger, int32_t smaller)
{
  int32_t place = smaller;
  do {
    if (has_rival_in(split, place, larger)) return false;
    place = split->places[place].next;
  } while (place != smaller);
  return wholes_suit(split, larger, smaller) && wholes_suit(split, smaller, larger);
}

static void join(const Split *split, ThingLink link)
{
  Place *places = split->places;
  const int32_t a = root_of(places, link.a);
  const int32_t b = root_of(places, link.b);
  const int32_t larger = places[a].count >= places[b].count ? a : b;
  const int32_t smaller = larger == a ? b : a;
  if (a == b || !may_join(split, larger, smaller)) return;
  places[smaller].parent = larger;
  places[larger].count += places[smaller].count;
  places[larger].has_whole = places[larger].has_whole || places[smaller].has_whole;
  const int32_t next = places[larger].next;
  places[larger].next = places[smaller].next;
  places[smaller].next = next;
}

static Status sort_links(const Split *split, ThingLink *links, int64_t link_count)
{
  void *memory;
  TRY(memory_allocate((size_t)link_count, sizeof(RankedLink), "links of objects", &memory));
  RankedLink *ranked = memory;
  for (int64_t l = 0; l < link_count; ++l)
    ranked[l] = rank(split, links[l]);
  qsort(ranked, (size_t)link_count, sizeof *ranked, by_rank);
  for (int64_t l = 0; l < link_count; ++l)
    links[l] = ranked[l].link;
  memory_free(memory);
  return STATUS_OK;
}

Status object_split(double agreement, LiveThing *const *things, int32_t count, ThingLink *links,
                    int64_t link_count, int32_t *next_of)
{
  Split split = {.agreement = agreement, .things = things, .count = count};
  void *memory;
  TRY(sort_links(&split, links, link_count));
  TRY(memory_allocate((size_t)count, sizeof(Place), "groups of objects", &memory));
  split.places = memory;
  for (int32_t place = 0; place < count; ++place)
    split.places[place] = (Place){
        .parent = place, .next = place, .count = 1, .has_whole = !things[place]->seen.is_cut};
  for (int64_t l = 0; l < link_count; ++l)
    join(&split, links[l]);
  for (int32_t place = 0; place < count; ++place)
    next_of[place] = split.places[place].next;
  memory_free(memory);
  return STATUS_OK;
}
