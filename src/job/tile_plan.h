#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "geo/window.h"

/* Which tiles a raster is classified in. All follows from the sizes below: no rank, no order.
 *
 * Tiles stand in rows and columns, as few as tile_px allows and as small as their number allows,
 * spread over the source window, so that neighbours overlap by at least 2 * padding_px. Their
 * corners are multiples of the network's size_multiple in pixels of the raster: what the network
 * says of a place depends on where its strides fall, so tiles that are not aligned contradict each
 * other (measured: 5 % of the pixels of a trained model, against 0.2 %). So the last tiles may hang
 * over the raster by less than size_multiple; there they see no data, as the network does beyond
 * any edge. Each pixel of the output belongs to the core of one tile: cores meet in the middle of
 * overlaps, so a core's pixel is at least padding_px from the edge of its tile, or as far as the
 * raster allows.
 *
 * Tiles are numbered row by row. Work is cut into units of batch_size tiles by number; the last one
 * may be short. */
typedef struct TileAxis {
  int64_t output_start_px; /* along one axis */
  int64_t output_px;
  int64_t first_px; /* where the first tile starts */
  int64_t steps;    /* of step_px, from there to the last tile's start */
  int32_t step_px;
  int32_t tile_px;
  int64_t count;
} TileAxis;

typedef struct TilePlan {
  TileAxis columns;
  TileAxis rows;
  int32_t padding_px;
  int32_t batch_size;
  int64_t tile_count;
  int64_t unit_count;
} TilePlan;

typedef struct TileOptions {
  int32_t tile_px;       /* the most: a multiple of size_multiple; less where that saves work */
  int32_t padding_px;    /* below (tile_px - size_multiple) / 2, also where the tile was shrunk */
  int32_t batch_size;    /* at least 1 */
  int32_t size_multiple; /* of the network */
} TileOptions;

/* raster: all there is to read; output: the part wanted, inside of it. The source is the output
 * with padding_px of the raster around it. Errors: STATUS_BAD_OPTION. */
Status tile_plan_make(Window raster, Window output, TileOptions options, TilePlan *plan);

/* The same tiles in batches of another size. */
void tile_plan_rebatch(TilePlan *plan, int32_t batch_size);

Window tile_plan_tile(const TilePlan *plan, int64_t tile); /* may hang over the raster */
Window tile_plan_core(const TilePlan *plan, int64_t tile); /* never empty */

/* Tiles first … end - 1. */
void tile_plan_unit(const TilePlan *plan, int64_t unit, int64_t *first, int64_t *end);
/* The cores of tiles first … end - 1 as rectangles, one for each row of tiles: cuts the next one
 * off and moves *first behind it; false when nothing is left. */
bool tile_plan_next_segment(const TilePlan *plan, int64_t *first, int64_t end, Window *segment);
