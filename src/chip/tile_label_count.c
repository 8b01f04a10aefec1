/* What all labels of a folder amount to. */
#include "base/memory.h"
#include "tile_labels.h"

typedef struct Counting {
  ChipObjects objects;
  uint16_t *painted;       /* of a chip */
  int32_t *index_of_value; /* into the set's classes */
  int64_t *last_chip;      /* per class, counted from 1 */
  TileLeftOut left_out;
  bool all_have_masks;
} Counting;

static Status allocate(const ChipSetInfo *info, Arena *scratch, Counting *counting)
{
  void *painted, *indices, *last;
  TRY(arena_allocate(scratch, (size_t)info->width_px * (size_t)info->height_px * 2, &painted));
  TRY(arena_allocate(scratch, (CLASS_LARGEST_VALUE + 1) * sizeof(int32_t), &indices));
  TRY(arena_allocate(scratch, (size_t)info->class_count * sizeof(int64_t), &last));
  counting->painted = painted;
  counting->index_of_value = indices;
  counting->last_chip = last;
  for (int32_t i = 0; i < info->class_count; ++i)
    counting->index_of_value[info->classes[i].entry.value] = i;
  return STATUS_OK;
}

static void count_objects(ChipSetInfo *info, int64_t chip, Counting *counting)
{
  int64_t mask_bytes = 0;
  const ChipObjects *objects = &counting->objects;
  for (int32_t i = 0; i < objects->count; ++i) {
    const ChipObject *object = &objects->items[i];
    const int32_t index = counting->index_of_value[object->class_value];
    ChipClass *one = &info->classes[index];
    ++one->object_count;
    one->chip_count += counting->last_chip[index] != chip + 1;
    counting->last_chip[index] = chip + 1;
    counting->all_have_masks = counting->all_have_masks && object->has_mask;
    mask_bytes += (int64_t)object->width_px * object->height_px;
  }
  info->object_count += objects->count;
  if (objects->count > info->objects_most) info->objects_most = objects->count;
  if (mask_bytes > info->mask_bytes_most) info->mask_bytes_most = mask_bytes;
}

static void count_pixels(ChipSetInfo *info, Counting *counting)
{
  const int64_t pixels = (int64_t)info->width_px * info->height_px;
  tile_labels_paint(&counting->objects, info->width_px, info->height_px, counting->painted);
  for (int64_t p = 0; p < pixels; ++p)
    if (counting->painted[p] != 0)
      ++info->classes[counting->index_of_value[counting->painted[p]]].pixel_count;
}

static Status count_all(const TileLabels *labels, ChipSetInfo *info, Counting *counting)
{
  for (int64_t chip = 0; chip < info->chip_count; ++chip) {
    chip_objects_clear(&counting->objects);
    TRY(tile_labels_read(labels, chip, &counting->objects, &counting->left_out));
    count_objects(info, chip, counting);
    count_pixels(info, counting);
  }
  return STATUS_OK;
}

static void settle(const TileLabels *labels, const Counting *counting, ChipSetInfo *info)
{
  ChipClass *background = &info->classes[0];
  int64_t left = info->bands[0].pixel_count;
  for (int32_t i = 1; i < info->class_count; ++i)
    left -= info->classes[i].pixel_count;
  background->pixel_count = left < 0 ? 0 : left;
  background->chip_count = left > 0 ? info->chip_count : 0;
  const bool may_have_masks = labels->kind == TILE_LABELS_MASKS || labels->kind == TILE_LABELS_COCO;
  info->kind = may_have_masks && counting->all_have_masks ? CHIP_SET_INSTANCES : CHIP_SET_BOXES;
  info->crowd_count = counting->left_out.crowds + labels->coco.crowd_count;
  info->degenerate_count = counting->left_out.degenerate + labels->coco.degenerate_count;
}

Status tile_labels_count(const TileLabels *labels, ChipSet *set)
{
  Counting counting = {.all_have_masks = true};
  Arena *scratch = NULL;
  TRY(arena_open(&scratch));
  Status status = allocate(&set->info, scratch, &counting);
  if (status == STATUS_OK) status = count_all(labels, &set->info, &counting);
  if (status == STATUS_OK) settle(labels, &counting, &set->info);
  chip_objects_free(&counting.objects);
  arena_close(scratch);
  return status;
}
