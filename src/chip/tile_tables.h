#pragma once

/* What the tables of a folder of chips say. */

#include "base/arena.h"
#include "chip/chip_set.h"

typedef struct TileTables {
  ChipClass *classes; /* by value, 0 first; room for more is left to nobody */
  int32_t class_count;
  bool has_classes;
  bool has_counts; /* classes' pixels and chips, and bands: for this number of chips */
  bool has_bands;  /* bands alone, for this number of chips */
  ChipBand *bands; /* band_count of them, with a name each */
  char *crs_wkt;   /* "" where unknown */
} TileTables;

/* esri_accumulated_stats.json, and esri_model_definition.emd for classes that the former lacks. A
 * file that is missing is no error; what is there must be sound. */
Status tile_tables_read(const char *folder, Arena *arena, int64_t chip_count, int32_t band_count,
                        TileTables *tables);
