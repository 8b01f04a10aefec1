#include "classify_setup.h"

enum { DEFAULT_TILE_PX = 1024, DEFAULT_PADDING_PX = 64 };

static Status find_folder(const Job *job, const ClassifyOptions *given, const char **folder)
{
  const bool kept = *given->result != '\0';
  return raster_shard_folder(job, kept ? given->result : given->output, kept, folder);
}

Status classify_check_outputs(const Job *job, const ClassifyOptions *given)
{
  const char *folder;
  const char *const paths[] = {given->output, given->probability, given->result, given->polygons,
                               given->quicklook};
  TRY(find_folder(job, given, &folder));
  return raster_check_outputs(&given->run, folder, paths, sizeof paths / sizeof *paths);
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
  const RasterContract contract = {.pixel = model->pixel,
                                   .band_count = model->bands,
                                   .extract_bands = model->extract_bands,
                                   .cell_size_m = model->cell_size_m};
  *task =
      (ClassifyTask){.classes = model->classes,
                     .class_count = model->class_count,
                     .blends = given->merge == MERGE_BLEND,
                     .has_probability = given->merge == MERGE_BLEND || *given->probability != '\0'};
  TRY(raster_task_make(job, &given->run, raster, &contract, &task->raster));
  choose_map_type(task);
  return find_folder(job, given, &task->raster.folder);
}

/* Its logit becomes a number far below all others, small enough for half precision. */
Status classify_hide_background(Model *model)
{
  if (model->classes[0].value != 0)
    return status_set(STATUS_BAD_OPTION,
                      "--predict_background=no: the model has no background, its first class is %s "
                      "with the value %d",
                      model->classes[0].name, (int)model->classes[0].value);
  if (model->class_count < 2)
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

static void add_model(Checksum *sum, const Model *model)
{
  const ParameterList *parameters = graph_parameters(model->graph);
  const size_t bands = (size_t)model->bands;
  const int32_t form[] = {(int32_t)model->kind, (int32_t)model->encoder, model->bands,
                          model->class_count};
  checksum_add(sum, form, sizeof form);
  checksum_add(sum, model->means, bands * sizeof *model->means);
  checksum_add(sum, model->standard_deviations, bands * sizeof(double));
  checksum_add(sum, model->trained, (size_t)parameters->trained_count * sizeof(float));
  checksum_add(sum, model->statistics, (size_t)parameters->statistic_count * sizeof(float));
  for (int32_t i = 0; i < model->class_count; ++i)
    checksum_add(sum, &model->classes[i].value, sizeof model->classes[i].value);
}

Status classify_identify(const Job *job, const ClassifyOptions *given, const Model *model,
                         const Device *device, Element element, ClassifyTask *task)
{
  Checksum sum = checksum_start(0);
  checksum_add_text(&sum, "classify 1");
  raster_task_digest(&given->run, &task->raster, &sum);
  add_model(&sum, model);
  const int64_t numbers[] = {given->merge, task->has_probability, device_kind(device), element,
                             *given->result != '\0'};
  checksum_add(&sum, numbers, sizeof numbers);
  return raster_task_identify(job, "classify", &sum, &task->raster);
}

static TileOptions tile_options(const ClassifyOptions *given, const Model *model)
{
  TileOptions options = {.size_multiple = graph_size_multiple(model->graph), .batch_size = 1};
  const int64_t wish =
      model->tile_size_px > DEFAULT_TILE_PX ? model->tile_size_px : DEFAULT_TILE_PX;
  const int64_t multiple = options.size_multiple;
  options.tile_px =
      (int32_t)(given->run.tile_size > 0 ? given->run.tile_size
                                         : (wish + multiple - 1) / multiple * multiple);
  const int64_t eighth = options.tile_px / 8;
  const int64_t padding = eighth < DEFAULT_PADDING_PX ? eighth : DEFAULT_PADDING_PX;
  options.padding_px = (int32_t)(given->run.padding >= 0 ? given->run.padding : padding);
  return options;
}

typedef struct BatchSizing {
  Device *device;
  const Model *model;
  ClassifyEngineOptions engine;
} BatchSizing;

static Status batch_bytes(void *context, int32_t batch_size, size_t *bytes)
{
  const BatchSizing *sizing = context;
  ClassifyEngineOptions engine = sizing->engine;
  engine.batch_size = batch_size;
  return classify_engine_bytes(sizing->device, sizing->model, engine, bytes);
}

Status classify_lay_tiles(const Job *job, const ClassifyOptions *given, const Raster *raster,
                          const Model *model, Device *device, ClassifyEngineOptions *engine,
                          ClassifyTask *task)
{
  const Window whole = grid_window(raster_grid(raster));
  TileOptions tiles = tile_options(given, model);
  TilePlan *plan = &task->raster.tiles;
  TRY(tile_plan_make(whole, task->raster.output, tiles, plan));
  if (task->blends && 4 * tiles.padding_px > tiles.tile_px)
    return status_set(STATUS_BAD_OPTION,
                      "padding is %d px; merge=blend takes up to a quarter of the tiles' %d px",
                      (int)tiles.padding_px, (int)tiles.tile_px);
  engine->tile_width_px = plan->columns.tile_px;
  engine->tile_height_px = plan->rows.tile_px;
  engine->wants_classes = !task->blends;
  engine->wants_probabilities = task->has_probability;
  BatchSizing sizing = {.device = device, .model = model, .engine = *engine};
  TRY(raster_choose_batch_size(job, &given->run, &task->raster, device, batch_bytes, &sizing,
                               &tiles.batch_size));
  engine->batch_size = tiles.batch_size;
  return tile_plan_make(whole, task->raster.output, tiles, plan);
}
