#include "tile_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/path.h"
#include "geo/tiff_chip.h"

static Status shard_folder(const char *folder, int32_t shard, char path[OUTPUT_PATH_BYTES])
{
  char name[32];
  (void)snprintf(name, sizeof name, "tiles-%04d", shard);
  return path_join(folder, name, OUTPUT_PATH_BYTES, path);
}

static Status make_pair(const char *folder)
{
  char path[OUTPUT_PATH_BYTES];
  TRY(path_join(folder, "images", sizeof path, path));
  TRY(output_make_folder(path));
  TRY(path_join(folder, "labels", sizeof path, path));
  return output_make_folder(path);
}

Status tile_folder_make(const char *folder, int32_t shard, char path[OUTPUT_PATH_BYTES])
{
  TRY(shard_folder(folder, shard, path));
  TRY(path_remove_tree(path));
  return make_pair(path);
}

static Status numbered(const char *folder, const char *kind, int64_t number, const char *ending,
                       char path[OUTPUT_PATH_BYTES])
{
  char name[64];
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

Status chip_tiles_number(const char *folder, int32_t shard, int64_t chip_count, int64_t first,
                         const char *set_folder)
{
  static const char *const kinds[2] = {"images", "labels"};
  static const char *const endings[2] = {".tif", ".tfw"};
  char tiles[OUTPUT_PATH_BYTES];
  TRY(shard_folder(folder, shard, tiles));
  TRY(make_pair(set_folder));
  for (int64_t i = 0; i < chip_count; ++i)
    for (int kind = 0; kind < 2; ++kind)
      for (int ending = 0; ending < 2; ++ending)
        TRY(move(tiles, i, set_folder, first + i, kinds[kind], endings[ending]));
  return STATUS_OK;
}
