#pragma once

#include <cpl_quad_tree.h>

#include "base/arena.h"
#include "gdal_door.h"
#include "geo/polygon_layer.h"
#include "label_class.h"

/* What an item is apart from its numbers. */
typedef struct PolygonShape {
  OGRGeometryH geometry;
  const char *class_text; /* in the arena */
  bool is_box;            /* an upright rectangle, its item's box */
  bool repaired;
  int64_t index; /* its own place, for the tree */
} PolygonShape;

struct PolygonLayer {
  char *path;
  char *layer_name; /* as asked for; "" */
  char *crs_wkt;    /* of the polygons */
  Arena *arena;     /* of the class texts */
  char class_field[FIELD_NAME_BYTES];
  char confidence_field[FIELD_NAME_BYTES];
  PolygonLayerCounts counts;
  PolygonItem *items;
  PolygonShape *shapes;
  int64_t count;
  int64_t capacity;
  const char **classes;
  int32_t class_count;
  CPLQuadTree *tree;
};

/* What is needed while a layer is read. */
typedef struct PolygonReading {
  PolygonLayer *layer;
  const PolygonLayerOptions *options;
  int class_field; /* -1: none */
  int confidence_field;
  OGRCoordinateTransformationH to_target; /* NULL: same system */
} PolygonReading;

/* Chooses the fields. */
Status polygon_fields_choose(OGRLayerH source, PolygonReading *reading);
/* The class of a feature as text, in the layer's arena. */
Status polygon_class_text(const PolygonReading *reading, OGRFeatureH feature, const char **text);
/* NaN where there is none. */
double polygon_confidence(const PolygonReading *reading, OGRFeatureH feature);
/* Gives every item its class. */
Status polygon_classes_number(PolygonLayer *layer);
/* Opens the dataset and the layer in it; dataset is the caller's to close. */
Status polygon_source_open(const char *path, const char *name, GDALDatasetH *dataset,
                           OGRLayerH *source);
