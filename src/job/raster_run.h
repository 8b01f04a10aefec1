#pragma once

#include "raster_task.h"
#include "tile_pipeline.h"

/* A run over a raster that may be the continuation of an earlier one: what is done, and the work on
 * what is not. */
typedef struct RasterRun {
  const Job *job;
  const RasterOptions *given;
  const RasterTask *task;
  Ledger ledger; /* on rank 0 */
  int32_t run;
  int64_t done_count; /* units of earlier runs */
} RasterRun;

/* Collective. Prepares the folder of shards; result as in raster_prepare_folder. */
Status raster_run_take_over(RasterRun *run, const char *result);
/* Collective. Hands the units that are not done to all ranks, and each rank's through the pipeline
 * into its shards. format: only arrays and deflate_level count. what: for the line of progress. */
Status raster_run_work(RasterRun *run, const char *what, Device *device, const ShardFormat *format,
                       const TileCalls *calls);
/* Local, on rank 0, after the work of all: reads the ledger anew. Errors: STATUS_IO if units are
 * missing. */
Status raster_run_settle(RasterRun *run);
void raster_run_close(RasterRun *run);
