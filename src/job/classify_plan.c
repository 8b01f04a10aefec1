#include "classify_plan.h"

#include "classify_run.h"
#include "geo/geo.h"
#include "raster_plan.h"

typedef struct ClassifyPlan {
  RasterPlan common;
  ClassifyOptions given;
  Classification run;  /* its device is for its name alone */
  Classification copy; /* of the run, but with a device of its own and other batches */
} ClassifyPlan;

/* The model's own copy of the weights, which is gone before the first tile. */
static size_t weight_bytes(const Model *model)
{
  const ParameterList *list = model_parameters(model);
  return (size_t)(list->trained_count + list->statistic_count) * sizeof(float);
}

static void copy_run(void *context, int64_t batch, Device *device)
{
  ClassifyPlan *p = context;
  p->copy = p->run;
  p->copy.device = device;
  p->copy.engine = (ClassifyEngine){0};
  p->copy.engine_options.batch_size = (int32_t)batch;
  tile_plan_rebatch(&p->copy.task.raster.tiles, (int32_t)batch);
}

static Status open_engine(void *context, RasterCopy *copy)
{
  Classification *run = &((ClassifyPlan *)context)->copy;
  TRY(classify_engine_open(run->device, &run->model, run->engine_options, &run->engine));
  *copy = (RasterCopy){run->device, &run->task.raster, run->raster, classification_calls(run)};
  return STATUS_OK;
}

static void close_engine(void *context)
{
  classify_engine_close(&((ClassifyPlan *)context)->copy.engine);
}

static size_t pack_bytes(void *context)
{
  return classify_pack_bytes(&((ClassifyPlan *)context)->copy.task);
}

static const RasterPlanTool tool = {
    .copy = copy_run, .open = open_engine, .close = close_engine, .pack_bytes = pack_bytes};

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
  TRY(classification_open(&p->run));
  p->common.raster = p->run.raster;
  p->common.task = &p->run.task.raster;
  p->common.leaving_bytes = weight_bytes(&p->run.model);
  plan_find_room(&p->common.plan, p->run.device);
  raster_plan_print_tiles(&p->common);
  print_disk(p);
  return raster_plan_run(&p->common);
}

Status classify_plan(const Job *job, const void *values, const Plan *plan)
{
  ClassifyPlan p = {.common = {.job = job, .plan = *plan, .tool = &tool},
                    .given = *(const ClassifyOptions *)values};
  p.common.context = &p;
  p.run.job = job;
  p.run.given = &p.given;
  geo_start(RASTER_CACHE_BYTES);
  plan_choose_device(job, &p.common.plan, &p.given.run.device, &p.given.run.precision);
  p.common.device = p.given.run.device;
  const Status status = plan_run(&p);
  classification_close(&p.run);
  geo_stop();
  return status;
}
