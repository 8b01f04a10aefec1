#include "detect_join.h"

#include <inttypes.h>

#include "base/interrupt.h"
#include "base/progress.h"
#include "detect_record.h"
#include "detect_sink.h"
#include "shard_reader.h"

/* So many tiles that were full are named. */
enum { TILES_NAMED = 20 };

typedef struct Joining {
  const Job *job;
  const DetectTask *task;
  const Ledger *ledger;
  ShardReader *reader;
  ObjectMerge *merge;
  DetectRecord record;
  DetectCounts *counts;
} Joining;

static Status check_signal(void)
{
  if (!interrupt_requested()) return STATUS_OK;
  return status_set(STATUS_INTERRUPTED,
                    "stopped by a signal; the same command goes on with merging the objects");
}

static Status read_record(Joining *joining, int64_t unit)
{
  DetectRecord *record = &joining->record;
  const ShardArray array = detect_record_array();
  TRY(detect_record_reserve(record, DETECT_RECORD_HEAD_BYTES));
  TRY(shard_reader_read(joining->reader, unit, &array, 0, DETECT_RECORD_HEAD_BYTES, record->bytes));
  record->count = detect_record_bytes(record->bytes);
  if (record->count < DETECT_RECORD_HEAD_BYTES)
    return status_set(STATUS_BAD_INPUT, "the shards in %s are damaged; --resume=no begins anew",
                      joining->task->raster.folder);
  TRY(detect_record_reserve(record, record->count));
  return shard_reader_read(joining->reader, unit, &array, 0, record->count, record->bytes);
}

static void tell_full(Joining *joining, int64_t tile, const DetectTileNote *note)
{
  const TilePlan *tiles = &joining->task->raster.tiles;
  const Window window = tile_plan_tile(tiles, tile);
  DetectCounts *counts = joining->counts;
  if (note->part_count == 0 && note->is_still_full == 0) return;
  counts->parts += note->part_count;
  counts->still_full_tiles += note->is_still_full != 0;
  if (++counts->full_tiles > TILES_NAMED) return;
  log_warning(joining->job->log,
              "tile %" PRId64 " (column %" PRId64 ", row %" PRId64
              " of the raster, %d x %d px) holds more than the network finds at once: looked at in "
              "%" PRId64 " parts%s",
              tile, window.x_px, window.y_px, (int)window.width_px, (int)window.height_px,
              note->part_count, note->is_still_full != 0 ? ", and still full in some" : "");
}

static Status join_tile(Joining *joining, int64_t tile, int64_t *at)
{
  DetectTileNote note;
  DetectThings things;
  Status status = detect_record_next(&joining->record, at, &note, &things);
  if (status == STATUS_OK) {
    tell_full(joining, tile, &note);
    joining->counts->without_data += note.without_data;
    status = object_merge_add(joining->merge, tile, things.items, things.count);
  }
  detect_things_free(&things);
  return status;
}

static Status join_unit(Joining *joining, int64_t unit)
{
  int64_t first;
  int64_t end;
  int64_t at = DETECT_RECORD_HEAD_BYTES;
  joining->counts->nodata_px += joining->ledger->places[unit].nodata_px;
  if (joining->ledger->places[unit].shard < 0) return STATUS_OK;
  TRY(read_record(joining, unit));
  tile_plan_unit(&joining->task->raster.tiles, unit, &first, &end);
  for (int64_t tile = first; tile < end; ++tile)
    TRY(join_tile(joining, tile, &at));
  return STATUS_OK;
}

static Status join_units(Joining *joining)
{
  const TilePlan *tiles = &joining->task->raster.tiles;
  Progress progress = progress_start(joining->job->log, "merge", "tiles", tiles->tile_count, 0);
  TRY(shard_reader_open(joining->task->raster.folder, joining->ledger, &joining->reader));
  for (int64_t unit = 0; unit < tiles->unit_count; ++unit) {
    TRY(check_signal());
    TRY(join_unit(joining, unit));
    const int64_t done = (unit + 1) * tiles->batch_size;
    progress_show(&progress, done < tiles->tile_count ? done : tiles->tile_count, NULL);
  }
  return object_merge_finish(joining->merge, &joining->counts->merge);
}

static void settle_counts(const Joining *joining)
{
  DetectCounts *counts = joining->counts;
  counts->found = counts->merge.found + counts->without_data;
  counts->suppressed = counts->merge.suppressed + counts->without_data;
  counts->output_px = window_pixels(joining->task->raster.output);
  if (counts->full_tiles > TILES_NAMED)
    log_warning(joining->job->log, "%" PRId64 " tiles held more than the network finds at once",
                counts->full_tiles);
}

static Status join_into(Joining *joining, Raster *raster, DetectSink *sink)
{
  TRY(object_merge_open(grid_window(raster_grid(raster)), &joining->task->raster.tiles,
                        joining->task->merge, detect_sink_take, sink, &joining->merge));
  TRY(join_units(joining));
  settle_counts(joining);
  return detect_sink_finish(sink);
}

Status detect_join(const Job *job, const DetectOptions *given, const DetectTask *task,
                   Raster *raster, const Ledger *ledger, DetectCounts *counts)
{
  DetectSink sink;
  Joining joining = {.job = job, .task = task, .ledger = ledger, .counts = counts};
  *counts = (DetectCounts){0};
  Status status = detect_sink_open(job, given, task, raster, counts, &sink);
  if (status == STATUS_OK) status = join_into(&joining, raster, &sink);
  object_merge_close(joining.merge);
  shard_reader_close(joining.reader);
  detect_record_free(&joining.record);
  detect_sink_close(&sink);
  return status;
}
