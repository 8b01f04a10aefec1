#pragma once

#include "cog_writer.h"

/* Adds overviews by halves to a tiled file open for update, until both sides are at most a tile
 * long. Tile by tile, so that memory does not grow with the width, as it does with GDAL's own. */
Status cog_overviews_build(GDALDatasetH dataset, const CogSpec *spec);
