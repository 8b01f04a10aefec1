#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "geo/window.h"

/* Which windows lie where: a grid of cells for each size of window, twice as large from level to
 * level, so that each window lies in at most four cells of its own level. Only cells that hold
 * something take memory. Adding, removing and asking take time with what is near, not with what
 * there is. */
typedef struct ObjectIndex ObjectIndex;

Status object_index_open(ObjectIndex **index);
void object_index_close(ObjectIndex *index); /* accepts NULL */
/* item: a small number of the caller's, not in the index; window: not empty, columns and rows at
 * least 0. */
Status object_index_add(ObjectIndex *index, int32_t item, Window window);
void object_index_remove(ObjectIndex *index, int32_t item);
/* The items whose windows overlap this one, each once, in no order that means anything; borrowed
 * until the next call of any function of the index. */
Status object_index_find(ObjectIndex *index, Window window, const int32_t **items, int64_t *count);
/* Whether there is any. */
Status object_index_holds(ObjectIndex *index, Window window, bool *holds);
