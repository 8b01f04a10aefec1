#include "polygon_layer_private.h"

#include <math.h>
#include <string.h>

#include <cpl_conv.h>

#include "base/memory.h"
#include "feature_set.h"
#include "geo/crs.h"
#include "geometry.h"

Status polygon_source_open(const char *path, const char *name, GDALDatasetH *dataset,
                           OGRLayerH *source)
{
  GdalWatch watch;
  gdal_watch_begin(&watch);
  *dataset =
      GDALOpenEx(path, GDAL_OF_VECTOR | GDAL_OF_READONLY | GDAL_OF_VERBOSE_ERROR, NULL, NULL, NULL);
  gdal_watch_end(&watch);
  if (*dataset == NULL) return gdal_open_failed(path, "features", &watch);
  const Status status = feature_layer(*dataset, path, name, source);
  if (status != STATUS_BAD_INPUT || GDALDatasetGetLayerCount(*dataset) == 0) return status;
  *source = GDALDatasetGetLayer(*dataset, 0); /* an empty layer is one, too */
  return STATUS_OK;
}

static Status unknown_crs(const PolygonLayer *layer, const char *known_wkt, bool own)
{
  char name[CRS_NAME_BYTES];
  crs_name(known_wkt, name);
  return status_set(STATUS_MISMATCH,
                    own ? "%s: has no reference system, the other layer is in %s; set it, or say "
                          "that both are the same"
                        : "%s is in %s, the other layer has no reference system; set it, or say "
                          "that both are the same",
                    layer->path, name);
}

static Status open_transform(const char *own_wkt, PolygonReading *reading)
{
  const PolygonLayer *layer = reading->layer;
  const char *target = reading->options->crs_wkt;
  const bool both_known = own_wkt[0] != '\0' && target[0] != '\0';
  if (crs_same(own_wkt, target)) return STATUS_OK;
  if (!both_known && reading->options->assume_crs) return STATUS_OK;
  if (!both_known)
    return unknown_crs(layer, own_wkt[0] == '\0' ? target : own_wkt, own_wkt[0] == '\0');
  OGRSpatialReferenceH from = gdal_crs_open(own_wkt);
  OGRSpatialReferenceH to = gdal_crs_open(target);
  if (from != NULL && to != NULL) reading->to_target = OCTNewCoordinateTransformation(from, to);
  if (from != NULL) OSRRelease(from);
  if (to != NULL) OSRRelease(to);
  if (reading->to_target != NULL) return STATUS_OK;
  return status_set(STATUS_MISMATCH,
                    "%s: cannot be brought into the other layer's reference system (%s)",
                    layer->path, CPLGetLastErrorMsg());
}

static Status settle_crs(OGRLayerH source, PolygonReading *reading)
{
  char *own_wkt = gdal_crs_wkt(OGR_L_GetSpatialRef(source));
  Status status = STATUS_OK;
  const char *target = reading->options->crs_wkt;
  if (target != NULL) status = open_transform(own_wkt, reading);
  if (status == STATUS_OK)
    status = memory_copy_text(target != NULL ? target : own_wkt, &reading->layer->crs_wkt);
  CPLFree(own_wkt);
  return status;
}

static Status grow(PolygonLayer *layer)
{
  void *items, *shapes;
  if (layer->count < layer->capacity) return STATUS_OK;
  const int64_t capacity = layer->capacity == 0 ? 256 : 2 * layer->capacity;
  TRY(memory_allocate((size_t)capacity, sizeof(PolygonItem), "polygons", &items));
  if (layer->count > 0) memcpy(items, layer->items, (size_t)layer->count * sizeof(PolygonItem));
  memory_free(layer->items);
  layer->items = items;
  TRY(memory_allocate((size_t)capacity, sizeof(PolygonShape), "polygons", &shapes));
  if (layer->count > 0) memcpy(shapes, layer->shapes, (size_t)layer->count * sizeof(PolygonShape));
  memory_free(layer->shapes);
  layer->shapes = shapes;
  layer->capacity = capacity;
  return STATUS_OK;
}

/* Whether a polygon is its own box: four corners, each of them one of the box. */
static bool fills_box(OGRGeometryH geometry, OGREnvelope box)
{
  bool corners[4] = {false};
  if (OGR_GT_Flatten(OGR_G_GetGeometryType(geometry)) != wkbPolygon ||
      OGR_G_GetGeometryCount(geometry) != 1)
    return false;
  OGRGeometryH ring = OGR_G_GetGeometryRef(geometry, 0);
  if (OGR_G_GetPointCount(ring) != 5) return false;
  for (int i = 0; i < 4; ++i) {
    const double x = OGR_G_GetX(ring, i), y = OGR_G_GetY(ring, i);
    if ((x != box.MinX && x != box.MaxX) || (y != box.MinY && y != box.MaxY)) return false;
    corners[(x == box.MaxX) + 2 * (y == box.MaxY)] = true;
  }
  return corners[0] && corners[1] && corners[2] && corners[3];
}

/* NULL, and a count, if there is no area. */
static OGRGeometryH take_area(PolygonReading *reading, OGRGeometryH taken, bool *repaired)
{
  bool bent = false;
  OGRGeometryH geometry = geometry_take_areas(taken, repaired);
  if (geometry != NULL && reading->to_target != NULL) {
    if (OGR_G_Transform(geometry, reading->to_target) != OGRERR_NONE) {
      OGR_G_DestroyGeometry(geometry);
      ++reading->layer->counts.unplaced;
      return NULL;
    }
    geometry = geometry_take_areas(geometry, &bent);
    *repaired = *repaired || bent;
  }
  if (geometry != NULL && OGR_G_Area(geometry) > 0) return geometry;
  if (geometry != NULL) OGR_G_DestroyGeometry(geometry);
  ++reading->layer->counts.without_area;
  return NULL;
}

static Status take_feature(PolygonReading *reading, OGRFeatureH feature)
{
  PolygonLayer *layer = reading->layer;
  OGREnvelope box;
  PolygonShape shape = {.index = layer->count};
  PolygonItem item = {.number = layer->counts.read++,
                      .confidence = polygon_confidence(reading, feature)};
  TRY(grow(layer));
  TRY(polygon_class_text(reading, feature, &shape.class_text));
  shape.geometry = take_area(reading, OGR_F_StealGeometry(feature), &shape.repaired);
  if (shape.geometry == NULL) return STATUS_OK;
  OGR_G_GetEnvelope(shape.geometry, &box);
  shape.is_box = fills_box(shape.geometry, box);
  item.box = (Extent){box.MinX, box.MinY, box.MaxX, box.MaxY};
  item.area = shape.is_box ? extent_area(item.box) : OGR_G_Area(shape.geometry);
  layer->items[layer->count] = item;
  layer->shapes[layer->count++] = shape;
  ++layer->counts.kept;
  layer->counts.repaired += shape.repaired;
  layer->counts.unsure += isnan(item.confidence);
  layer->counts.classless += reading->class_field >= 0 && shape.class_text[0] == '\0';
  return STATUS_OK;
}

static Status take_all(OGRLayerH source, PolygonReading *reading)
{
  GdalWatch watch;
  Status status = STATUS_OK;
  OGR_L_ResetReading(source);
  while (status == STATUS_OK) {
    gdal_watch_begin(&watch); /* about the reading alone: geometries fail one by one */
    OGRFeatureH feature = OGR_L_GetNextFeature(source);
    gdal_watch_end(&watch);
    if (feature == NULL) break;
    status = take_feature(reading, feature);
    OGR_F_Destroy(feature);
  }
  if (status == STATUS_OK && watch.failed)
    status = status_set(STATUS_BAD_INPUT, "%s: cannot read the features (%s)", reading->layer->path,
                        gdal_watch_words(&watch));
  return status;
}

static void build_index(PolygonLayer *layer)
{
  CPLRectObj bounds = {INFINITY, INFINITY, -INFINITY, -INFINITY};
  if (layer->count == 0) return;
  for (int64_t i = 0; i < layer->count; ++i) {
    const Extent box = layer->items[i].box;
    bounds.minx = fmin(bounds.minx, box.x_min);
    bounds.miny = fmin(bounds.miny, box.y_min);
    bounds.maxx = fmax(bounds.maxx, box.x_max);
    bounds.maxy = fmax(bounds.maxy, box.y_max);
  }
  layer->tree = CPLQuadTreeCreate(&bounds, NULL);
  CPLQuadTreeSetMaxDepth(layer->tree,
                         CPLQuadTreeGetAdvisedMaxDepth((int)fmin(1e9, (double)layer->count)));
  for (int64_t i = 0; i < layer->count; ++i) {
    const Extent box = layer->items[i].box;
    const CPLRectObj rectangle = {box.x_min, box.y_min, box.x_max, box.y_max};
    CPLQuadTreeInsertWithBounds(layer->tree, &layer->shapes[i], &rectangle);
  }
}

static Status read_source(OGRLayerH source, const PolygonLayerOptions *options, PolygonLayer *layer)
{
  PolygonReading reading = {.layer = layer, .options = options};
  TRY(polygon_fields_choose(source, &reading));
  Status status = settle_crs(source, &reading);
  if (status == STATUS_OK) status = take_all(source, &reading);
  if (reading.to_target != NULL) OCTDestroyCoordinateTransformation(reading.to_target);
  TRY(status);
  TRY(polygon_classes_number(layer));
  build_index(layer);
  return STATUS_OK;
}

static Status fill(PolygonLayer *layer, const char *path, const PolygonLayerOptions *options)
{
  GDALDatasetH dataset = NULL;
  OGRLayerH source;
  TRY(arena_open(&layer->arena));
  TRY(memory_copy_text(path, &layer->path));
  TRY(memory_copy_text(options->layer == NULL ? "" : options->layer, &layer->layer_name));
  Status status = polygon_source_open(path, layer->layer_name, &dataset, &source);
  if (status == STATUS_OK) status = read_source(source, options, layer);
  if (dataset != NULL) GDALClose(dataset);
  return status;
}

Status polygon_layer_open(const char *path, const PolygonLayerOptions *options,
                          PolygonLayer **layer)
{
  *layer = NULL;
  void *memory;
  Status status = memory_allocate(1, sizeof(PolygonLayer), "a layer of polygons", &memory);
  if (status != STATUS_OK) return status;
  PolygonLayer *opening = memory;
  status = fill(opening, path, options);
  if (status == STATUS_OK)
    *layer = opening;
  else
    polygon_layer_close(opening);
  return status;
}

void polygon_layer_close(PolygonLayer *layer)
{
  if (layer == NULL) return;
  for (int64_t i = 0; i < layer->count; ++i)
    OGR_G_DestroyGeometry(layer->shapes[i].geometry);
  if (layer->tree != NULL) CPLQuadTreeDestroy(layer->tree);
  memory_free(layer->items);
  memory_free(layer->shapes);
  memory_free(layer->classes);
  memory_free(layer->path);
  memory_free(layer->layer_name);
  memory_free(layer->crs_wkt);
  arena_close(layer->arena);
  memory_free(layer);
}

Status polygon_layer_probe(const char *path, bool *has_features)
{
  GdalWatch watch;
  gdal_watch_begin(&watch);
  GDALDatasetH dataset =
      GDALOpenEx(path, GDAL_OF_VECTOR | GDAL_OF_RASTER | GDAL_OF_READONLY | GDAL_OF_VERBOSE_ERROR,
                 NULL, NULL, NULL);
  gdal_watch_end(&watch);
  if (dataset == NULL) return gdal_open_failed(path, "features or a raster", &watch);
  *has_features = GDALDatasetGetLayerCount(dataset) > 0;
  GDALClose(dataset);
  return STATUS_OK;
}

PolygonLayerCounts polygon_layer_counts(const PolygonLayer *layer)
{
  return layer->counts;
}

const char *polygon_layer_crs(const PolygonLayer *layer)
{
  return layer->crs_wkt;
}

const char *polygon_layer_class_field(const PolygonLayer *layer)
{
  return layer->class_field;
}

const char *polygon_layer_confidence_field(const PolygonLayer *layer)
{
  return layer->confidence_field;
}

int32_t polygon_layer_class_count(const PolygonLayer *layer)
{
  return layer->class_count;
}

const char *polygon_layer_class(const PolygonLayer *layer, int32_t class_index)
{
  return layer->classes[class_index];
}

int64_t polygon_layer_count(const PolygonLayer *layer)
{
  return layer->count;
}

const PolygonItem *polygon_layer_item(const PolygonLayer *layer, int64_t index)
{
  return &layer->items[index];
}
