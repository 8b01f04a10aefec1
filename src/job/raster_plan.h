#pragma once

#include "geo/raster.h"
#include "plan.h"
#include "raster_task.h"
#include "tile_pipeline.h"

/* What the plans of classify and detect share. */

/* A run that is opened once more, with other batches, a device of its own and an engine. */
typedef struct RasterCopy {
  Device *device;
  const RasterTask *task;
  Raster *raster;
  TileCalls calls;
} RasterCopy;

/* What a tool brings; the context is its own, and has room for one copy. */
typedef struct RasterPlanTool {
  /* Local. Tasks for so many tiles at a time; device stays the caller's. */
  void (*copy)(void *context, int64_t batch, Device *device);
  /* Local. The copy's engine; on failure nothing is left to close. */
  Status (*open)(void *context, RasterCopy *copy);
  void (*close)(void *context);
  /* Host memory that the run's writer takes besides. */
  size_t (*pack_bytes)(void *context);
} RasterPlanTool;

/* The plan of a run over a raster. */
typedef struct RasterPlan {
  const Job *job;
  Plan plan;
  const Raster *raster;
  const RasterTask *task;
  int32_t device;       /* DeviceChoice */
  size_t leaving_bytes; /* of a model that is gone before the first tile */
  size_t tables_bytes;  /* measured with the first try; 0: not yet */
  const RasterPlanTool *tool;
  void *context;
} RasterPlan;

/* Rank 0: the tiles, what they overlap, how often a pixel is computed. */
void raster_plan_print_tiles(const RasterPlan *plan);
/* Collective. Prints the memory of a batch of the task's size and the largest batch that fits, and
 * refuses what does not; then the time: on a GPU by prediction, and here by running some batches that
 * are spread over the raster, where that is wanted and fits. Errors: STATUS_NO_MEMORY if it does not
 * fit. */
Status raster_plan_run(RasterPlan *plan);
