#include "raster_plan.h"

#include <inttypes.h>
#include <omp.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/memory.h"
#include "compute.h"
#include "geo/raster_blocks.h"
#include "op/op_work.h"

enum { MEASURED_BATCHES = 4, BATCH_MOST = 4096 };

/* Measured: what a run touches of its libraries, and its writer takes, besides what is open when it
 * begins; and what a reader's handle and thread take. */
enum { RUN_BYTES = 6 << 20, READER_BYTES = 1 << 20 };

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

/* Blocks that readers share, and what each takes for itself. */
static void count_reading(const RasterPlan *p, size_t *kept, size_t *of_readers)
{
  size_t of_thread;
  const RasterTask *task = p->task;
  raster_blocks_bytes(p->raster, task->band_count, task->reader_threads, RASTER_BLOCKS_BYTES,
                      task->output, kept, &of_thread);
  *of_readers = (size_t)task->reader_threads * (READER_BYTES + of_thread);
}

/* Weights are loaded before the first tile takes its memory: the larger of both counts. */
static void add_loading(const RasterPlan *p, PlanMemory *memory)
{
  const size_t *host = memory->host;
  const size_t working =
      host[PLAN_ACTIVATIONS] + host[PLAN_SCRATCH] + host[PLAN_BATCHES] + host[PLAN_CACHE];
  if (p->leaving_bytes > working) memory->host[PLAN_STAGING] = p->leaving_bytes - working;
}

/* A batch that is counted. */
typedef struct Look {
  RasterPlan *plan;
  const Device *device;
  PlanMemory *memory;
} Look;

static void count(void *context)
{
  const Look *look = context;
  RasterPlan *p = look->plan;
  const size_t resident = memory_resident_bytes();
  const size_t known = p->plan.program_bytes + p->leaving_bytes;
  if (p->tables_bytes == 0) p->tables_bytes = resident > known ? resident - known : 1;
  look->memory->host[PLAN_PROGRAM] = p->plan.program_bytes;
  look->memory->host[PLAN_TABLES] = p->tables_bytes;
  size_t of_readers;
  count_reading(p, &look->memory->host[PLAN_CACHE], &of_readers);
  plan_count(&p->plan, look->device, look->memory);
  look->memory->host[PLAN_BATCHES] += p->tool->pack_bytes(p->context) + of_readers + RUN_BYTES;
  add_loading(p, look->memory);
}

static Status open_copy(RasterPlan *p, int64_t batch, Device *device, RasterCopy *copy)
{
  p->tool->copy(p->context, batch, device);
  return p->tool->open(p->context, copy);
}

/* Local. A PlanTry. */
static Status try_batch(void *context, int64_t batch, PlanMemory *memory)
{
  RasterPlan *p = context;
  Look look = {.plan = p, .memory = memory};
  RasterCopy copy;
  Device *device;
  TRY(compute_open_again(p->job, (DeviceChoice)p->device, &device));
  device_count_only(device);
  look.device = device;
  Status status = open_copy(p, batch, device, &copy);
  if (status == STATUS_OK) {
    status = tile_pipeline_try(copy.task, device, &copy.calls, count, &look);
    p->tool->close(p->context);
  }
  device_close(device);
  return status;
}

static Status print_largest(RasterPlan *p, const PlanMemory *memory, char remedy[256])
{
  int64_t largest;
  const TilePlan *tiles = &p->task->tiles;
  const int64_t most = tiles->tile_count < BATCH_MOST ? tiles->tile_count : BATCH_MOST;
  (void)snprintf(remedy, 256, "give a smaller tile_size");
  if (p->plan.room_bytes == 0) return STATUS_OK;
  TRY(plan_largest_batch(p->job, &p->plan, tiles->batch_size, memory, most, try_batch, p,
                         &largest));
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

/* Collective. */
static Status plan_memory(RasterPlan *p, PlanMemory *memory)
{
  char remedy[256];
  *memory = (PlanMemory){0};
  TRY(comm_agree(p->job->comm, try_batch(p, p->task->tiles.batch_size, memory)));
  plan_print_memory(p->job, &p->plan, memory);
  TRY(print_largest(p, memory, remedy));
  return plan_judge(p->job, &p->plan, memory, remedy);
}

/* Collective. Whether the plan wants some batches run, and they fit here. */
static Status may_measure(const RasterPlan *p, const PlanMemory *memory, bool *may)
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
    TRY(calls->begin(calls->context, batch));
    TRY(calls->end(calls->context, batch));
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

static void close_batch(const RasterCopy *copy, TileBatch *batch)
{
  device_release_host(copy->device, batch->pixels);
  device_release_host(copy->device, batch->valid);
  copy->calls.close_results(copy->calls.context, batch->results);
}

/* Local. Runs some batches. */
static Status measure_copy(RasterPlan *p, const RasterCopy *copy, BatchTime *time)
{
  TileBatch batch = {0};
  Status status = allocate_batch(p->task, copy->device, &copy->calls, &batch);
  if (status == STATUS_OK) status = time_batches(p, copy->raster, &copy->calls, &batch, time);
  close_batch(copy, &batch);
  return status;
}

static Status measure(RasterPlan *p, const PlanMemory *memory)
{
  bool may;
  Device *device;
  RasterCopy copy;
  BatchTime time = {0};
  TRY(may_measure(p, memory, &may));
  if (!may) return STATUS_OK;
  TRY(compute_open_again(p->job, (DeviceChoice)p->device, &device));
  Status status = open_copy(p, p->task->tiles.batch_size, device, &copy);
  if (status == STATUS_OK) {
    status = measure_copy(p, &copy, &time);
    p->tool->close(p->context);
  }
  device_close(device);
  if (status != STATUS_OK) return status;
  print_time(p, time);
  plan_print_measured(p->job, &p->plan, memory);
  return STATUS_OK;
}

static void print_gpu(const RasterPlan *p, const GpuModel *gpu, const OpWorkList *list)
{
  const TilePlan *tiles = &p->task->tiles;
  char what[64], rest[128], all[32];
  const double all_s = plan_gpu_seconds(gpu, &gpu_program_issued, list) *
                       (double)tiles->unit_count / (double)p->plan.options.ranks;
  plan_format_seconds(all_s, all);
  (void)snprintf(what, sizeof what, "a batch of %d", (int)tiles->batch_size);
  (void)snprintf(rest, sizeof rest, "%s for all, if reading keeps up: %.4g megapixels/s", all,
                 1e-6 * (double)window_pixels(p->task->output) / all_s);
  plan_print_gpu(p->job, gpu, &gpu_program_issued, list, what, rest);
}

/* A batch of nothing, on a device that notes what is asked of it. */
static Status note_batch(const RasterPlan *p, const RasterCopy *copy, OpWorkList *list)
{
  TileBatch batch = {0};
  Status status = allocate_batch(p->task, copy->device, &copy->calls, &batch);
  op_work_clear(list);
  if (status == STATUS_OK) status = copy->calls.begin(copy->calls.context, &batch);
  if (status == STATUS_OK) status = copy->calls.end(copy->calls.context, &batch);
  if (status == STATUS_OK) status = op_work_status(list);
  close_batch(copy, &batch);
  return status;
}

static Status predict_on(RasterPlan *p, const GpuModel *gpu, Device *device, OpWorkList *list)
{
  RasterCopy copy;
  TRY(open_copy(p, p->task->tiles.batch_size, device, &copy));
  const Status status = note_batch(p, &copy, list);
  p->tool->close(p->context);
  if (status == STATUS_OK) print_gpu(p, gpu, list);
  return status;
}

/* Local. */
static Status predict(RasterPlan *p)
{
  Device *device;
  OpWorkList *list = NULL;
  TRY(compute_open_again(p->job, (DeviceChoice)p->device, &device));
  const GpuModel *gpu = plan_gpu(&p->plan, device);
  Status status = STATUS_OK;
  if (gpu != NULL) status = op_work_open(device, &list);
  if (gpu != NULL && status == STATUS_OK) status = predict_on(p, gpu, device, list);
  device_close(device);
  op_work_close(list);
  return status;
}

Status raster_plan_run(RasterPlan *p)
{
  PlanMemory memory;
  TRY(plan_memory(p, &memory));
  TRY(comm_agree(p->job->comm, predict(p)));
  return comm_agree(p->job->comm, measure(p, &memory));
}
