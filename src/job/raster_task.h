#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/option.h"
#include "device/device.h"
#include "geo/raster.h"
#include "job/job.h"
#include "store/checksum.h"
#include "tensor/shape.h"
#include "tile_ledger.h"
#include "tile_plan.h"

/* What the tools share that go with a model over a raster, tile by tile: options, the checks of
 * them, and what is settled on every rank before anything runs. */
typedef struct RasterOptions {
  const char *raster;
  const char *model;
  OptionReals extent;
  OptionReals bands;
  int64_t tile_size;
  int64_t padding;
  int64_t batch_size;
  int32_t device;
  int32_t precision;
  bool autotune;
  int64_t threads;
  int64_t reader_threads;
  int64_t checkpoint_every;
  bool overwrite;
  int32_t resume;
} RasterOptions;

enum { RESUME_AUTO, RESUME_NO };

/* GDAL's block cache of a rank, whatever the raster's size. */
enum { RASTER_CACHE_BYTES = 64 << 20 };
/* Decoded blocks that a rank's readers share (geo/raster_blocks.h). */
enum { RASTER_BLOCKS_BYTES = 64 << 20 };

/* What a model says of the rasters it reads. */
typedef struct RasterContract {
  PixelType pixel;
  int32_t band_count;
  const int32_t *extract_bands; /* the raster's band (from 0) that is the network's band i */
  double cell_size_m;           /* 0: unknown */
} RasterContract;

typedef struct RasterTask {
  const char *raster_path;
  PixelType pixel;
  const int32_t *bands; /* of the raster (from 0), in the order of the network's input */
  int32_t band_count;
  TilePlan tiles;
  Grid output_grid;   /* of the output window; its text lives as long as the raster */
  Window output;      /* in pixels of the raster */
  const char *folder; /* of the shards */
  const char *identity;
  int32_t reader_threads;
} RasterTask;

/* Local. What can be said against the options before any file is opened. */
Status raster_options_check(const RasterOptions *given);

/* Local. Where shards lie: for an owner "out/map.h5" in "out/map.shards" if they are kept, else in
 * "out/.map.work" until the owner is there. The owner's name has an ending. */
Status raster_shard_folder(const Job *job, const char *owner, bool kept, const char **folder);
/* Local. Whether each of the paths ("" are left out) can be written, may be replaced (as overwrite
 * says, or as the unfinished work of the folder's job), and is not the raster. */
Status raster_check_outputs(const RasterOptions *given, const char *folder,
                            const char *const *paths, size_t count);

/* Local, on every rank alike; rank 0 says what it noticed. Fills the task but for tiles, folder,
 * identity and threads. Texts and lists live in the arena of the job. */
Status raster_task_make(const Job *job, const RasterOptions *given, Raster *raster,
                        const RasterContract *contract, RasterTask *task);

/* Local. Adds the raster, the bands, the window and the sizes asked for. */
void raster_task_digest(const RasterOptions *given, const RasterTask *task, Checksum *sum);
/* Collective. Sets the identity that tells the jobs of a tool apart: rank 0's digest. */
Status raster_task_identify(const Job *job, const char *tool, const Checksum *sum,
                            RasterTask *task);

/* Local. As reader_threads says, else 1 on a CPU and 4 beside a GPU. */
int32_t raster_reader_threads(const RasterOptions *given, const Device *device);

/* Local. Bytes of device memory that a batch of so many tiles takes. */
typedef Status RasterBatchBytes(void *context, int32_t batch_size, size_t *bytes);
/* Collective. Tiles of a batch, for a plan laid with a batch of 1: the option's, else an earlier
 * run's, else 1 on a CPU, else what fits the smallest device. */
Status raster_choose_batch_size(const Job *job, const RasterOptions *given, const RasterTask *task,
                                const Device *device, RasterBatchBytes *bytes, void *context,
                                int32_t *batch_size);

/* Local, on rank 0. Makes the folder of shards or takes over what an earlier run of the same job
 * left in it. result: a file that joins the shards and goes with them; "" for none. */
Status raster_prepare_folder(const Job *job, const RasterOptions *given, const RasterTask *task,
                             const char *result, Ledger *ledger);

/* Local. Pixels of the unit's cores, and how many of them have no data; valid: of its tiles, one
 * behind the other. */
int64_t raster_unit_nodata(const RasterTask *task, int64_t unit, const uint8_t *valid,
                           int64_t *core_px);
