#include "classify.h"

#include <inttypes.h>
#include <omp.h>
#include <stdio.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"
#include "classify_join.h"
#include "classify_pipeline.h"
#include "classify_result.h"
#include "classify_setup.h"
#include "compute.h"
#include "geo/crs.h"
#include "geo/geo.h"
#include "geo/polygonize.h"
#include "geo/quicklook.h"

/* GDAL's block cache of a rank, whatever the raster's size. */
#define CACHE_BYTES (INT64_C(64) << 20)

static const char joined_name[] = "joined.h5";

/* What a run owns; release ends it in any state. */
typedef struct Classification {
  const Job *job;
  const ClassifyOptions *given;
  Raster *raster;
  Model model;
  Device *device;
  ClassifyTask task;
  ClassifyEngineOptions engine_options;
  ClassifyEngine engine;
  Ledger ledger; /* rank 0 */
  int32_t run;
  int64_t done_count;
} Classification;

static void release(Classification *c)
{
  classify_engine_close(&c->engine);
  device_close(c->device);
  model_close(&c->model);
  raster_close(c->raster);
  ledger_close(&c->ledger);
}

static bool is_root(const Classification *c)
{
  return comm_rank(c->job->comm) == 0;
}

/* Before work: everything is opened and compared. */

static Status check_inputs(Classification *c)
{
  TRY(classify_task_make(c->job, c->given, c->raster, &c->model, &c->task));
  return c->given->predict_background ? STATUS_OK : classify_hide_background(&c->model);
}

static Status open_inputs(Classification *c)
{
  const Comm *comm = c->job->comm;
  TRY(comm_agree(comm, classify_options_check(c->given)));
  TRY(comm_agree(comm, raster_open(c->given->raster, &c->raster)));
  TRY(comm_agree(comm, is_root(c) ? classify_check_outputs(c->job, c->given) : STATUS_OK));
  TRY(model_open(c->job, c->given->model, &c->model));
  return comm_agree(comm, check_inputs(c));
}

static void print_plan(const Classification *c)
{
  const ClassifyTask *task = &c->task;
  const Log *log = c->job->log;
  char crs[CRS_NAME_BYTES];
  crs_name(task->output_grid.crs_wkt, crs);
  log_once(log, "%s: %" PRId64 " x %" PRId64 " px, %d bands of %s, %s", c->given->raster,
           raster_grid(c->raster)->width_px, raster_grid(c->raster)->height_px,
           (int)raster_band_count(c->raster), pixel_name(task->pixel), crs);
  if (c->given->extent.count != 0)
    log_once(log, "extent: %" PRId64 " x %" PRId64 " px from column %" PRId64 ", row %" PRId64,
             task->output.width_px, task->output.height_px, task->output.x_px, task->output.y_px);
  log_once(log,
           "%s: U-Net with %s, %d classes; %" PRId64 " tiles of %d x %d px, padding %d px, %d at a "
           "time, in %s",
           c->given->model, encoder_name(c->model.unet.encoder), (int)task->class_count,
           task->tiles.tile_count, (int)task->tiles.columns.tile_px, (int)task->tiles.rows.tile_px,
           (int)task->tiles.padding_px, (int)task->tiles.batch_size,
           element_name(c->engine_options.element));
}

static Status open_device(Classification *c)
{
  const ClassifyOptions *given = c->given;
  const Job *job = c->job;
  TRY(compute_open(job, (DeviceChoice)given->device, given->threads, &c->device));
  TRY(comm_agree(job->comm, compute_element(c->device, (PrecisionChoice)given->precision,
                                            &c->engine_options.element)));
  TRY(classify_identify(job, given, &c->model, c->device, c->engine_options.element, &c->task));
  TRY(classify_lay_tiles(job, given, c->raster, &c->model, c->device, &c->engine_options,
                         &c->task));
  const bool cpu = device_kind(c->device) == DEVICE_CPU;
  c->task.reader_threads =
      given->reader_threads > 0 ? (int32_t)given->reader_threads : (cpu ? 1 : 4);
  print_plan(c);
  return STATUS_OK;
}

static Status open_engine(Classification *c)
{
  TRY(classify_engine_open(c->device, &c->model, c->engine_options, &c->engine));
  memory_free(c->model.trained); /* packed now: the host's copy is as large */
  memory_free(c->model.statistics);
  c->model.trained = c->model.statistics = NULL;
  return STATUS_OK;
}

/* What an earlier run left. */
static Status take_over(Classification *c)
{
  int64_t shared[2] = {0, 0};
  Status status = STATUS_OK;
  if (is_root(c)) {
    status = classify_prepare_folder(c->job, c->given, &c->task, &c->ledger);
    shared[0] = c->ledger.runs;
    shared[1] = c->ledger.done_count;
  }
  TRY(comm_agree(c->job->comm, status));
  TRY(comm_broadcast(c->job->comm, 0, shared, sizeof shared));
  c->run = (int32_t)shared[0];
  c->done_count = shared[1];
  if (c->done_count > 0)
    log_once(c->job->log, "goes on: %" PRId64 " of %" PRId64 " batches are done", c->done_count,
             c->task.tiles.unit_count);
  return STATUS_OK;
}

/* The work. */

static ShardFormat shard_format(const Classification *c)
{
  const bool kept = *c->given->result != '\0';
  return (ShardFormat){.folder = c->task.folder,
                       .identity = c->task.identity,
                       .run = c->run,
                       .rank = comm_rank(c->job->comm),
                       .batch_size = c->task.tiles.batch_size,
                       .class_type = classify_array_type(&c->task),
                       .has_classes = !c->task.blends,
                       .probability_classes = c->task.has_probability ? c->task.class_count : 0,
                       .deflate_level = kept ? 1 : 0,
                       .interval_s = (double)c->given->checkpoint_every};
}

static Status run_work(Classification *c, Work *work)
{
  ShardWriter *writer;
  const ShardFormat format = shard_format(c);
  const TilePlan *tiles = &c->task.tiles;
  const int64_t tiles_before = c->done_count * tiles->batch_size;
  Progress progress =
      progress_start(c->job->log, "classify", "tiles", tiles->tile_count,
                     tiles_before < tiles->tile_count ? tiles_before : tiles->tile_count);
  Status status = shard_writer_open(&format, &writer);
  if (status == STATUS_OK)
    status = classify_pipeline_run(&c->task, &c->engine, work, writer, &progress);
  else
    work_cancel(work);
  shard_writer_close(writer);
  return status;
}

static Status done_bytes(const Classification *c, uint8_t **done)
{
  void *memory;
  *done = NULL;
  if (!is_root(c)) return STATUS_OK;
  TRY(memory_allocate((size_t)c->ledger.unit_count, 1, "units", &memory));
  *done = memory;
  for (int64_t unit = 0; unit < c->ledger.unit_count; ++unit)
    (*done)[unit] = c->ledger.places[unit].shard != LEDGER_NOT_DONE;
  return STATUS_OK;
}

static Status do_work(Classification *c)
{
  uint8_t *done;
  Work *work;
  TRY(comm_agree(c->job->comm, done_bytes(c, &done)));
  Status status = work_open(c->job->comm, c->task.tiles.unit_count, 1, done, &work);
  memory_free(done);
  if (status != STATUS_OK) return status;
  status = run_work(c, work);
  work_close(work);
  return comm_agree(c->job->comm, status);
}

/* The outputs, on rank 0. */

static Status read_ledger(Classification *c)
{
  ledger_close(&c->ledger);
  TRY(ledger_open(c->task.folder, c->task.identity, c->task.tiles.unit_count, false, c->job->log,
                  &c->ledger));
  if (c->ledger.done_count == c->ledger.unit_count) return STATUS_OK;
  return status_set(STATUS_IO,
                    "%s: of %" PRId64 " batches only %" PRId64
                    " are on disk; run the same command again",
                    c->task.folder, c->ledger.unit_count, c->ledger.done_count);
}

static void print_coverage(const Classification *c, const ClassifyCoverage *coverage)
{
  const Log *log = c->job->log;
  const double all = (double)coverage->output_px;
  for (int32_t i = 0; i < c->task.class_count; ++i)
    log_once(log, "  %5d %-24s %14" PRId64 " px %6.2f %%", (int)c->task.classes[i].value,
             c->task.classes[i].name, coverage->class_px[i],
             100.0 * (double)coverage->class_px[i] / all);
  log_once(log, "  %5d %-24s %14" PRId64 " px %6.2f %%", (int)c->task.nodata, "NoData",
           coverage->nodata_px, 100.0 * (double)coverage->nodata_px / all);
  if (coverage->failed_px > 0)
    log_warning(log,
                "%" PRId64 " px failed: the network gave no number; the map holds NoData there",
                coverage->failed_px);
}

static Status write_polygons(const Classification *c)
{
  PolygonizeCounts counts;
  const ClassifyOptions *given = c->given;
  if (*given->polygons == '\0') return STATUS_OK;
  const PolygonizeOptions options = {.min_area_m2 = given->min_area, .simplify = given->simplify};
  TRY(polygonize_class_map(given->output, given->polygons, c->task.classes, c->task.class_count,
                           &options, &counts));
  log_once(c->job->log, "%s: %" PRId64 " polygons, %" PRId64 " were too small", given->polygons,
           counts.written, counts.too_small);
  return STATUS_OK;
}

static Status write_quicklook(const Classification *c)
{
  const QuicklookOptions options = {.opacity = 0.35, .outlines = true};
  if (*c->given->quicklook == '\0') return STATUS_OK;
  return quicklook_write(c->given->quicklook, c->raster, c->given->output, c->task.classes,
                         c->task.class_count, &options);
}

/* Journals go last: as long as they are there, the same command goes on. */
static Status clear_folder(const Classification *c, bool is_joined)
{
  if (*c->given->result == '\0') return path_remove_tree(c->task.folder);
  if (is_joined) {
    const Ledger nothing = {0};
    TRY(ledger_remove_strays(&nothing, c->task.folder));
  }
  return ledger_remove_journals(c->task.folder);
}

static Status write_outputs(Classification *c)
{
  char joined[OUTPUT_PATH_BYTES];
  ClassifyCoverage coverage;
  const ClassifyOptions *given = c->given;
  const bool is_joined = *given->result != '\0' && !classify_result_is_virtual(&c->task);
  TRY(path_join(c->task.folder, joined_name, sizeof joined, joined));
  TRY(read_ledger(c));
  const ClassifyJoin join = {.map_path = given->output,
                             .probability_path = given->probability,
                             .joined_path = is_joined ? joined : NULL,
                             .thread_count = omp_get_max_threads()};
  TRY(classify_join(&c->task, &c->ledger, &join, c->job->log, &coverage));
  if (*given->result != '\0')
    TRY(classify_result_write(c->job, given, &c->task, &c->ledger, is_joined ? joined_name : NULL,
                              &coverage));
  TRY(write_polygons(c));
  TRY(write_quicklook(c));
  TRY(clear_folder(c, is_joined));
  log_once(c->job->log, "%s:", given->output);
  print_coverage(c, &coverage);
  return STATUS_OK;
}

static Status classify(Classification *c)
{
  TRY(open_inputs(c));
  TRY(open_device(c));
  TRY(take_over(c));
  if (c->done_count < c->task.tiles.unit_count) {
    TRY(comm_agree(c->job->comm, open_engine(c)));
    TRY(do_work(c));
    classify_engine_close(&c->engine);
  }
  return comm_agree(c->job->comm, is_root(c) ? write_outputs(c) : STATUS_OK);
}

static Status run(const Job *job, const void *values)
{
  Classification c = {.job = job, .given = values};
  geo_start(CACHE_BYTES);
  const Status status = classify(&c);
  release(&c);
  geo_stop();
  return status;
}

const Tool classify_tool = {
    .table = &classify_table, .values_bytes = sizeof(ClassifyOptions), .run = run};
