#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"
#include "shard_objects.h"
#include "tile_file.h"

struct ChipShard {
  ChipForm form;
  ArrayFile *file;
  char path[OUTPUT_PATH_BYTES];
  char tile_folder[OUTPUT_PATH_BYTES]; /* "" in HDF5 */
  uint8_t *narrow;                     /* labels as they are stored, where that is uint8 */
  ShardCount count;
  int64_t outcomes[CHIP_OUTCOME_COUNT];
  int64_t object_outcomes[OBJECT_OUTCOME_COUNT];
};

Status chip_count_classes(const ChipForm *form, const uint16_t *labels, const uint8_t *valid,
                          int64_t *class_pixels)
{
  const int64_t pixel_count = (int64_t)form->width_px * form->height_px;
  int32_t at = 0; /* neighbours mostly share their class */
  memset(class_pixels, 0, (size_t)form->class_count * sizeof *class_pixels);
  for (int64_t i = 0; i < pixel_count; ++i) {
    if (valid[i] == 0) continue;
    if (form->classes[at].value != labels[i]) {
      const ClassEntry *found = class_find(form->classes, form->class_count, labels[i]);
      if (found == NULL)
        return status_set(STATUS_MISMATCH,
                          "the labels hold the value %u, which their table of classes lacks; name "
                          "all values with classes=, or correct the table",
                          labels[i]);
      at = (int32_t)(found - form->classes);
    }
    ++class_pixels[at];
  }
  return STATUS_OK;
}

Status chip_shard_path(const char *folder, int32_t number, char path[OUTPUT_PATH_BYTES])
{
  char name[CHIP_SHARD_NAME_BYTES];
  chip_shard_name(number, name);
  return path_join(folder, name, OUTPUT_PATH_BYTES, path);
}

static Status make_arrays(ChipShard *shard)
{
  for (int i = 0; i < chip_array_count(shard->form.format); ++i) {
    const ArrayLayout layout = chip_array_layout((ChipArray)i, &shard->form, (ShardCount){0});
    TRY(array_create(shard->file, chip_array_name((ChipArray)i), &layout));
  }
  TRY(array_set_text(shard->file, "/", "format", CHIP_FILE_FORMAT " shard"));
  return array_set_int(shard->file, "/", "format_version", chip_set_version(shard->form.format));
}

static Status fill(ChipShard *shard, const char *folder, int32_t number)
{
  void *narrow;
  TRY(chip_shard_path(folder, number, shard->path));
  TRY(memory_allocate((size_t)shard->form.width_px * (size_t)shard->form.height_px, 1,
                      "labels of a chip", &narrow));
  shard->narrow = narrow;
  if (!chip_format_is_arrays(shard->form.format))
    TRY(tile_folder_make(folder, shard->form.format, number, shard->tile_folder));
  TRY(array_file_create(shard->path, &shard->file));
  return make_arrays(shard);
}

Status chip_shard_create(const char *folder, int32_t number, const ChipForm *form,
                         ChipShard **shard)
{
  void *memory;
  *shard = NULL;
  TRY(memory_allocate(1, sizeof **shard, "chip shard", &memory));
  ChipShard *opening = memory;
  opening->form = *form;
  const Status status = fill(opening, folder, number);
  if (status == STATUS_OK)
    *shard = opening;
  else
    chip_shard_close(opening);
  return status;
}

static Status append(ChipShard *shard, ChipArray array, const void *row)
{
  return array_append(shard->file, chip_array_name(array), 1,
                      chip_array_layout(array, &shard->form, (ShardCount){0}).type, row);
}

static const void *stored_labels(ChipShard *shard, const uint16_t *labels)
{
  const size_t pixels = (size_t)shard->form.width_px * (size_t)shard->form.height_px;
  if (chip_form_is_wide(&shard->form)) return labels;
  for (size_t i = 0; i < pixels; ++i)
    shard->narrow[i] = (uint8_t)labels[i];
  return shard->narrow;
}

static Status append_pictures(ChipShard *shard, const Chip *chip, const void *labels)
{
  TRY(append(shard, CHIP_ARRAY_IMAGES, chip->image));
  TRY(append(shard, CHIP_ARRAY_VALID, chip->valid));
  return append(shard, CHIP_ARRAY_LABELS, labels);
}

static Status add(ChipShard *shard, const Chip *chip)
{
  const ChipPlace *place = &chip->place;
  const int64_t row[5] = {place->raster, place->x_px, place->y_px, place->width_px,
                          place->height_px};
  const void *labels = stored_labels(shard, chip->labels);
  const int64_t checksum = (int64_t)chip_checksum(&shard->form, chip->image, chip->valid, labels);
  if (chip_format_is_arrays(shard->form.format))
    TRY(append_pictures(shard, chip, labels));
  else
    TRY(tile_write(shard->tile_folder, shard->count.chips, &shard->form, chip, labels));
  TRY(append(shard, CHIP_ARRAY_PLACES, row));
  TRY(append(shard, CHIP_ARRAY_GRIDS, chip->grid.pixel_to_map));
  TRY(append(shard, CHIP_ARRAY_CLASSES, chip->class_pixels));
  TRY(append(shard, CHIP_ARRAY_BANDS, chip->bands));
  TRY(append(shard, CHIP_ARRAY_CHECKSUMS, &checksum));
  ++shard->count.chips;
  if (!chip_format_has_objects(shard->form.format)) return STATUS_OK;
  shard->object_outcomes[OBJECT_KEPT] += chip->objects->count;
  return shard_objects_append(shard->file, &shard->form, chip->objects, &shard->count);
}

Status chip_shard_add(ChipShard *shard, ChipOutcome outcome, const Chip *chip)
{
  ++shard->outcomes[outcome];
  for (int i = OBJECT_KEPT + 1; i < OBJECT_OUTCOME_COUNT; ++i)
    if (chip != NULL && chip->object_outcomes != NULL)
      shard->object_outcomes[i] += chip->object_outcomes[i];
  return outcome == CHIP_KEPT ? add(shard, chip) : STATUS_OK;
}

Status chip_shard_commit(ChipShard **shard)
{
  Status status = array_set_ints((*shard)->file, "/", CHIP_FILE_OUTCOMES, (*shard)->outcomes,
                                 CHIP_OUTCOME_COUNT);
  if (status == STATUS_OK)
    status = array_set_ints((*shard)->file, "/", CHIP_FILE_OBJECT_OUTCOMES,
                            (*shard)->object_outcomes, OBJECT_OUTCOME_COUNT);
  if (status == STATUS_OK) status = array_file_commit(&(*shard)->file);
  chip_shard_close(*shard);
  *shard = NULL;
  return status;
}

void chip_shard_close(ChipShard *shard)
{
  if (shard == NULL) return;
  array_file_close(shard->file);
  memory_free(shard->narrow);
  memory_free(shard);
}

static Status read_count(const char *path, int64_t *chip_count)
{
  ArrayFile *file = NULL;
  ArrayLayout layout = {.rank = 0};
  Status status = array_file_open(path, &file);
  if (status == STATUS_OK)
    status = array_layout(file, chip_array_name(CHIP_ARRAY_CHECKSUMS), &layout);
  array_file_close(file);
  *chip_count = layout.dims[0];
  return status;
}

Status chip_shard_count(const char *folder, int32_t number, int64_t *chip_count)
{
  char path[OUTPUT_PATH_BYTES];
  *chip_count = -1;
  TRY(chip_shard_path(folder, number, path));
  return path_exists(path) ? read_count(path, chip_count) : STATUS_OK;
}
