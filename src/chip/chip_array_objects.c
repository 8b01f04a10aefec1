/* Objects of the HDF5 form. */
#include <inttypes.h>
#include <string.h>

#include "chip_arrays.h"

static Status read_counts(ChipSet *set, ArrayFile *file)
{
  ArrayLayout layout;
  void *counts;
  ChipSetInfo *info = &set->info;
  TRY(array_layout(file, "classes/object_count", &layout));
  if (layout.type != ARRAY_I64 || layout.rank != 1 || layout.dims[0] != info->class_count)
    return status_set(STATUS_BAD_INPUT, "%s: its table of classes does not count objects",
                      set->path);
  TRY(chip_arrays_allocate(set, info->class_count, sizeof(int64_t), &counts));
  TRY(array_read(file, "classes/object_count", NULL, NULL, ARRAY_I64, counts));
  for (int32_t i = 0; i < info->class_count; ++i)
    info->classes[i].object_count = ((const int64_t *)counts)[i];
  return STATUS_OK;
}

static Status read_most(ChipSet *set, ArrayFile *file)
{
  int64_t objects_most = 0;
  ChipSetInfo *info = &set->info;
  TRY(array_get_int(file, "/", "objects_most", &objects_most, NULL));
  TRY(array_get_int(file, "/", "mask_bytes_most", &info->mask_bytes_most, NULL));
  if (objects_most < 0 || objects_most > INT32_MAX / 2 || info->mask_bytes_most < 0)
    return status_set(STATUS_BAD_INPUT, "%s: its numbers of objects are impossible", set->path);
  info->objects_most = (int32_t)objects_most;
  return STATUS_OK;
}

Status chip_arrays_read_kind(ChipSet *set, ArrayFile *file, int64_t version)
{
  void *indices;
  char *kind = NULL;
  ArrayLayout layout;
  ChipArrays *arrays = set->source;
  arrays->form.format = CHIP_FORMAT_CHIPS;
  if (version < CHIP_SET_VERSION_OBJECTS) return STATUS_OK;
  TRY(array_get_text(file, "/", "kind", set->arena, &kind, NULL));
  const bool has_masks = strcmp(kind, "instances") == 0;
  if (!has_masks && strcmp(kind, "boxes") != 0)
    return status_set(STATUS_UNSUPPORTED,
                      "%s: chip set of the kind “%s”; this program does not "
                      "know it",
                      set->path, kind);
  arrays->form.format = CHIP_FORMAT_INSTANCES;
  set->info.kind = has_masks ? CHIP_SET_INSTANCES : CHIP_SET_BOXES;
  TRY(read_counts(set, file));
  TRY(read_most(set, file));
  TRY(array_layout(file, chip_array_name(CHIP_ARRAY_OBJECTS), &layout));
  set->info.object_count = layout.dims[0];
  TRY(chip_arrays_allocate(set, arrays->shard_count, sizeof(ShardIndex), &indices));
  arrays->indices = indices;
  return STATUS_OK;
}

Status chip_arrays_read_index(ChipSet *set, ArrayFile *file, int32_t shard)
{
  const ChipArrays *arrays = set->source;
  if (set->info.kind == CHIP_SET_CLASSES) return STATUS_OK;
  return shard_index_read(file, &arrays->form,
                          arrays->first_chips[shard + 1] - arrays->first_chips[shard], set->arena,
                          &arrays->indices[shard]);
}

static Status read_one(ChipArrays *arrays, int64_t chip, ChipObjects *objects)
{
  int32_t shard;
  ArrayFile *file;
  TRY(chip_arrays_shard_of(arrays, chip, &shard, &file));
  return shard_objects_read(file, &arrays->form, &arrays->indices[shard],
                            chip - arrays->first_chips[shard], objects);
}

Status chip_arrays_read_objects(ChipSet *set, int64_t chip, ChipObjects *objects)
{
  ChipArrays *arrays = set->source;
  (void)pthread_mutex_lock(&arrays->lock);
  const Status status = read_one(arrays, chip, objects);
  (void)pthread_mutex_unlock(&arrays->lock);
  return status_prefix(status, "%s: chip %" PRId64, set->path, chip);
}
