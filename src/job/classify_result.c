#include "classify_result.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"
#include "blend.h"
#include "geo/geo.h"

enum { PIECES_MOST = 4096 };

static int64_t piece_count(const TilePlan *tiles)
{
  return tiles->unit_count + tiles->rows.count; /* at most */
}

bool classify_result_is_virtual(const ClassifyTask *task)
{
  return !task->blends && piece_count(&task->raster.tiles) <= PIECES_MOST;
}

/* Pieces of the class array; those of the probabilities are the same with one dimension more. */
typedef struct Pieces {
  Arena *arena;
  ArrayPiece *items;
  size_t count;
} Pieces;

/* Relative to the result's folder, so that both can be moved. */
static Status shard_path(const ClassifyTask *task, const char *name, Arena *arena, char **path)
{
  char joined[OUTPUT_PATH_BYTES];
  TRY(path_join(path_file_name(task->raster.folder), name, sizeof joined, joined));
  return arena_copy_text(arena, joined, path);
}

static Status shard_sizes(const ClassifyTask *task, const Ledger *ledger, Arena *arena,
                          int64_t **pixels)
{
  void *memory;
  TRY(arena_allocate(arena, ((size_t)ledger->shard_count + 1) * sizeof **pixels, &memory));
  *pixels = memory;
  for (int64_t unit = 0; unit < ledger->unit_count; ++unit) {
    const LedgerPlace *place = &ledger->places[unit];
    if (place->shard < 0) continue;
    int64_t first;
    int64_t end;
    int64_t end_px = place->offset;
    Window segment;
    tile_plan_unit(&task->raster.tiles, unit, &first, &end);
    while (tile_plan_next_segment(&task->raster.tiles, &first, end, &segment))
      end_px += window_pixels(segment);
    if (end_px > (*pixels)[place->shard]) (*pixels)[place->shard] = end_px;
  }
  return STATUS_OK;
}

static void add_pieces(const ClassifyTask *task, const LedgerPlace *place, int64_t unit,
                       const char *file, int64_t shard_px, Pieces *pieces)
{
  int64_t first;
  int64_t end;
  int64_t at_px = place->offset;
  Window segment;
  tile_plan_unit(&task->raster.tiles, unit, &first, &end);
  while (tile_plan_next_segment(&task->raster.tiles, &first, end, &segment)) {
    pieces->items[pieces->count++] =
        (ArrayPiece){.file = file,
                     .array = "class",
                     .source_rank = 1,
                     .source_dims = {shard_px},
                     .source_start = {at_px},
                     .source_count = {window_pixels(segment)},
                     .target_start = {segment.y_px - task->raster.output.y_px,
                                      segment.x_px - task->raster.output.x_px},
                     .target_count = {segment.height_px, segment.width_px}};
    at_px += window_pixels(segment);
  }
}

static Status pieces_of_shards(const ClassifyTask *task, const Ledger *ledger, Pieces *pieces)
{
  int64_t *pixels;
  void *memory;
  TRY(shard_sizes(task, ledger, pieces->arena, &pixels));
  TRY(arena_allocate(pieces->arena, (size_t)ledger->shard_count * sizeof(char *) + 1, &memory));
  char **files = memory;
  for (int32_t i = 0; i < ledger->shard_count; ++i)
    TRY(shard_path(task, ledger->shard_names[i], pieces->arena, &files[i]));
  TRY(arena_allocate(pieces->arena,
                     (size_t)piece_count(&task->raster.tiles) * sizeof *pieces->items, &memory));
  pieces->items = memory;
  for (int64_t unit = 0; unit < ledger->unit_count; ++unit) {
    const LedgerPlace *place = &ledger->places[unit];
    if (place->shard >= 0)
      add_pieces(task, place, unit, files[place->shard], pixels[place->shard], pieces);
  }
  return STATUS_OK;
}

static Status piece_of_joined(const ClassifyTask *task, const char *name, Pieces *pieces)
{
  char *file;
  void *memory;
  const int64_t height = task->raster.output.height_px;
  const int64_t width = task->raster.output.width_px;
  TRY(shard_path(task, name, pieces->arena, &file));
  TRY(arena_allocate(pieces->arena, sizeof *pieces->items, &memory));
  pieces->items = memory;
  pieces->items[pieces->count++] = (ArrayPiece){.file = file,
                                                .array = "class",
                                                .source_rank = 2,
                                                .source_dims = {height, width},
                                                .source_count = {height, width},
                                                .target_count = {height, width}};
  return STATUS_OK;
}

static void turn_into_probabilities(const ClassifyTask *task, Pieces *pieces)
{
  for (size_t i = 0; i < pieces->count; ++i) {
    ArrayPiece *piece = &pieces->items[i];
    const int32_t last = piece->source_rank++;
    piece->array = "probability";
    piece->source_dims[last] = piece->source_count[last] = task->class_count;
    piece->target_count[2] = task->class_count;
  }
}

static Status describe_classes(const ClassifyTask *task, ArrayFile *file, Arena *arena)
{
  int64_t values[256];
  int64_t colours[3 * 256];
  void *memory;
  const size_t classes = (size_t)task->class_count;
  TRY(arena_allocate(arena, classes * sizeof(char *), &memory));
  const char **names = memory;
  for (size_t i = 0; i < classes; ++i) {
    uint8_t rgb[3];
    class_colour(&task->classes[i], rgb);
    values[i] = task->classes[i].value;
    names[i] = task->classes[i].name;
    for (size_t j = 0; j < 3; ++j)
      colours[3 * i + j] = rgb[j];
  }
  TRY(array_set_ints(file, "class", "class_values", values, classes));
  TRY(array_set_ints(file, "class", "class_colours", colours, 3 * classes));
  return array_write_texts(file, "class_names", names, classes);
}

static Status georeference(const Job *job, const ClassifyTask *task, ArrayFile *file)
{
  const Grid *grid = &task->raster.output_grid;
  const Status status =
      array_georeference(file, "class", grid->crs_wkt, grid->pixel_to_map, task->nodata);
  if (status != STATUS_UNSUPPORTED) return status;
  log_warning(job->log, "%s: %s; it carries the geotransform as an attribute only",
              array_file_path(file), status_message());
  return array_set_reals(file, "class", "pixel_to_map", grid->pixel_to_map, 6);
}

static Status write_arrays(const Job *job, const ClassifyOptions *given, const ClassifyTask *task,
                           Pieces *pieces, ArrayFile *file)
{
  const int64_t dims[3] = {task->raster.output.height_px, task->raster.output.width_px,
                           task->class_count};
  TRY(array_create_virtual(file, "class", classify_array_type(task), 2, dims, task->nodata,
                           pieces->items, pieces->count));
  TRY(describe_classes(task, file, pieces->arena));
  TRY(georeference(job, task, file));
  if (*given->probability == '\0') return STATUS_OK;
  turn_into_probabilities(task, pieces);
  TRY(array_create_virtual(file, "probability", ARRAY_U8, 3, dims, BLEND_NODATA, pieces->items,
                           pieces->count));
  TRY(array_set_real(file, "probability", "scale_factor", 1.0 / BLEND_ONE));
  return array_set_int(file, "probability", "missing_value", BLEND_NODATA);
}

static Status write_plan(const ClassifyTask *task, ArrayFile *file)
{
  const TilePlan *tiles = &task->raster.tiles;
  const int64_t window[4] = {task->raster.output.x_px, task->raster.output.y_px,
                             task->raster.output.width_px, task->raster.output.height_px};
  TRY(array_make_group(file, "plan"));
  TRY(array_set_ints(file, "plan", "window_px", window, 4));
  TRY(array_set_int(file, "plan", "tile_width_px", tiles->columns.tile_px));
  TRY(array_set_int(file, "plan", "tile_height_px", tiles->rows.tile_px));
  TRY(array_set_int(file, "plan", "padding_px", tiles->padding_px));
  TRY(array_set_int(file, "plan", "batch_size", tiles->batch_size));
  TRY(array_set_int(file, "plan", "tile_columns", tiles->columns.count));
  return array_set_int(file, "plan", "tile_rows", tiles->rows.count);
}

static Status write_options(const ClassifyOptions *given, ArrayFile *file, Arena *arena)
{
  TRY(array_make_group(file, "options"));
  for (size_t i = 0; i < classify_table.count; ++i) {
    char *text;
    TRY(options_format(&classify_table, given, i, arena, &text));
    TRY(array_set_text(file, "options", classify_table.options[i].name, text));
  }
  return STATUS_OK;
}

static Status write_provenance(const Job *job, const ClassifyTask *task, ArrayFile *file)
{
  char now[21];
  clock_utc(now);
  TRY(array_make_group(file, "provenance"));
  TRY(array_set_text(file, "provenance", "command", job->command));
  TRY(array_set_text(file, "provenance", "job", task->raster.identity));
  TRY(array_set_text(file, "provenance", "gdal", geo_version()));
  TRY(array_set_int(file, "provenance", "ranks", comm_rank_count(job->comm)));
  return array_set_text(file, "provenance", "finished", now);
}

static Status write_coverage(const ClassifyTask *task, const ClassifyCoverage *coverage,
                             ArrayFile *file)
{
  TRY(array_make_group(file, "coverage"));
  TRY(array_set_int(file, "coverage", "output_px", coverage->output_px));
  TRY(array_set_int(file, "coverage", "nodata_px", coverage->nodata_px));
  TRY(array_set_int(file, "coverage", "failed_px", coverage->failed_px));
  return array_set_ints(file, "coverage", "class_px", coverage->class_px,
                        (size_t)task->class_count);
}

static Status write_all(const Job *job, const ClassifyOptions *given, const ClassifyTask *task,
                        const ClassifyCoverage *coverage, Pieces *pieces, ArrayFile *file)
{
  TRY(write_arrays(job, given, task, pieces, file));
  TRY(write_plan(task, file));
  TRY(write_options(given, file, pieces->arena));
  TRY(write_provenance(job, task, file));
  return write_coverage(task, coverage, file);
}

static Status write_file(const Job *job, const ClassifyOptions *given, const ClassifyTask *task,
                         const ClassifyCoverage *coverage, Pieces *pieces)
{
  ArrayFile *file;
  TRY(array_file_create(given->result, &file));
  Status status = write_all(job, given, task, coverage, pieces, file);
  if (status == STATUS_OK)
    status = array_file_commit(&file);
  else
    array_file_close(file);
  return status;
}

Status classify_result_write(const Job *job, const ClassifyOptions *given, const ClassifyTask *task,
                             const Ledger *ledger, const char *joined_name,
                             const ClassifyCoverage *coverage)
{
  Pieces pieces = {0};
  TRY(arena_open(&pieces.arena));
  Status status = joined_name == NULL ? pieces_of_shards(task, ledger, &pieces)
                                      : piece_of_joined(task, joined_name, &pieces);
  if (status == STATUS_OK) status = write_file(job, given, task, coverage, &pieces);
  arena_close(pieces.arena);
  return status;
}
