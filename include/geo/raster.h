#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "geo/grid.h"
#include "geo/pixel.h"
#include "geo/window.h"

/* A raster to read from: anything GDAL opens, with its subdatasets, VRTs and /vsi paths. One handle
 * per thread. Bands are counted from 0, as ExtractBands of an .emd does; a band of transparency
 * (alpha) is not counted, it becomes NoData. All bands have one type: uint8, uint16, int16 or
 * float32. */
typedef struct Raster Raster;

/* Errors: STATUS_IO if the file is not there or may not be read; STATUS_BAD_INPUT if GDAL finds no
 * raster in it (several subdatasets: the sentence names the first); STATUS_UNSUPPORTED for another
 * type, naming band and type. */
Status raster_open(const char *path, Raster **raster);
void raster_close(Raster *raster); /* accepts NULL */

const char *raster_path(const Raster *raster);
/* Lives as long as the raster. Without a geotransform it is {0, 1, 0, 0, 0, -1}: pixel space, y
 * upwards, crs "". */
const Grid *raster_grid(const Raster *raster);
bool raster_is_georeferenced(const Raster *raster);
PixelType raster_type(const Raster *raster);
int32_t raster_band_count(const Raster *raster);
/* What it is read in best: its tiles or strips. */
void raster_block_size(const Raster *raster, int32_t *width_px, int32_t *height_px);

/* The band's description, else its colour ("Red", "NIR"), else "Band_1" (counted from 1 as people
 * do). */
const char *raster_band_name(const Raster *raster, int32_t band);
/* GDAL's number (from 1) of the band that is read as transparency, 0 if there is none. Files that
 * name their near infrared so by mistake are common: say it. */
int32_t raster_alpha_band(const Raster *raster);
/* False if the band has no such value. */
bool raster_band_nodata(const Raster *raster, int32_t band, double *value);
/* Whether any pixel can be NoData at all: a NoData value, a mask, alpha, or float32 (NaN). */
bool raster_has_mask(const Raster *raster);

/* Reads a window at full resolution, never resampled.
 *
 *   bands   band_count numbers in the wanted order; NULL: the first band_count
 *
 *   pixels  height x width x band_count of raster_type, channels last
 *
 *   valid   height x width, 1 = data, 0 = NoData; NULL: nobody asks, pixels are what the file holds
 *
 * A pixel is NoData if in any of the chosen bands it has the band's NoData value (float32: within
 * GDAL's 2 ulp), is hidden by a mask or by alpha 0, is NaN or infinite, or if it lies outside of
 * the raster. All its bands then read 0.
 *
 * Errors: STATUS_BAD_OPTION for a band the raster lacks; STATUS_BAD_INPUT, naming file and window,
 * where the file is truncated or corrupt. */
Status raster_read(Raster *raster, Window window, const int32_t *bands, int32_t band_count,
                   void *pixels, uint8_t *valid);

typedef enum RasterThinning { RASTER_NEAREST, RASTER_AVERAGE } RasterThinning;

/* The same for looking at: the window is thinned out to width_px x height_px, from overviews where
 * there are some. Averages leave NoData out; classes want RASTER_NEAREST. The window must lie
 * inside the raster and the result is not larger than it. */
Status raster_read_reduced(Raster *raster, Window window, RasterThinning thinning,
                           const int32_t *bands, int32_t band_count, int32_t width_px,
                           int32_t height_px, void *pixels, uint8_t *valid);

/* Local. Bytes of the blocks that a window touches, decoded, in all bands that are read with it: what
 * GDAL's cache would hold of it, were it large enough. */
int64_t raster_block_bytes(const Raster *raster, Window window);

/* The part of the raster that an extent in its map units covers, cut to the raster.
 * Errors: STATUS_MISMATCH, naming both extents, if that is nothing. */
Status raster_window_of_extent(const Raster *raster, Extent extent, Window *window);
