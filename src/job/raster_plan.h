#pragma once

#include "geo/raster.h"
#include "plan.h"
#include "raster_task.h"
#include "tile_pipeline.h"

/* What the plans of classify and detect share. */

/* The plan of a run over a raster: how to count it, and how to run it. The context is the tool's. */
typedef struct RasterPlan {
  const Job *job;
  Plan plan;
  const Raster *raster;
  const RasterTask *task;
  PlanTry *try_batch; /* tiles at a time */
  void *context;
} RasterPlan;

/* Rank 0: the tiles, what they overlap, how often a pixel is computed. */
void raster_plan_print_tiles(const RasterPlan *plan);
/* Bytes of decoded blocks that a rank keeps. */
size_t raster_plan_cache_bytes(const RasterPlan *plan);
/* Collective. Prints the memory of a batch of the task's size and the largest batch that fits.
 * memory: of the task. Errors: STATUS_NO_MEMORY if it does not fit. */
Status raster_plan_memory(const RasterPlan *plan, PlanMemory *memory);

/* Collective. Whether the plan wants some batches run, and they fit here. */
Status raster_plan_may_measure(const RasterPlan *plan, const PlanMemory *memory, bool *may);
/* Local. Reads and computes a few batches, spread over the raster, and says on rank 0 what all of
 * them take. raster: a handle of its own. */
Status raster_plan_measure(const RasterPlan *plan, Raster *raster, Device *device,
                           const TileCalls *calls, const PlanMemory *memory);
