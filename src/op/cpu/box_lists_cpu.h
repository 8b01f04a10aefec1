#pragma once

#include "op/box_lists.h"

/* By falling keys; items of equal keys stay in their order. room: as many. */
void ranked_sort(Ranked *items, Ranked *room, int32_t count);

/* Non-maximum suppression in a list whose candidates are written: fills kept and kept_count. */
void list_suppress(const BoxLists *lists, int32_t list, float iou_most);

/* Takes the kept candidates of neighbouring lists together: the first one that was not taken yet,
 * or -1. taken: how many of each list were, at first zeros. */
int64_t lists_take(const BoxLists *lists, int32_t first_list, int32_t list_count, int32_t *taken);
