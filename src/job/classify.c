#include "classify.h"

#include <inttypes.h>
#include <omp.h>
#include <stdio.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"
#include "classify_join.h"
#include "classify_plan.h"
#include "classify_result.h"
#include "classify_run.h"
#include "compute.h"
#include "geo/crs.h"
#include "geo/geo.h"
#include "geo/polygonize.h"
#include "geo/quicklook.h"

static const char joined_name[] = "joined.h5";

void classification_close(Classification *c)
{
  classify_engine_close(&c->engine);
  device_close(c->device);
  model_close(&c->model);
  raster_close(c->raster);
  raster_run_close(&c->run);
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
  TRY(comm_agree(comm, raster_open(c->given->run.raster, &c->raster)));
  TRY(comm_agree(comm, is_root(c) ? classify_check_outputs(c->job, c->given) : STATUS_OK));
  TRY(model_open(c->job, c->given->run.model, MODEL_FOR_MAPS, &c->model));
  return comm_agree(comm, check_inputs(c));
}

static void print_plan(const Classification *c)
{
  const ClassifyTask *task = &c->task;
  const Log *log = c->job->log;
  char crs[CRS_NAME_BYTES];
  crs_name(task->raster.output_grid.crs_wkt, crs);
  log_once(log, "%s: %" PRId64 " x %" PRId64 " px, %d bands of %s, %s", c->given->run.raster,
           raster_grid(c->raster)->width_px, raster_grid(c->raster)->height_px,
           (int)raster_band_count(c->raster), pixel_name(task->raster.pixel), crs);
  if (c->given->run.extent.count != 0)
    log_once(log, "extent: %" PRId64 " x %" PRId64 " px from column %" PRId64 ", row %" PRId64,
             task->raster.output.width_px, task->raster.output.height_px, task->raster.output.x_px,
             task->raster.output.y_px);
  log_once(log,
           "%s: U-Net with %s, %d classes; %" PRId64 " tiles of %d x %d px, padding %d px, %d at a "
           "time, in %s",
           c->given->run.model, encoder_name(c->model.encoder), (int)task->class_count,
           task->raster.tiles.tile_count, (int)task->raster.tiles.columns.tile_px,
           (int)task->raster.tiles.rows.tile_px, (int)task->raster.tiles.padding_px,
           (int)task->raster.tiles.batch_size, element_name(c->engine_options.element));
}

static Status open_device(Classification *c)
{
  const ClassifyOptions *given = c->given;
  const Job *job = c->job;
  TRY(compute_open(job, (DeviceChoice)given->run.device, given->run.threads, &c->device));
  compute_autotune(c->device, given->run.autotune);
  TRY(comm_agree(job->comm, compute_element(c->device, (PrecisionChoice)given->run.precision,
                                            &c->engine_options.element)));
  TRY(classify_identify(job, given, &c->model, c->device, c->engine_options.element, &c->task));
  TRY(classify_lay_tiles(job, given, c->raster, &c->model, c->device, &c->engine_options,
                         &c->task));
  c->task.raster.reader_threads = raster_reader_threads(&given->run, c->device);
  print_plan(c);
  return STATUS_OK;
}

Status classification_open(Classification *c)
{
  TRY(open_inputs(c));
  return open_device(c);
}

static Status open_engine(Classification *c)
{
  TRY(classify_engine_open(c->device, &c->model, c->engine_options, &c->engine));
  memory_free(c->model.trained); /* packed now: the host's copy is as large */
  memory_free(c->model.statistics);
  c->model.trained = c->model.statistics = NULL;
  return STATUS_OK;
}

/* The work. */

typedef struct Results {
  uint8_t *classes;
  float *probabilities;
} Results;

static void close_results(void *context, void *memory)
{
  const Classification *c = context;
  Results *results = memory;
  if (results == NULL) return;
  device_release_host(c->device, results->classes);
  device_release_host(c->device, results->probabilities);
  memory_free(results);
}

static Status allocate_results(const Classification *c, Results *results)
{
  void *memory;
  const size_t pixels = (size_t)shape_pixels(c->engine.input.image);
  if (!c->task.blends) {
    TRY(device_allocate_host(c->device, pixels, "classes of tiles", &memory));
    results->classes = memory;
  }
  if (!c->task.has_probability) return STATUS_OK;
  const size_t bytes = pixels * (size_t)c->task.class_count * sizeof(float);
  TRY(device_allocate_host(c->device, bytes, "probabilities of tiles", &memory));
  results->probabilities = memory;
  return STATUS_OK;
}

static Status open_results(void *context, void **results)
{
  void *memory;
  *results = NULL;
  TRY(memory_allocate(1, sizeof(Results), "results", &memory));
  *results = memory; /* closed by its slot in any case */
  return allocate_results(context, memory);
}

static bool is_empty(void *context, const TileBatch *batch)
{
  const Classification *c = context;
  return classify_is_empty(&c->task, batch->unit, batch->valid);
}

static Status begin(void *context, const TileBatch *batch)
{
  Classification *c = context;
  const Results *results = batch->results;
  classify_engine_begin(&c->engine, batch->lane, batch->pixels, batch->valid, results->classes,
                        results->probabilities);
  return STATUS_OK;
}

static Status end(void *context, TileBatch *batch)
{
  Classification *c = context;
  return classify_engine_end(&c->engine, batch->lane);
}

static Status pack(void *context, const TileBatch *batch, ShardUnit *unit)
{
  Classification *c = context;
  const Results *results = batch->results;
  const ClassifyBatch computed = {.unit = batch->unit,
                                  .is_empty = batch->is_empty,
                                  .valid = batch->valid,
                                  .classes = results->classes,
                                  .probabilities = results->probabilities};
  classify_pack_unit(&c->pack, &computed, unit);
  return STATUS_OK;
}

TileCalls classification_calls(Classification *c)
{
  return (TileCalls){.context = c,
                     .open_results = open_results,
                     .close_results = close_results,
                     .is_empty = is_empty,
                     .begin = begin,
                     .end = end,
                     .pack = pack};
}

static ShardFormat shard_format(const Classification *c)
{
  const bool kept = *c->given->result != '\0';
  ShardFormat format = {.deflate_level = kept ? 1 : 0};
  if (!c->task.blends) format.arrays[format.array_count++] = classify_class_array(&c->task);
  if (c->task.has_probability)
    format.arrays[format.array_count++] = classify_probability_array(&c->task);
  return format;
}

static Status do_work(Classification *c)
{
  const ShardFormat format = shard_format(c);
  const TileCalls calls = classification_calls(c);
  TRY(comm_agree(c->job->comm, classify_pack_open(&c->task, &c->pack)));
  const Status status = raster_run_work(&c->run, "classify", c->device, &format, &calls);
  classify_pack_close(&c->pack);
  return status;
}

/* The outputs, on rank 0. */

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
  if (*c->given->result == '\0') return path_remove_tree(c->task.raster.folder);
  if (is_joined) {
    const Ledger nothing = {0};
    TRY(ledger_remove_strays(&nothing, c->task.raster.folder));
  }
  return ledger_remove_journals(c->task.raster.folder);
}

static Status write_outputs(Classification *c)
{
  char joined[OUTPUT_PATH_BYTES];
  ClassifyCoverage coverage;
  const ClassifyOptions *given = c->given;
  const bool is_joined = *given->result != '\0' && !classify_result_is_virtual(&c->task);
  TRY(path_join(c->task.raster.folder, joined_name, sizeof joined, joined));
  TRY(raster_run_settle(&c->run));
  const ClassifyJoin join = {.map_path = given->output,
                             .probability_path = given->probability,
                             .joined_path = is_joined ? joined : NULL,
                             .thread_count = omp_get_max_threads()};
  TRY(classify_join(&c->task, &c->run.ledger, &join, c->job->log, &coverage));
  if (*given->result != '\0')
    TRY(classify_result_write(c->job, given, &c->task, &c->run.ledger,
                              is_joined ? joined_name : NULL, &coverage));
  TRY(write_polygons(c));
  TRY(write_quicklook(c));
  TRY(clear_folder(c, is_joined));
  log_once(c->job->log, "%s:", given->output);
  print_coverage(c, &coverage);
  return STATUS_OK;
}

static Status classify(Classification *c)
{
  TRY(classification_open(c));
  c->run = (RasterRun){.job = c->job, .given = &c->given->run, .task = &c->task.raster};
  TRY(raster_run_take_over(&c->run, c->given->result));
  if (c->run.done_count < c->task.raster.tiles.unit_count) {
    TRY(comm_agree(c->job->comm, open_engine(c)));
    TRY(do_work(c));
    classify_engine_close(&c->engine);
  }
  TRY(comm_agree(c->job->comm, is_root(c) ? write_outputs(c) : STATUS_OK));
  return compute_print_memory(c->job);
}

static Status run(const Job *job, const void *values)
{
  Classification c = {.job = job, .given = values};
  geo_start(RASTER_CACHE_BYTES);
  const Status status = classify(&c);
  classification_close(&c);
  geo_stop();
  return status;
}

const Tool classify_tool = {.table = &classify_table,
                            .values_bytes = sizeof(ClassifyOptions),
                            .run = run,
                            .plan = classify_plan};
