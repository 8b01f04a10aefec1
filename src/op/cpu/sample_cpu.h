#pragma once

#include "op/sample_element.h"

/* Draws from one image's items, whose matches say what they are: up to positive_count of those with
 * an object, then of the background up to count in all. taken: 0 or 1 per item; room: items
 * numbers. */
void sample_draw(int64_t items, const int32_t *matches, uint64_t state, int32_t count,
                 int32_t positive_count, uint8_t *taken, uint64_t *room);
