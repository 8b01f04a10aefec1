/* A layer again, without some of its features. */
#include <stdio.h>
#include <string.h>

#include <cpl_string.h>

#include "base/memory.h"
#include "feature_file.h"
#include "polygon_layer_private.h"

typedef struct Copying {
  const PolygonLayer *layer;
  const bool *kept;
  OGRLayerH source;
  FeatureFile *file;
  OGRwkbGeometryType type; /* of the output */
  bool promotes;           /* polygons become multipolygons, since a repaired one is one */
  int *fields;             /* of the source: their places in the output */
} Copying;

static bool is_type(OGRwkbGeometryType type, OGRwkbGeometryType flat)
{
  return OGR_GT_Flatten(type) == flat;
}

/* A layer of polygons cannot hold what was repaired to several. */
static void choose_type(Copying *copying)
{
  const PolygonLayer *layer = copying->layer;
  copying->type = OGR_L_GetGeomType(copying->source);
  if (!is_type(copying->type, wkbPolygon)) return;
  for (int64_t i = 0; i < layer->count && !copying->promotes; ++i)
    copying->promotes = layer->shapes[i].repaired && copying->kept[layer->items[i].number] &&
                        is_type(OGR_G_GetGeometryType(layer->shapes[i].geometry), wkbMultiPolygon);
  if (copying->promotes) copying->type = OGR_GT_GetCollection(copying->type);
}

/* GeoPackage keeps these names for itself. */
static const char *free_name(const Copying *copying, const char *name)
{
  if (!feature_file_is_geopackage(copying->file)) return name;
  return EQUAL(name, "fid") ? "fid_1" : EQUAL(name, "geom") ? "geom_1" : name;
}

static Status copy_field(Copying *copying, int index)
{
  GdalWatch watch;
  OGRLayerH to = feature_file_layer(copying->file);
  OGRFieldDefnH own = OGR_FD_GetFieldDefn(OGR_L_GetLayerDefn(copying->source), index);
  OGRFieldDefnH field =
      OGR_Fld_Create(free_name(copying, OGR_Fld_GetNameRef(own)), OGR_Fld_GetType(own));
  OGR_Fld_SetSubType(field, OGR_Fld_GetSubType(own));
  OGR_Fld_SetWidth(field, OGR_Fld_GetWidth(own));
  OGR_Fld_SetPrecision(field, OGR_Fld_GetPrecision(own));
  copying->fields[index] = OGR_FD_GetFieldCount(OGR_L_GetLayerDefn(to));
  gdal_watch_begin(&watch);
  const OGRErr refused = OGR_L_CreateField(to, field, TRUE);
  gdal_watch_end(&watch);
  const Status status =
      refused == OGRERR_NONE && !watch.failed
          ? STATUS_OK
          : status_set(STATUS_UNSUPPORTED,
                       "the field “%s” cannot be written to this format (%s); .gpkg takes all",
                       OGR_Fld_GetNameRef(own), gdal_watch_words(&watch));
  OGR_Fld_Destroy(field);
  return status;
}

static Status copy_fields(Copying *copying)
{
  void *memory;
  const int count = OGR_FD_GetFieldCount(OGR_L_GetLayerDefn(copying->source));
  TRY(memory_allocate((size_t)count, sizeof(int), "fields", &memory));
  copying->fields = memory;
  for (int i = 0; i < count; ++i)
    TRY(copy_field(copying, i));
  return STATUS_OK;
}

/* shape: the feature's own, NULL if it has no area. */
static Status write_feature(const Copying *copying, OGRFeatureH feature, const PolygonShape *shape)
{
  OGRFeatureH copy = OGR_F_Create(OGR_L_GetLayerDefn(feature_file_layer(copying->file)));
  OGRGeometryH geometry = OGR_F_StealGeometry(feature);
  (void)OGR_F_SetFromWithMap(copy, feature, TRUE, copying->fields);
  if (shape != NULL && shape->repaired) {
    OGR_G_DestroyGeometry(geometry);
    geometry = OGR_G_Clone(shape->geometry);
  }
  if (copying->promotes && geometry != NULL)
    geometry = OGR_G_ForceTo(geometry, copying->type, NULL);
  (void)OGR_F_SetGeometryDirectly(copy, geometry);
  if (feature_file_is_geopackage(copying->file)) OGR_F_SetFID(copy, OGR_F_GetFID(feature));
  const Status status = feature_file_write(copying->file, copy);
  OGR_F_Destroy(copy);
  return status;
}

static Status copy_features(const Copying *copying)
{
  int64_t next = 0; /* the first shape that is not behind */
  const PolygonLayer *layer = copying->layer;
  OGR_L_ResetReading(copying->source);
  for (int64_t number = 0; number < layer->counts.read; ++number) {
    Status status = STATUS_OK;
    OGRFeatureH feature = OGR_L_GetNextFeature(copying->source);
    if (feature == NULL)
      return status_set(STATUS_BAD_INPUT, "%s: changed while it was read", layer->path);
    const bool has_area = next < layer->count && layer->items[next].number == number;
    if (copying->kept[number])
      status = write_feature(copying, feature, has_area ? &layer->shapes[next] : NULL);
    next += has_area;
    OGR_F_Destroy(feature);
    TRY(status);
  }
  return STATUS_OK;
}

static Status copy_layer(Copying *copying, const char *output_path, const char *format)
{
  choose_type(copying);
  char *crs_wkt = gdal_crs_wkt(OGR_L_GetSpatialRef(copying->source));
  Status status =
      feature_file_create_as(output_path, format, crs_wkt, copying->type, &copying->file);
  CPLFree(crs_wkt);
  if (status == STATUS_OK) status = copy_fields(copying);
  if (status == STATUS_OK) status = copy_features(copying);
  if (status == STATUS_OK) status = feature_file_finish(copying->file);
  return status;
}

Status polygon_layer_check_format(const char *output_path, const char *format)
{
  return feature_file_check_format(output_path, format);
}

Status polygon_layer_copy(const PolygonLayer *layer, const bool *kept, const char *output_path,
                          const char *format)
{
  GDALDatasetH dataset = NULL;
  Copying copying = {.layer = layer, .kept = kept};
  Status status = polygon_source_open(layer->path, layer->layer_name, &dataset, &copying.source);
  if (status == STATUS_OK) status = copy_layer(&copying, output_path, format);
  feature_file_close(copying.file);
  memory_free(copying.fields);
  if (dataset != NULL) GDALClose(dataset);
  return status;
}
