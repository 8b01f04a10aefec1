#include "classify_join.h"

#include <inttypes.h>

#include "base/interrupt.h"
#include "base/memory.h"
#include "base/progress.h"
#include "blend.h"
#include "classify_sink.h"
#include "shard_reader.h"

typedef struct Joining {
  const ClassifyTask *task;
  const Ledger *ledger;
  ShardReader *reader;
  ClassifySink *sink;
  void *values; /* one rectangle */
  uint8_t *bytes;
  uint8_t *indices; /* when blending, from here on */
  Blend blend;
} Joining;

static Status check_signal(void)
{
  if (!interrupt_requested()) return STATUS_OK;
  return status_set(STATUS_INTERRUPTED,
                    "stopped by a signal; the same command goes on with joining the tiles");
}

/* Cropped: what is stored is the cores, segment after segment. */

static Status join_segment(Joining *joining, int64_t unit, Window segment, int64_t first_px)
{
  const ClassifyTask *task = joining->task;
  if (joining->ledger->places[unit].shard == LEDGER_NOTHING) {
    classify_sink_skip(joining->sink, segment);
    return STATUS_OK;
  }
  const int64_t pixels = window_pixels(segment);
  const ShardArray classes = classify_class_array(task);
  const ShardArray probabilities = classify_probability_array(task);
  TRY(shard_reader_read(joining->reader, unit, &classes, first_px, pixels, joining->values));
  if (task->has_probability)
    TRY(shard_reader_read(joining->reader, unit, &probabilities, first_px, pixels, joining->bytes));
  return classify_sink_write(joining->sink, segment, joining->values, joining->bytes);
}

static Status join_cropped(Joining *joining, Progress *progress)
{
  const TilePlan *tiles = &joining->task->raster.tiles;
  for (int64_t unit = 0; unit < tiles->unit_count; ++unit) {
    int64_t first;
    int64_t end;
    int64_t first_px = 0;
    Window segment;
    TRY(check_signal());
    tile_plan_unit(tiles, unit, &first, &end);
    while (tile_plan_next_segment(tiles, &first, end, &segment)) {
      TRY(join_segment(joining, unit, segment, first_px));
      first_px += window_pixels(segment);
    }
    progress_show(progress, end, NULL);
  }
  return STATUS_OK;
}

/* Blended: what is stored is whole tiles. A few are kept, since each is asked for by its
 * neighbours too. */
enum { KEPT_TILES = 16 };

typedef struct KeptTile {
  int64_t tile; /* -1: none */
  int64_t last_use;
  uint8_t *bytes;
} KeptTile;

typedef struct TileStore {
  KeptTile kept[KEPT_TILES];
  int64_t uses;
} TileStore;

static void tile_store_close(TileStore *store)
{
  for (int32_t i = 0; i < KEPT_TILES; ++i)
    memory_free(store->kept[i].bytes);
}

static Status tile_store_open(size_t tile_bytes, TileStore *store)
{
  *store = (TileStore){0};
  Status status = STATUS_OK;
  for (int32_t i = 0; i < KEPT_TILES && status == STATUS_OK; ++i) {
    void *memory;
    status = memory_allocate(tile_bytes, 1, "tiles", &memory);
    store->kept[i].tile = -1;
    if (status == STATUS_OK) store->kept[i].bytes = memory;
  }
  if (status != STATUS_OK) tile_store_close(store);
  return status;
}

/* *bytes is NULL for a tile that was not computed. */
static Status tile_store_get(TileStore *store, const Joining *joining, int64_t tile,
                             const uint8_t **bytes)
{
  const TilePlan *tiles = &joining->task->raster.tiles;
  const int64_t unit = tile / tiles->batch_size;
  const int64_t tile_px = (int64_t)tiles->columns.tile_px * tiles->rows.tile_px;
  KeptTile *oldest = &store->kept[0];
  *bytes = NULL;
  if (joining->ledger->places[unit].shard < 0) return STATUS_OK;
  ++store->uses;
  for (int32_t i = 0; i < KEPT_TILES; ++i) {
    KeptTile *kept = &store->kept[i];
    if (kept->tile == tile) {
      kept->last_use = store->uses;
      *bytes = kept->bytes;
      return STATUS_OK;
    }
    if (kept->last_use < oldest->last_use) oldest = kept;
  }
  oldest->tile = -1;
  const ShardArray probabilities = classify_probability_array(joining->task);
  TRY(shard_reader_read(joining->reader, unit, &probabilities, tile % tiles->batch_size * tile_px,
                        tile_px, oldest->bytes));
  oldest->tile = tile;
  oldest->last_use = store->uses;
  *bytes = oldest->bytes;
  return STATUS_OK;
}

/* The tiles of one row, from the first to the last that touch the core. */
static Status add_row(Joining *joining, TileStore *store, int64_t row, int64_t column)
{
  const TilePlan *tiles = &joining->task->raster.tiles;
  const Window core = joining->blend.core;
  const int64_t columns = tiles->columns.count;
  int64_t first = column;
  while (first > 0 && window_overlaps(core, tile_plan_tile(tiles, row * columns + first - 1)))
    --first;
  for (int64_t c = first; c < columns; ++c) {
    const uint8_t *bytes;
    const Window tile = tile_plan_tile(tiles, row * columns + c);
    if (!window_overlaps(core, tile)) break;
    TRY(tile_store_get(store, joining, row * columns + c, &bytes));
    if (bytes != NULL) blend_add(&joining->blend, tile, bytes);
  }
  return STATUS_OK;
}

static Status join_core(Joining *joining, TileStore *store, int64_t tile)
{
  const ClassifyTask *task = joining->task;
  const TilePlan *tiles = &task->raster.tiles;
  const Window core = tile_plan_core(tiles, tile);
  const int64_t column = tile % tiles->columns.count;
  const int64_t row = tile / tiles->columns.count;
  if (joining->ledger->places[tile / tiles->batch_size].shard == LEDGER_NOTHING) {
    classify_sink_skip(joining->sink, core);
    return STATUS_OK;
  }
  blend_begin(&joining->blend, core);
  int64_t first = row;
  while (first > 0 && window_overlaps(core, tile_plan_tile(tiles, tile - (row - first + 1) *
                                                                             tiles->columns.count)))
    --first;
  for (int64_t r = first; r < tiles->rows.count; ++r) {
    if (!window_overlaps(core, tile_plan_tile(tiles, r * tiles->columns.count + column))) break;
    TRY(add_row(joining, store, r, column));
  }
  blend_finish(&joining->blend, joining->indices, joining->bytes);
  for (int64_t i = 0; i < window_pixels(core); ++i)
    joining->sink->coverage.failed_px += joining->indices[i] == BLEND_FAILED;
  classify_map_values(task, joining->indices, window_pixels(core), joining->values);
  return classify_sink_write(joining->sink, core, joining->values, joining->bytes);
}

static Status join_blended(Joining *joining, Progress *progress)
{
  TileStore store;
  const TilePlan *tiles = &joining->task->raster.tiles;
  const size_t tile_px = (size_t)tiles->columns.tile_px * (size_t)tiles->rows.tile_px;
  TRY(tile_store_open(tile_px * (size_t)joining->task->class_count, &store));
  Status status = STATUS_OK;
  for (int64_t tile = 0; tile < tiles->tile_count && status == STATUS_OK; ++tile) {
    status = check_signal();
    if (status == STATUS_OK) status = join_core(joining, &store, tile);
    progress_show(progress, tile + 1, NULL);
  }
  tile_store_close(&store);
  return status;
}

/* Both. */

/* Tiles overlap by twice the padding; they are mixed over the middle half of that. */
static Status open_blend(const TilePlan *tiles, int64_t core_px_most, int32_t class_count,
                         Blend *blend)
{
  int32_t ramp_px = tiles->padding_px;
  if (ramp_px < 1) ramp_px = 1;
  if (ramp_px > BLEND_RAMP_MOST_PX) ramp_px = BLEND_RAMP_MOST_PX;
  return blend_open(core_px_most, class_count, tiles->padding_px - ramp_px / 2, ramp_px, blend);
}

static Status open_reading(const char *folder, Joining *joining)
{
  void *memory;
  const ClassifyTask *task = joining->task;
  const size_t tile_px =
      (size_t)task->raster.tiles.columns.tile_px * (size_t)task->raster.tiles.rows.tile_px;
  const size_t pixels = tile_px * (size_t)(task->blends ? 1 : task->raster.tiles.batch_size);
  TRY(shard_reader_open(folder, joining->ledger, &joining->reader));
  TRY(memory_allocate(pixels, pixel_bytes(task->map_type), "a strip of the map", &joining->values));
  if (task->has_probability) {
    TRY(memory_allocate(pixels, (size_t)task->class_count, "a strip of the map", &memory));
    joining->bytes = memory;
  }
  if (!task->blends) return STATUS_OK;
  TRY(memory_allocate(pixels, 1, "a strip of the map", &memory));
  joining->indices = memory;
  return open_blend(&task->raster.tiles, (int64_t)tile_px, task->class_count, &joining->blend);
}

static void close_reading(Joining *joining)
{
  shard_reader_close(joining->reader);
  memory_free(joining->values);
  memory_free(joining->bytes);
  memory_free(joining->indices);
  blend_close(&joining->blend);
}

/* What was counted now must be what the ranks counted then. */
static Status settle_coverage(const Joining *joining, ClassifyCoverage *coverage)
{
  int64_t nodata_px = 0;
  int64_t failed_px = 0;
  for (int64_t unit = 0; unit < joining->ledger->unit_count; ++unit) {
    nodata_px += joining->ledger->places[unit].nodata_px;
    failed_px += joining->ledger->places[unit].failed_px;
  }
  if (!joining->task->blends) coverage->failed_px = failed_px;
  coverage->nodata_px -= coverage->failed_px;
  if (coverage->nodata_px == nodata_px) return STATUS_OK;
  return status_set(STATUS_BAD_INPUT,
                    "the shards in %s hold %" PRId64
                    " pixels without data, the journals say %" PRId64 "; --resume=no begins anew",
                    joining->task->raster.folder, coverage->nodata_px, nodata_px);
}

static Status join_all(Joining *joining, const Log *log)
{
  Progress progress =
      progress_start(log, "join", "tiles", joining->task->raster.tiles.tile_count, 0);
  TRY(open_reading(joining->task->raster.folder, joining));
  TRY(joining->task->blends ? join_blended(joining, &progress) : join_cropped(joining, &progress));
  TRY(settle_coverage(joining, &joining->sink->coverage));
  return classify_sink_finish(joining->sink);
}

static Status join_into(const ClassifyTask *task, const Ledger *ledger, const ClassifyJoin *join,
                        const Log *log, ClassifySink *sink)
{
  Joining joining = {.task = task, .ledger = ledger, .sink = sink};
  TRY(classify_sink_open(task, join, sink));
  const Status status = join_all(&joining, log);
  close_reading(&joining);
  classify_sink_close(sink);
  return status;
}

Status classify_join(const ClassifyTask *task, const Ledger *ledger, const ClassifyJoin *join,
                     const Log *log, ClassifyCoverage *coverage)
{
  void *memory;
  TRY(memory_allocate(1, sizeof(ClassifySink), "join", &memory));
  const Status status = join_into(task, ledger, join, log, memory);
  if (status == STATUS_OK) *coverage = ((ClassifySink *)memory)->coverage;
  memory_free(memory);
  return status;
}
