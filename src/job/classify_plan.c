#include "classify_plan.h"

#include "base/memory.h"
#include "classify_run.h"
#include "compute.h"
#include "geo/geo.h"
#include "raster_plan.h"

typedef struct ClassifyPlan {
  RasterPlan common;
  ClassifyOptions given;
  Classification run;  /* its device is for its name alone */
  size_t tables_bytes; /* measured with the first try; 0: not yet */
} ClassifyPlan;

/* A batch that is counted. */
typedef struct Look {
  ClassifyPlan *plan;
  const Classification *run;
  PlanMemory *memory;
} Look;

/* The model's own copy of the weights, which is gone before the first tile. */
static size_t weight_bytes(const Model *model)
{
  const ParameterList *list = model_parameters(model);
  return (size_t)(list->trained_count + list->statistic_count) * sizeof(float);
}

/* Weights are loaded before the first tile takes its memory: the larger of both counts. */
static void add_loading(const Model *model, PlanMemory *memory)
{
  const size_t *host = memory->host;
  const size_t loading = weight_bytes(model);
  const size_t working =
      host[PLAN_ACTIVATIONS] + host[PLAN_SCRATCH] + host[PLAN_BATCHES] + host[PLAN_CACHE];
  if (loading > working) memory->host[PLAN_STAGING] = loading - working;
}

static void count(void *context)
{
  const Look *look = context;
  ClassifyPlan *p = look->plan;
  const Plan *plan = &p->common.plan;
  const size_t resident = memory_resident_bytes();
  const size_t known = plan->program_bytes + weight_bytes(&look->run->model);
  if (p->tables_bytes == 0) p->tables_bytes = resident > known ? resident - known : 1;
  look->memory->host[PLAN_PROGRAM] = plan->program_bytes;
  look->memory->host[PLAN_TABLES] = p->tables_bytes;
  look->memory->host[PLAN_CACHE] = raster_plan_cache_bytes(&p->common);
  plan_count(plan, look->run->device, look->memory);
  look->memory->host[PLAN_BATCHES] += classify_pack_bytes(&look->run->task);
  add_loading(&look->run->model, look->memory);
}

static Status count_batch(ClassifyPlan *p, Classification *run, PlanMemory *memory)
{
  Look look = {p, run, memory};
  TRY(classify_engine_open(run->device, &run->model, run->engine_options, &run->engine));
  const TileCalls calls = classification_calls(run);
  const Status status = tile_pipeline_try(&run->task.raster, run->device, &calls, count, &look);
  classify_engine_close(&run->engine);
  return status;
}

/* Of the run, but with a device of its own and other batches. */
static Status open_copy(ClassifyPlan *p, int64_t batch, Classification *run)
{
  *run = p->run;
  run->device = NULL;
  run->engine = (ClassifyEngine){0};
  run->engine_options.batch_size = (int32_t)batch;
  tile_plan_rebatch(&run->task.raster.tiles, (int32_t)batch);
  return compute_open_again(p->run.job, (DeviceChoice)p->given.run.device, &run->device);
}

/* Local. A PlanTry. */
static Status try_batch(void *context, int64_t batch, PlanMemory *memory)
{
  ClassifyPlan *p = context;
  Classification run;
  TRY(open_copy(p, batch, &run));
  device_count_only(run.device);
  const Status status = count_batch(p, &run, memory);
  device_close(run.device);
  return status;
}

static Status measure_with(ClassifyPlan *p, Classification *run, const PlanMemory *memory)
{
  TRY(classify_engine_open(run->device, &run->model, run->engine_options, &run->engine));
  const TileCalls calls = classification_calls(run);
  const Status status = raster_plan_measure(&p->common, run->raster, run->device, &calls, memory);
  classify_engine_close(&run->engine);
  return status;
}

static Status measure(ClassifyPlan *p, const PlanMemory *memory)
{
  bool may;
  Classification run;
  TRY(raster_plan_may_measure(&p->common, memory, &may));
  if (!may) return STATUS_OK;
  TRY(open_copy(p, p->run.task.raster.tiles.batch_size, &run));
  const Status status = measure_with(p, &run, memory);
  device_close(run.device);
  return status;
}

/* Uncompressed; maps are written once in tiles and once as a COG, with overviews of a third. */
static void print_disk(const ClassifyPlan *p)
{
  const ClassifyTask *task = &p->run.task;
  const TilePlan *tiles = &task->raster.tiles;
  const double mib = 1048576.0;
  const double classes = task->class_count;
  const double map = (double)pixel_bytes(task->map_type);
  const double output_px = (double)window_pixels(task->raster.output);
  const double tiles_px = (double)tiles->tile_count * tiles->columns.tile_px * tiles->rows.tile_px;
  const double shards =
      task->blends ? tiles_px * classes : output_px * (map + (task->has_probability ? classes : 0));
  const double written = output_px * (map + (*p->given.probability != '\0' ? classes : 0));
  plan_print(p->run.job, "disk",
             "at most, if nothing were compressed: %.1f MiB for maps, as much again while they are "
             "written, %.1f MiB for shards in %s",
             written * 4 / 3 / mib, shards / mib, task->raster.folder);
}

static Status plan_run(ClassifyPlan *p)
{
  PlanMemory memory;
  TRY(classification_open(&p->run));
  p->common.raster = p->run.raster;
  p->common.task = &p->run.task.raster;
  plan_find_room(&p->common.plan, p->run.device);
  raster_plan_print_tiles(&p->common);
  print_disk(p);
  TRY(raster_plan_memory(&p->common, &memory));
  return comm_agree(p->run.job->comm, measure(p, &memory));
}

Status classify_plan(const Job *job, const void *values, const Plan *plan)
{
  ClassifyPlan p = {.common = {.job = job, .plan = *plan, .try_batch = try_batch},
                    .given = *(const ClassifyOptions *)values};
  p.common.context = &p;
  p.run.job = job;
  p.run.given = &p.given;
  geo_start(RASTER_CACHE_BYTES);
  plan_choose_device(job, &p.common.plan, &p.given.run.device, &p.given.run.precision);
  const Status status = plan_run(&p);
  classification_close(&p.run);
  geo_stop();
  return status;
}
