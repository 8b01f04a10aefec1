#include "object_list.h"

#include <string.h>

#include "base/memory.h"

static Status grow(void **items, int64_t count, int64_t wanted, int64_t *capacity, size_t size)
{
  void *memory;
  if (wanted <= *capacity) return STATUS_OK;
  const int64_t larger = wanted > 2 * *capacity ? wanted : 2 * *capacity;
  TRY(memory_allocate((size_t)larger, size, "objects of a chip set", &memory));
  if (*items != NULL) memcpy(memory, *items, (size_t)count * size);
  memory_free(*items);
  *items = memory;
  *capacity = larger;
  return STATUS_OK;
}

static Status reserve(ObjectList *list, int64_t objects, int64_t bytes)
{
  void *firsts = list->first_objects, *items = list->items, *packed = list->packed;
  Status status = grow(&firsts, list->chip_count + 1, list->chip_count + 2, &list->chip_capacity,
                       sizeof *list->first_objects);
  if (status == STATUS_OK)
    status = grow(&items, list->count, list->count + objects, &list->capacity, sizeof *list->items);
  if (status == STATUS_OK)
    status =
        grow(&packed, list->packed_bytes, list->packed_bytes + bytes, &list->packed_capacity, 1);
  list->first_objects = firsts;
  list->items = items;
  list->packed = packed;
  return status;
}

static int64_t bytes_of(const ChipObject *object)
{
  return object->has_mask ? (int64_t)chip_mask_packed_bytes(object->width_px, object->height_px)
                          : 0;
}

Status object_list_append(ObjectList *list, const ChipObjects *objects)
{
  int64_t bytes = 0;
  for (int32_t i = 0; i < objects->count; ++i)
    bytes += bytes_of(&objects->items[i]);
  if (list->first_objects == NULL) TRY(reserve(list, 0, 0));
  TRY(reserve(list, objects->count, bytes));
  for (int32_t i = 0; i < objects->count; ++i) {
    ChipObject *item = &list->items[list->count++];
    *item = objects->items[i];
    if (!item->has_mask) continue;
    chip_mask_pack(objects->mask_bytes + item->mask_offset,
                   (int64_t)item->width_px * item->height_px, list->packed + list->packed_bytes);
    item->mask_offset = list->packed_bytes;
    list->packed_bytes += bytes_of(item);
  }
  list->first_objects[++list->chip_count] = list->count;
  return STATUS_OK;
}

Status object_list_read(const ObjectList *list, int64_t chip, ChipObjects *objects)
{
  for (int64_t i = list->first_objects[chip]; i < list->first_objects[chip + 1]; ++i) {
    const ChipObject *item = &list->items[i];
    uint8_t *mask;
    if (!item->has_mask) {
      TRY(chip_objects_add_box(objects, item->class_value, item->box));
    } else {
      TRY(chip_objects_add_window(objects, item->class_value, item->x_px, item->y_px,
                                  item->width_px, item->height_px, &mask));
      chip_mask_unpack(list->packed + item->mask_offset, (int64_t)item->width_px * item->height_px,
                       mask);
    }
    objects->items[objects->count - 1].feature = item->feature;
  }
  return STATUS_OK;
}

void object_list_free(ObjectList *list)
{
  memory_free(list->first_objects);
  memory_free(list->items);
  memory_free(list->packed);
  *list = (ObjectList){.count = 0};
}
