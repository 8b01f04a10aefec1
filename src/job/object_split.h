#pragma once

#include "object_group.h"

/* The things that links hang together, taken apart into groups of which each is one object: from
 * strong links to weak, without what object_merge.h says does not go together. */
typedef struct ThingLink {
  int32_t a; /* places in the list of things */
  int32_t b;
} ThingLink;

/* things: by tile, then place in it. links get sorted. next_of: one for each thing, the next
 * of its group, in a ring. */
Status object_split(double agreement, LiveThing *const *things, int32_t count, ThingLink *links,
                    int64_t link_count, int32_t *next_of);
