#include "detect_plan.h"

#include "detect_run.h"
#include "geo/geo.h"
#include "raster_plan.h"

typedef struct DetectPlan {
  RasterPlan common;
  DetectOptions given;
  Detection run;  /* its device is for its name alone */
  Detection copy; /* of the run, but with a device of its own and other batches */
} DetectPlan;

static void copy_run(void *context, int64_t batch, Device *device)
{
  DetectPlan *p = context;
  p->copy = p->run;
  p->copy.device = device;
  p->copy.engine = NULL;
  p->copy.look = NULL;
  p->copy.task.engine.batch_size = (int32_t)batch;
  tile_plan_rebatch(&p->copy.task.raster.tiles, (int32_t)batch);
}

static void close_engine(void *context)
{
  detection_close_engine(&((DetectPlan *)context)->copy);
}

static Status open_engine(void *context, RasterCopy *copy)
{
  Detection *run = &((DetectPlan *)context)->copy;
  const Status status = detection_open_engine(run);
  if (status != STATUS_OK) close_engine(context);
  *copy = (RasterCopy){run->device, &run->task.raster, run->raster, detection_calls(run)};
  return status;
}

static size_t pack_bytes(void *context)
{
  return 0;
}

static const RasterPlanTool tool = {
    .copy = copy_run, .open = open_engine, .close = close_engine, .pack_bytes = pack_bytes};

static Status plan_run(DetectPlan *p)
{
  TRY(detection_open(&p->run));
  p->common.raster = p->run.raster;
  p->common.task = &p->run.task.raster;
  plan_find_room(&p->common.plan, p->run.device);
  raster_plan_print_tiles(&p->common);
  plan_print(p->run.job, "disk",
             "grows with the objects: a few hundred bytes of each, in the results and in %s",
             p->run.task.raster.folder);
  return raster_plan_run(&p->common);
}

Status detect_plan(const Job *job, const void *values, const Plan *plan)
{
  DetectPlan p = {.common = {.job = job, .plan = *plan, .tool = &tool},
                  .given = *(const DetectOptions *)values};
  p.common.context = &p;
  p.run.job = job;
  p.run.given = &p.given;
  p.run.table = &detect_network;
  geo_start(RASTER_CACHE_BYTES);
  plan_choose_device(job, &p.common.plan, &p.given.run.device, &p.given.run.precision);
  p.common.device = p.given.run.device;
  const Status status = plan_run(&p);
  detection_close(&p.run);
  geo_stop();
  return status;
}
