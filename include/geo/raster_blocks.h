#pragma once

#include "geo/raster.h"

/* What several threads read of one raster is decoded once: pieces of whole blocks are kept, with
 * their validity, and those that were not asked for longest go first. Each thread brings its own
 * handle of the raster. A raster whose blocks are too large to keep some for every thread is read
 * straight. */
typedef struct RasterBlocks RasterBlocks;

/* raster: any handle, for its form; bands as for raster_read, kept. thread_count: of those that read
 * at once. bytes_most: of all pieces together. */
Status raster_blocks_open(const Raster *raster, const int32_t *bands, int32_t band_count,
                          int32_t thread_count, size_t bytes_most, RasterBlocks **blocks);
void raster_blocks_close(RasterBlocks *blocks); /* accepts NULL */

/* Bytes that a run keeps which reads a window, all of it, and those that a thread's own handle takes
 * while it decodes. */
void raster_blocks_bytes(const Raster *raster, int32_t band_count, int32_t thread_count,
                         size_t bytes_most, Window window, size_t *kept, size_t *of_thread);

/* By any thread: as raster_read, with the bands given at open, by the thread's own handle. */
Status raster_blocks_read(RasterBlocks *blocks, Raster *raster, Window window, void *pixels,
                          uint8_t *valid);
