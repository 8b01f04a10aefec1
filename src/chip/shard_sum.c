/* What the shards of a set hold, added up in their order. */
#include "base/memory.h"
#include "shard_objects.h"

/* The tables of one shard, a slice at a time. */
typedef struct Slice {
  BandSum *bands;
  int64_t *class_pixels;
  double *grids;
  int64_t *checksums;
} Slice;

enum { SLICE_CHIPS = 512 };

/* The objects of a whole shard. */
typedef struct ShardObjects {
  ShardIndex index;
  int64_t *rows; /* as CHIP_ARRAY_OBJECTS */
  double *areas;
} ShardObjects;

static Status add_objects(const ChipForm *form, const ShardObjects *objects, int64_t chip,
                          SetSum *sum)
{
  const int64_t first = objects->index.first_objects[chip];
  const int64_t end = objects->index.first_objects[chip + 1];
  int64_t mask_bytes = 0;
  for (int64_t i = first; i < end; ++i) {
    const int64_t *row = objects->rows + 6 * i;
    const ClassEntry *entry = class_find(form->classes, form->class_count, (int32_t)row[1]);
    if (entry == NULL)
      return status_set(STATUS_MISMATCH,
                        "an object has the class %d, which the table of classes lacks",
                        (int)row[1]);
    set_sum_add_object(sum, (int32_t)(entry - form->classes), objects->areas[i]);
    mask_bytes += row[4] * row[5];
  }
  set_sum_end_objects(sum, end - first, mask_bytes);
  return STATUS_OK;
}

static Status read_objects(ArrayFile *file, const ChipForm *form, int64_t chip_count,
                           Arena *scratch, ShardObjects *objects)
{
  void *rows, *areas;
  TRY(shard_index_read(file, form, chip_count, scratch, &objects->index));
  const size_t count = (size_t)objects->index.first_objects[chip_count];
  TRY(arena_allocate(scratch, count * 6 * sizeof(int64_t), &rows));
  TRY(arena_allocate(scratch, count * sizeof(double), &areas));
  objects->rows = rows;
  objects->areas = areas;
  if (count == 0) return STATUS_OK;
  TRY(array_read(file, chip_array_name(CHIP_ARRAY_OBJECTS), NULL, NULL, ARRAY_I64, rows));
  return array_read(file, chip_array_name(CHIP_ARRAY_OBJECT_AREAS), NULL, NULL, ARRAY_F64, areas);
}

static Status add_slice(ArrayFile *file, const ChipForm *form, const ShardObjects *objects,
                        int64_t from, int64_t count, const Slice *slice, SetSum *sum)
{
  const int64_t start[3] = {from, 0, 0};
  const int64_t band_extent[3] = {count, sum->band_count, BAND_SUM_NUMBERS};
  const int64_t class_extent[2] = {count, sum->class_count};
  const int64_t grid_extent[2] = {count, 6};
  TRY(array_read(file, chip_array_name(CHIP_ARRAY_BANDS), start, band_extent, ARRAY_F64,
                 slice->bands));
  TRY(array_read(file, chip_array_name(CHIP_ARRAY_CLASSES), start, class_extent, ARRAY_I64,
                 slice->class_pixels));
  TRY(array_read(file, chip_array_name(CHIP_ARRAY_GRIDS), start, grid_extent, ARRAY_F64,
                 slice->grids));
  TRY(array_read(file, chip_array_name(CHIP_ARRAY_CHECKSUMS), start, &count, ARRAY_I64,
                 slice->checksums));
  checksum_add(&sum->content, slice->grids, (size_t)count * 6 * sizeof *slice->grids);
  checksum_add(&sum->content, slice->checksums, (size_t)count * sizeof *slice->checksums);
  if (objects != NULL)
    checksum_add(&sum->content, objects->index.checksums + from,
                 (size_t)count * sizeof *slice->checksums);
  for (int64_t i = 0; i < count; ++i) {
    set_sum_add(sum, slice->bands + i * sum->band_count,
                slice->class_pixels + i * sum->class_count);
    if (objects != NULL) TRY(add_objects(form, objects, from + i, sum));
  }
  return STATUS_OK;
}

static Status add_outcomes(ArrayFile *file, SetSum *sum)
{
  int64_t outcomes[CHIP_OUTCOME_COUNT] = {0}, object_outcomes[OBJECT_OUTCOME_COUNT] = {0};
  size_t count = 0;
  bool present;
  TRY(array_get_ints(file, "/", CHIP_FILE_OUTCOMES, outcomes, CHIP_OUTCOME_COUNT, &count, NULL));
  for (int i = 0; i < CHIP_OUTCOME_COUNT; ++i)
    sum->outcomes[i] += outcomes[i];
  TRY(array_get_ints(file, "/", CHIP_FILE_OBJECT_OUTCOMES, object_outcomes, OBJECT_OUTCOME_COUNT,
                     &count, &present));
  for (int i = 0; i < OBJECT_OUTCOME_COUNT; ++i)
    sum->object_outcomes[i] += object_outcomes[i];
  return STATUS_OK;
}

static Status add_file(ArrayFile *file, const ChipForm *form, const Slice *slice, Arena *scratch,
                       ShardCount *count, SetSum *sum)
{
  ArrayLayout layout;
  ShardObjects objects;
  const bool has_objects = chip_format_has_objects(form->format);
  TRY(array_layout(file, chip_array_name(CHIP_ARRAY_CHECKSUMS), &layout));
  *count = (ShardCount){.chips = layout.dims[0]};
  TRY(add_outcomes(file, sum));
  if (has_objects) {
    TRY(read_objects(file, form, count->chips, scratch, &objects));
    count->objects = objects.index.first_objects[count->chips];
    count->mask_bytes = objects.index.first_bytes[count->chips];
  }
  for (int64_t from = 0; from < count->chips; from += SLICE_CHIPS) {
    const int64_t left = count->chips - from;
    TRY(add_slice(file, form, has_objects ? &objects : NULL, from,
                  left < SLICE_CHIPS ? left : SLICE_CHIPS, slice, sum));
  }
  return STATUS_OK;
}

static Status add_shard(const char *path, const ChipForm *form, const Slice *slice,
                        ShardCount *count, SetSum *sum)
{
  ArrayFile *file = NULL;
  Arena *scratch = NULL;
  TRY(arena_open(&scratch));
  Status status = array_file_open(path, &file);
  if (status == STATUS_OK) status = add_file(file, form, slice, scratch, count, sum);
  array_file_close(file);
  arena_close(scratch);
  return status;
}

static Status add_shards(const char *folder, int32_t shard_count, const ChipForm *form,
                         const Slice *slice, ShardCount *counts, SetSum *sum)
{
  char path[OUTPUT_PATH_BYTES];
  for (int32_t i = 0; i < shard_count; ++i) {
    TRY(chip_shard_path(folder, i, path));
    TRY(add_shard(path, form, slice, &counts[i], sum));
  }
  return STATUS_OK;
}

static Status sum_shards(const char *folder, int32_t shard_count, const ChipForm *form,
                         Arena *scratch, ShardCount *counts, SetSum *sum)
{
  void *bands, *classes, *grids, *checksums;
  TRY(arena_allocate(scratch, SLICE_CHIPS * (size_t)form->band_count * sizeof(BandSum), &bands));
  TRY(arena_allocate(scratch, SLICE_CHIPS * (size_t)form->class_count * sizeof(int64_t), &classes));
  TRY(arena_allocate(scratch, SLICE_CHIPS * 6 * sizeof(double), &grids));
  TRY(arena_allocate(scratch, SLICE_CHIPS * sizeof(int64_t), &checksums));
  const Slice slice = {bands, classes, grids, checksums};
  return add_shards(folder, shard_count, form, &slice, counts, sum);
}

Status chip_shards_sum(const char *folder, int32_t shard_count, const ChipForm *form,
                       ShardCount *counts, SetSum *sum)
{
  Arena *scratch = NULL;
  TRY(arena_open(&scratch));
  const Status status = sum_shards(folder, shard_count, form, scratch, counts, sum);
  arena_close(scratch);
  return status;
}
