#include "feature_set.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cpl_conv.h>

#include "base/memory.h"
#include "geo/crs.h"
#include "geometry.h"

/* What is needed while a layer is read. */
typedef struct Reading {
  const FeatureQuery *query;
  FeatureSet *set;
  OGRCoordinateTransformationH to_raster; /* NULL: same system */
  Extent area;
} Reading;

Status feature_layer(GDALDatasetH dataset, const char *path, const char *name, OGRLayerH *layer)
{
  const int count = GDALDatasetGetLayerCount(dataset);
  if (name != NULL && name[0] != '\0') {
    *layer = GDALDatasetGetLayerByName(dataset, name);
    if (*layer != NULL) return STATUS_OK;
    return status_set(STATUS_BAD_OPTION, "%s: has no layer “%s”; its first one is “%s”", path, name,
                      count == 0 ? "" : OGR_L_GetName(GDALDatasetGetLayer(dataset, 0)));
  }
  for (int i = 0; i < count; ++i) {
    *layer = GDALDatasetGetLayer(dataset, i);
    if (OGR_L_GetGeomType(*layer) != wkbNone && OGR_L_GetFeatureCount(*layer, 1) > 0)
      return STATUS_OK;
  }
  return status_set(STATUS_BAD_INPUT, "%s: holds no features", path);
}

static Status no_crs(const FeatureQuery *query, const char *crs_wkt, bool of_labels)
{
  char name[CRS_NAME_BYTES];
  crs_name(crs_wkt, name);
  return status_set(STATUS_MISMATCH,
                    "%s: %s has no reference system, %s is in %s; set it, or say that both are the "
                    "same",
                    query->path, of_labels ? "it" : "the raster",
                    of_labels ? "the raster" : "the layer", name);
}

static Status open_transform(OGRLayerH layer, Reading *reading)
{
  const FeatureQuery *query = reading->query;
  OGRSpatialReferenceH own = OGR_L_GetSpatialRef(layer);
  char *own_wkt = gdal_crs_wkt(own);
  const char *target = query->area->crs_wkt;
  const bool both_known = own_wkt[0] != '\0' && target[0] != '\0';
  Status status = STATUS_OK;
  if (!both_known && !query->assume_raster_crs)
    status = own_wkt[0] == '\0' ? no_crs(query, target, true) : no_crs(query, own_wkt, false);
  if (both_known && !crs_same(own_wkt, target)) {
    OGRSpatialReferenceH from = gdal_crs_open(own_wkt);
    OGRSpatialReferenceH to = gdal_crs_open(target);
    if (from != NULL && to != NULL) reading->to_raster = OCTNewCoordinateTransformation(from, to);
    if (from != NULL) OSRRelease(from);
    if (to != NULL) OSRRelease(to);
    if (reading->to_raster == NULL)
      status = status_set(STATUS_MISMATCH,
                          "%s: cannot be brought into the raster's reference system (%s)",
                          query->path, CPLGetLastErrorMsg());
  }
  CPLFree(own_wkt);
  return status;
}

/* Lets the driver's own index leave out what is far. Where the area cannot be taken into the
 * layer's system, all features are looked at. */
static void filter_by_area(OGRLayerH layer, const Reading *reading)
{
  double x_min = reading->area.x_min, y_min = reading->area.y_min;
  double x_max = reading->area.x_max, y_max = reading->area.y_max;
  if (reading->to_raster != NULL) {
    OGRCoordinateTransformationH back = OCTGetInverse(reading->to_raster);
    const int done = back != NULL && OCTTransformBounds(back, x_min, y_min, x_max, y_max, &x_min,
                                                        &y_min, &x_max, &y_max, 21);
    if (back != NULL) OCTDestroyCoordinateTransformation(back);
    if (!done || !(x_min < x_max) || !(y_min < y_max)) return;
  }
  const double margin = reading->query->buffer + 0.05 * fmax(x_max - x_min, y_max - y_min);
  if (!isfinite(margin)) return;
  OGR_L_SetSpatialFilterRect(layer, x_min - margin, y_min - margin, x_max + margin, y_max + margin);
}

static Status reserve(FeatureSet *set)
{
  if (set->count < set->capacity) return STATUS_OK;
  const int64_t capacity = set->capacity == 0 ? 256 : 2 * set->capacity;
  void *memory;
  TRY(memory_allocate((size_t)capacity, sizeof(Feature), "label features", &memory));
  if (set->count > 0) memcpy(memory, set->items, (size_t)set->count * sizeof(Feature));
  memory_free(set->items);
  set->items = memory;
  set->capacity = capacity;
  return STATUS_OK;
}

/* Clean, widened and in the raster's system; NULL if that fails. */
static OGRGeometryH take_to_raster(const Reading *reading, OGRGeometryH taken, bool *repaired)
{
  OGRGeometryH geometry = geometry_take_clean(taken, repaired);
  if (geometry != NULL && reading->query->buffer > 0) {
    bool again;
    OGRGeometryH wide = OGR_G_Buffer(geometry, reading->query->buffer, 8);
    OGR_G_DestroyGeometry(geometry);
    geometry = geometry_take_clean(wide, &again);
  }
  if (geometry == NULL || reading->to_raster == NULL) return geometry;
  if (OGR_G_Transform(geometry, reading->to_raster) != OGRERR_NONE) {
    OGR_G_DestroyGeometry(geometry);
    return NULL;
  }
  bool bent;
  geometry = geometry_take_clean(geometry, &bent);
  *repaired = *repaired || bent;
  return geometry;
}

static bool is_near(Extent area, OGREnvelope box)
{
  return box.MinX <= area.x_max && box.MaxX >= area.x_min && box.MinY <= area.y_max &&
         box.MaxY >= area.y_min;
}

static Status take_feature(Reading *reading, OGRFeatureH feature)
{
  FeatureSet *set = reading->set;
  LabelClasses *classes = reading->query->classes;
  const int32_t value = classes == NULL ? 1 : label_classes_value(classes, feature);
  if (value < 0) {
    ++set->counts.classless;
    return STATUS_OK;
  }
  TRY(reserve(set));
  bool repaired;
  Feature item = {.id = OGR_F_GetFID(feature), .value = value};
  item.geometry = take_to_raster(reading, OGR_F_StealGeometry(feature), &repaired);
  if (item.geometry == NULL) {
    ++set->counts.dropped;
    return STATUS_OK;
  }
  OGR_G_GetEnvelope(item.geometry, &item.box);
  if (!is_near(reading->area, item.box)) {
    OGR_G_DestroyGeometry(item.geometry);
    return STATUS_OK;
  }
  set->items[set->count++] = item;
  ++set->counts.kept;
  set->counts.repaired += repaired ? 1 : 0;
  if (classes != NULL) ++label_classes_entry(classes, value)->feature_count;
  return STATUS_OK;
}

static Status take_all(OGRLayerH layer, Reading *reading)
{
  GdalWatch watch;
  Status status = STATUS_OK;
  OGRFeatureH feature = NULL;
  filter_by_area(layer, reading);
  OGR_L_ResetReading(layer);
  CPLErrorReset();
  while (status == STATUS_OK) {
    gdal_watch_begin(&watch); /* about the reading alone: geometries fail one by one */
    feature = OGR_L_GetNextFeature(layer);
    gdal_watch_end(&watch);
    if (feature == NULL) break;
    status = take_feature(reading, feature);
    OGR_F_Destroy(feature);
  }
  OGR_L_SetSpatialFilter(layer, NULL);
  if (status == STATUS_OK && watch.failed)
    status = status_set(STATUS_BAD_INPUT, "%s: cannot read the labels (%s)", reading->query->path,
                        gdal_watch_words(&watch));
  return status;
}

static int by_value_and_id(const void *left, const void *right)
{
  const Feature *a = left;
  const Feature *b = right;
  if (a->value != b->value) return a->value < b->value ? -1 : 1;
  return a->id < b->id ? -1 : a->id > b->id;
}

static void build_index(FeatureSet *set, Extent area)
{
  CPLRectObj bounds = {area.x_min, area.y_min, area.x_max, area.y_max};
  for (int64_t i = 0; i < set->count; ++i) {
    bounds.minx = fmin(bounds.minx, set->items[i].box.MinX);
    bounds.miny = fmin(bounds.miny, set->items[i].box.MinY);
    bounds.maxx = fmax(bounds.maxx, set->items[i].box.MaxX);
    bounds.maxy = fmax(bounds.maxy, set->items[i].box.MaxY);
  }
  set->tree = CPLQuadTreeCreate(&bounds, NULL);
  CPLQuadTreeSetMaxDepth(set->tree,
                         CPLQuadTreeGetAdvisedMaxDepth((int)fmin(1e9, (double)set->count)));
  for (int64_t i = 0; i < set->count; ++i) {
    const OGREnvelope *box = &set->items[i].box;
    const CPLRectObj rectangle = {box->MinX, box->MinY, box->MaxX, box->MaxY};
    CPLQuadTreeInsertWithBounds(set->tree, &set->items[i], &rectangle);
  }
}

Status feature_set_read(OGRLayerH layer, const FeatureQuery *query, FeatureSet *set)
{
  *set = (FeatureSet){.count = 0};
  Reading reading = {.query = query, .set = set, .area = grid_extent(query->area)};
  set->counts.read = OGR_L_GetFeatureCount(layer, 1);
  Status status = open_transform(layer, &reading);
  if (status == STATUS_OK) status = take_all(layer, &reading);
  if (reading.to_raster != NULL) OCTDestroyCoordinateTransformation(reading.to_raster);
  if (status != STATUS_OK) return status;

  LabelCounts *counts = &set->counts;
  counts->outside = counts->read - counts->kept - counts->dropped - counts->classless;
  if (set->count > 0) qsort(set->items, (size_t)set->count, sizeof(Feature), by_value_and_id);
  build_index(set, reading.area);
  return STATUS_OK;
}

void feature_set_free(FeatureSet *set)
{
  for (int64_t i = 0; i < set->count; ++i)
    OGR_G_DestroyGeometry(set->items[i].geometry);
  if (set->tree != NULL) CPLQuadTreeDestroy(set->tree);
  memory_free(set->items);
  *set = (FeatureSet){.count = 0};
}

Status feature_set_explain_empty(OGRLayerH layer, const FeatureQuery *query, const FeatureSet *set)
{
  const LabelCounts *counts = &set->counts;
  if (counts->classless > 0 && counts->classless + counts->outside == counts->read &&
      query->classes != NULL && query->classes->listed) {
    char held[200];
    label_classes_sample(layer, query->classes->field, sizeof held, held);
    return status_set(
        STATUS_BAD_OPTION,
        "%s: no feature near the raster has a class of the list; the field “%s” holds: %s",
        query->path, query->classes->field_name, held);
  }
  if (counts->dropped > 0 || counts->classless > 0)
    return status_set(STATUS_BAD_INPUT,
                      "%s: of %lld features none can be used: %lld without a class, %lld empty or "
                      "not repairable, %lld outside of the raster",
                      query->path, (long long)counts->read, (long long)counts->classless,
                      (long long)counts->dropped, (long long)counts->outside);
  OGREnvelope own = {0};
  (void)OGR_L_GetExtent(layer, &own, 1);
  const Extent area = grid_extent(query->area);
  char own_name[CRS_NAME_BYTES], raster_name[CRS_NAME_BYTES];
  char *own_wkt = gdal_crs_wkt(OGR_L_GetSpatialRef(layer));
  crs_name(own_wkt, own_name);
  crs_name(query->area->crs_wkt, raster_name);
  CPLFree(own_wkt);
  return status_set(
      STATUS_MISMATCH,
      "%s does not overlap the raster: it covers x %.6g to %.6g, y %.6g to %.6g in %s; "
      "the raster x %.10g to %.10g, y %.10g to %.10g in %s",
      query->path, own.MinX, own.MaxX, own.MinY, own.MaxY, own_name, area.x_min, area.x_max,
      area.y_min, area.y_max, raster_name);
}

static int by_place(const void *left, const void *right)
{
  const Feature *const *a = left;
  const Feature *const *b = right;
  return *a < *b ? -1 : *a > *b;
}

const Feature **feature_set_near(const FeatureSet *set, const Grid *grid, int *count)
{
  const Extent area = grid_extent(grid);
  const CPLRectObj rectangle = {area.x_min, area.y_min, area.x_max, area.y_max};
  void **found = CPLQuadTreeSearch(set->tree, &rectangle, count);
  if (*count > 1) qsort(found, (size_t)*count, sizeof *found, by_place);
  return (const Feature **)found;
}
