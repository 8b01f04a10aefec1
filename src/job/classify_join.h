#pragma once

#include "base/log.h"
#include "classify_task.h"
#include "tile_ledger.h"

/* On rank 0: from all shards to the class map and the map of probabilities, one rectangle after the
 * other; memory does not grow with the raster. */

/* Every pixel of the output is one of a class, NoData or failed. */
typedef struct ClassifyCoverage {
  int64_t class_px[256]; /* by index */
  int64_t nodata_px;
  int64_t failed_px;
  int64_t output_px;
} ClassifyCoverage;

typedef struct ClassifyJoin {
  const char *map_path;
  const char *probability_path; /* "" for none */
  const char *joined_path;      /* an HDF5 file of the whole, for the result; NULL for none */
  int32_t thread_count;
} ClassifyJoin;

/* Errors: STATUS_IO, and STATUS_BAD_INPUT where shards do not hold what journals say. */
Status classify_join(const ClassifyTask *task, const Ledger *ledger, const ClassifyJoin *join,
                     const Log *log, ClassifyCoverage *coverage);
