#include "raster_plan.h"

#include <inttypes.h>
#include <omp.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/memory.h"

enum { MEASURED_BATCHES = 4, BATCH_MOST = 4096 };

static const double measured_s_most = 60;

void raster_plan_print_tiles(const RasterPlan *p)
{
  const RasterTask *task = p->task;
  const TilePlan *tiles = &task->tiles;
  const double tile_px = (double)tiles->columns.tile_px * tiles->rows.tile_px;
  const double output_px = (double)window_pixels(task->output);
  plan_print(p->job, "raster", "%s: %" PRId64 " x %" PRId64 " px, %d bands of %s",
             task->raster_path, task->output.width_px, task->output.height_px,
             (int)task->band_count, pixel_name(task->pixel));
  plan_print(p->job, "tiles",
             "%" PRId64 " of %d x %d px, overlapping by %d px or more: each pixel is computed %.2f "
             "times; %" PRId64 " batches of %d on %" PRId64 " ranks",
             tiles->tile_count, (int)tiles->columns.tile_px, (int)tiles->rows.tile_px,
             2 * (int)tiles->padding_px, (double)tiles->tile_count * tile_px / output_px,
             tiles->unit_count, (int)tiles->batch_size, p->plan.options.ranks);
}

/* Each reader has the raster open for itself, and keeps its own copies of the blocks that it met; in
 * the end that is most of them. */
size_t raster_plan_cache_bytes(const RasterPlan *p)
{
  const int64_t of_reader = raster_block_bytes(p->raster, p->task->output);
  const int64_t all = p->task->reader_threads * of_reader;
  return all < RASTER_CACHE_BYTES ? (size_t)all : RASTER_CACHE_BYTES;
}

static Status print_largest(const RasterPlan *p, const PlanMemory *memory, char remedy[256])
{
  int64_t largest;
  const TilePlan *tiles = &p->task->tiles;
  const int64_t most = tiles->tile_count < BATCH_MOST ? tiles->tile_count : BATCH_MOST;
  (void)snprintf(remedy, 256, "give a smaller tile_size");
  if (p->plan.room_bytes == 0) return STATUS_OK;
  TRY(plan_largest_batch(p->job, &p->plan, tiles->batch_size, memory, most, p->try_batch,
                         p->context, &largest));
  if (largest == 0) {
    plan_print(p->job, "batch", "not even one tile at a time fits");
    return STATUS_OK;
  }
  plan_print(p->job, "batch", "batch_size may be up to %" PRId64 "%s", largest,
             largest == tiles->tile_count ? ", all tiles" : "");
  (void)snprintf(remedy, 256, "give a batch_size of at most %" PRId64 ", or a smaller tile_size",
                 largest);
  return STATUS_OK;
}

Status raster_plan_memory(const RasterPlan *p, PlanMemory *memory)
{
  char remedy[256];
  *memory = (PlanMemory){0};
  TRY(comm_agree(p->job->comm, p->try_batch(p->context, p->task->tiles.batch_size, memory)));
  plan_print_memory(p->job, &p->plan, memory);
  TRY(print_largest(p, memory, remedy));
  return plan_judge(p->job, &p->plan, memory, remedy);
}

Status raster_plan_may_measure(const RasterPlan *p, const PlanMemory *memory, bool *may)
{
  const size_t free_bytes = memory_available_bytes() + p->plan.program_bytes;
  int64_t fits = p->plan.on_gpu || plan_peak_bytes(&p->plan, memory) < free_bytes;
  TRY(comm_reduce_int64(p->job->comm, COMM_MIN, &fits, 1));
  *may = p->plan.options.measure && !p->plan.is_guessed && fits != 0;
  if (p->plan.options.measure && !fits)
    plan_print(p->job, "time", "not measured: the job does not fit here");
  return STATUS_OK;
}

typedef struct BatchTime {
  double read_s, compute_s; /* of all */
  int64_t count;
} BatchTime;

static Status read_batch(const RasterTask *task, Raster *raster, TileBatch *batch)
{
  const TilePlan *tiles = &task->tiles;
  const size_t tile_px = (size_t)tiles->columns.tile_px * (size_t)tiles->rows.tile_px;
  const size_t pixel_size = (size_t)task->band_count * pixel_bytes(task->pixel);
  int64_t first, end;
  tile_plan_unit(tiles, batch->unit, &first, &end);
  for (int64_t tile = first; tile < end; ++tile) {
    const size_t at = (size_t)(tile - first) * tile_px;
    TRY(raster_read(raster, tile_plan_tile(tiles, tile), task->bands, task->band_count,
                    (char *)batch->pixels + at * pixel_size, batch->valid + at));
  }
  return STATUS_OK;
}

static Status time_batches(const RasterPlan *p, Raster *raster, const TileCalls *calls,
                           TileBatch *batch, BatchTime *time)
{
  const int64_t units = p->task->tiles.unit_count;
  const int64_t most = units < MEASURED_BATCHES ? units : MEASURED_BATCHES;
  const double begun_s = clock_seconds();
  for (int64_t i = -1; i < most;
       ++i) { /* the first run meets memory and kernels for the first time */
    batch->unit = i < 0 ? units / 2 : (2 * i + 1) * units / (2 * most);
    const double started_s = clock_seconds();
    TRY(read_batch(p->task, raster, batch));
    const double read_s = clock_seconds();
    TRY(calls->compute(calls->context, batch));
    const double computed_s = clock_seconds();
    if (i < 0) continue;
    time->read_s += read_s - started_s;
    time->compute_s += computed_s - read_s;
    ++time->count;
    if (computed_s - begun_s > measured_s_most) break;
  }
  return STATUS_OK;
}

static void print_time(const RasterPlan *p, BatchTime time)
{
  char read[32], compute[32], all[32];
  const double count = (double)time.count;
  const double ranks = (double)p->plan.options.ranks;
  const double each_s = p->plan.on_gpu && time.compute_s > time.read_s
                            ? time.compute_s / count
                            : (time.read_s + time.compute_s) / count;
  const double all_s = each_s * (double)p->task->tiles.unit_count / ranks;
  plan_format_seconds(time.read_s / count, read);
  plan_format_seconds(time.compute_s / count, compute);
  plan_format_seconds(all_s, all);
  plan_print(p->job, "time",
             "%s per batch to read and %s to compute, measured here on %" PRId64
             " of them with %d threads; %s for all, before results are joined: %.3g megapixels/s",
             read, compute, time.count, omp_get_max_threads(), all,
             1e-6 * (double)window_pixels(p->task->output) / all_s);
}

static Status allocate_batch(const RasterTask *task, Device *device, const TileCalls *calls,
                             TileBatch *batch)
{
  void *memory;
  const size_t pixels = (size_t)task->tiles.batch_size * (size_t)task->tiles.columns.tile_px *
                        (size_t)task->tiles.rows.tile_px;
  const size_t bytes = pixels * (size_t)task->band_count * pixel_bytes(task->pixel);
  TRY(device_allocate_host(device, bytes, "tiles", &batch->pixels));
  TRY(device_allocate_host(device, pixels, "masks of tiles", &memory));
  batch->valid = memory;
  return calls->open_results(calls->context, &batch->results);
}

Status raster_plan_measure(const RasterPlan *p, Raster *raster, Device *device,
                           const TileCalls *calls, const PlanMemory *memory)
{
  TileBatch batch = {0};
  BatchTime time = {0};
  Status status = allocate_batch(p->task, device, calls, &batch);
  if (status == STATUS_OK) status = time_batches(p, raster, calls, &batch, &time);
  device_release_host(device, batch.pixels);
  device_release_host(device, batch.valid);
  calls->close_results(calls->context, batch.results);
  if (status != STATUS_OK) return status;
  print_time(p, time);
  plan_print_measured(p->job, &p->plan, memory);
  return STATUS_OK;
}
