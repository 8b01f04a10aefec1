#include "raster_run.h"

#include <inttypes.h>

#include "base/memory.h"

Status raster_run_take_over(RasterRun *run, const char *result)
{
  const Comm *comm = run->job->comm;
  int64_t shared[2] = {0, 0};
  Status status = STATUS_OK;
  if (comm_rank(comm) == 0) {
    status = raster_prepare_folder(run->job, run->given, run->task, result, &run->ledger);
    shared[0] = run->ledger.runs;
    shared[1] = run->ledger.done_count;
  }
  TRY(comm_agree(comm, status));
  TRY(comm_broadcast(comm, 0, shared, sizeof shared));
  run->run = (int32_t)shared[0];
  run->done_count = shared[1];
  if (run->done_count > 0)
    log_once(run->job->log, "goes on: %" PRId64 " of %" PRId64 " batches are done", run->done_count,
             run->task->tiles.unit_count);
  return STATUS_OK;
}

static Status work_through(RasterRun *run, const char *what, Device *device,
                           const ShardFormat *given, const TileCalls *calls, Work *work)
{
  ShardWriter *writer;
  const TilePlan *tiles = &run->task->tiles;
  ShardFormat format = *given;
  format.folder = run->task->folder;
  format.identity = run->task->identity;
  format.run = run->run;
  format.rank = comm_rank(run->job->comm);
  format.batch_size = tiles->batch_size;
  format.interval_s = (double)run->given->checkpoint_every;
  const int64_t tiles_before = run->done_count * tiles->batch_size;
  Progress progress =
      progress_start(run->job->log, what, "tiles", tiles->tile_count,
                     tiles_before < tiles->tile_count ? tiles_before : tiles->tile_count);
  Status status = shard_writer_open(&format, &writer);
  if (status == STATUS_OK)
    status = tile_pipeline_run(run->task, device, calls, work, writer, &progress);
  else
    work_cancel(work);
  shard_writer_close(writer);
  return status;
}

static Status done_bytes(const RasterRun *run, uint8_t **done)
{
  void *memory;
  *done = NULL;
  if (comm_rank(run->job->comm) != 0) return STATUS_OK;
  TRY(memory_allocate((size_t)run->ledger.unit_count, 1, "units", &memory));
  *done = memory;
  for (int64_t unit = 0; unit < run->ledger.unit_count; ++unit)
    (*done)[unit] = run->ledger.places[unit].shard != LEDGER_NOT_DONE;
  return STATUS_OK;
}

Status raster_run_work(RasterRun *run, const char *what, Device *device, const ShardFormat *format,
                       const TileCalls *calls)
{
  uint8_t *done;
  Work *work;
  TRY(comm_agree(run->job->comm, done_bytes(run, &done)));
  Status status = work_open(run->job->comm, run->task->tiles.unit_count, 1, done, &work);
  memory_free(done);
  if (status != STATUS_OK) return status;
  status = work_through(run, what, device, format, calls, work);
  work_close(work);
  return comm_agree(run->job->comm, status);
}

Status raster_run_settle(RasterRun *run)
{
  const RasterTask *task = run->task;
  ledger_close(&run->ledger);
  TRY(ledger_open(task->folder, task->identity, task->tiles.unit_count, false, run->job->log,
                  &run->ledger));
  if (run->ledger.done_count == run->ledger.unit_count) return STATUS_OK;
  return status_set(STATUS_IO,
                    "%s: of %" PRId64 " batches only %" PRId64
                    " are on disk; run the same command again",
                    task->folder, run->ledger.unit_count, run->ledger.done_count);
}

void raster_run_close(RasterRun *run)
{
  ledger_close(&run->ledger);
}
