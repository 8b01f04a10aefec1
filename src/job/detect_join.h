#pragma once

#include "detect_result.h"
#include "geo/raster.h"
#include "tile_ledger.h"

/* On rank 0: from all shards to the outputs. What was found is read tile by tile and merged as it
 * comes; memory follows the objects at hand, not the raster. Errors: STATUS_IO, STATUS_BAD_INPUT
 * where shards do not hold what journals say, STATUS_INTERRUPTED. */
Status detect_join(const Job *job, const DetectOptions *given, const DetectTask *task,
                   Raster *raster, const Ledger *ledger, DetectCounts *counts);
