#pragma once

#include "object_group.h"

/* What comes of a group: object_merge.h has the rules. */

/* By tile, then place in it. */
void object_shape_sort(LiveThing **members, int64_t count);
/* members: sorted; their order changes. Takes the mask of the one that is the object, if one is: its
 * mask is NULL then. */
Status object_shape_make(LiveThing **members, int64_t count, Candidate *candidate);
