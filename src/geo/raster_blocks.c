#include "geo/raster_blocks.h"

#include <pthread.h>
#include <string.h>

#include "base/memory.h"
#include "raster_private.h"

/* Small blocks are read by some at once. */
enum { PIECE_PX = 512, NOBODYS = -1 };

/* How a raster is cut into pieces. */
typedef struct Pieces {
  Window all;
  int64_t width_px, height_px; /* of a piece; those at the edges may be smaller */
  int64_t columns;
  size_t pixel_bytes; /* of all bands and the validity */
  int64_t kept;       /* 0: none, the raster is read straight */
} Pieces;

typedef struct Place {
  int64_t piece; /* NOBODYS: empty */
  bool is_read;
  int32_t users;
  int64_t last_used;
  uint8_t *memory; /* pixels, then validity; NULL before the first use */
} Place;

struct RasterBlocks {
  Pieces pieces;
  int32_t *bands;
  int32_t band_count;
  pthread_mutex_t lock; /* all below, but what a place holds for its users */
  pthread_cond_t changed;
  Place *places;
  int64_t clock;
};

static int64_t least(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

static int64_t piece_side(int64_t block_px, int64_t all_px)
{
  const int64_t blocks = (PIECE_PX + block_px - 1) / block_px;
  return least(blocks * block_px, all_px);
}

static Pieces cut(const Raster *raster, int32_t band_count, int32_t thread_count, size_t bytes_most)
{
  int32_t width_px, height_px;
  Pieces p = {.all = grid_window(raster_grid(raster))};
  raster_block_size(raster, &width_px, &height_px);
  p.width_px = piece_side(width_px, p.all.width_px);
  p.height_px = piece_side(height_px, p.all.height_px);
  p.columns = (p.all.width_px + p.width_px - 1) / p.width_px;
  p.pixel_bytes = pixel_bytes(raster_type(raster)) * (size_t)band_count + 1;
  const double piece_bytes = (double)p.width_px * (double)p.height_px * (double)p.pixel_bytes;
  const double kept = (double)bytes_most / piece_bytes;
  const int64_t rows = (p.all.height_px + p.height_px - 1) / p.height_px;
  p.kept = least(kept < 1e9 ? (int64_t)kept : 1000000000, p.columns * rows);
  /* Each thread has one piece in hand; with none to spare nothing would be kept for the next. */
  if (p.kept <= thread_count && p.kept < p.columns * rows) p.kept = 0;
  return p;
}

static size_t piece_bytes(const Pieces *p)
{
  return (size_t)(p->width_px * p->height_px) * p->pixel_bytes;
}

static Status fill(RasterBlocks *blocks, const int32_t *bands)
{
  void *memory;
  TRY(memory_allocate((size_t)blocks->band_count, sizeof *blocks->bands, "bands", &memory));
  blocks->bands = memory;
  for (int32_t i = 0; i < blocks->band_count; ++i)
    blocks->bands[i] = bands == NULL ? i : bands[i];
  TRY(memory_allocate((size_t)blocks->pieces.kept, sizeof *blocks->places, "blocks", &memory));
  blocks->places = memory;
  for (int64_t i = 0; i < blocks->pieces.kept; ++i)
    blocks->places[i].piece = NOBODYS;
  return STATUS_OK;
}

Status raster_blocks_open(const Raster *raster, const int32_t *bands, int32_t band_count,
                          int32_t thread_count, size_t bytes_most, RasterBlocks **blocks)
{
  void *memory;
  *blocks = NULL;
  TRY(memory_allocate(1, sizeof **blocks, "blocks of a raster", &memory));
  RasterBlocks *opening = memory;
  opening->pieces = cut(raster, band_count, thread_count, bytes_most);
  opening->band_count = band_count;
  (void)pthread_mutex_init(&opening->lock, NULL);
  (void)pthread_cond_init(&opening->changed, NULL);
  const Status status = fill(opening, bands);
  if (status == STATUS_OK)
    *blocks = opening;
  else
    raster_blocks_close(opening);
  return status;
}

void raster_blocks_close(RasterBlocks *blocks)
{
  if (blocks == NULL) return;
  for (int64_t i = 0; blocks->places != NULL && i < blocks->pieces.kept; ++i)
    memory_free(blocks->places[i].memory);
  (void)pthread_cond_destroy(&blocks->changed);
  (void)pthread_mutex_destroy(&blocks->lock);
  memory_free(blocks->places);
  memory_free(blocks->bands);
  memory_free(blocks);
}

static Window window_of(const Pieces *p, int64_t piece)
{
  const Window whole = {piece % p->columns * p->width_px, piece / p->columns * p->height_px,
                        p->width_px, p->height_px};
  return window_intersect(whole, p->all);
}

void raster_blocks_bytes(const Raster *raster, int32_t band_count, int32_t thread_count,
                         size_t bytes_most, Window window, size_t *kept, size_t *of_thread)
{
  const Pieces p = cut(raster, band_count, thread_count, bytes_most);
  const Window inside = window_intersect(window, p.all);
  *kept = 0;
  *of_thread = (size_t)raster_block_bytes(raster, window_of(&p, 0));
  if (p.kept == 0 || window_is_empty(inside)) return;
  const int64_t columns =
      (inside.x_px + inside.width_px - 1) / p.width_px - inside.x_px / p.width_px + 1;
  const int64_t rows =
      (inside.y_px + inside.height_px - 1) / p.height_px - inside.y_px / p.height_px + 1;
  *kept = (size_t)least(columns * rows, p.kept) * piece_bytes(&p);
}

/* Places. The lock is held. */

static Place *find(RasterBlocks *blocks, int64_t piece)
{
  for (int64_t i = 0; i < blocks->pieces.kept; ++i)
    if (blocks->places[i].piece == piece) return &blocks->places[i];
  return NULL;
}

/* The one that was not asked for longest; NULL if all are in use. */
static Place *find_free(RasterBlocks *blocks)
{
  Place *oldest = NULL;
  for (int64_t i = 0; i < blocks->pieces.kept; ++i) {
    Place *place = &blocks->places[i];
    if (place->users == 0 && (oldest == NULL || place->last_used < oldest->last_used))
      oldest = place;
  }
  return oldest;
}

/* A place of the piece, which the caller uses; is_mine: and has to fill. */
static Place *take(RasterBlocks *blocks, int64_t piece, bool *is_mine)
{
  Place *place;
  for (;;) {
    place = find(blocks, piece);
    *is_mine = place == NULL;
    if (place == NULL) place = find_free(blocks);
    if (place != NULL && (*is_mine || place->is_read)) break;
    (void)pthread_cond_wait(&blocks->changed, &blocks->lock);
  }
  place->piece = piece;
  place->last_used = ++blocks->clock;
  ++place->users;
  if (*is_mine) place->is_read = false;
  return place;
}

/* Filling and copying. The lock is not held. */

static uint8_t *validity(const RasterBlocks *blocks, const Place *place, Window window)
{
  return place->memory + (size_t)window_pixels(window) * (blocks->pieces.pixel_bytes - 1);
}

static Status decode(RasterBlocks *blocks, Raster *raster, Window window, Place *place)
{
  void *memory;
  if (place->memory == NULL) {
    TRY(memory_allocate(1, piece_bytes(&blocks->pieces), "a block of a raster", &memory));
    place->memory = memory;
  }
  const Status status = raster_read(raster, window, blocks->bands, blocks->band_count,
                                    place->memory, validity(blocks, place, window));
  GDALFlushCache(raster->dataset); /* what is kept here need not lie in GDAL as well */
  return status;
}

/* A part of a read: its window, and where the whole has it. */
typedef struct Target {
  Window window;
  uint8_t *pixels;
  uint8_t *valid; /* may be NULL */
} Target;

static void copy(const RasterBlocks *blocks, const Place *place, Window from, const Target *to)
{
  const size_t pixel = blocks->pieces.pixel_bytes - 1;
  const Window part = window_intersect(from, to->window);
  const uint8_t *valid = validity(blocks, place, from);
  for (int64_t y = part.y_px; y < part.y_px + part.height_px; ++y) {
    const int64_t at = (y - from.y_px) * from.width_px + part.x_px - from.x_px;
    const int64_t there = (y - to->window.y_px) * to->window.width_px + part.x_px - to->window.x_px;
    memcpy(to->pixels + (size_t)there * pixel, place->memory + (size_t)at * pixel,
           (size_t)part.width_px * pixel);
    if (to->valid != NULL) memcpy(to->valid + there, valid + at, (size_t)part.width_px);
  }
}

/* A piece that cannot be read is given up: whoever wants it too tries for itself. */
static Status read_piece(RasterBlocks *blocks, Raster *raster, int64_t piece, const Target *to)
{
  bool is_mine;
  Status status = STATUS_OK;
  const Window window = window_of(&blocks->pieces, piece);
  (void)pthread_mutex_lock(&blocks->lock);
  Place *place = take(blocks, piece, &is_mine);
  (void)pthread_mutex_unlock(&blocks->lock);
  if (is_mine) {
    status = decode(blocks, raster, window, place);
    (void)pthread_mutex_lock(&blocks->lock);
    place->is_read = status == STATUS_OK;
    if (status != STATUS_OK) place->piece = NOBODYS;
    (void)pthread_cond_broadcast(&blocks->changed);
    (void)pthread_mutex_unlock(&blocks->lock);
  }
  if (status == STATUS_OK) copy(blocks, place, window, to);
  (void)pthread_mutex_lock(&blocks->lock);
  --place->users;
  (void)pthread_cond_broadcast(&blocks->changed);
  (void)pthread_mutex_unlock(&blocks->lock);
  return status;
}

Status raster_blocks_read(RasterBlocks *blocks, Raster *raster, Window window, void *pixels,
                          uint8_t *valid)
{
  const Pieces *p = &blocks->pieces;
  const Target to = {window, pixels, valid};
  if (p->kept == 0 || window_is_empty(window))
    return raster_read(raster, window, blocks->bands, blocks->band_count, pixels, valid);
  const Window inside = window_intersect(window, p->all);
  if (!window_equal(inside, window)) {
    memset(pixels, 0, (size_t)window_pixels(window) * (p->pixel_bytes - 1));
    if (valid != NULL) memset(valid, 0, (size_t)window_pixels(window));
  }
  if (window_is_empty(inside)) return STATUS_OK;
  const int64_t last_row = (inside.y_px + inside.height_px - 1) / p->height_px;
  const int64_t last_column = (inside.x_px + inside.width_px - 1) / p->width_px;
  for (int64_t row = inside.y_px / p->height_px; row <= last_row; ++row)
    for (int64_t column = inside.x_px / p->width_px; column <= last_column; ++column)
      TRY(read_piece(blocks, raster, row * p->columns + column, &to));
  return STATUS_OK;
}
