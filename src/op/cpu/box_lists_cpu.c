#include "box_lists_cpu.h"

#include "span.h"

enum { DIGIT_BITS = 8, DIGITS = 1 << DIGIT_BITS };

/* One digit of the keys, counted from above. */
static void sort_by_digit(const Ranked *from, Ranked *to, int32_t count, int shift)
{
  int32_t places[DIGITS] = {0};
  for (int32_t i = 0; i < count; ++i)
    ++places[~(from[i].key >> shift) & (DIGITS - 1)];
  int32_t place = 0;
  for (int d = 0; d < DIGITS; ++d) {
    const int32_t of_digit = places[d];
    places[d] = place;
    place += of_digit;
  }
  for (int32_t i = 0; i < count; ++i)
    to[places[~(from[i].key >> shift) & (DIGITS - 1)]++] = from[i];
}

void ranked_sort(Ranked *items, Ranked *room, int32_t count)
{
  for (int shift = 0; shift < 32; shift += 2 * DIGIT_BITS) {
    sort_by_digit(items, room, count, shift);
    sort_by_digit(room, items, count, shift + DIGIT_BITS);
  }
}

/* Drops the candidates first … end - 1 that overlap too much with one that is kept. */
VECTORIZED static void drop_overlapping(const float *restrict x1, const float *restrict y1,
                                        const float *restrict x2, const float *restrict y2,
                                        int32_t *restrict alive, int32_t kept, int32_t end,
                                        float iou_most)
{
  const Box box = {x1[kept], y1[kept], x2[kept], y2[kept]};
  for (int32_t i = kept + 1; i < end; ++i) {
    const Box other = {x1[i], y1[i], x2[i], y2[i]};
    alive[i] = box_iou(box, other) > iou_most ? 0 : alive[i];
  }
}

void list_suppress(const BoxLists *lists, int32_t list, float iou_most)
{
  const int64_t first = lists->first[list];
  const int32_t count = lists->count[list];
  int32_t *alive = lists->alive + first;
  int32_t kept_count = 0;
  for (int32_t i = 0; i < count; ++i) {
    if (alive[i] == 0) continue;
    lists->kept[first + kept_count++] = i;
    drop_overlapping(lists->x1 + first, lists->y1 + first, lists->x2 + first, lists->y2 + first,
                     alive, i, count, iou_most);
  }
  lists->kept_count[list] = kept_count;
}

int64_t lists_take(const BoxLists *lists, int32_t first_list, int32_t list_count, int32_t *taken)
{
  uint64_t best = 0;
  int64_t best_candidate = -1;
  int32_t best_list = 0;
  for (int32_t l = 0; l < list_count; ++l) {
    if (taken[l] >= lists->kept_count[first_list + l]) continue;
    const int64_t candidate = kept_candidate(lists, first_list + l, taken[l]);
    const uint64_t order = order_of(lists->score[candidate], lists->tie[candidate]);
    if (best_candidate >= 0 && order < best) continue;
    best = order;
    best_candidate = candidate;
    best_list = l;
  }
  if (best_candidate >= 0) ++taken[best_list];
  return best_candidate;
}
