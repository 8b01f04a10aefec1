#include "raster_task.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"
#include "geo/crs.h"

enum { FOLDER_SUFFIX_BYTES = 16, CPU_BATCH = 1, GPU_BATCH_MOST = 8 };

Status raster_options_check(const RasterOptions *given)
{
  const double *v = given->extent.values;
  if (given->extent.count != 0 && !(given->extent.count == 4 && v[0] < v[2] && v[1] < v[3]))
    return status_set(
        STATUS_BAD_OPTION,
        "--extent takes four numbers, x_min,y_min,x_max,y_max, the first two smaller");
  for (size_t i = 0; i < given->bands.count; ++i)
    if (given->bands.values[i] != floor(given->bands.values[i]))
      return status_set(STATUS_BAD_OPTION, "--bands: %g is no number of a band",
                        given->bands.values[i]);
  return STATUS_OK;
}

Status raster_shard_folder(const Job *job, const char *owner, bool kept, const char **folder)
{
  const char *name = path_file_name(owner);
  const int stem = (int)(strrchr(name, '.') - name);
  const size_t bytes = strlen(owner) + FOLDER_SUFFIX_BYTES;
  void *text;
  TRY(arena_allocate(job->arena, bytes, &text));
  (void)snprintf(text, bytes, "%.*s%s%.*s%s", (int)(name - owner), owner, kept ? "" : ".", stem,
                 name, kept ? ".shards" : ".work");
  *folder = text;
  return STATUS_OK;
}

static Status check_output(const RasterOptions *given, const char *path, bool may_replace)
{
  struct stat output;
  struct stat raster;
  if (*path == '\0') return STATUS_OK;
  TRY(output_check_writable(path));
  if (stat(path, &output) != 0) return STATUS_OK;
  if (stat(given->raster, &raster) == 0 && raster.st_ino == output.st_ino &&
      raster.st_dev == output.st_dev)
    return status_set(STATUS_BAD_OPTION, "%s is the raster itself; give the output another name",
                      path);
  if (!may_replace)
    return status_set(STATUS_BAD_OPTION, "%s is there already; --overwrite=yes replaces it", path);
  return STATUS_OK;
}

Status raster_check_outputs(const RasterOptions *given, const char *folder,
                            const char *const *paths, size_t count)
{
  int32_t earlier_batch = 0;
  /* Journals are there while a job is unfinished; then outputs may be its own. */
  if (!given->overwrite) TRY(ledger_batch_size(folder, NULL, &earlier_batch));
  const bool may_replace = given->overwrite || earlier_batch > 0;
  for (size_t i = 0; i < count; ++i)
    TRY(check_output(given, paths[i], may_replace));
  return STATUS_OK;
}

static Status choose_bands(const Job *job, const RasterOptions *given, const Raster *raster,
                           const RasterContract *contract, RasterTask *task)
{
  void *memory;
  task->band_count = contract->band_count;
  TRY(arena_allocate(job->arena, (size_t)task->band_count * sizeof(int32_t), &memory));
  int32_t *bands = memory;
  if (given->bands.count != 0 && given->bands.count != (size_t)task->band_count)
    return status_set(STATUS_MISMATCH, "--bands names %zu bands, the model %s reads %d",
                      given->bands.count, given->model, (int)task->band_count);
  for (int32_t i = 0; i < task->band_count; ++i) {
    bands[i] =
        given->bands.count != 0 ? (int32_t)given->bands.values[i] - 1 : contract->extract_bands[i];
    if (bands[i] >= raster_band_count(raster))
      return status_set(STATUS_MISMATCH,
                        "the model %s reads %d bands and wants band %d; the raster %s has %d",
                        given->model, (int)task->band_count, (int)bands[i] + 1, given->raster,
                        (int)raster_band_count(raster));
  }
  if (raster_band_count(raster) > task->band_count && given->bands.count == 0)
    log_once(job->log, "%s has %d bands, the model takes %d of them, from band %d on",
             given->raster, (int)raster_band_count(raster), (int)task->band_count,
             (int)bands[0] + 1);
  task->bands = bands;
  return STATUS_OK;
}

static Status check_type(const RasterOptions *given, const Raster *raster,
                         const RasterContract *contract)
{
  if (raster_type(raster) == contract->pixel) return STATUS_OK;
  return status_set(STATUS_MISMATCH, "the raster %s is %s, the model %s was trained on %s",
                    given->raster, pixel_name(raster_type(raster)), given->model,
                    pixel_name(contract->pixel));
}

static void check_place(const Job *job, const RasterOptions *given, const Raster *raster,
                        const RasterContract *contract)
{
  double width_m;
  double height_m;
  const Grid *grid = raster_grid(raster);
  if (!raster_is_georeferenced(raster) || *grid->crs_wkt == '\0')
    log_warning(job->log, "%s has no %s; so will the outputs", given->raster,
                raster_is_georeferenced(raster) ? "reference system" : "georeference");
  if (contract->cell_size_m <= 0 || grid_cell_size_m(grid, &width_m, &height_m) != STATUS_OK)
    return;
  const double ratio = sqrt(width_m * height_m) / contract->cell_size_m;
  if (ratio > 1.25 || ratio < 1 / 1.25)
    log_warning(
        job->log,
        "%s has pixels of %.3g m, the model %s was trained on %.3g m; resample the raster if "
        "the result is poor",
        given->raster, sqrt(width_m * height_m), given->model, contract->cell_size_m);
}

Status raster_task_make(const Job *job, const RasterOptions *given, Raster *raster,
                        const RasterContract *contract, RasterTask *task)
{
  *task = (RasterTask){.raster_path = given->raster,
                       .pixel = contract->pixel,
                       .output = grid_window(raster_grid(raster))};
  TRY(check_type(given, raster, contract));
  TRY(choose_bands(job, given, raster, contract, task));
  const double *v = given->extent.values;
  if (given->extent.count == 4)
    TRY(raster_window_of_extent(raster, (Extent){v[0], v[1], v[2], v[3]}, &task->output));
  task->output_grid = grid_subgrid(raster_grid(raster), task->output);
  check_place(job, given, raster, contract);
  return STATUS_OK;
}

static void add_file(Checksum *sum, const char *path)
{
  struct stat file;
  int64_t facts[2] = {0, 0};
  if (stat(path, &file) == 0) {
    facts[0] = (int64_t)file.st_size;
    facts[1] = (int64_t)file.st_mtime;
  }
  checksum_add_text(sum, path_file_name(path));
  checksum_add(sum, facts, sizeof facts);
}

void raster_task_digest(const RasterOptions *given, const RasterTask *task, Checksum *sum)
{
  const int64_t sizes[] = {given->tile_size, given->padding, given->batch_size};
  add_file(sum, given->raster);
  checksum_add(sum, task->bands, (size_t)task->band_count * sizeof *task->bands);
  checksum_add(sum, &task->output, sizeof task->output);
  checksum_add(sum, sizes, sizeof sizes);
  if (given->autotune) checksum_add_text(sum, "autotune");
}

Status raster_task_identify(const Job *job, const char *tool, const Checksum *sum, RasterTask *task)
{
  char digest[17] = "";
  char text[64];
  char *shared;
  checksum_text(checksum_value(sum), digest);
  (void)snprintf(text, sizeof text, "%s %s", tool, digest);
  TRY(comm_broadcast_text(job->comm, text, &shared));
  char *kept;
  const Status status = arena_copy_text(job->arena, shared, &kept);
  memory_free(shared);
  if (status == STATUS_OK) task->identity = kept;
  return comm_agree(job->comm, status);
}

int32_t raster_reader_threads(const RasterOptions *given, const Device *device)
{
  if (given->reader_threads > 0) return (int32_t)given->reader_threads;
  return device_kind(device) == DEVICE_CPU ? 1 : 4;
}

/* On rank 0: what an earlier run of this job used, or 0. A folder of another job says nothing here;
 * raster_prepare_folder judges it. */
static int64_t earlier_batch_size(const Job *job, const RasterOptions *given,
                                  const RasterTask *task)
{
  int32_t batch = 0;
  if (comm_rank(job->comm) != 0 || given->resume == RESUME_NO) return 0;
  return ledger_batch_size(task->folder, task->identity, &batch) == STATUS_OK ? batch : 0;
}

static Status fitting_batch_size(const Device *device, RasterBatchBytes *batch_bytes, void *context,
                                 int64_t *batch)
{
  *batch = CPU_BATCH;
  if (device_kind(device) == DEVICE_CPU) return STATUS_OK;
  const size_t room = device_free_bytes(device) / 10 * 8;
  int32_t size = GPU_BATCH_MOST;
  for (; size > 1; size /= 2) {
    size_t bytes;
    TRY(batch_bytes(context, size, &bytes));
    if (bytes <= room) break;
  }
  *batch = size;
  return STATUS_OK;
}

Status raster_choose_batch_size(const Job *job, const RasterOptions *given, const RasterTask *task,
                                const Device *device, RasterBatchBytes *bytes, void *context,
                                int32_t *batch_size)
{
  int64_t batch = given->batch_size > 0 ? given->batch_size : earlier_batch_size(job, given, task);
  TRY(comm_broadcast(job->comm, 0, &batch, sizeof batch));
  if (batch == 0) {
    TRY(comm_agree(job->comm, fitting_batch_size(device, bytes, context, &batch)));
    TRY(comm_reduce_int64(job->comm, COMM_MIN, &batch, 1));
  }
  *batch_size = (int32_t)(batch > task->tiles.tile_count ? task->tiles.tile_count : batch);
  return STATUS_OK;
}

Status raster_prepare_folder(const Job *job, const RasterOptions *given, const RasterTask *task,
                             const char *result, Ledger *ledger)
{
  const int64_t units = task->tiles.unit_count;
  int32_t batch = 0;
  if (given->resume == RESUME_NO) TRY(path_remove_tree(task->folder));
  Status status = ledger_batch_size(task->folder, task->identity, &batch);
  if (status == STATUS_MISMATCH && !given->overwrite)
    return status_set(STATUS_MISMATCH,
                      "%s holds the unfinished work of another job; --overwrite=yes drops it",
                      task->folder);
  /* Shards without journals are those of a finished result. */
  if (status == STATUS_MISMATCH || (status == STATUS_OK && batch == 0))
    status = path_remove_tree(task->folder);
  TRY(status);
  if (batch == 0 && *result != '\0') (void)unlink(result); /* it joins what is gone */
  TRY(output_make_folder(task->folder));
  TRY(ledger_open(task->folder, task->identity, units, true, job->log, ledger));
  status = ledger_remove_strays(ledger, task->folder);
  if (status != STATUS_OK) ledger_close(ledger);
  return status;
}

int64_t raster_unit_nodata(const RasterTask *task, int64_t unit, const uint8_t *valid,
                           int64_t *core_px)
{
  int64_t first;
  int64_t end;
  int64_t nodata = 0;
  *core_px = 0;
  tile_plan_unit(&task->tiles, unit, &first, &end);
  for (int64_t tile = first; tile < end; ++tile) {
    const Window window = tile_plan_tile(&task->tiles, tile);
    const Window core = tile_plan_core(&task->tiles, tile);
    const uint8_t *at = valid + (tile - first) * window_pixels(window) +
                        (core.y_px - window.y_px) * window.width_px + (core.x_px - window.x_px);
    *core_px += window_pixels(core);
    for (int64_t row = 0; row < core.height_px; ++row)
      for (int64_t i = 0; i < core.width_px; ++i)
        nodata += at[row * window.width_px + i] == 0;
  }
  return nodata;
}
