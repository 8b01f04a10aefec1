#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "object_mask.h"

/* Whether two things of one class, found in different tiles, are one: rules 1 to 3 of
 * object_merge.h. */
typedef struct LinkRule {
  double agreement;
  int32_t edge_px;
} LinkRule;

/* A thing as its tile saw it. */
typedef struct SeenThing {
  const ObjectMask *mask; /* not empty, inside of seen */
  Window seen;            /* by its tile */
  int cutting_sides;      /* of seen: SIDE_… behind which other tiles go on */
  int64_t tile_column;    /* of the plan */
  int64_t tile_row;
  bool is_cut;
} SeenThing;

/* The two may be exchanged. */
Status object_link_test(LinkRule rule, const SeenThing *a, const SeenThing *b, bool *linked);
