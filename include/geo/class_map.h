#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "geo/class_table.h"
#include "geo/grid.h"
#include "geo/pixel.h"
#include "geo/window.h"

/* Writes a class map: a Cloud Optimized GeoTIFF of one band, 512 px tiles, DEFLATE, overviews (of
 * each 2 x 2 px the most frequent class), colour table, NoData; BigTIFF when it may exceed 4 GB.
 * Category names and an attribute table (Value, Class, Red, Green, Blue) go into path.aux.xml,
 * since TIFF has no place for them. The same values give the same bytes, whatever the order of
 * windows and the number of threads. */
typedef struct ClassMap ClassMap;

typedef struct ClassMapOptions {
  PixelType type; /* PIXEL_U8 or PIXEL_U16 */
  int32_t
      nodata; /* what pixels hold that are NoData or were never written; -1: none, unwritten is 0 */
  int32_t thread_count; /* for compression; below 1: one */
} ClassMapOptions;

/* Errors: STATUS_IO if the folder cannot be written; STATUS_BAD_OPTION for values that do not fit
 * the type. */
Status class_map_create(const char *path, const Grid *grid, const ClassEntry *classes,
                        int32_t class_count, const ClassMapOptions *options, ClassMap **map);
/* values: height x width of the map's type. Windows come in any order and may not hang over; rows
 * in steps of 512 px are the fastest. Memory stays at GDAL's block cache. Errors: STATUS_IO, also
 * for a full disk. */
Status class_map_write(ClassMap *map, Window window, const void *values);
/* Makes the final file, checks it and renames it into place. What is there after an error is what
 * was there before. */
Status class_map_finish(ClassMap *map);
/* Accepts NULL; removes all traces of a map that was not finished. */
void class_map_close(ClassMap *map);

/* The classes that a map's attribute table or category names tell, sorted by value, in the arena;
 * none where it tells nothing. Pixels are not looked at. */
Status class_map_names(const char *path, Arena *arena, const ClassEntry **entries, int32_t *count);
