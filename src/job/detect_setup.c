#include "detect_setup.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/output.h"

enum { DEFAULT_TILE_PX = 512 };

static const double default_threshold = 0.5;
static const double default_overlap = 0.5;
static const double agreement = 0.5;

Status detect_check_outputs(const Job *job, const DetectOptions *given)
{
  const char *folder;
  const char *paths[] = {given->output, "", given->quicklook};
  TRY(detect_result_path(given, job->arena, &paths[1]));
  if (strcmp(paths[1], given->output) == 0)
    return status_set(STATUS_BAD_OPTION, "--output and --result are the same file %s",
                      given->output);
  TRY(raster_shard_folder(job, given->output, false, &folder));
  return raster_check_outputs(&given->run, folder, paths, sizeof paths / sizeof *paths);
}

/* Classes. */

static Status no_such_class(const char *name, const DetectModel *model)
{
  char known[512] = "";
  for (int32_t i = 0; i < model->class_count; ++i) {
    const size_t length = strlen(known);
    (void)snprintf(known + length, sizeof known - length, "%s%s", i == 0 ? "" : ", ",
                   model->classes[i].name);
  }
  return status_set(STATUS_BAD_OPTION, "--classes: the model has no class %s, it has %s", name,
                    known);
}

static Status want_class(const char *name, size_t length, const DetectModel *model, bool *wanted)
{
  char text[CLASS_NAME_BYTES];
  for (int32_t i = 0; i < model->class_count; ++i)
    if (strlen(model->classes[i].name) == length &&
        memcmp(model->classes[i].name, name, length) == 0) {
      wanted[i + 1] = true;
      return STATUS_OK;
    }
  (void)snprintf(text, sizeof text, "%.*s", (int)length, name);
  return no_such_class(text, model);
}

static Status choose_classes(const Job *job, const DetectOptions *given, DetectTask *task)
{
  void *memory;
  const size_t count = (size_t)task->model.class_count + 1;
  TRY(arena_allocate(job->arena, count * sizeof(bool), &memory));
  bool *wanted = memory;
  task->wanted = wanted;
  if (*given->classes == '\0') memset(wanted, 1, count * sizeof(bool));
  for (const char *name = given->classes; *name != '\0';) {
    const size_t length = strcspn(name, ";");
    if (length > 0) TRY(want_class(name, length, &task->model, wanted));
    name += length;
    if (*name == ';') ++name;
  }
  return STATUS_OK;
}

/* Lengths. */

static Status choose_simplify(const DetectOptions *given, DetectTask *task)
{
  DetectLength length;
  double width_m;
  double height_m;
  TRY(detect_simplify(given, &length));
  task->simplify_px = length.value;
  if (!length.in_metres || length.value <= 0) return STATUS_OK;
  if (grid_cell_size_m(&task->raster.output_grid, &width_m, &height_m) != STATUS_OK)
    return status_prefix(STATUS_MISMATCH, "--simplify=%s: give it in px", given->simplify);
  task->simplify_px = length.value / sqrt(width_m * height_m);
  return STATUS_OK;
}

static Status check_area(const DetectOptions *given, const DetectTask *task)
{
  double width_m;
  double height_m;
  if (!(given->min_area > 0) ||
      grid_cell_size_m(&task->raster.output_grid, &width_m, &height_m) == STATUS_OK)
    return STATUS_OK;
  return status_set(STATUS_MISMATCH,
                    "%s has no reference system tied to the Earth; --min_area in m2 means nothing "
                    "there",
                    given->run.raster);
}

static Status check_masks(const DetectOptions *given, const DetectModel *model)
{
  if (model->has_masks || given->return_bboxes) return STATUS_OK;
  return status_set(STATUS_MISMATCH,
                    "the model %s (%s) gives boxes and no masks; --return_bboxes=yes writes these",
                    given->run.model, model->name);
}

Status detect_task_make(const Job *job, const DetectOptions *given, Raster *raster,
                        const DetectModel *model, DetectTask *task)
{
  const RasterContract contract = {.pixel = model->pixel,
                                   .band_count = model->band_count,
                                   .extract_bands = model->extract_bands,
                                   .cell_size_m = model->cell_size_m};
  const double threshold = model->threshold >= 0 ? model->threshold : default_threshold;
  const double overlap = model->nms_overlap >= 0 ? model->nms_overlap : default_overlap;
  *task = (DetectTask){.model = *model,
                       .augments = given->test_time_augmentation,
                       .policy = (DetectPolicy)given->merge_policy,
                       .takes_boxes = given->return_bboxes};
  task->engine.threshold = given->threshold >= 0 ? given->threshold : threshold;
  task->engine.nms_overlap = given->nms_overlap >= 0 ? given->nms_overlap : overlap;
  task->engine.wants_masks = model->has_masks;
  task->merge = (MergeOptions){.agreement = agreement,
                               .nms_overlap = task->engine.nms_overlap,
                               .exclude_pad_detections = given->exclude_pad_detections,
                               .edge_px = model->edge_px};
  TRY(check_masks(given, model));
  TRY(raster_task_make(job, &given->run, raster, &contract, &task->raster));
  TRY(choose_classes(job, given, task));
  TRY(choose_simplify(given, task));
  TRY(check_area(given, task));
  TRY(detect_result_path(given, job->arena, &task->result));
  return raster_shard_folder(job, given->output, false, &task->raster.folder);
}

Status detect_identify(const Job *job, const DetectOptions *given, const Device *device,
                       DetectTask *task)
{
  Checksum sum = checksum_start(0);
  checksum_add_text(&sum, "detect 1");
  raster_task_digest(&given->run, &task->raster, &sum);
  checksum_add_text(&sum, task->model.identity);
  checksum_add(&sum, &task->engine.threshold, sizeof task->engine.threshold);
  checksum_add(&sum, &task->engine.nms_overlap, sizeof task->engine.nms_overlap);
  const int64_t numbers[] = {task->augments, (int64_t)task->policy, device_kind(device),
                             (int64_t)task->engine.element};
  checksum_add(&sum, numbers, sizeof numbers);
  return raster_task_identify(job, "detect", &sum, &task->raster);
}

static TileOptions tile_options(const DetectOptions *given, const DetectModel *model)
{
  TileOptions options = {.size_multiple = model->tile_multiple_px, .batch_size = 1};
  const int64_t multiple = model->tile_multiple_px;
  const int64_t wish = model->tile_size_px > 0 ? model->tile_size_px : DEFAULT_TILE_PX;
  options.tile_px =
      (int32_t)(given->run.tile_size > 0 ? given->run.tile_size
                                         : (wish + multiple - 1) / multiple * multiple);
  const int64_t most = (options.tile_px - multiple) / 2;
  const int64_t quarter = options.tile_px / 4 < most ? options.tile_px / 4 : most;
  options.padding_px =
      (int32_t)(given->run.padding >= 0 ? given->run.padding : (quarter > 0 ? quarter : 0));
  return options;
}

typedef struct BatchSizing {
  const DetectEngine *table;
  void *model;
  Device *device;
  DetectEngineOptions engine;
} BatchSizing;

static Status batch_bytes(void *context, int32_t batch_size, size_t *bytes)
{
  const BatchSizing *sizing = context;
  DetectEngineOptions engine = sizing->engine;
  engine.batch_size = batch_size;
  return sizing->table->bytes(sizing->model, sizing->device, &engine, bytes);
}

Status detect_lay_tiles(const Job *job, const DetectOptions *given, const Raster *raster,
                        const DetectEngine *table, void *model, Device *device, DetectTask *task)
{
  const Window whole = grid_window(raster_grid(raster));
  TileOptions tiles = tile_options(given, &task->model);
  TilePlan *plan = &task->raster.tiles;
  TRY(tile_plan_make(whole, task->raster.output, tiles, plan));
  task->engine.tile_width_px = plan->columns.tile_px;
  task->engine.tile_height_px = plan->rows.tile_px;
  BatchSizing sizing = {.table = table, .model = model, .device = device, .engine = task->engine};
  TRY(raster_choose_batch_size(job, &given->run, &task->raster, device, batch_bytes, &sizing,
                               &tiles.batch_size));
  task->engine.batch_size = tiles.batch_size;
  return tile_plan_make(whole, task->raster.output, tiles, plan);
}

DetectLookOptions detect_look_options(const DetectTask *task)
{
  return (DetectLookOptions){.pixel = task->raster.pixel,
                             .band_count = task->raster.band_count,
                             .batch_size = task->engine.batch_size,
                             .tile_width_px = task->engine.tile_width_px,
                             .tile_height_px = task->engine.tile_height_px,
                             .tile_multiple_px = task->model.tile_multiple_px,
                             .has_masks = task->model.has_masks,
                             .augments = task->augments,
                             .policy = task->policy,
                             .merge = task->merge};
}
