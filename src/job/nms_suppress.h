#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "geo/polygon_layer.h"

/* Overlap is the shared area over the area of both together, or over the smaller one's. */
typedef enum NmsOverlap { NMS_IOU, NMS_SMALLER } NmsOverlap;

typedef struct NmsRule {
  double max_overlap; /* 0 … 1; more than that and one of the two goes */
  NmsOverlap overlap;
  bool across_classes; /* polygons of different classes compete, too */
} NmsRule;

/* Non-maximum suppression over a whole layer. From high to low confidence, a polygon goes if its
 * overlap with one that stays is above the limit. Ties: the larger area first, then the order of
 * the layer; polygons without a confidence come after all others. Touching is no overlap.
 *
 * kept: one for each polygon. n log n as long as few polygons lie over one another. Errors: those
 * of polygon_layer_shared_area; STATUS_INTERRUPTED. */
Status nms_suppress(const PolygonLayer *layer, NmsRule rule, bool *kept);
