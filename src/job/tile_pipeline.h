#pragma once

#include "base/progress.h"
#include "comm/work.h"
#include "device/device.h"
#include "raster_task.h"
#include "tile_shard.h"

/* The way of a rank's batches: reader threads take units from the work service and decode, the
 * caller's thread computes, a writer thread stores. A few slots go round; nothing else is held. Where
 * the device works beside the host, a batch is begun before the one before it has ended.
 *
 *   FREE -> reader -> READY -> caller -> DONE -> writer -> FREE */

/* A batch on its way: the tiles of a unit, one behind the other; a short one is filled up with
 * tiles of nothing. */
typedef struct TileBatch {
  int64_t unit;
  int32_t lane;   /* that it is computed in (device/outbox.h): 0 and 1 in turn */
  bool is_empty;  /* nothing was computed: the results say nothing */
  void *pixels;   /* batch x height x width x bands of the task's type; host memory of the device */
  uint8_t *valid; /* batch x height x width */
  void *results;  /* the tool's own */
} TileBatch;

/* What a tool does with batches; the context goes to all. */
typedef struct TileCalls {
  void *context;
  /* Memory for one slot's results; closing accepts NULL. */
  Status (*open_results)(void *context, void **results);
  void (*close_results)(void *context, void *results);
  /* In readers' threads: whether nothing of the batch is to be computed. */
  bool (*is_empty)(void *context, const TileBatch *batch);
  /* In the caller's thread: from pixels to results. begin issues what it can and does not wait; the
   * results are there when end returns. One other batch, of the other lane, may be begun in between.
   */
  Status (*begin)(void *context, const TileBatch *batch);
  Status (*end)(void *context, TileBatch *batch);
  /* In the writer's thread: what is stored of the batch, in memory of the context, since the slot
   * is given free before it is written. */
  Status (*pack)(void *context, const TileBatch *batch, ShardUnit *unit);
} TileCalls;

/* Local. Runs until no unit is left for this rank. A signal (base/interrupt.h) cancels the work for
 * all ranks: the batch at hand is ended, what is stored is journaled; STATUS_INTERRUPTED. Any other
 * error cancels too and keeps what is stored. */
Status tile_pipeline_run(const RasterTask *task, Device *device, const TileCalls *calls, Work *work,
                         ShardWriter *writer, Progress *progress);

/* Local. Allocates what tile_pipeline_run does, tells the caller, and gives it back: on a device
 * that counts only, how much a run takes. */
Status tile_pipeline_try(const RasterTask *task, Device *device, const TileCalls *calls,
                         void (*look)(void *context), void *context);
