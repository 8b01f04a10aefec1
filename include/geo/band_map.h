#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "geo/grid.h"
#include "geo/pixel.h"
#include "geo/window.h"

/* Writes a raster of several bands, as class_map.h does for classes: class probabilities, images.
 * Overviews are averages. The same values give the same bytes. */
typedef struct BandMap BandMap;

typedef struct BandMapOptions {
  PixelType type;
  int32_t band_count;
  const char *const *band_names; /* band_count of them, or NULL */
  bool has_nodata;
  double nodata; /* also what is never written; without one that is 0 */
  double scale;  /* value = stored * scale, as 1 / 250.0 for uint8 probabilities; 0: none */
  bool is_rgb;   /* the first three bands are red, green and blue */
  int32_t thread_count;
} BandMapOptions;

Status band_map_create(const char *path, const Grid *grid, const BandMapOptions *options,
                       BandMap **map);
/* pixels: height x width x band_count, channels last. */
Status band_map_write(BandMap *map, Window window, const void *pixels);
Status band_map_finish(BandMap *map);
/* Accepts NULL; removes all traces of a map that was not finished. */
void band_map_close(BandMap *map);
