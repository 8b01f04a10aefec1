#include "shard_objects.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"

enum { ROW_NUMBERS = 6 }; /* feature, class value, x, y, width, height */

/* A chip's part of the arrays. */
typedef struct Stored {
  int64_t object_count;
  int64_t mask_bytes;
  int64_t *rows; /* object_count x ROW_NUMBERS */
  float *boxes;  /* object_count x 4 */
  double *areas; /* object_count */
  uint8_t *masks;
} Stored;

static void stored_free(Stored *stored)
{
  memory_free(stored->rows);
  memory_free(stored->boxes);
  memory_free(stored->areas);
  memory_free(stored->masks);
}

static Status stored_allocate(Stored *stored)
{
  void *memory;
  const size_t count = (size_t)stored->object_count;
  TRY(memory_allocate(count, ROW_NUMBERS * sizeof(int64_t), "objects of a chip", &memory));
  stored->rows = memory;
  TRY(memory_allocate(count, 4 * sizeof(float), "objects of a chip", &memory));
  stored->boxes = memory;
  TRY(memory_allocate(count, sizeof(double), "objects of a chip", &memory));
  stored->areas = memory;
  TRY(memory_allocate((size_t)stored->mask_bytes, 1, "masks of a chip", &memory));
  stored->masks = memory;
  return STATUS_OK;
}

static int64_t packed_bytes(const ChipObject *object)
{
  return object->has_mask ? (int64_t)chip_mask_packed_bytes(object->width_px, object->height_px)
                          : 0;
}

static void fill(const ChipObjects *objects, Stored *stored)
{
  uint8_t *mask = stored->masks;
  for (int32_t i = 0; i < objects->count; ++i) {
    const ChipObject *object = &objects->items[i];
    const int64_t row[ROW_NUMBERS] = {object->feature, object->class_value, object->x_px,
                                      object->y_px,    object->width_px,    object->height_px};
    memcpy(stored->rows + (ptrdiff_t)ROW_NUMBERS * i, row, sizeof row);
    memcpy(stored->boxes + (ptrdiff_t)4 * i, object->box, sizeof object->box);
    stored->areas[i] = object->area_map;
    if (object->has_mask)
      chip_mask_pack(objects->mask_bytes + object->mask_offset,
                     (int64_t)object->width_px * object->height_px, mask);
    mask += packed_bytes(object);
  }
}

static int64_t checksum_of(const Stored *stored)
{
  const size_t count = (size_t)stored->object_count;
  Checksum sum = checksum_start(0);
  checksum_add(&sum, stored->rows, count * ROW_NUMBERS * sizeof *stored->rows);
  checksum_add(&sum, stored->boxes, count * 4 * sizeof *stored->boxes);
  checksum_add(&sum, stored->areas, count * sizeof *stored->areas);
  checksum_add(&sum, stored->masks, (size_t)stored->mask_bytes);
  return (int64_t)checksum_value(&sum);
}

static Status append(ArrayFile *file, const ChipForm *form, ChipArray array, int64_t rows,
                     const void *values)
{
  if (rows == 0) return STATUS_OK;
  return array_append(file, chip_array_name(array), rows,
                      chip_array_layout(array, form, (ShardCount){0}).type, values);
}

static Status append_stored(ArrayFile *file, const ChipForm *form, const Stored *stored)
{
  const int64_t counts[2] = {stored->object_count, stored->mask_bytes};
  const int64_t checksum = checksum_of(stored);
  TRY(append(file, form, CHIP_ARRAY_OBJECT_COUNTS, 1, counts));
  TRY(append(file, form, CHIP_ARRAY_OBJECT_CHECKSUMS, 1, &checksum));
  TRY(append(file, form, CHIP_ARRAY_OBJECTS, counts[0], stored->rows));
  TRY(append(file, form, CHIP_ARRAY_OBJECT_BOXES, counts[0], stored->boxes));
  TRY(append(file, form, CHIP_ARRAY_OBJECT_AREAS, counts[0], stored->areas));
  return append(file, form, CHIP_ARRAY_OBJECT_MASKS, counts[1], stored->masks);
}

Status shard_objects_append(ArrayFile *file, const ChipForm *form, const ChipObjects *objects,
                            ShardCount *count)
{
  Stored stored = {.object_count = objects->count};
  for (int32_t i = 0; i < objects->count; ++i)
    stored.mask_bytes += packed_bytes(&objects->items[i]);
  Status status = stored_allocate(&stored);
  if (status == STATUS_OK) fill(objects, &stored);
  if (status == STATUS_OK) status = append_stored(file, form, &stored);
  stored_free(&stored);
  count->objects += stored.object_count;
  count->mask_bytes += stored.mask_bytes;
  return status;
}

static Status bad(ArrayFile *file, const char *what)
{
  return status_set(STATUS_BAD_INPUT, "%s: is damaged (%s); export the set again",
                    array_file_path(file), what);
}

static Status check_rows(ArrayFile *file, const ChipForm *form, ChipArray array, ShardCount count)
{
  ArrayLayout found;
  const ArrayLayout wanted = chip_array_layout(array, form, count);
  TRY(array_layout(file, chip_array_name(array), &found));
  bool fits = found.type == wanted.type && found.rank == wanted.rank;
  for (int32_t i = 0; fits && i < wanted.rank; ++i)
    fits = found.dims[i] == wanted.dims[i];
  return fits ? STATUS_OK : bad(file, chip_array_name(array));
}

static Status add_up(ArrayFile *file, const ChipForm *form, const int64_t *counts,
                     ShardIndex *index)
{
  ShardCount all = {.chips = index->chip_count};
  const int64_t most = INT64_MAX / 2;
  for (int64_t i = 0; i < index->chip_count; ++i) {
    if (counts[2 * i] < 0 || counts[2 * i] > INT32_MAX / 2 || counts[2 * i + 1] < 0 ||
        counts[2 * i + 1] > most - all.mask_bytes)
      return bad(file, "object_counts");
    all.objects += counts[2 * i];
    all.mask_bytes += counts[2 * i + 1];
    index->first_objects[i + 1] = all.objects;
    index->first_bytes[i + 1] = all.mask_bytes;
  }
  for (int array = CHIP_ARRAY_OBJECTS; array < CHIP_ARRAY_COUNT; ++array)
    TRY(check_rows(file, form, (ChipArray)array, all));
  return STATUS_OK;
}

static Status read_index(ArrayFile *file, const ChipForm *form, int64_t *counts, ShardIndex *index)
{
  if (index->chip_count == 0) return STATUS_OK;
  TRY(array_read(file, chip_array_name(CHIP_ARRAY_OBJECT_COUNTS), NULL, NULL, ARRAY_I64, counts));
  TRY(array_read(file, chip_array_name(CHIP_ARRAY_OBJECT_CHECKSUMS), NULL, NULL, ARRAY_I64,
                 index->checksums));
  return add_up(file, form, counts, index);
}

Status shard_index_read(ArrayFile *file, const ChipForm *form, int64_t chip_count, Arena *arena,
                        ShardIndex *index)
{
  void *firsts, *bytes, *checksums, *counts;
  const size_t chips = (size_t)chip_count;
  const ShardCount count = {.chips = chip_count};
  TRY(check_rows(file, form, CHIP_ARRAY_OBJECT_COUNTS, count));
  TRY(check_rows(file, form, CHIP_ARRAY_OBJECT_CHECKSUMS, count));
  TRY(arena_allocate(arena, (chips + 1) * sizeof(int64_t), &firsts));
  TRY(arena_allocate(arena, (chips + 1) * sizeof(int64_t), &bytes));
  TRY(arena_allocate(arena, chips * sizeof(int64_t), &checksums));
  *index = (ShardIndex){chip_count, firsts, bytes, checksums};
  TRY(memory_allocate(chips, 2 * sizeof(int64_t), "objects of a shard", &counts));
  const Status status = read_index(file, form, counts, index);
  memory_free(counts);
  return status;
}

static bool fits_chip(const ChipForm *form, const int64_t *row)
{
  return row[1] >= 1 && row[1] <= CLASS_LARGEST_VALUE && row[2] >= 0 && row[3] >= 0 &&
         row[4] >= 1 && row[5] >= 1 && row[2] <= form->width_px - row[4] &&
         row[3] <= form->height_px - row[5];
}

/* Places whose sums stay in range also where a file is nonsense: a chip is at most 2^15 px wide. */
static Status take_one(ArrayFile *file, const ChipForm *form, const Stored *stored, int64_t i,
                       int64_t *used, ChipObjects *objects)
{
  const int64_t *row = stored->rows + ROW_NUMBERS * i;
  const bool has_mask = row[4] != 0 || row[5] != 0;
  uint8_t *mask = NULL;
  if (has_mask && !fits_chip(form, row)) return bad(file, "a mask lies outside of its chip");
  if (row[1] < 1 || row[1] > CLASS_LARGEST_VALUE) return bad(file, "an object without a class");
  if (has_mask)
    TRY(chip_objects_add_window(objects, (uint16_t)row[1], (int32_t)row[2], (int32_t)row[3],
                                (int32_t)row[4], (int32_t)row[5], &mask));
  else
    TRY(chip_objects_add_box(objects, (uint16_t)row[1], stored->boxes + 4 * i));
  ChipObject *object = &objects->items[objects->count - 1];
  object->feature = row[0];
  object->area_map = stored->areas[i];
  memcpy(object->box, stored->boxes + 4 * i, sizeof object->box);
  const int64_t bytes = packed_bytes(object);
  if (bytes > stored->mask_bytes - *used) return bad(file, "masks end too early");
  if (has_mask) chip_mask_unpack(stored->masks + *used, row[4] * row[5], mask);
  *used += bytes;
  return STATUS_OK;
}

static Status take_all(ArrayFile *file, const ChipForm *form, const Stored *stored,
                       ChipObjects *objects)
{
  int64_t used = 0;
  for (int64_t i = 0; i < stored->object_count; ++i)
    TRY(take_one(file, form, stored, i, &used, objects));
  return used == stored->mask_bytes ? STATUS_OK : bad(file, "masks are too long");
}

static Status read_stored(ArrayFile *file, const ShardIndex *index, int64_t chip, Stored *stored)
{
  const int64_t start[2] = {index->first_objects[chip], 0};
  const int64_t rows[2] = {stored->object_count, ROW_NUMBERS};
  const int64_t boxes[2] = {stored->object_count, 4};
  if (stored->object_count > 0) {
    TRY(array_read(file, chip_array_name(CHIP_ARRAY_OBJECTS), start, rows, ARRAY_I64,
                   stored->rows));
    TRY(array_read(file, chip_array_name(CHIP_ARRAY_OBJECT_BOXES), start, boxes, ARRAY_F32,
                   stored->boxes));
    TRY(array_read(file, chip_array_name(CHIP_ARRAY_OBJECT_AREAS), start, rows, ARRAY_F64,
                   stored->areas));
  }
  if (stored->mask_bytes == 0) return STATUS_OK;
  return array_read(file, chip_array_name(CHIP_ARRAY_OBJECT_MASKS), &index->first_bytes[chip],
                    &stored->mask_bytes, ARRAY_U8, stored->masks);
}

Status shard_objects_read(ArrayFile *file, const ChipForm *form, const ShardIndex *index,
                          int64_t chip, ChipObjects *objects)
{
  Stored stored = {.object_count = index->first_objects[chip + 1] - index->first_objects[chip],
                   .mask_bytes = index->first_bytes[chip + 1] - index->first_bytes[chip]};
  Status status = stored_allocate(&stored);
  if (status == STATUS_OK) status = read_stored(file, index, chip, &stored);
  if (status == STATUS_OK && checksum_of(&stored) != index->checksums[chip])
    status = bad(file, "the checksum of a chip's objects is wrong");
  if (status == STATUS_OK) status = take_all(file, form, &stored, objects);
  stored_free(&stored);
  return status;
}
