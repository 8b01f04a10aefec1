#include "oracle_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"

enum { BANDS = 3, CLASSES = 12, MULTIPLE_PX = 16, GHOST_PX = 8 };

typedef struct OracleModel {
  int pieces;
  int limit; /* 0: none */
  int slow_ms;
  bool has_masks;
  bool has_ghosts;
  char identity[17];
  ClassEntry classes[CLASSES];
} OracleModel;

typedef struct OracleEngine {
  OracleModel model;
  DetectEngineOptions options;
  DetectThing *things; /* of a batch */
  int64_t thing_capacity;
  int64_t thing_count;
  uint8_t *bytes;
  int64_t byte_capacity;
  int64_t byte_count;
  int32_t *thing_of; /* of the tile's pixels: 0: none yet */
  int32_t *queue;
} OracleEngine;

static const int32_t bands[BANDS] = {0, 1, 2};

static Status read_model(const char *path, OracleModel *model)
{
  char words[256] = "";
  *model = (OracleModel){.pieces = 4, .has_masks = true};
  FILE *file = fopen(path, "r");
  if (file == NULL) return status_set(STATUS_IO, "%s: there is no such file", path);
  const size_t length = fread(words, 1, sizeof words - 1, file);
  (void)fclose(file);
  words[length] = '\0';
  const char *at;
  if ((at = strstr(words, "pieces=")) != NULL) model->pieces = (int)strtol(at + 7, NULL, 10);
  if ((at = strstr(words, "limit=")) != NULL) model->limit = (int)strtol(at + 6, NULL, 10);
  if ((at = strstr(words, "slow=")) != NULL) model->slow_ms = (int)strtol(at + 5, NULL, 10);
  model->has_masks = strstr(words, "masks=no") == NULL;
  model->has_ghosts = strstr(words, "ghosts=yes") != NULL;
  (void)snprintf(model->identity, sizeof model->identity, "%08x%08x", (unsigned)model->pieces,
                 (unsigned)model->limit);
  for (int32_t i = 0; i < CLASSES; ++i) {
    char name[32];
    (void)snprintf(name, sizeof name, "kind %d", (int)i + 1);
    model->classes[i] = class_entry(10 * (i + 1), name);
  }
  return STATUS_OK;
}

static Status open_model(const Job *job, const char *path, void **model, DetectModel *facts)
{
  *model = NULL;
  Status status = memory_allocate(1, sizeof(OracleModel), "model", model);
  if (status == STATUS_OK) status = read_model(path, *model);
  TRY(comm_agree(job->comm, status));
  const OracleModel *opened = *model;
  *facts = (DetectModel){.name = "an oracle",
                         .identity = opened->identity,
                         .pixel = PIXEL_U16,
                         .band_count = BANDS,
                         .extract_bands = bands,
                         .classes = opened->classes,
                         .class_count = CLASSES,
                         .has_masks = opened->has_masks,
                         .tile_size_px = 128,
                         .tile_multiple_px = MULTIPLE_PX,
                         .cell_size_m = 0.5,
                         .threshold = 0,
                         .nms_overlap = 0.5,
                         .edge_px = 1};
  return STATUS_OK;
}

static void close_model(void *model)
{
  memory_free(model);
}

static Status count_bytes(void *model, Device *device, const DetectEngineOptions *options,
                          size_t *bytes)
{
  *bytes = 0;
  return STATUS_OK;
}

static void close_engine(void *memory)
{
  OracleEngine *engine = memory;
  if (engine == NULL) return;
  free(engine->things);
  free(engine->bytes);
  free(engine->thing_of);
  free(engine->queue);
  free(engine);
}

static Status open_engine(void *model, Device *device, const DetectEngineOptions *options,
                          void **made)
{
  OracleEngine *engine = calloc(1, sizeof *engine);
  *made = engine;
  if (engine == NULL) return status_set(STATUS_NO_MEMORY, "no engine");
  const int64_t tile_px = (int64_t)options->tile_width_px * options->tile_height_px;
  engine->model = *(const OracleModel *)model;
  engine->options = *options;
  engine->thing_capacity = tile_px * options->batch_size;
  engine->byte_capacity = 64 * tile_px * options->batch_size;
  engine->things = calloc((size_t)engine->thing_capacity, sizeof *engine->things);
  engine->bytes = calloc((size_t)engine->byte_capacity, 1);
  engine->thing_of = calloc((size_t)tile_px, sizeof *engine->thing_of);
  engine->queue = calloc((size_t)tile_px, sizeof *engine->queue);
  if (engine->things != NULL && engine->bytes != NULL && engine->thing_of != NULL &&
      engine->queue != NULL)
    return STATUS_OK;
  close_engine(engine);
  *made = NULL;
  return status_set(STATUS_NO_MEMORY, "no engine");
}

typedef struct Tile {
  const uint16_t *pixels;
  int32_t width;
  int32_t height;
  int32_t left; /* of the thing at hand */
  int32_t top;
  int32_t right;
  int32_t bottom;
} Tile;

static void take_pixel(OracleEngine *engine, Tile *tile, int32_t place, int32_t thing)
{
  const int32_t x = place % tile->width, y = place / tile->width;
  engine->thing_of[place] = thing;
  tile->left = x < tile->left ? x : tile->left;
  tile->right = x + 1 > tile->right ? x + 1 : tile->right;
  tile->top = y < tile->top ? y : tile->top;
  tile->bottom = y + 1 > tile->bottom ? y + 1 : tile->bottom;
}

static uint16_t shape_at(const Tile *tile, int32_t place)
{
  return tile->pixels[(int64_t)place * BANDS];
}

/* Marks the connected piece of a pixel. */
static void fill_piece(OracleEngine *engine, Tile *tile, int32_t first, int32_t thing)
{
  int32_t count = 0;
  take_pixel(engine, tile, first, thing);
  engine->queue[count++] = first;
  while (count > 0) {
    const int32_t place = engine->queue[--count];
    for (int32_t n = 0; n < 9; ++n) {
      const int32_t x = place % tile->width + n % 3 - 1;
      const int32_t y = place / tile->width + n / 3 - 1;
      const bool is_diagonal = n % 2 == 0;
      if (x < 0 || y < 0 || x >= tile->width || y >= tile->height ||
          (is_diagonal && engine->model.pieces == 4))
        continue;
      const int32_t next = y * tile->width + x;
      if (engine->thing_of[next] != 0 || shape_at(tile, next) != shape_at(tile, first)) continue;
      take_pixel(engine, tile, next, thing);
      engine->queue[count++] = next;
    }
  }
}

static void fill_shape(OracleEngine *engine, Tile *tile, int32_t first, int32_t thing)
{
  for (int32_t place = first; place < tile->width * tile->height; ++place)
    if (shape_at(tile, place) == shape_at(tile, first)) take_pixel(engine, tile, place, thing);
}

static Status add_thing(OracleEngine *engine, const Tile *tile, int32_t first, int32_t thing)
{
  const int32_t left = tile->left, top = tile->top, right = tile->right, bottom = tile->bottom;
  const int64_t pixels = (int64_t)(right - left) * (bottom - top);
  if (engine->byte_count + pixels > engine->byte_capacity)
    return status_set(STATUS_NO_MEMORY, "the oracle has no room for so many masks");
  uint8_t *mask = engine->bytes + engine->byte_count;
  for (int64_t i = 0; i < pixels; ++i)
    mask[i] =
        engine->thing_of[(top + i / (right - left)) * tile->width + left + i % (right - left)] ==
        thing;
  engine->byte_count += pixels;
  engine->things[engine->thing_count++] =
      (DetectThing){.class_index = tile->pixels[(int64_t)first * BANDS + 1],
                    .score = (float)tile->pixels[(int64_t)first * BANDS + 2] / 65535.0F,
                    .x1 = (float)left,
                    .y1 = (float)top,
                    .x2 = (float)right,
                    .y2 = (float)bottom,
                    .mask_x_px = left,
                    .mask_y_px = top,
                    .mask_width_px = right - left,
                    .mask_height_px = bottom - top,
                    .mask = engine->model.has_masks ? mask : NULL};
  return STATUS_OK;
}

static void add_ghost(OracleEngine *engine)
{
  uint8_t *mask = engine->bytes + engine->byte_count;
  memset(mask, 1, GHOST_PX * GHOST_PX);
  engine->byte_count += GHOST_PX * GHOST_PX;
  engine->things[engine->thing_count++] = (DetectThing){.class_index = 1,
                                                        .score = 1,
                                                        .x2 = GHOST_PX,
                                                        .y2 = GHOST_PX,
                                                        .mask_width_px = GHOST_PX,
                                                        .mask_height_px = GHOST_PX,
                                                        .mask = mask};
}

static Status find(OracleEngine *engine, Tile *tile, DetectTile *found)
{
  const int32_t pixels = tile->width * tile->height;
  int32_t count = 0;
  memset(engine->thing_of, 0, (size_t)pixels * sizeof *engine->thing_of);
  *found = (DetectTile){.things = engine->things + engine->thing_count};
  for (int32_t place = 0; place < pixels && !found->full; ++place) {
    if (shape_at(tile, place) == 0 || engine->thing_of[place] != 0) continue;
    const double score = tile->pixels[(int64_t)place * BANDS + 2] / 65535.0;
    ++count;
    tile->left = tile->width;
    tile->top = tile->height;
    tile->right = tile->bottom = 0;
    found->full = engine->model.limit > 0 && count > engine->model.limit;
    if (engine->model.pieces == 0)
      fill_shape(engine, tile, place, count);
    else
      fill_piece(engine, tile, place, count);
    if (!found->full && score >= engine->options.threshold)
      TRY(add_thing(engine, tile, place, count));
  }
  found->count = (int32_t)(engine->things + engine->thing_count - found->things);
  return STATUS_OK;
}

static bool has_data(const uint8_t *valid, int64_t count)
{
  for (int64_t i = 0; i < count; ++i)
    if (valid[i] != 0) return true;
  return false;
}

static Status end(void *memory, int32_t lane, const void *pixels, const uint8_t *valid,
                  DetectTile *tiles)
{
  OracleEngine *engine = memory;
  const int64_t tile_px = (int64_t)engine->options.tile_width_px * engine->options.tile_height_px;
  const struct timespec wait = {engine->model.slow_ms / 1000,
                                engine->model.slow_ms % 1000 * 1000000L};
  engine->thing_count = engine->byte_count = 0;
  for (int32_t i = 0; i < engine->options.batch_size; ++i) {
    Tile tile = {(const uint16_t *)pixels + i * tile_px * BANDS,
                 engine->options.tile_width_px,
                 engine->options.tile_height_px,
                 0,
                 0,
                 0,
                 0};
    TRY(find(engine, &tile, &tiles[i]));
    if (!engine->model.has_ghosts || !has_data(valid + i * tile_px, tile_px)) continue;
    add_ghost(engine);
    ++tiles[i].count;
  }
  if (engine->model.slow_ms > 0) (void)nanosleep(&wait, NULL);
  return STATUS_OK;
}

const DetectEngine oracle_engine = {.open_model = open_model,
                                    .close_model = close_model,
                                    .bytes = count_bytes,
                                    .open = open_engine,
                                    .close = close_engine,
                                    .end = end};
