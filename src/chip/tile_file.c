#include "tile_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/path.h"
#include "class_folder.h"
#include "geo/tiff_chip.h"
#include "shard_objects.h"
#include "tile_masks.h"
#include "voc_file.h"

static Status shard_folder(const char *folder, int32_t shard, char path[OUTPUT_PATH_BYTES])
{
  char name[32];
  (void)snprintf(name, sizeof name, "tiles-%04d", shard);
  return path_join(folder, name, OUTPUT_PATH_BYTES, path);
}

static Status make_pair(const char *folder, ChipFormat format)
{
  char path[OUTPUT_PATH_BYTES];
  TRY(path_join(folder, "images", sizeof path, path));
  TRY(output_make_folder(path));
  if (format == CHIP_FORMAT_COCO) return STATUS_OK;
  TRY(path_join(folder, "labels", sizeof path, path));
  return output_make_folder(path);
}

Status tile_folder_make(const char *folder, ChipFormat format, int32_t shard,
                        char path[OUTPUT_PATH_BYTES])
{
  TRY(shard_folder(folder, shard, path));
  TRY(path_remove_tree(path));
  return make_pair(path, format);
}

static Status numbered(const char *folder, const char *kind, int64_t number, const char *ending,
                       char path[OUTPUT_PATH_BYTES])
{
  char name[CLASS_FOLDER_BYTES + 64];
  (void)snprintf(name, sizeof name, "%s/%09" PRId64 "%s", kind, number, ending);
  return path_join(folder, name, OUTPUT_PATH_BYTES, path);
}

Status tile_write(const char *folder, int64_t number, const ChipForm *form, const Chip *chip,
                  const void *labels)
{
  char path[OUTPUT_PATH_BYTES];
  ChipImage picture = {.type = form->pixel,
                       .width_px = form->width_px,
                       .height_px = form->height_px,
                       .band_count = form->band_count,
                       .pixels = (void *)(uintptr_t)chip->image};
  TRY(numbered(folder, "images", number, ".tif", path));
  TRY(tiff_chip_write(path, &chip->grid, &picture));
  if (form->format == CHIP_FORMAT_RCNN_MASKS) return tile_masks_write(folder, number, form, chip);
  if (form->format != CHIP_FORMAT_CLASSIFIED_TILES) return STATUS_OK;
  picture.type = chip_form_is_wide(form) ? PIXEL_U16 : PIXEL_U8;
  picture.band_count = 1;
  picture.pixels = (void *)(uintptr_t)labels;
  TRY(numbered(folder, "labels", number, ".tif", path));
  return tiff_chip_write(path, &chip->grid, &picture);
}

/* A file that is gone was moved before a crash. */
static Status move(const char *from_folder, int64_t from, const char *to_folder, int64_t to,
                   const char *kind, const char *ending)
{
  char source[OUTPUT_PATH_BYTES], target[OUTPUT_PATH_BYTES];
  TRY(numbered(from_folder, kind, from, ending, source));
  TRY(numbered(to_folder, kind, to, ending, target));
  if (rename(source, target) == 0 || (errno == ENOENT && path_exists(target))) return STATUS_OK;
  return status_set(STATUS_IO, "cannot rename %s to %s: %s", source, target, strerror(errno));
}

static Status move_pair(const char *tiles, int64_t from, const char *set_folder, int64_t to,
                        const char *kind)
{
  TRY(move(tiles, from, set_folder, to, kind, ".tif"));
  return move(tiles, from, set_folder, to, kind, ".tfw");
}

/* A class that the chip lacks has no file. The world file goes first, so that none is forgotten
 * where a crash parted them. */
static Status move_masks(const char *tiles, int64_t from, const char *set_folder, int64_t to,
                         const ChipForm *form)
{
  for (int32_t i = 1; i < form->class_count; ++i) {
    char class_name[CLASS_FOLDER_BYTES], kind[CLASS_FOLDER_BYTES + 16];
    char path[OUTPUT_PATH_BYTES];
    class_folder_name(form->classes, i, class_name);
    (void)snprintf(kind, sizeof kind, "labels/%s", class_name);
    TRY(numbered(tiles, kind, from, ".tif", path));
    if (!path_exists(path)) continue;
    TRY(path_join(set_folder, kind, sizeof path, path));
    TRY(output_make_folder(path));
    TRY(move(tiles, from, set_folder, to, kind, ".tfw"));
    TRY(move(tiles, from, set_folder, to, kind, ".tif"));
  }
  return STATUS_OK;
}

static Status write_boxes_of(ArrayFile *file, const ChipForm *form, int64_t chip_count,
                             int64_t first, const char *set_folder, Arena *scratch,
                             ChipObjects *objects)
{
  ShardIndex index;
  TRY(shard_index_read(file, form, chip_count, scratch, &index));
  for (int64_t i = 0; i < chip_count; ++i) {
    chip_objects_clear(objects);
    TRY(shard_objects_read(file, form, &index, i, objects));
    TRY(voc_file_write(set_folder, first + i, form, objects));
  }
  return STATUS_OK;
}

/* These name their chip, so they are written when its number is known. */
static Status write_boxes(const char *folder, const ChipForm *form, int32_t shard,
                          int64_t chip_count, int64_t first, const char *set_folder)
{
  char path[OUTPUT_PATH_BYTES];
  ArrayFile *file = NULL;
  Arena *scratch = NULL;
  ChipObjects objects = {0};
  TRY(chip_shard_path(folder, shard, path));
  TRY(arena_open(&scratch));
  Status status = array_file_open(path, &file);
  if (status == STATUS_OK)
    status = write_boxes_of(file, form, chip_count, first, set_folder, scratch, &objects);
  chip_objects_free(&objects);
  array_file_close(file);
  arena_close(scratch);
  return status;
}

Status chip_tiles_number(const char *folder, const ChipForm *form, int32_t shard,
                         int64_t chip_count, int64_t first, const char *set_folder)
{
  char tiles[OUTPUT_PATH_BYTES];
  TRY(shard_folder(folder, shard, tiles));
  TRY(make_pair(set_folder, form->format));
  for (int64_t i = 0; i < chip_count; ++i) {
    TRY(move_pair(tiles, i, set_folder, first + i, "images"));
    if (form->format == CHIP_FORMAT_CLASSIFIED_TILES)
      TRY(move_pair(tiles, i, set_folder, first + i, "labels"));
    if (form->format == CHIP_FORMAT_RCNN_MASKS)
      TRY(move_masks(tiles, i, set_folder, first + i, form));
  }
  if (form->format != CHIP_FORMAT_PASCAL_VOC) return STATUS_OK;
  return write_boxes(folder, form, shard, chip_count, first, set_folder);
}
