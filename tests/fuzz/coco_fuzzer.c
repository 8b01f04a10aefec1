/* Annotations of COCO, as far as they go without pictures: every file_name that exists will do. */
#include "base/arena.h"
#include "coco_chips.h"
#include "fuzzer.h"

enum { WIDTH = 24, HEIGHT = 20 };

/* Objects lie in their picture and hold a pixel, or trap. */
static void check_object(const ChipObjects *objects, const ChipObject *object)
{
  const float *box = object->box;
  if (!(box[0] >= 0 && box[0] < box[2] && box[2] <= WIDTH) ||
      !(box[1] >= 0 && box[1] < box[3] && box[3] <= HEIGHT))
    __builtin_trap();
  int64_t pixels = 0;
  for (int64_t i = 0; object->has_mask && i < (int64_t)object->width_px * object->height_px; ++i)
    pixels += objects->mask_bytes[object->mask_offset + i];
  if (object->has_mask && pixels == 0) __builtin_trap();
}

static void read_back(const CocoChips *set)
{
  ChipObjects objects = {0};
  for (int64_t chip = 0; chip < set->image_count; ++chip) {
    chip_objects_clear(&objects);
    if (object_list_read(&set->objects, chip, &objects) != STATUS_OK) __builtin_trap();
    for (int32_t i = 0; i < objects.count; ++i)
      check_object(&objects, &objects.items[i]);
  }
  chip_objects_free(&objects);
}

static void read_set(const Document *root, Arena *arena)
{
  CocoChips set = {0};
  if (coco_chips_tables(root, ".", arena, &set) == STATUS_OK &&
      coco_chips_objects(root, WIDTH, HEIGHT, &set) == STATUS_OK)
    read_back(&set);
  coco_chips_free(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
  Document *root;
  Arena *arena;
  if (document_parse((const char *)bytes, byte_count, "input", &root) != STATUS_OK) return 0;
  if (arena_open(&arena) == STATUS_OK) {
    read_set(root, arena);
    arena_close(arena);
  }
  document_close(root);
  return 0;
}
