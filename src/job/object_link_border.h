#pragma once

#include "object_link.h"

/* Rule 3, for tiles that do not overlap; not linked where they have no border in common. */
Status object_link_border(LinkRule rule, const SeenThing *a, const SeenThing *b, bool *linked);
