#include "tile_masks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"
#include "class_folder.h"
#include "geo/tiff_chip.h"

/* An object to be painted. */
typedef struct Paint {
  const ChipObject *object;
  int64_t pixels;
  uint16_t number;
} Paint;

static int larger_first(const void *left, const void *right)
{
  const Paint *a = left;
  const Paint *b = right;
  if (a->pixels != b->pixels) return a->pixels > b->pixels ? -1 : 1;
  return a->number < b->number ? -1 : a->number > b->number;
}

static Status collect(const ChipObjects *objects, int32_t class_value, Paint *paints,
                      int32_t *count)
{
  *count = 0;
  for (int32_t i = 0; i < objects->count; ++i) {
    const ChipObject *object = &objects->items[i];
    const uint8_t *mask = objects->mask_bytes + object->mask_offset;
    if (object->class_value != class_value || !object->has_mask) continue;
    if (*count == UINT16_MAX)
      return status_set(STATUS_UNSUPPORTED,
                        "a chip has more than %d objects of class %d; rcnn_masks holds no more, "
                        "instances does",
                        UINT16_MAX, class_value);
    Paint *paint = &paints[(*count)++];
    *paint = (Paint){.object = object, .number = (uint16_t)*count};
    for (int64_t p = 0; p < (int64_t)object->width_px * object->height_px; ++p)
      paint->pixels += mask[p];
  }
  qsort(paints, (size_t)*count, sizeof *paints, larger_first);
  return STATUS_OK;
}

static void paint(const ChipForm *form, const ChipObjects *objects, const Paint *one, bool wide,
                  void *picture)
{
  const ChipObject *object = one->object;
  const uint8_t *mask = objects->mask_bytes + object->mask_offset;
  for (int64_t p = 0; p < (int64_t)object->width_px * object->height_px; ++p) {
    if (mask[p] == 0) continue;
    const int64_t at = (object->y_px + p / object->width_px) * form->width_px + object->x_px +
                       p % object->width_px;
    if (wide)
      ((uint16_t *)picture)[at] = one->number;
    else
      ((uint8_t *)picture)[at] = (uint8_t)one->number;
  }
}

static Status write_class(const char *folder, int64_t number, const ChipForm *form,
                          const Chip *chip, int32_t index, Paint *paints, void *picture)
{
  int32_t count;
  char class_name[CLASS_FOLDER_BYTES], name[CLASS_FOLDER_BYTES + 64], path[OUTPUT_PATH_BYTES];
  TRY(collect(chip->objects, form->classes[index].value, paints, &count));
  if (count == 0) return STATUS_OK;
  const bool wide = count > UINT8_MAX;
  const size_t pixels = (size_t)form->width_px * (size_t)form->height_px;
  memset(picture, 0, pixels * 2);
  for (int32_t i = 0; i < count; ++i)
    paint(form, chip->objects, &paints[i], wide, picture);
  class_folder_name(form->classes, index, class_name);
  (void)snprintf(name, sizeof name, "labels/%s", class_name);
  TRY(path_join(folder, name, sizeof path, path));
  TRY(output_make_folder(path));
  (void)snprintf(name, sizeof name, "labels/%s/%09" PRId64 ".tif", class_name, number);
  TRY(path_join(folder, name, sizeof path, path));
  const ChipImage image = {.type = wide ? PIXEL_U16 : PIXEL_U8,
                           .width_px = form->width_px,
                           .height_px = form->height_px,
                           .band_count = 1,
                           .pixels = picture};
  return tiff_chip_write(path, &chip->grid, &image);
}

static Status write_classes(const char *folder, int64_t number, const ChipForm *form,
                            const Chip *chip, Paint *paints, void *picture)
{
  for (int32_t i = 1; i < form->class_count; ++i)
    TRY(write_class(folder, number, form, chip, i, paints, picture));
  return STATUS_OK;
}

Status tile_masks_write(const char *folder, int64_t number, const ChipForm *form, const Chip *chip)
{
  void *paints = NULL, *picture = NULL;
  const size_t pixels = (size_t)form->width_px * (size_t)form->height_px;
  Status status =
      memory_allocate((size_t)chip->objects->count, sizeof(Paint), "objects of a chip", &paints);
  if (status == STATUS_OK) status = memory_allocate(pixels, 2, "masks of a chip", &picture);
  if (status == STATUS_OK) status = write_classes(folder, number, form, chip, paints, picture);
  memory_free(picture);
  memory_free(paints);
  return status;
}
