#pragma once

#include "object_group.h"

/* What comes of a group: object_merge.h has the rules. */

/* By tile, then place in it. */
void object_shape_sort(const LiveThing **members, int64_t count);
/* members: sorted. */
Status object_shape_make(double agreement, const LiveThing *const *members, int64_t count,
                         Candidate *candidate);
