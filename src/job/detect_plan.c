#include "detect_plan.h"

#include "base/memory.h"
#include "compute.h"
#include "detect_run.h"
#include "geo/geo.h"
#include "raster_plan.h"

typedef struct DetectPlan {
  RasterPlan common;
  DetectOptions given;
  Detection run;       /* its device is for its name alone */
  size_t tables_bytes; /* measured with the first try; 0: not yet */
} DetectPlan;

/* A batch that is counted. */
typedef struct Look {
  DetectPlan *plan;
  const Detection *run;
  PlanMemory *memory;
} Look;

static void count(void *context)
{
  const Look *look = context;
  DetectPlan *p = look->plan;
  const Plan *plan = &p->common.plan;
  const size_t resident = memory_resident_bytes();
  if (p->tables_bytes == 0)
    p->tables_bytes = resident > plan->program_bytes ? resident - plan->program_bytes : 1;
  look->memory->host[PLAN_PROGRAM] = plan->program_bytes;
  look->memory->host[PLAN_TABLES] = p->tables_bytes;
  look->memory->host[PLAN_CACHE] = raster_plan_cache_bytes(&p->common);
  plan_count(plan, look->run->device, look->memory);
}

static Status count_batch(DetectPlan *p, Detection *run, PlanMemory *memory)
{
  Look look = {p, run, memory};
  TRY(detection_open_engine(run));
  const TileCalls calls = detection_calls(run);
  return tile_pipeline_try(&run->task.raster, run->device, &calls, count, &look);
}

/* Of the run, but with a device of its own and other batches. */
static Status open_copy(DetectPlan *p, int64_t batch, Detection *run)
{
  *run = p->run;
  run->device = NULL;
  run->engine = NULL;
  run->look = NULL;
  run->task.engine.batch_size = (int32_t)batch;
  tile_plan_rebatch(&run->task.raster.tiles, (int32_t)batch);
  return compute_open_again(p->run.job, (DeviceChoice)p->given.run.device, &run->device);
}

/* Local. A PlanTry. */
static Status try_batch(void *context, int64_t batch, PlanMemory *memory)
{
  DetectPlan *p = context;
  Detection run;
  TRY(open_copy(p, batch, &run));
  device_count_only(run.device);
  const Status status = count_batch(p, &run, memory);
  detection_close_engine(&run);
  device_close(run.device);
  return status;
}

static Status measure_with(DetectPlan *p, Detection *run, const PlanMemory *memory)
{
  TRY(detection_open_engine(run));
  const TileCalls calls = detection_calls(run);
  return raster_plan_measure(&p->common, run->raster, run->device, &calls, memory);
}

static Status measure(DetectPlan *p, const PlanMemory *memory)
{
  bool may;
  Detection run;
  TRY(raster_plan_may_measure(&p->common, memory, &may));
  if (!may) return STATUS_OK;
  TRY(open_copy(p, p->run.task.raster.tiles.batch_size, &run));
  const Status status = measure_with(p, &run, memory);
  detection_close_engine(&run);
  device_close(run.device);
  return status;
}

static Status plan_run(DetectPlan *p)
{
  PlanMemory memory;
  TRY(detection_open(&p->run));
  p->common.raster = p->run.raster;
  p->common.task = &p->run.task.raster;
  plan_find_room(&p->common.plan, p->run.device);
  raster_plan_print_tiles(&p->common);
  plan_print(p->run.job, "disk",
             "grows with the objects: a few hundred bytes of each, in the results and in %s",
             p->run.task.raster.folder);
  TRY(raster_plan_memory(&p->common, &memory));
  return comm_agree(p->run.job->comm, measure(p, &memory));
}

Status detect_plan(const Job *job, const void *values, const Plan *plan)
{
  DetectPlan p = {.common = {.job = job, .plan = *plan, .try_batch = try_batch},
                  .given = *(const DetectOptions *)values};
  p.common.context = &p;
  p.run.job = job;
  p.run.given = &p.given;
  p.run.table = &detect_network;
  geo_start(RASTER_CACHE_BYTES);
  plan_choose_device(job, &p.common.plan, &p.given.run.device, &p.given.run.precision);
  const Status status = plan_run(&p);
  detection_close(&p.run);
  geo_stop();
  return status;
}
