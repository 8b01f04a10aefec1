#pragma once

#include <stddef.h>

#include "base/arena.h"
#include "base/status.h"

/* The plain files below a folder, as names relative to it, sorted; links are passed over.
 * STATUS_BAD_INPUT beyond name_max names or 16 levels. */
Status folder_list(const char *folder, size_t name_max, Arena *arena, const char ***names,
                   size_t *count);
