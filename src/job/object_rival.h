#pragma once

#include "object_group.h"

/* Which things of one tile are in each other's way, as object_merge.h has it: fills is_outranked,
 * rivals and rival_count. Whoever owns the things frees rivals. */
Status object_rivals_find(double agreement, LiveThing *things, int64_t count);
