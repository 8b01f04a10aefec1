#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* An array that grows: after the call *array has room for needed pieces of size bytes, the first
 * capacity of them as they were, the rest zero. Freed by memory_free. */
Status object_room(void **array, int64_t *capacity, int64_t needed, size_t size, const char *what);
