#include "base/memory.h"
#include "base/path.h"
#include "base/require.h"
#include "chip_set_form.h"

static Status fill(ChipSet *set, const char *path)
{
  char *kept;
  TRY(arena_open(&set->arena));
  TRY(arena_copy_text(set->arena, path, &kept));
  set->path = kept;
  set->form = path_is_folder(path) ? &chip_tiles_form : &chip_arrays_form;
  TRY(set->form->open(set));
  if (set->info.chip_count < 1) return status_set(STATUS_BAD_INPUT, "%s: holds no chip", path);
  return STATUS_OK;
}

Status chip_set_open(const char *path, ChipSet **set)
{
  void *memory;
  *set = NULL;
  TRY(memory_allocate(1, sizeof **set, "chip set", &memory));
  ChipSet *opening = memory;
  const Status status = fill(opening, path);
  if (status == STATUS_OK)
    *set = opening;
  else
    chip_set_close(opening);
  return status;
}

void chip_set_close(ChipSet *set)
{
  if (set == NULL) return;
  if (set->form != NULL) set->form->close(set);
  arena_close(set->arena);
  memory_free(set);
}

const ChipSetInfo *chip_set_info(const ChipSet *set)
{
  return &set->info;
}

ChipPlace chip_set_place(const ChipSet *set, int64_t chip)
{
  require(chip >= 0 && chip < set->info.chip_count);
  return set->places[chip];
}

Status chip_set_read(ChipSet *set, int64_t chip, void *image, uint8_t *valid, uint16_t *labels)
{
  require(chip >= 0 && chip < set->info.chip_count);
  return set->form->read(set, chip, image, valid, labels);
}

Status chip_set_read_objects(ChipSet *set, int64_t chip, ChipObjects *objects)
{
  require(chip >= 0 && chip < set->info.chip_count);
  chip_objects_clear(objects);
  if (set->info.kind == CHIP_SET_CLASSES) return STATUS_OK;
  return set->form->read_objects(set, chip, objects);
}
