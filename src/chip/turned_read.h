#pragma once

/* Reads a turned window of a raster. */

#include "geo/raster.h"

typedef struct TurnedReader {
  void *pixels; /* of the upright window about the turned one; grown as needed */
  uint8_t *valid;
  size_t pixel_capacity, valid_capacity; /* bytes */
} TurnedReader;

void turned_reader_end(TurnedReader *reader);

/* As raster_read, for a grid of the raster's reference system. Bilinear among the valid ones of the
 * four nearest pixels; a pixel is valid if the raster's pixel at its centre is. */
Status turned_read(TurnedReader *reader, Raster *raster, const Grid *grid, const int32_t *bands,
                   int32_t band_count, void *pixels, uint8_t *valid);
