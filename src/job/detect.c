#include "detect.h"

#include <inttypes.h>

#include "base/memory.h"
#include "base/path.h"
#include "compute.h"
#include "detect_join.h"
#include "detect_plan.h"
#include "detect_run.h"
#include "geo/crs.h"
#include "geo/geo.h"

void detection_close_engine(Detection *d)
{
  detect_look_close(d->look);
  d->table->close(d->engine);
  d->look = NULL;
  d->engine = NULL;
}

void detection_close(Detection *d)
{
  detection_close_engine(d);
  detect_record_free(&d->record);
  detect_list_free(&d->kept);
  device_close(d->device);
  d->table->close_model(d->model);
  raster_close(d->raster);
  raster_run_close(&d->run);
}

static bool is_root(const Detection *d)
{
  return comm_rank(d->job->comm) == 0;
}

/* Before work: everything is opened and compared. */

static Status open_inputs(Detection *d)
{
  DetectModel model;
  const Comm *comm = d->job->comm;
  const RasterOptions *run = &d->given->run;
  TRY(comm_agree(comm, detect_options_check(d->given)));
  TRY(comm_agree(comm, raster_open(run->raster, &d->raster)));
  TRY(comm_agree(comm, is_root(d) ? detect_check_outputs(d->job, d->given) : STATUS_OK));
  TRY(d->table->open_model(d->job, run->model, &d->model, &model));
  return comm_agree(comm, detect_task_make(d->job, d->given, d->raster, &model, &d->task));
}

static void print_plan(const Detection *d)
{
  const DetectTask *task = &d->task;
  const RasterTask *raster = &task->raster;
  const Log *log = d->job->log;
  char crs[CRS_NAME_BYTES];
  crs_name(raster->output_grid.crs_wkt, crs);
  log_once(log, "%s: %" PRId64 " x %" PRId64 " px, %d bands of %s, %s", d->given->run.raster,
           raster_grid(d->raster)->width_px, raster_grid(d->raster)->height_px,
           (int)raster_band_count(d->raster), pixel_name(raster->pixel), crs);
  if (d->given->run.extent.count != 0)
    log_once(log, "extent: %" PRId64 " x %" PRId64 " px from column %" PRId64 ", row %" PRId64,
             raster->output.width_px, raster->output.height_px, raster->output.x_px,
             raster->output.y_px);
  log_once(log,
           "%s: %s, %d classes, threshold %g; %" PRId64 " tiles of %d x %d px, padding %d px, %d "
           "at a time, in %s",
           d->given->run.model, task->model.name, (int)task->model.class_count,
           task->engine.threshold, raster->tiles.tile_count, (int)raster->tiles.columns.tile_px,
           (int)raster->tiles.rows.tile_px, (int)raster->tiles.padding_px,
           (int)raster->tiles.batch_size, element_name(task->engine.element));
}

static Status open_device(Detection *d)
{
  const RasterOptions *run = &d->given->run;
  TRY(compute_open(d->job, (DeviceChoice)run->device, run->threads, &d->device));
  compute_autotune(d->device, run->autotune);
  TRY(comm_agree(d->job->comm, compute_element(d->device, (PrecisionChoice)run->precision,
                                               &d->task.engine.element)));
  TRY(detect_identify(d->job, d->given, d->device, &d->task));
  TRY(detect_lay_tiles(d->job, d->given, d->raster, d->table, d->model, d->device, &d->task));
  d->task.raster.reader_threads = raster_reader_threads(run, d->device);
  print_plan(d);
  return STATUS_OK;
}

Status detection_open(Detection *d)
{
  TRY(open_inputs(d));
  return open_device(d);
}

Status detection_open_engine(Detection *d)
{
  const DetectLookOptions options = detect_look_options(&d->task);
  TRY(d->table->open(d->model, d->device, &d->task.engine, &d->engine));
  return detect_look_open(d->table, d->engine, d->device, &options, &d->look);
}

/* The work. */

typedef struct Results {
  int32_t count;
  DetectSeen *seen; /* of the tiles of a batch */
} Results;

static void close_results(void *context, void *memory)
{
  Results *results = memory;
  if (results == NULL) return;
  for (int32_t i = 0; results->seen != NULL && i < results->count; ++i)
    detect_list_free(&results->seen[i].things);
  memory_free(results->seen);
  memory_free(results);
}

static Status open_results(void *context, void **results)
{
  const Detection *d = context;
  void *memory;
  *results = NULL;
  TRY(memory_allocate(1, sizeof(Results), "results", &memory));
  Results *made = memory;
  *results = made; /* closed by its slot in any case */
  made->count = d->task.engine.batch_size;
  TRY(memory_allocate((size_t)made->count, sizeof *made->seen, "results", &memory));
  made->seen = memory;
  return STATUS_OK;
}

/* Padding counts as well: a thing may begin there. */
static bool is_empty(void *context, const TileBatch *batch)
{
  const Detection *d = context;
  const DetectEngineOptions *engine = &d->task.engine;
  const int64_t pixels =
      (int64_t)engine->batch_size * engine->tile_width_px * engine->tile_height_px;
  for (int64_t i = 0; i < pixels; ++i)
    if (batch->valid[i] != 0) return false;
  return true;
}

static Status begin(void *context, const TileBatch *batch)
{
  Detection *d = context;
  detect_look_begin(d->look, batch->lane, batch->pixels, batch->valid);
  return STATUS_OK;
}

static Status end(void *context, TileBatch *batch)
{
  Detection *d = context;
  return detect_look_end(d->look, batch->lane, batch->pixels, batch->valid,
                         ((Results *)batch->results)->seen);
}

static Status pack_tile(Detection *d, const TileBatch *batch, int64_t tile, int64_t slot,
                        bool *says_something)
{
  const DetectSeen *seen = &((const Results *)batch->results)->seen[slot];
  const Window window = tile_plan_tile(&d->task.raster.tiles, tile);
  DetectTileNote note = {.part_count = seen->part_count, .is_still_full = seen->is_still_full};
  detect_list_clear(&d->kept);
  TRY(detect_list_keep_data(&seen->things, batch->valid + slot * window_pixels(window),
                            (int32_t)window.width_px, (int32_t)window.height_px, &d->kept,
                            &note.without_data));
  *says_something = *says_something || seen->things.count > 0 || seen->was_full;
  return detect_record_add(&d->record, note, &d->kept, window.x_px, window.y_px);
}

static Status pack(void *context, const TileBatch *batch, ShardUnit *unit)
{
  Detection *d = context;
  int64_t core_px;
  int64_t first;
  int64_t end;
  bool says_something = false;
  *unit = (ShardUnit){.unit = batch->unit};
  unit->nodata_px = raster_unit_nodata(&d->task.raster, batch->unit, batch->valid, &core_px);
  if (batch->is_empty) return STATUS_OK;
  detect_record_clear(&d->record);
  tile_plan_unit(&d->task.raster.tiles, batch->unit, &first, &end);
  for (int64_t tile = first; tile < end; ++tile)
    TRY(pack_tile(d, batch, tile, tile - first, &says_something));
  if (!says_something) return STATUS_OK;
  detect_record_finish(&d->record);
  unit->stored = d->record.count;
  unit->values[0] = d->record.bytes;
  return STATUS_OK;
}

TileCalls detection_calls(Detection *d)
{
  return (TileCalls){.context = d,
                     .open_results = open_results,
                     .close_results = close_results,
                     .is_empty = is_empty,
                     .begin = begin,
                     .end = end,
                     .pack = pack};
}

static Status do_work(Detection *d)
{
  const ShardFormat format = {.arrays = {detect_record_array()}, .array_count = 1};
  const TileCalls calls = detection_calls(d);
  TRY(comm_agree(d->job->comm, detection_open_engine(d)));
  const Status status = raster_run_work(&d->run, "detect", d->device, &format, &calls);
  detection_close_engine(d);
  return status;
}

/* The outputs, on rank 0. */

static void print_counts(const Detection *d, const DetectCounts *counts)
{
  const Log *log = d->job->log;
  const MergeCounts *merge = &counts->merge;
  log_once(log, "%s: %" PRId64 " objects%s", d->given->output, merge->kept,
           merge->kept == 0 ? "; the layer is empty" : "");
  log_once(log, "found %" PRId64 " = kept %" PRId64 " + merged %" PRId64 " + suppressed %" PRId64,
           counts->found, merge->kept, merge->merged, counts->suppressed);
  if (counts->suppressed > 0)
    log_once(log,
             "suppressed: %" PRId64 " by others of their class, %" PRId64
             " unwanted (class, area), %" PRId64 " without data, %" PRId64 " outside, %" PRId64
             " excluded at tiles' sides",
             merge->by_nms, merge->unwanted, counts->without_data + merge->empty, merge->outside,
             merge->excluded);
  if (merge->unions > 0)
    log_once(log, "%" PRId64 " objects were put together of parts", merge->unions);
  if (d->given->regularize) log_once(log, "%" PRId64 " objects have right angles", counts->regular);
  log_once(log, "NoData: %.2f %% of %" PRId64 " px",
           100.0 * (double)counts->nodata_px / (double)counts->output_px, counts->output_px);
}

static Status write_outputs(Detection *d)
{
  DetectCounts counts;
  TRY(raster_run_settle(&d->run));
  TRY(detect_join(d->job, d->given, &d->task, d->raster, &d->run.ledger, &counts));
  TRY(path_remove_tree(d->task.raster.folder));
  print_counts(d, &counts);
  return STATUS_OK;
}

static Status detect(Detection *d)
{
  TRY(detection_open(d));
  d->run = (RasterRun){.job = d->job, .given = &d->given->run, .task = &d->task.raster};
  TRY(raster_run_take_over(&d->run, ""));
  if (d->run.done_count < d->task.raster.tiles.unit_count) TRY(do_work(d));
  TRY(comm_agree(d->job->comm, is_root(d) ? write_outputs(d) : STATUS_OK));
  return compute_print_memory(d->job);
}

Status detect_run(const Job *job, const DetectOptions *given, const DetectEngine *table)
{
  Detection d = {.job = job, .given = given, .table = table};
  geo_start(RASTER_CACHE_BYTES);
  const Status status = detect(&d);
  detection_close(&d);
  geo_stop();
  return status;
}

static Status run(const Job *job, const void *values)
{
  return detect_run(job, values, &detect_network);
}

const Tool detect_tool = {
    .table = &detect_table, .values_bytes = sizeof(DetectOptions), .run = run, .plan = detect_plan};
