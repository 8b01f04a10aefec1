#include "classify_setup.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"
#include "geo/crs.h"
#include "store/checksum.h"

enum {
  FOLDER_SUFFIX_BYTES = 16,
  CPU_BATCH = 1,
  GPU_BATCH_MOST = 8,
  DEFAULT_TILE_PX = 1024,
  DEFAULT_PADDING_PX = 64
};

/* "out/map.h5" keeps its shards in "out/map.shards"; without a result they are in "out/.map.work"
 * until the map "out/map.tif" is there. */
static Status folder_of_shards(const Job *job, const ClassifyOptions *given, const char **folder)
{
  const bool kept = *given->result != '\0';
  const char *owner = kept ? given->result : given->output;
  const char *name = path_file_name(owner);
  const int stem = (int)(strrchr(name, '.') - name); /* checked: it has an ending */
  const size_t bytes = strlen(owner) + FOLDER_SUFFIX_BYTES;
  void *text;
  TRY(arena_allocate(job->arena, bytes, &text));
  (void)snprintf(text, bytes, "%.*s%s%.*s%s", (int)(name - owner), owner, kept ? "" : ".", stem,
                 name, kept ? ".shards" : ".work");
  *folder = text;
  return STATUS_OK;
}

static Status check_output(const ClassifyOptions *given, const char *path, bool may_replace)
{
  struct stat output;
  struct stat raster;
  if (*path == '\0') return STATUS_OK;
  TRY(output_check_writable(path));
  if (stat(path, &output) != 0) return STATUS_OK;
  if (stat(given->raster, &raster) == 0 && raster.st_ino == output.st_ino &&
      raster.st_dev == output.st_dev)
    return status_set(STATUS_BAD_OPTION, "%s is the raster itself; give the output another name",
                      path);
  if (!may_replace)
    return status_set(STATUS_BAD_OPTION, "%s is there already; --overwrite=yes replaces it", path);
  return STATUS_OK;
}

Status classify_check_outputs(const Job *job, const ClassifyOptions *given)
{
  const char *folder;
  int32_t earlier_batch = 0;
  TRY(folder_of_shards(job, given, &folder));
  /* Journals are there while a job is unfinished; then outputs may be its own. */
  if (!given->overwrite) TRY(ledger_batch_size(folder, NULL, &earlier_batch));
  const bool may_replace = given->overwrite || earlier_batch > 0;
  const char *const paths[] = {given->output, given->probability, given->result, given->polygons,
                               given->quicklook};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; ++i)
    TRY(check_output(given, paths[i], may_replace));
  return STATUS_OK;
}

static Status choose_bands(const Job *job, const ClassifyOptions *given, const Raster *raster,
                           const Model *model, ClassifyTask *task)
{
  void *memory;
  task->band_count = model->unet.bands;
  TRY(arena_allocate(job->arena, (size_t)task->band_count * sizeof(int32_t), &memory));
  int32_t *bands = memory;
  if (given->bands.count != 0 && given->bands.count != (size_t)task->band_count)
    return status_set(STATUS_MISMATCH, "--bands names %zu bands, the model %s reads %d",
                      given->bands.count, given->model, (int)task->band_count);
  for (int32_t i = 0; i < task->band_count; ++i) {
    bands[i] =
        given->bands.count != 0 ? (int32_t)given->bands.values[i] - 1 : model->extract_bands[i];
    if (bands[i] >= raster_band_count(raster))
      return status_set(STATUS_MISMATCH,
                        "the model %s reads %d bands and wants band %d; the raster %s has %d",
                        given->model, (int)task->band_count, (int)bands[i] + 1, given->raster,
                        (int)raster_band_count(raster));
  }
  if (raster_band_count(raster) > task->band_count && given->bands.count == 0)
    log_once(job->log, "%s has %d bands, the model takes %d of them, from band %d on",
             given->raster, (int)raster_band_count(raster), (int)task->band_count,
             (int)bands[0] + 1);
  task->bands = bands;
  return STATUS_OK;
}

static Status check_type(const ClassifyOptions *given, const Raster *raster, const Model *model)
{
  if (raster_type(raster) == model->pixel) return STATUS_OK;
  return status_set(STATUS_MISMATCH, "the raster %s is %s, the model %s was trained on %s",
                    given->raster, pixel_name(raster_type(raster)), given->model,
                    pixel_name(model->pixel));
}

static void check_place(const Job *job, const ClassifyOptions *given, const Raster *raster,
                        const Model *model)
{
  double width_m;
  double height_m;
  const Grid *grid = raster_grid(raster);
  if (!raster_is_georeferenced(raster) || *grid->crs_wkt == '\0')
    log_warning(job->log, "%s has no %s; so will the outputs", given->raster,
                raster_is_georeferenced(raster) ? "reference system" : "georeference");
  if (model->cell_size_m <= 0 || grid_cell_size_m(grid, &width_m, &height_m) != STATUS_OK) return;
  const double ratio = sqrt(width_m * height_m) / model->cell_size_m;
  if (ratio > 1.25 || ratio < 1 / 1.25)
    log_warning(
        job->log,
        "%s has pixels of %.3g m, the model %s was trained on %.3g m; resample the raster if "
        "the result is poor",
        given->raster, sqrt(width_m * height_m), given->model, model->cell_size_m);
}

/* 255 or 65535 where no class has that value, else the next lower one that is free. */
static void choose_map_type(ClassifyTask *task)
{
  const int32_t largest = class_largest_value(task->classes, task->class_count);
  task->map_type = largest <= UINT8_MAX ? PIXEL_U8 : PIXEL_U16;
  task->nodata = task->map_type == PIXEL_U8 ? UINT8_MAX : UINT16_MAX;
  while (class_find(task->classes, task->class_count, task->nodata) != NULL)
    --task->nodata;
}

Status classify_task_make(const Job *job, const ClassifyOptions *given, Raster *raster,
                          const Model *model, ClassifyTask *task)
{
  *task =
      (ClassifyTask){.raster_path = given->raster,
                     .pixel = model->pixel,
                     .classes = model->classes,
                     .class_count = model->unet.classes,
                     .output = grid_window(raster_grid(raster)),
                     .blends = given->merge == MERGE_BLEND,
                     .has_probability = given->merge == MERGE_BLEND || *given->probability != '\0'};
  TRY(check_type(given, raster, model));
  TRY(choose_bands(job, given, raster, model, task));
  const double *v = given->extent.values;
  if (given->extent.count == 4)
    TRY(raster_window_of_extent(raster, (Extent){v[0], v[1], v[2], v[3]}, &task->output));
  task->output_grid = grid_subgrid(raster_grid(raster), task->output);
  choose_map_type(task);
  check_place(job, given, raster, model);
  return folder_of_shards(job, given, &task->folder);
}

/* Its logit becomes a number far below all others, small enough for half precision. */
Status classify_hide_background(Model *model)
{
  if (model->classes[0].value != 0)
    return status_set(STATUS_BAD_OPTION,
                      "--predict_background=no: the model has no background, its first class is %s "
                      "with the value %d",
                      model->classes[0].name, (int)model->classes[0].value);
  if (model->unet.classes < 2)
    return status_set(STATUS_BAD_OPTION, "--predict_background=no: there is no other class");
  const ParameterList *parameters = graph_parameters(model->graph);
  const Parameter *weight =
      &parameters->items[parameter_find(parameters, "segmentation_head.0.weight")];
  const Parameter *bias =
      &parameters->items[parameter_find(parameters, "segmentation_head.0.bias")];
  const int64_t count = weight->count / weight->dims[0];
  for (int64_t i = 0; i < count; ++i)
    model->trained[weight->offset + i] = 0;
  model->trained[bias->offset] = -30000;
  return STATUS_OK;
}

static void add_file(Checksum *sum, const char *path)
{
  struct stat file;
  int64_t facts[2] = {0, 0};
  if (stat(path, &file) == 0) {
    facts[0] = (int64_t)file.st_size;
    facts[1] = (int64_t)file.st_mtime;
  }
  checksum_add_text(sum, path_file_name(path));
  checksum_add(sum, facts, sizeof facts);
}

static void add_model(Checksum *sum, const Model *model)
{
  const ParameterList *parameters = graph_parameters(model->graph);
  const size_t bands = (size_t)model->unet.bands;
  checksum_add(sum, &model->unet, sizeof model->unet);
  checksum_add(sum, model->means, bands * sizeof *model->means);
  checksum_add(sum, model->standard_deviations, bands * sizeof(double));
  checksum_add(sum, model->trained, (size_t)parameters->trained_count * sizeof(float));
  checksum_add(sum, model->statistics, (size_t)parameters->statistic_count * sizeof(float));
  for (int32_t i = 0; i < model->unet.classes; ++i)
    checksum_add(sum, &model->classes[i].value, sizeof model->classes[i].value);
}

Status classify_identify(const Job *job, const ClassifyOptions *given, const Model *model,
                         const Device *device, Element element, ClassifyTask *task)
{
  Checksum sum = checksum_start(0);
  char digest[17] = "";
  char text[64];
  char *shared;
  checksum_add_text(&sum, "classify 1");
  add_file(&sum, given->raster);
  add_model(&sum, model);
  checksum_add(&sum, task->bands, (size_t)task->band_count * sizeof *task->bands);
  checksum_add(&sum, &task->output, sizeof task->output);
  const int64_t numbers[] = {given->tile_size, given->padding,        given->batch_size,
                             given->merge,     task->has_probability, device_kind(device),
                             element,          *given->result != '\0'};
  checksum_add(&sum, numbers, sizeof numbers);
  checksum_text(checksum_value(&sum), digest);
  (void)snprintf(text, sizeof text, "classify %s", digest);
  TRY(comm_broadcast_text(job->comm, text, &shared));
  char *kept;
  const Status status = arena_copy_text(job->arena, shared, &kept);
  memory_free(shared);
  if (status == STATUS_OK) task->identity = kept;
  return comm_agree(job->comm, status);
}

/* On rank 0: what an earlier run of this job used, or 0. A folder of another job says nothing here;
 * classify_prepare_folder judges it. */
static int64_t earlier_batch_size(const Job *job, const ClassifyOptions *given,
                                  const ClassifyTask *task)
{
  int32_t batch = 0;
  if (comm_rank(job->comm) != 0 || given->resume == RESUME_NO) return 0;
  return ledger_batch_size(task->folder, task->identity, &batch) == STATUS_OK ? batch : 0;
}

static Status fitting_batch_size(const Model *model, Device *device, ClassifyEngineOptions engine,
                                 int64_t *batch)
{
  if (device_kind(device) == DEVICE_CPU) {
    *batch = CPU_BATCH;
    return STATUS_OK;
  }
  const size_t room = device_free_bytes(device) / 10 * 8;
  for (engine.batch_size = GPU_BATCH_MOST; engine.batch_size > 1; engine.batch_size /= 2) {
    size_t bytes;
    TRY(classify_engine_bytes(device, model, engine, &bytes));
    if (bytes <= room) break;
  }
  *batch = engine.batch_size;
  return STATUS_OK;
}

static TileOptions tile_options(const ClassifyOptions *given, const Model *model)
{
  TileOptions options = {.size_multiple = graph_size_multiple(model->graph), .batch_size = 1};
  const int64_t wish =
      model->tile_size_px > DEFAULT_TILE_PX ? model->tile_size_px : DEFAULT_TILE_PX;
  const int64_t multiple = options.size_multiple;
  options.tile_px = (int32_t)(given->tile_size > 0 ? given->tile_size
                                                   : (wish + multiple - 1) / multiple * multiple);
  const int64_t eighth = options.tile_px / 8;
  const int64_t padding = eighth < DEFAULT_PADDING_PX ? eighth : DEFAULT_PADDING_PX;
  options.padding_px = (int32_t)(given->padding >= 0 ? given->padding : padding);
  return options;
}

static Status choose_batch_size(const Job *job, const ClassifyOptions *given, const Model *model,
                                Device *device, const ClassifyEngineOptions *engine,
                                ClassifyTask *task, TileOptions *tiles)
{
  int64_t batch = given->batch_size > 0 ? given->batch_size : earlier_batch_size(job, given, task);
  TRY(comm_broadcast(job->comm, 0, &batch, sizeof batch));
  if (batch == 0) {
    TRY(comm_agree(job->comm, fitting_batch_size(model, device, *engine, &batch)));
    TRY(comm_reduce_int64(job->comm, COMM_MIN, &batch, 1));
  }
  if (batch > task->tiles.tile_count) batch = task->tiles.tile_count;
  tiles->batch_size = (int32_t)batch;
  return STATUS_OK;
}

Status classify_lay_tiles(const Job *job, const ClassifyOptions *given, const Raster *raster,
                          const Model *model, Device *device, ClassifyEngineOptions *engine,
                          ClassifyTask *task)
{
  const Window whole = grid_window(raster_grid(raster));
  TileOptions tiles = tile_options(given, model);
  TRY(tile_plan_make(whole, task->output, tiles, &task->tiles));
  if (task->blends && 4 * tiles.padding_px > tiles.tile_px)
    return status_set(STATUS_BAD_OPTION,
                      "padding is %d px; merge=blend takes up to a quarter of the tiles' %d px",
                      (int)tiles.padding_px, (int)tiles.tile_px);
  engine->tile_width_px = task->tiles.columns.tile_px;
  engine->tile_height_px = task->tiles.rows.tile_px;
  engine->wants_classes = !task->blends;
  engine->wants_probabilities = task->has_probability;
  TRY(choose_batch_size(job, given, model, device, engine, task, &tiles));
  engine->batch_size = tiles.batch_size;
  return tile_plan_make(whole, task->output, tiles, &task->tiles);
}

Status classify_prepare_folder(const Job *job, const ClassifyOptions *given,
                               const ClassifyTask *task, Ledger *ledger)
{
  const int64_t units = task->tiles.unit_count;
  int32_t batch = 0;
  if (given->resume == RESUME_NO) TRY(path_remove_tree(task->folder));
  Status status = ledger_batch_size(task->folder, task->identity, &batch);
  if (status == STATUS_MISMATCH && !given->overwrite)
    return status_set(STATUS_MISMATCH,
                      "%s holds the unfinished work of another job; --overwrite=yes drops it",
                      task->folder);
  /* Shards without journals are those of a finished result. */
  if (status == STATUS_MISMATCH || (status == STATUS_OK && batch == 0))
    status = path_remove_tree(task->folder);
  TRY(status);
  if (batch == 0 && *given->result != '\0') (void)unlink(given->result); /* it joins what is gone */
  TRY(output_make_folder(task->folder));
  TRY(ledger_open(task->folder, task->identity, units, true, job->log, ledger));
  status = ledger_remove_strays(ledger, task->folder);
  if (status != STATUS_OK) ledger_close(ledger);
  return status;
}
