#include "detect_list.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void detect_list_clear(DetectList *list)
{
  list->count = 0;
  list->byte_count = 0;
}

void detect_list_free(DetectList *list)
{
  memory_free(list->items);
  memory_free(list->bytes);
  *list = (DetectList){0};
}

static Status grow(void **memory, int64_t used, int64_t needed, int64_t size, int64_t *capacity)
{
  void *larger;
  int64_t wanted = *capacity < 64 ? 64 : *capacity;
  if (needed <= *capacity) return STATUS_OK;
  while (wanted < needed)
    wanted *= 2;
  TRY(memory_allocate((size_t)wanted, (size_t)size, "things found in a tile", &larger));
  if (used > 0) memcpy(larger, *memory, (size_t)(used * size));
  memory_free(*memory);
  *memory = larger;
  *capacity = wanted;
  return STATUS_OK;
}

static int64_t mask_pixels(const DetectFound *found)
{
  return (int64_t)found->mask_width_px * found->mask_height_px;
}

Status detect_list_add(DetectList *list, const DetectFound *found, uint8_t **mask)
{
  void *items = list->items;
  void *bytes = list->bytes;
  const int64_t pixels = mask_pixels(found);
  Status status = grow(&items, list->count, list->count + 1, sizeof *list->items, &list->capacity);
  list->items = items;
  if (status == STATUS_OK)
    status = grow(&bytes, list->byte_count, list->byte_count + pixels, 1, &list->byte_capacity);
  list->bytes = bytes;
  if (status != STATUS_OK) return status;
  *mask = pixels > 0 ? list->bytes + list->byte_count : NULL;
  if (pixels > 0) memset(*mask, 0, (size_t)pixels);
  list->items[list->count] = *found;
  list->items[list->count++].mask_at = list->byte_count;
  list->byte_count += pixels;
  return STATUS_OK;
}

Status detect_list_copy(DetectList *list, const DetectFound *found, const uint8_t *mask)
{
  uint8_t *copy;
  DetectFound added = *found;
  if (mask == NULL)
    added.mask_x_px = added.mask_y_px = added.mask_width_px = added.mask_height_px = 0;
  TRY(detect_list_add(list, &added, &copy));
  if (copy != NULL) memcpy(copy, mask, (size_t)mask_pixels(&added));
  return STATUS_OK;
}

Status detect_list_take(DetectList *list, const DetectTile *tile)
{
  for (int32_t i = 0; i < tile->count; ++i) {
    const DetectThing *thing = &tile->things[i];
    const DetectFound found = {.class_index = thing->class_index,
                               .score = thing->score,
                               .x1 = thing->x1,
                               .y1 = thing->y1,
                               .x2 = thing->x2,
                               .y2 = thing->y2,
                               .mask_x_px = thing->mask_x_px,
                               .mask_y_px = thing->mask_y_px,
                               .mask_width_px = thing->mask_width_px,
                               .mask_height_px = thing->mask_height_px};
    TRY(detect_list_copy(list, &found, thing->mask));
  }
  return STATUS_OK;
}

const uint8_t *detect_list_mask(const DetectList *list, const DetectFound *found)
{
  return mask_pixels(found) > 0 ? list->bytes + found->mask_at : NULL;
}

static double box_area(const DetectFound *found)
{
  return ((double)found->x2 - (double)found->x1) * ((double)found->y2 - (double)found->y1);
}

static double overlap_of_boxes(const DetectFound *a, const DetectFound *b)
{
  const double width = fmin((double)a->x2, (double)b->x2) - fmax((double)a->x1, (double)b->x1);
  const double height = fmin((double)a->y2, (double)b->y2) - fmax((double)a->y1, (double)b->y1);
  if (width <= 0 || height <= 0) return 0;
  const double both = width * height;
  return both / (box_area(a) + box_area(b) - both);
}

static int64_t count_ones(const uint8_t *mask, int64_t count)
{
  int64_t ones = 0;
  for (int64_t i = 0; i < count; ++i)
    ones += mask[i];
  return ones;
}

static int32_t larger(int32_t a, int32_t b)
{
  return a > b ? a : b;
}

static int32_t smaller(int32_t a, int32_t b)
{
  return a < b ? a : b;
}

static double overlap_of_masks(const DetectFound *a, const uint8_t *mask_a, const DetectFound *b,
                               const uint8_t *mask_b)
{
  const int32_t left = larger(a->mask_x_px, b->mask_x_px);
  const int32_t top = larger(a->mask_y_px, b->mask_y_px);
  const int32_t right = smaller(a->mask_x_px + a->mask_width_px, b->mask_x_px + b->mask_width_px);
  const int32_t bottom =
      smaller(a->mask_y_px + a->mask_height_px, b->mask_y_px + b->mask_height_px);
  int64_t both = 0;
  if (left >= right) return 0;
  for (int32_t row = top; row < bottom; ++row) {
    const uint8_t *in_a =
        mask_a + (int64_t)(row - a->mask_y_px) * a->mask_width_px + (left - a->mask_x_px);
    const uint8_t *in_b =
        mask_b + (int64_t)(row - b->mask_y_px) * b->mask_width_px + (left - b->mask_x_px);
    for (int32_t i = 0; i < right - left; ++i)
      both += in_a[i] & in_b[i];
  }
  if (both == 0) return 0;
  const int64_t either =
      count_ones(mask_a, mask_pixels(a)) + count_ones(mask_b, mask_pixels(b)) - both;
  return (double)both / (double)either;
}

double detect_overlap(const DetectList *list_a, const DetectFound *a, const DetectList *list_b,
                      const DetectFound *b)
{
  const uint8_t *mask_a = detect_list_mask(list_a, a);
  const uint8_t *mask_b = detect_list_mask(list_b, b);
  if (mask_a != NULL && mask_b != NULL) return overlap_of_masks(a, mask_a, b, mask_b);
  return overlap_of_boxes(a, b);
}

typedef struct Ranked {
  float score;
  int64_t index;
} Ranked;

static int by_score(const void *left, const void *right)
{
  const Ranked *a = left;
  const Ranked *b = right;
  if (a->score != b->score) return a->score > b->score ? -1 : 1;
  return a->index < b->index ? -1 : a->index > b->index;
}

Status detect_list_order(const DetectList *list, int64_t *order)
{
  void *memory;
  TRY(memory_allocate((size_t)list->count, sizeof(Ranked), "an order of things", &memory));
  Ranked *ranked = memory;
  for (int64_t i = 0; i < list->count; ++i)
    ranked[i] = (Ranked){list->items[i].score, i};
  if (list->count > 1) qsort(ranked, (size_t)list->count, sizeof *ranked, by_score);
  for (int64_t i = 0; i < list->count; ++i)
    order[i] = ranked[i].index;
  memory_free(memory);
  return STATUS_OK;
}

/* NoData. */

/* Takes the box as the pixels whose centres it holds. */
static bool box_has_data(const DetectFound *found, const uint8_t *valid, int32_t width_px,
                         int32_t height_px)
{
  const int32_t left = larger(0, (int32_t)ceilf(found->x1 - 0.5F));
  const int32_t top = larger(0, (int32_t)ceilf(found->y1 - 0.5F));
  const int32_t right = smaller(width_px, (int32_t)ceilf(found->x2 - 0.5F));
  const int32_t bottom = smaller(height_px, (int32_t)ceilf(found->y2 - 0.5F));
  int64_t seen = 0;
  int64_t all = 0;
  for (int32_t row = top; row < bottom; ++row)
    for (int32_t column = left; column < right; ++column) {
      seen += valid[(int64_t)row * width_px + column] != 0;
      ++all;
    }
  return all > 0 && 2 * seen >= all;
}

/* The mask without pixels that have no data, in the same window; how many it had and has. */
static void hide_nodata(const DetectFound *found, const uint8_t *mask, const uint8_t *valid,
                        int32_t width_px, uint8_t *kept, int64_t *before, int64_t *after)
{
  *before = *after = 0;
  for (int32_t row = 0; row < found->mask_height_px; ++row) {
    const uint8_t *seen = valid + (int64_t)(found->mask_y_px + row) * width_px + found->mask_x_px;
    const int64_t at = (int64_t)row * found->mask_width_px;
    for (int32_t i = 0; i < found->mask_width_px; ++i) {
      kept[at + i] = (uint8_t)(mask[at + i] != 0 && seen[i] != 0);
      *before += mask[at + i] != 0;
      *after += kept[at + i];
    }
  }
}

static void cut_box(DetectFound *found, const uint8_t *mask)
{
  int32_t left = INT32_MAX, top = INT32_MAX, right = 0, bottom = 0;
  for (int32_t row = 0; row < found->mask_height_px; ++row)
    for (int32_t i = 0; i < found->mask_width_px; ++i) {
      if (mask[(int64_t)row * found->mask_width_px + i] == 0) continue;
      left = smaller(left, found->mask_x_px + i);
      right = larger(right, found->mask_x_px + i + 1);
      top = smaller(top, found->mask_y_px + row);
      bottom = larger(bottom, found->mask_y_px + row + 1);
    }
  found->x1 = fmaxf(found->x1, (float)left);
  found->y1 = fmaxf(found->y1, (float)top);
  found->x2 = fminf(found->x2, (float)right);
  found->y2 = fminf(found->y2, (float)bottom);
}

static Status keep_mask(const DetectList *list, const DetectFound *found, const uint8_t *valid,
                        int32_t width_px, DetectList *kept, bool *is_kept)
{
  uint8_t *mask;
  int64_t before;
  int64_t after;
  TRY(detect_list_add(kept, found, &mask));
  hide_nodata(found, detect_list_mask(list, found), valid, width_px, mask, &before, &after);
  *is_kept = after > 0 && 2 * after >= before;
  if (*is_kept && after < before) cut_box(&kept->items[kept->count - 1], mask);
  if (*is_kept) return STATUS_OK;
  --kept->count;
  kept->byte_count -= mask_pixels(found);
  return STATUS_OK;
}

Status detect_list_keep_data(const DetectList *list, const uint8_t *valid, int32_t width_px,
                             int32_t height_px, DetectList *kept, int64_t *dropped)
{
  for (int64_t i = 0; i < list->count; ++i) {
    const DetectFound *found = &list->items[i];
    bool is_kept;
    if (detect_list_mask(list, found) != NULL)
      TRY(keep_mask(list, found, valid, width_px, kept, &is_kept));
    else {
      is_kept = box_has_data(found, valid, width_px, height_px);
      if (is_kept) TRY(detect_list_copy(kept, found, NULL));
    }
    *dropped += !is_kept;
  }
  return STATUS_OK;
}

/* For merging. */

static Status make_mask(const DetectList *list, const DetectFound *found, int64_t x_px,
                        int64_t y_px, ObjectMask **mask)
{
  const Window window = {x_px + found->mask_x_px, y_px + found->mask_y_px, found->mask_width_px,
                         found->mask_height_px};
  const uint8_t *bytes = detect_list_mask(list, found);
  return bytes == NULL ? STATUS_OK
                       : object_mask_from_bytes(bytes, found->mask_width_px, window, mask);
}

Status detect_things_make(const DetectList *list, int64_t x_px, int64_t y_px, DetectThings *things)
{
  void *memory;
  *things = (DetectThings){0};
  TRY(memory_allocate((size_t)list->count, sizeof *things->items, "things", &memory));
  things->items = memory;
  TRY(memory_allocate((size_t)list->count, sizeof *things->masks, "things", &memory));
  things->masks = memory;
  for (int64_t i = 0; i < list->count; ++i) {
    const DetectFound *found = &list->items[i];
    things->count = i + 1;
    TRY(make_mask(list, found, x_px, y_px, &things->masks[i]));
    things->items[i] =
        (FoundThing){.class_index = found->class_index,
                     .score = (double)found->score,
                     .box = {(double)x_px + (double)found->x1, (double)y_px + (double)found->y1,
                             (double)x_px + (double)found->x2, (double)y_px + (double)found->y2},
                     .mask = things->masks[i]};
  }
  return STATUS_OK;
}

void detect_things_free(DetectThings *things)
{
  for (int64_t i = 0; i < things->count; ++i)
    object_mask_close(things->masks[i]);
  memory_free(things->items);
  memory_free(things->masks);
  *things = (DetectThings){0};
}
