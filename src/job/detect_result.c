#include "detect_result.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "geo/geo.h"

enum { OBJECTS_HELD = 4096, RUNS_HELD = 1 << 16, CHUNK = 1 << 14 };

typedef struct MaskRow {
  int32_t row_px;
  int32_t first_px;
  int32_t length_px;
} MaskRow;

typedef struct HeldObject {
  double box[4];
} HeldObject;

/* Objects are gathered, since a call for each would take longer than finding it. */
struct DetectResult {
  ArrayFile *file;
  HeldObject boxes[OBJECTS_HELD];
  double scores[OBJECTS_HELD];
  int32_t values[OBJECTS_HELD];
  double areas_m2[OBJECTS_HELD];
  int64_t tiles[OBJECTS_HELD];
  int64_t fragments[OBJECTS_HELD];
  int64_t first_runs[OBJECTS_HELD];
  int64_t held;
  MaskRow runs[RUNS_HELD];
  int64_t runs_held;
  int64_t run_count; /* all */
};

typedef struct Column {
  const char *name;
  ArrayType type;
  int64_t columns; /* 0: one dimension */
} Column;

static const Column columns[] = {
    {"objects/box", ARRAY_F64, 4},         {"objects/score", ARRAY_F64, 0},
    {"objects/class_value", ARRAY_I32, 0}, {"objects/area_m2", ARRAY_F64, 0},
    {"objects/tile", ARRAY_I64, 0},        {"objects/fragments", ARRAY_I64, 0},
    {"objects/first_run", ARRAY_I64, 0},   {"masks/run", ARRAY_I32, 3},
};

static Status create_arrays(ArrayFile *file)
{
  for (size_t i = 0; i < sizeof columns / sizeof *columns; ++i) {
    const Column *column = &columns[i];
    const ArrayLayout layout = {.type = column->type,
                                .rank = column->columns == 0 ? 1 : 2,
                                .dims = {0, column->columns},
                                .chunk_dims = {CHUNK, column->columns},
                                .deflate_level = 1,
                                .extendible = true};
    TRY(array_create(file, column->name, &layout));
  }
  return STATUS_OK;
}

static Status fill(const char *path, DetectResult *result)
{
  TRY(array_file_create(path, &result->file));
  return create_arrays(result->file);
}

Status detect_result_open(const char *path, DetectResult **result)
{
  void *memory;
  *result = NULL;
  if (*path == '\0') return STATUS_OK;
  TRY(memory_allocate(1, sizeof **result, "the result", &memory));
  DetectResult *opening = memory;
  const Status status = fill(path, opening);
  if (status == STATUS_OK)
    *result = opening;
  else
    detect_result_close(opening);
  return status;
}

void detect_result_close(DetectResult *result)
{
  if (result == NULL) return;
  array_file_close(result->file);
  memory_free(result);
}

static Status flush_runs(DetectResult *result)
{
  if (result->runs_held > 0)
    TRY(array_append(result->file, "masks/run", result->runs_held, ARRAY_I32, result->runs));
  result->runs_held = 0;
  return STATUS_OK;
}

static Status flush_objects(DetectResult *result)
{
  const void *const values[] = {result->boxes,     result->scores, result->values,
                                result->areas_m2,  result->tiles,  result->fragments,
                                result->first_runs};
  for (size_t i = 0; result->held > 0 && i < sizeof values / sizeof *values; ++i)
    TRY(array_append(result->file, columns[i].name, result->held, columns[i].type, values[i]));
  result->held = 0;
  return STATUS_OK;
}

static Status add_mask(DetectResult *result, const ObjectMask *mask)
{
  for (int64_t row = 0; row < mask->window.height_px; ++row)
    for (int64_t i = mask->row_start[row]; i < mask->row_start[row + 1]; ++i) {
      const RowRun *run = &mask->runs[i];
      if (result->runs_held == RUNS_HELD) TRY(flush_runs(result));
      result->runs[result->runs_held++] =
          (MaskRow){.row_px = (int32_t)(mask->window.y_px + row),
                    .first_px = (int32_t)(mask->window.x_px + run->first_px),
                    .length_px = run->end_px - run->first_px};
      ++result->run_count;
    }
  return STATUS_OK;
}

Status detect_result_add(DetectResult *result, const WholeObject *object, int32_t class_value,
                         double area_m2)
{
  if (result == NULL) return STATUS_OK;
  if (result->held == OBJECTS_HELD) TRY(flush_objects(result));
  const int64_t at = result->held++;
  memcpy(result->boxes[at].box, object->box, sizeof object->box);
  result->scores[at] = object->score;
  result->values[at] = class_value;
  result->areas_m2[at] = area_m2;
  result->tiles[at] = object->owner_tile;
  result->fragments[at] = object->member_count;
  result->first_runs[at] = result->run_count;
  return add_mask(result, object->mask);
}

/* What goes beside the objects. */

static Status write_classes(const DetectTask *task, Arena *arena, ArrayFile *file)
{
  void *memory;
  const size_t count = (size_t)task->model.class_count;
  TRY(arena_allocate(arena, count * sizeof(char *), &memory));
  const char **names = memory;
  TRY(arena_allocate(arena, count * sizeof(int64_t), &memory));
  int64_t *values = memory;
  for (size_t i = 0; i < count; ++i) {
    names[i] = task->model.classes[i].name;
    values[i] = task->model.classes[i].value;
  }
  TRY(array_set_ints(file, "objects", "class_values", values, count));
  return array_write_texts(file, "class_names", names, count);
}

static Status write_plan(const DetectTask *task, ArrayFile *file)
{
  const TilePlan *tiles = &task->raster.tiles;
  const Window output = task->raster.output;
  const Grid *grid = &task->raster.output_grid;
  const int64_t window[4] = {output.x_px, output.y_px, output.width_px, output.height_px};
  TRY(array_make_group(file, "plan"));
  TRY(array_set_ints(file, "plan", "window_px", window, 4));
  TRY(array_set_reals(file, "plan", "window_pixel_to_map", grid->pixel_to_map, 6));
  TRY(array_set_text(file, "plan", "crs_wkt", grid->crs_wkt));
  TRY(array_set_int(file, "plan", "tile_width_px", tiles->columns.tile_px));
  TRY(array_set_int(file, "plan", "tile_height_px", tiles->rows.tile_px));
  TRY(array_set_int(file, "plan", "padding_px", tiles->padding_px));
  TRY(array_set_int(file, "plan", "batch_size", tiles->batch_size));
  TRY(array_set_int(file, "plan", "tile_columns", tiles->columns.count));
  return array_set_int(file, "plan", "tile_rows", tiles->rows.count);
}

static Status write_options(const Job *job, const DetectOptions *given, ArrayFile *file)
{
  TRY(array_make_group(file, "options"));
  for (size_t i = 0; i < detect_table.count; ++i) {
    char *text;
    TRY(options_format(&detect_table, given, i, job->arena, &text));
    TRY(array_set_text(file, "options", detect_table.options[i].name, text));
  }
  return STATUS_OK;
}

static Status write_provenance(const Job *job, const DetectTask *task, ArrayFile *file)
{
  TRY(array_make_group(file, "provenance"));
  TRY(array_set_text(file, "provenance", "command", job->command));
  TRY(array_set_text(file, "provenance", "job", task->raster.identity));
  TRY(array_set_text(file, "provenance", "model", task->model.name));
  TRY(array_set_text(file, "provenance", "model_digest", task->model.identity));
  TRY(array_set_real(file, "provenance", "threshold", task->engine.threshold));
  TRY(array_set_real(file, "provenance", "nms_overlap", task->engine.nms_overlap));
  return array_set_text(file, "provenance", "gdal", geo_version());
}

/* Counters by name: for the file, and for notes. */
typedef struct Counter {
  const char *name;
  int64_t value;
} Counter;

enum { COUNTERS = 17 };

static void list_counters(const DetectCounts *counts, Counter counters[COUNTERS])
{
  const MergeCounts *merge = &counts->merge;
  const Counter all[COUNTERS] = {{"found", counts->found},
                                 {"kept", merge->kept},
                                 {"merged", merge->merged},
                                 {"suppressed", counts->suppressed},
                                 {"suppressed_without_data", counts->without_data},
                                 {"suppressed_empty", merge->empty},
                                 {"suppressed_outside", merge->outside},
                                 {"suppressed_excluded", merge->excluded},
                                 {"suppressed_by_nms", merge->by_nms},
                                 {"suppressed_unwanted", merge->unwanted},
                                 {"cut", merge->cut},
                                 {"unions", merge->unions},
                                 {"fragments", merge->fragments},
                                 {"regular", counts->regular},
                                 {"full_tiles", counts->full_tiles},
                                 {"still_full_tiles", counts->still_full_tiles},
                                 {"parts", counts->parts}};
  memcpy(counters, all, sizeof all);
}

static Status write_counts(const DetectCounts *counts, ArrayFile *file)
{
  Counter counters[COUNTERS];
  list_counters(counts, counters);
  TRY(array_make_group(file, "counters"));
  for (int32_t i = 0; i < COUNTERS; ++i)
    TRY(array_set_int(file, "counters", counters[i].name, counters[i].value));
  TRY(array_make_group(file, "coverage"));
  TRY(array_set_int(file, "coverage", "output_px", counts->output_px));
  return array_set_int(file, "coverage", "nodata_px", counts->nodata_px);
}

static Status write_all(DetectResult *result, const Job *job, const DetectOptions *given,
                        const DetectTask *task, const DetectCounts *counts)
{
  TRY(flush_objects(result));
  TRY(flush_runs(result));
  TRY(array_append(result->file, "objects/first_run", 1, ARRAY_I64, &result->run_count));
  TRY(write_classes(task, job->arena, result->file));
  TRY(write_plan(task, result->file));
  TRY(write_options(job, given, result->file));
  TRY(write_provenance(job, task, result->file));
  return write_counts(counts, result->file);
}

Status detect_result_finish(DetectResult *result, const Job *job, const DetectOptions *given,
                            const DetectTask *task, const DetectCounts *counts)
{
  if (result == NULL) return STATUS_OK;
  TRY(write_all(result, job, given, task, counts));
  return array_file_commit(&result->file);
}

/* Notes. */

enum { COUNTS_BYTES = COUNTERS * 64 };

Status detect_counts_text(const Job *job, const DetectCounts *counts, char **text)
{
  Counter counters[COUNTERS];
  void *memory;
  size_t length = 0;
  list_counters(counts, counters);
  TRY(arena_allocate(job->arena, COUNTS_BYTES, &memory));
  *text = memory;
  for (int32_t i = 0; i < COUNTERS; ++i) {
    (void)snprintf(*text + length, COUNTS_BYTES - length, "%s%s=%" PRId64, i == 0 ? "" : "; ",
                   counters[i].name, counters[i].value);
    length = strlen(*text);
  }
  return STATUS_OK;
}

Status detect_options_text(const Job *job, const DetectOptions *given, char **text)
{
  void *memory;
  char *values[64];
  size_t bytes = 1;
  if (detect_table.count > sizeof values / sizeof *values)
    return status_set(STATUS_UNSUPPORTED, "detect has more options than can be told");
  for (size_t i = 0; i < detect_table.count; ++i) {
    TRY(options_format(&detect_table, given, i, job->arena, &values[i]));
    bytes += strlen(detect_table.options[i].name) + strlen(values[i]) + 4;
  }
  TRY(arena_allocate(job->arena, bytes, &memory));
  *text = memory;
  char *end = memory;
  for (size_t i = 0; i < detect_table.count; ++i)
    end += snprintf(end, bytes - (size_t)(end - *text), "%s%s=%s", i == 0 ? "" : "; ",
                    detect_table.options[i].name, values[i]);
  return STATUS_OK;
}
