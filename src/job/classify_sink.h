#pragma once

#include "classify_join.h"
#include "geo/band_map.h"
#include "geo/class_map.h"

/* Where joined rectangles go: the class map, the map of probabilities and the joined array. Counts
 * on the way. */
typedef struct ClassifySink {
  const ClassifyTask *task;
  ClassMap *map;
  BandMap *probability;            /* NULL: not wanted */
  ArrayFile *joined;               /* likewise */
  uint8_t index_of_value[1 << 16]; /* 255 for NoData */
  ClassifyCoverage coverage;
} ClassifySink;

Status classify_sink_open(const ClassifyTask *task, const ClassifyJoin *join, ClassifySink *sink);
/* window: in pixels of the raster. values: of the map's type; bytes: as in blend.h, or NULL. */
Status classify_sink_write(ClassifySink *sink, Window window, const void *values,
                           const uint8_t *bytes);
/* A rectangle without data: it is what is never written. */
void classify_sink_skip(ClassifySink *sink, Window window);
/* Gives all files their names. */
Status classify_sink_finish(ClassifySink *sink);
void classify_sink_close(ClassifySink *sink);
