#include "chip/chip_objects.h"

#include <string.h>

#include "base/memory.h"
#include "base/require.h"

void chip_objects_free(ChipObjects *objects)
{
  memory_free(objects->items);
  memory_free(objects->mask_bytes);
  *objects = (ChipObjects){.count = 0};
}

void chip_objects_clear(ChipObjects *objects)
{
  objects->count = 0;
  objects->mask_byte_count = 0;
}

static Status reserve_item(ChipObjects *objects)
{
  void *memory;
  if (objects->count < objects->capacity) return STATUS_OK;
  if (objects->count > INT32_MAX / 2)
    return status_set(STATUS_BAD_INPUT, "a chip has more than %d objects", INT32_MAX / 2);
  const int32_t capacity = objects->capacity == 0 ? 64 : 2 * objects->capacity;
  TRY(memory_allocate((size_t)capacity, sizeof *objects->items, "objects of a chip", &memory));
  if (objects->count > 0)
    memcpy(memory, objects->items, (size_t)objects->count * sizeof *objects->items);
  memory_free(objects->items);
  objects->items = memory;
  objects->capacity = capacity;
  return STATUS_OK;
}

static Status reserve_mask(ChipObjects *objects, int64_t byte_count)
{
  void *memory;
  const int64_t wanted = objects->mask_byte_count + byte_count;
  if (wanted <= objects->mask_capacity) return STATUS_OK;
  const int64_t twice = 2 * objects->mask_capacity;
  const int64_t capacity = wanted > twice ? wanted : twice;
  TRY(memory_allocate((size_t)capacity, 1, "masks of a chip", &memory));
  if (objects->mask_byte_count > 0)
    memcpy(memory, objects->mask_bytes, (size_t)objects->mask_byte_count);
  memory_free(objects->mask_bytes);
  objects->mask_bytes = memory;
  objects->mask_capacity = capacity;
  return STATUS_OK;
}

Status chip_objects_add_box(ChipObjects *objects, uint16_t class_value, const float box[4])
{
  TRY(reserve_item(objects));
  ChipObject *item = &objects->items[objects->count++];
  *item = (ChipObject){.feature = -1, .class_value = class_value};
  memcpy(item->box, box, sizeof item->box);
  return STATUS_OK;
}

static void box_of_window(ChipObject *item)
{
  item->box[0] = (float)item->x_px;
  item->box[1] = (float)item->y_px;
  item->box[2] = (float)(item->x_px + item->width_px);
  item->box[3] = (float)(item->y_px + item->height_px);
}

Status chip_objects_add_window(ChipObjects *objects, uint16_t class_value, int32_t x_px,
                               int32_t y_px, int32_t width_px, int32_t height_px, uint8_t **mask)
{
  const int64_t bytes = (int64_t)width_px * height_px;
  require(width_px >= 1 && height_px >= 1);
  TRY(reserve_item(objects));
  TRY(reserve_mask(objects, bytes));
  ChipObject *item = &objects->items[objects->count++];
  *item = (ChipObject){.feature = -1,
                       .class_value = class_value,
                       .has_mask = true,
                       .x_px = x_px,
                       .y_px = y_px,
                       .width_px = width_px,
                       .height_px = height_px,
                       .mask_offset = objects->mask_byte_count};
  box_of_window(item);
  *mask = objects->mask_bytes + objects->mask_byte_count;
  memset(*mask, 0, (size_t)bytes);
  objects->mask_byte_count += bytes;
  return STATUS_OK;
}

void chip_objects_drop(ChipObjects *objects)
{
  require(objects->count > 0);
  const ChipObject *last = &objects->items[--objects->count];
  if (last->has_mask) objects->mask_byte_count = last->mask_offset;
}

typedef struct Bounds {
  int32_t left, top, right, bottom; /* right and bottom: last + 1 */
} Bounds;

static Bounds bounds_of(const uint8_t *mask, int32_t width, int32_t height)
{
  Bounds found = {width, height, 0, 0};
  for (int32_t y = 0; y < height; ++y)
    for (int32_t x = 0; x < width; ++x) {
      if (mask[(int64_t)y * width + x] == 0) continue;
      if (x < found.left) found.left = x;
      if (x + 1 > found.right) found.right = x + 1;
      if (found.top == height) found.top = y;
      found.bottom = y + 1;
    }
  return found;
}

bool chip_objects_fit(ChipObjects *objects)
{
  require(objects->count > 0);
  ChipObject *item = &objects->items[objects->count - 1];
  uint8_t *mask = objects->mask_bytes + item->mask_offset;
  const Bounds bounds = bounds_of(mask, item->width_px, item->height_px);
  if (bounds.right == 0) {
    chip_objects_drop(objects);
    return false;
  }
  const int32_t width = bounds.right - bounds.left;
  const int32_t height = bounds.bottom - bounds.top;
  for (int32_t y = 0; y < height; ++y) /* forwards: a row never ends behind where it came from */
    memmove(mask + (int64_t)y * width,
            mask + (int64_t)(y + bounds.top) * item->width_px + bounds.left, (size_t)width);
  item->x_px += bounds.left;
  item->y_px += bounds.top;
  item->width_px = width;
  item->height_px = height;
  box_of_window(item);
  objects->mask_byte_count = item->mask_offset + (int64_t)width * height;
  return true;
}

size_t chip_mask_packed_bytes(int32_t width_px, int32_t height_px)
{
  return ((size_t)width_px * (size_t)height_px + 7) / 8;
}

void chip_mask_pack(const uint8_t *mask, int64_t pixel_count, uint8_t *packed)
{
  memset(packed, 0, (size_t)((pixel_count + 7) / 8));
  for (int64_t i = 0; i < pixel_count; ++i)
    if (mask[i] != 0) packed[i / 8] = (uint8_t)(packed[i / 8] | 0x80U >> (i % 8));
}

void chip_mask_unpack(const uint8_t *packed, int64_t pixel_count, uint8_t *mask)
{
  for (int64_t i = 0; i < pixel_count; ++i)
    mask[i] = (uint8_t)(packed[i / 8] >> (7 - i % 8) & 1U);
}
