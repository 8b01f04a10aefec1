#pragma once

#include <cpl_quad_tree.h>

#include "gdal_door.h"
#include "label_class.h"

/* Features in memory, in a raster's reference system, found by place. */
typedef struct Feature {
  OGRGeometryH geometry;
  OGREnvelope box;
  int64_t id;
  int32_t value;
} Feature;

typedef struct FeatureSet {
  Feature *items; /* sorted by value, then id */
  int64_t count;
  int64_t capacity;
  CPLQuadTree *tree;
  LabelCounts counts;
} FeatureSet;

/* What a layer is read for. */
typedef struct FeatureQuery {
  const char *path;
  const Grid *area; /* upright bounds of it choose the features; its crs_wkt is the target */
  double buffer;    /* in units of the layer */
  bool assume_raster_crs;
  LabelClasses *classes; /* NULL: all features have value 1 */
} FeatureQuery;

/* The layer that is meant. Errors: STATUS_BAD_OPTION, naming those there are. */
Status feature_layer(GDALDatasetH dataset, const char *path, const char *name, OGRLayerH *layer);
/* set is ended by feature_set_free in any case. Errors: STATUS_MISMATCH for the reference system.
 */
Status feature_set_read(OGRLayerH layer, const FeatureQuery *query, FeatureSet *set);
/* What to say where a set came out empty: none there, none classed, none near, none usable. */
Status feature_set_explain_empty(OGRLayerH layer, const FeatureQuery *query, const FeatureSet *set);
void feature_set_free(FeatureSet *set);

/* The features whose boxes meet the grid's bounds, in the set's order; freed by CPLFree. */
const Feature **feature_set_near(const FeatureSet *set, const Grid *grid, int *count);
