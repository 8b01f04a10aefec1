#include "tile_pipeline.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/interrupt.h"
#include "base/memory.h"
#include "geo/raster_blocks.h"

typedef enum SlotState { SLOT_FREE, SLOT_READING, SLOT_READY, SLOT_COMPUTING, SLOT_DONE } SlotState;

typedef struct Slot {
  SlotState state;
  TileBatch batch;
} Slot;

enum { SLOTS_MOST = 64, SENTENCE_BYTES = 1024 };

typedef struct Pipeline {
  const RasterTask *task;
  Device *device;
  const TileCalls *calls;
  Work *work;
  ShardWriter *writer;
  RasterBlocks *blocks; /* the readers' */

  pthread_mutex_t asking; /* one reader at a time asks for units: first_unit, end_unit */
  int64_t first_unit;
  int64_t end_unit;

  pthread_mutex_t lock; /* all below */
  pthread_cond_t changed;
  Slot slots[SLOTS_MOST];
  int32_t slot_count;
  int32_t active_readers;
  bool stopping;  /* nothing more is to be read or computed */
  bool computed;  /* nothing more will become DONE */
  Status failure; /* the first one, of any thread */
  char sentence[SENTENCE_BYTES];
} Pipeline;

static void fail(Pipeline *pipeline, Status status)
{
  (void)pthread_mutex_lock(&pipeline->lock);
  if (pipeline->failure == STATUS_OK) {
    pipeline->failure = status;
    (void)snprintf(pipeline->sentence, SENTENCE_BYTES, "%s", status_message());
  }
  pipeline->stopping = true;
  (void)pthread_cond_broadcast(&pipeline->changed);
  (void)pthread_mutex_unlock(&pipeline->lock);
}

static bool has_failed(Pipeline *pipeline)
{
  (void)pthread_mutex_lock(&pipeline->lock);
  const bool failed = pipeline->failure != STATUS_OK;
  (void)pthread_mutex_unlock(&pipeline->lock);
  return failed;
}

static Slot *find_slot(Pipeline *pipeline, SlotState state)
{
  Slot *found = NULL;
  for (int32_t i = 0; i < pipeline->slot_count; ++i) {
    Slot *slot = &pipeline->slots[i];
    if (slot->state == state && (found == NULL || slot->batch.unit < found->batch.unit))
      found = slot;
  }
  return found;
}

static void set_state(Pipeline *pipeline, Slot *slot, SlotState state)
{
  (void)pthread_mutex_lock(&pipeline->lock);
  slot->state = state;
  (void)pthread_cond_broadcast(&pipeline->changed);
  (void)pthread_mutex_unlock(&pipeline->lock);
}

/* Readers. */

static size_t tile_pixels(const Pipeline *pipeline)
{
  const TilePlan *tiles = &pipeline->task->tiles;
  return (size_t)tiles->columns.tile_px * (size_t)tiles->rows.tile_px;
}

static Status next_unit(Pipeline *pipeline, int64_t *unit, bool *any)
{
  (void)pthread_mutex_lock(&pipeline->asking);
  Status status = STATUS_OK;
  if (pipeline->first_unit == pipeline->end_unit)
    status = work_next(pipeline->work, &pipeline->first_unit, &pipeline->end_unit);
  *any = status == STATUS_OK && pipeline->first_unit < pipeline->end_unit;
  if (*any) *unit = pipeline->first_unit++;
  (void)pthread_mutex_unlock(&pipeline->asking);
  return status;
}

static Status read_unit(Pipeline *pipeline, Raster *raster, TileBatch *batch)
{
  const RasterTask *task = pipeline->task;
  const size_t tile_px = tile_pixels(pipeline);
  const size_t pixel_size = (size_t)task->band_count * pixel_bytes(task->pixel);
  int64_t first;
  int64_t end;
  tile_plan_unit(&task->tiles, batch->unit, &first, &end);
  for (int64_t tile = first; tile < end; ++tile) {
    const size_t at = (size_t)(tile - first) * tile_px;
    TRY(raster_blocks_read(pipeline->blocks, raster, tile_plan_tile(&task->tiles, tile),
                           (char *)batch->pixels + at * pixel_size, batch->valid + at));
  }
  /* A short batch is filled up with nothing, not with what the slot held before. */
  const size_t used = (size_t)(end - first) * tile_px;
  const size_t rest = (size_t)task->tiles.batch_size * tile_px - used;
  memset((char *)batch->pixels + used * pixel_size, 0, rest * pixel_size);
  memset(batch->valid + used, 0, rest);
  batch->is_empty = pipeline->calls->is_empty(pipeline->calls->context, batch);
  return STATUS_OK;
}

/* A free slot, or NULL when the pipeline stops. */
static Slot *wait_for_free(Pipeline *pipeline)
{
  (void)pthread_mutex_lock(&pipeline->lock);
  Slot *slot = find_slot(pipeline, SLOT_FREE);
  while (slot == NULL && !pipeline->stopping) {
    (void)pthread_cond_wait(&pipeline->changed, &pipeline->lock);
    slot = find_slot(pipeline, SLOT_FREE);
  }
  if (pipeline->stopping) slot = NULL;
  if (slot != NULL) slot->state = SLOT_READING;
  (void)pthread_mutex_unlock(&pipeline->lock);
  return slot;
}

static Status read_units(Pipeline *pipeline, Raster *raster)
{
  for (;;) {
    bool any;
    Slot *slot = wait_for_free(pipeline);
    if (slot == NULL) return STATUS_OK;
    const Status asked = next_unit(pipeline, &slot->batch.unit, &any);
    const Status status =
        asked == STATUS_OK && any ? read_unit(pipeline, raster, &slot->batch) : asked;
    if (status != STATUS_OK || !any) {
      set_state(pipeline, slot, SLOT_FREE);
      return status;
    }
    set_state(pipeline, slot, slot->batch.is_empty ? SLOT_DONE : SLOT_READY);
  }
}

static void *reader_thread(void *argument)
{
  Pipeline *pipeline = argument;
  Raster *raster;
  Status status = raster_open(pipeline->task->raster_path, &raster);
  if (status == STATUS_OK) {
    status = read_units(pipeline, raster);
    raster_close(raster);
  }
  if (status != STATUS_OK) fail(pipeline, status);
  (void)pthread_mutex_lock(&pipeline->lock);
  pipeline->active_readers -= 1;
  (void)pthread_cond_broadcast(&pipeline->changed);
  (void)pthread_mutex_unlock(&pipeline->lock);
  return NULL;
}

/* The writer. */

static Slot *wait_for_done(Pipeline *pipeline)
{
  (void)pthread_mutex_lock(&pipeline->lock);
  Slot *slot = find_slot(pipeline, SLOT_DONE);
  while (slot == NULL && !pipeline->computed) {
    (void)pthread_cond_wait(&pipeline->changed, &pipeline->lock);
    slot = find_slot(pipeline, SLOT_DONE);
  }
  (void)pthread_mutex_unlock(&pipeline->lock);
  return slot;
}

static Status write_units(Pipeline *pipeline)
{
  for (Slot *slot = wait_for_done(pipeline); slot != NULL; slot = wait_for_done(pipeline)) {
    ShardUnit unit;
    TRY(pipeline->calls->pack(pipeline->calls->context, &slot->batch, &unit));
    set_state(pipeline, slot, SLOT_FREE);
    TRY(shard_writer_add(pipeline->writer, &unit));
    work_report(pipeline->work, 1);
  }
  return shard_writer_save(pipeline->writer, true);
}

static void *writer_thread(void *argument)
{
  Pipeline *pipeline = argument;
  const Status status = write_units(pipeline);
  if (status != STATUS_OK) fail(pipeline, status);
  return NULL;
}

/* The caller's thread. */

static Slot *wait_for_ready(Pipeline *pipeline)
{
  (void)pthread_mutex_lock(&pipeline->lock);
  Slot *slot = find_slot(pipeline, SLOT_READY);
  while (slot == NULL && pipeline->active_readers > 0 && !pipeline->stopping) {
    (void)pthread_cond_wait(&pipeline->changed, &pipeline->lock);
    slot = find_slot(pipeline, SLOT_READY);
  }
  if (pipeline->stopping) slot = NULL;
  if (slot != NULL) slot->state = SLOT_COMPUTING;
  (void)pthread_mutex_unlock(&pipeline->lock);
  return slot;
}

static void show_progress(const Pipeline *pipeline, Progress *progress)
{
  const TilePlan *tiles = &pipeline->task->tiles;
  const int64_t units = work_finished(pipeline->work);
  const double elapsed_s = clock_seconds() - progress->started_s;
  const double megapixels = 1e-6 * (double)window_pixels(pipeline->task->output) * (double)units /
                            (double)tiles->unit_count;
  char note[64];
  (void)snprintf(note, sizeof note, "%.2f megapixels/s",
                 elapsed_s > 0 ? megapixels / elapsed_s : 0.0);
  const int64_t done = progress->done_at_start + units * tiles->batch_size;
  progress_show(progress, done < progress->total ? done : progress->total, note);
}

static Status end_batch(Pipeline *pipeline, Slot *slot, Progress *progress)
{
  if (slot == NULL) return STATUS_OK;
  TRY(pipeline->calls->end(pipeline->calls->context, &slot->batch));
  set_state(pipeline, slot, SLOT_DONE);
  show_progress(pipeline, progress);
  return STATUS_OK;
}

/* Whether there is reason to end the batch at hand before the next one is begun: none is ready. */
static bool is_starved(Pipeline *pipeline)
{
  (void)pthread_mutex_lock(&pipeline->lock);
  const bool starved = find_slot(pipeline, SLOT_READY) == NULL;
  (void)pthread_mutex_unlock(&pipeline->lock);
  return starved;
}

static Status compute(Pipeline *pipeline, Progress *progress)
{
  const bool beside = device_works_beside(pipeline->device);
  Slot *begun = NULL;
  for (int32_t lane = 0;; lane = 1 - lane) {
    if (interrupt_requested()) {
      TRY(end_batch(pipeline, begun, progress));
      return status_set(STATUS_INTERRUPTED,
                        "stopped by a signal; the same command goes on where this one ended");
    }
    if (begun != NULL && (!beside || is_starved(pipeline))) {
      TRY(end_batch(pipeline, begun, progress));
      begun = NULL;
    }
    Slot *slot = wait_for_ready(pipeline);
    if (slot == NULL) return end_batch(pipeline, begun, progress);
    slot->batch.lane = lane;
    TRY(pipeline->calls->begin(pipeline->calls->context, &slot->batch));
    TRY(end_batch(pipeline, begun, progress));
    begun = slot;
  }
}

/* Threads. */

static Status start_thread(pthread_t *thread, void *(*work)(void *), Pipeline *pipeline)
{
  if (pthread_create(thread, NULL, work, pipeline) == 0) return STATUS_OK;
  return status_set(STATUS_NO_MEMORY, "no thread can be started");
}

static Status run_threads(Pipeline *pipeline, Progress *progress)
{
  pthread_t readers[SLOTS_MOST];
  pthread_t writer;
  int32_t started = 0;
  TRY(start_thread(&writer, writer_thread, pipeline));
  Status status = STATUS_OK;
  while (status == STATUS_OK && started < pipeline->task->reader_threads) {
    (void)pthread_mutex_lock(&pipeline->lock);
    pipeline->active_readers += 1;
    (void)pthread_mutex_unlock(&pipeline->lock);
    status = start_thread(&readers[started], reader_thread, pipeline);
    if (status == STATUS_OK) ++started;
  }
  if (status == STATUS_OK) status = compute(pipeline, progress);
  if (status != STATUS_OK) fail(pipeline, status);
  if (has_failed(pipeline)) work_cancel(pipeline->work);
  for (int32_t i = 0; i < started; ++i)
    (void)pthread_join(readers[i], NULL);
  (void)pthread_mutex_lock(&pipeline->lock);
  pipeline->computed = true;
  (void)pthread_cond_broadcast(&pipeline->changed);
  (void)pthread_mutex_unlock(&pipeline->lock);
  (void)pthread_join(writer, NULL);
  if (pipeline->failure == STATUS_OK) return STATUS_OK;
  return status_set(pipeline->failure, "%s", pipeline->sentence);
}

/* Memory. */

static Status allocate_batch(const Pipeline *pipeline, TileBatch *batch)
{
  const RasterTask *task = pipeline->task;
  void *memory;
  const size_t pixels = (size_t)task->tiles.batch_size * tile_pixels(pipeline);
  const size_t bytes = pixels * (size_t)task->band_count * pixel_bytes(task->pixel);
  TRY(device_allocate_host(pipeline->device, bytes, "tiles", &batch->pixels));
  TRY(device_allocate_host(pipeline->device, pixels, "masks of tiles", &memory));
  batch->valid = memory;
  return pipeline->calls->open_results(pipeline->calls->context, &batch->results);
}

/* One slot with every reader, one that waits, one that is computed (two where the device works beside
 * the host), one that is stored; no more than there are batches. */
static Status allocate(Pipeline *pipeline)
{
  const int64_t units = pipeline->task->tiles.unit_count;
  const int32_t computed = device_works_beside(pipeline->device) ? 2 : 1;
  const int32_t wanted = pipeline->task->reader_threads + 2 + computed;
  for (int32_t i = 0; i < wanted && (i == 0 || i < units); ++i) {
    pipeline->slot_count = i + 1;
    TRY(allocate_batch(pipeline, &pipeline->slots[i].batch));
  }
  return STATUS_OK;
}

static void release(Pipeline *pipeline)
{
  for (int32_t i = 0; i < pipeline->slot_count; ++i) {
    TileBatch *batch = &pipeline->slots[i].batch;
    device_release_host(pipeline->device, batch->pixels);
    device_release_host(pipeline->device, batch->valid);
    pipeline->calls->close_results(pipeline->calls->context, batch->results);
  }
}

static Status open_blocks(Pipeline *pipeline)
{
  Raster *raster;
  const RasterTask *task = pipeline->task;
  TRY(raster_open(task->raster_path, &raster));
  const Status status =
      raster_blocks_open(raster, task->bands, task->band_count, task->reader_threads,
                         RASTER_BLOCKS_BYTES, &pipeline->blocks);
  raster_close(raster);
  return status;
}

Status tile_pipeline_run(const RasterTask *task, Device *device, const TileCalls *calls, Work *work,
                         ShardWriter *writer, Progress *progress)
{
  Pipeline pipeline = {
      .task = task, .device = device, .calls = calls, .work = work, .writer = writer};
  Status status = allocate(&pipeline);
  if (status == STATUS_OK) status = open_blocks(&pipeline);
  if (status == STATUS_OK) {
    (void)pthread_mutex_init(&pipeline.asking, NULL);
    (void)pthread_mutex_init(&pipeline.lock, NULL);
    (void)pthread_cond_init(&pipeline.changed, NULL);
    status = run_threads(&pipeline, progress);
    (void)pthread_cond_destroy(&pipeline.changed);
    (void)pthread_mutex_destroy(&pipeline.lock);
    (void)pthread_mutex_destroy(&pipeline.asking);
  } else
    work_cancel(work);
  raster_blocks_close(pipeline.blocks);
  release(&pipeline);
  return status;
}

Status tile_pipeline_try(const RasterTask *task, Device *device, const TileCalls *calls,
                         void (*look)(void *context), void *context)
{
  Pipeline pipeline = {.task = task, .device = device, .calls = calls};
  const Status status = allocate(&pipeline);
  if (status == STATUS_OK) look(context);
  release(&pipeline);
  return status;
}
