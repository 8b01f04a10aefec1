#pragma once

#include "chip/chip_cutter.h"
#include "chip/chip_grid.h"
#include "export_options.h"
#include "job/job.h"

/* One raster that chips are cut from, and which places for chips it has. */
typedef struct ExportSource {
  const char *path;
  Raster *raster;
  ChipGrid grid;
  int32_t angle_count;
  int64_t place_count; /* grid places x angles; angles of one place follow each other */
  int32_t first_part;  /* of all sources' parts */
  int32_t part_count;
  LabelSource *labels; /* NULL where this rank needs none */
  MaskLayer *mask;     /* NULL: none */
  Cutter *cutter;
} ExportSource;

typedef struct ExportSources {
  ExportSource *sources; /* in the arena */
  int32_t count;
  int64_t places_per_part;
  int32_t part_count; /* of all sources; a part becomes a shard */
  int64_t place_count;
  int32_t *bands; /* counted from 0; NULL: the first band_count ones */
  int32_t band_count;
} ExportSources;

/* Local. Opens the rasters, checks that they fit each other, lays the grids and cuts them into
 * parts: the same for any rank count. Errors: those of raster_open; STATUS_MISMATCH where types or
 * bands differ. export_sources_close ends what this and the functions below opened. */
Status export_sources_open(const ExportOptions *options, Arena *arena, ExportSources *sources);
void export_sources_close(ExportSources *sources);

const ExportSource *export_source_of_part(const ExportSources *sources, int32_t part);
/* Places first … end - 1 of the part's source. */
void export_part_places(const ExportSources *sources, int32_t part, int64_t *first, int64_t *end);
Window export_place(const ExportSource *source, const ExportOptions *options, int64_t place,
                    double *angle_degrees);

/* Local. Opens labels and mask of a source, for the places of parts first … end - 1 of all sources,
 * or where whole is set for all of the raster: then labels that do not overlap are an error. */
Status export_source_open_labels(const ExportSources *sources, int32_t index,
                                 const ExportOptions *options, int32_t first, int32_t end,
                                 bool whole);
