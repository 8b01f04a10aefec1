#pragma once

#include <stdint.h>

#include "base/status.h"
#include "geo/window.h"

/* Which squares of a raster become chips. */
typedef enum ChipGridKind {
  CHIP_GRID_PLAIN, /* every stride_px, row by row; the last of a row and of a column is shifted
                      inwards, so that all of the area is covered and nothing twice */
  CHIP_GRID_ESRI   /* as ArcGIS lays it: blocks of tile x tile, row by row, and within each block
                      chips every stride_px from its corner, row by row; a stride that does not
                      divide the tile gives a shorter step at the next block. Chips hang over the
                      area's right and lower edge. */
} ChipGridKind;

typedef struct ChipGrid {
  ChipGridKind kind;
  Window area;
  int64_t tile_px;
  int64_t stride_px;
  int64_t columns, rows; /* of chips */
} ChipGrid;

/* An area smaller than the tile gives one chip that hangs over. Errors: STATUS_BAD_OPTION for a
 * tile or a stride below 1, or a stride over the tile with CHIP_GRID_ESRI; STATUS_MISMATCH for an
 * empty area. */
Status chip_grid_make(ChipGridKind kind, Window area, int64_t tile_px, int64_t stride_px,
                      ChipGrid *grid);
int64_t chip_grid_count(const ChipGrid *grid);
/* 0 … count - 1, in the order above. */
Window chip_grid_window(const ChipGrid *grid, int64_t index);
