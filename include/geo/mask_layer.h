#pragma once

#include <stdbool.h>

#include "base/status.h"
#include "geo/grid.h"

/* Polygons that say which chips are wanted. */
typedef struct MaskLayer MaskLayer;

/* As label_source_open: layer NULL or "" is the only one; reprojected to the raster, invalid
 * polygons repaired. */
Status mask_layer_open(const char *path, const char *layer, bool assume_raster_crs,
                       const Grid *raster, MaskLayer **mask);
void mask_layer_close(MaskLayer *mask); /* accepts NULL */
/* Whether the chip lies completely in one polygon of the mask; touching its outline from inside is
 * in. */
bool mask_layer_holds(const MaskLayer *mask, const Grid *chip);
