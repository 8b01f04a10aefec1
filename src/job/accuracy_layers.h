#pragma once

#include "accuracy_options.h"
#include "detection_score.h"
#include "geo/polygon_layer.h"

/* A layer, and which of its polygons are judged. */
typedef struct Side {
  PolygonLayer *layer;
  int32_t *classes; /* of the layer's classes: places in the names of both */
  bool *judged;
  int64_t judged_count;
  int32_t *places; /* of each polygon among those of its class */
} Side;

/* Two polygons that overlap enough. */
typedef struct Overlap {
  int32_t class_index;
  DetectionPair polygon; /* places in the class; IoU of the polygons, 0 where it is too small */
  double box_iou;
} Overlap;

/* Two layers, and what of them overlaps. */
typedef struct Comparison {
  const Accuracy *accuracy;
  PolygonLayer *mask;
  Side result, truth;
  const char **names;
  int32_t class_count;
  Overlap *overlaps;
  int64_t overlap_count, overlap_capacity;
} Comparison;

/* Opens the layers, brings them into one reference system and their classes together, and finds the
 * pairs of one class whose polygons or boxes have an IoU that may count. job holds no more than
 * accuracy; it is ended by accuracy_layers_close in any case. */
Status accuracy_layers_compare(Comparison *job);
void accuracy_layers_close(Comparison *job);
/* The class of a polygon: a place in the names of both. */
int32_t accuracy_layers_class(const Side *side, int64_t index);
