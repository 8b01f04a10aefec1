#include "geo/polygonize.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cpl_conv.h>
#include <cpl_string.h>
#include <gdal_alg.h>

#include "area.h"
#include "base/memory.h"
#include "base/output.h"
#include "feature_file.h"
#include "geo/raster.h"
#include "qgis_style.h"

/* Names of the written fields: a Shapefile's have 10 characters at most. */
typedef struct FieldNames {
  const char *value;
  const char *name;
  const char *area;
} FieldNames;

static const FieldNames long_names = {"class_value", "class_name", "area_m2"};
static const FieldNames short_names = {"classvalue", "classname", "area_m2"};

typedef struct Polygonizing {
  const ClassEntry *classes;
  int32_t class_count;
  const PolygonizeOptions *options;
  int32_t nodata;       /* of the map; -1: none */
  Ellipsoid *ellipsoid; /* NULL: areas are unknown */
  FeatureFile *file;
  PolygonizeCounts *counts;
  int value_field; /* of the file's layer */
  int name_field;
  int area_field;
} Polygonizing;

/* Map to raw polygons with the one field "value", in a FlatGeobuf without index: it streams. */
static Status trace(GDALRasterBandH map, GDALRasterBandH mask, const char *patches_path)
{
  const char *const no_index[] = {"SPATIAL_INDEX=NO", NULL};
  GDALDatasetH patches = NULL;
  OGRLayerH layer = NULL;
  CPLErr failed = CE_Failure;
  GdalWatch watch;
  gdal_watch_begin(&watch);
  patches = GDALCreate(GDALGetDriverByName("FlatGeobuf"), patches_path, 0, 0, 0, GDT_Unknown, NULL);
  if (patches != NULL)
    layer =
        GDALDatasetCreateLayer(patches, "patches", NULL, wkbPolygon, (char **)(uintptr_t)no_index);
  if (layer != NULL) {
    OGRFieldDefnH field = OGR_Fld_Create("value", OFTInteger);
    (void)OGR_L_CreateField(layer, field, FALSE);
    OGR_Fld_Destroy(field);
    failed = GDALPolygonize(map, mask, layer, 0, NULL, NULL, NULL);
  }
  if (patches != NULL) GDALClose(patches);
  gdal_watch_end(&watch);
  if (failed != CE_None || watch.failed)
    return status_set(STATUS_IO, "%s: cannot be written; is the disk full? (%s)", patches_path,
                      gdal_watch_words(&watch));
  return STATUS_OK;
}

/* Without background the map is its own mask, since 0 hides; its NoData is then traced too, and
 * left out later. */
static Status trace_map(const char *map_path, bool keep_background, const char *patches_path,
                        Polygonizing *job)
{
  GdalWatch watch;
  gdal_watch_begin(&watch);
  GDALDatasetH map = GDALOpenEx(map_path, GDAL_OF_RASTER | GDAL_OF_VERBOSE_ERROR, NULL, NULL, NULL);
  gdal_watch_end(&watch);
  if (map == NULL) return gdal_open_failed(map_path, "a class map", &watch);
  GDALRasterBandH band = GDALGetRasterBand(map, 1);
  int has_nodata = 0;
  const double nodata = GDALGetRasterNoDataValue(band, &has_nodata);
  job->nodata = has_nodata && nodata >= 0 && nodata <= CLASS_LARGEST_VALUE ? (int32_t)nodata : -1;
  const Status status = trace(band, keep_background ? GDALGetMaskBand(band) : band, patches_path);
  GDALClose(map);
  return status;
}

/* geometry is the caller's; a simplified one that collapsed is as good as too small. */
static Status write_patch(const Polygonizing *job, OGRGeometryH geometry, int32_t value)
{
  double area_m2 = 0;
  if (job->ellipsoid != NULL) TRY(area_of_geometry(job->ellipsoid, geometry, &area_m2));
  if (OGR_G_IsEmpty(geometry) ||
      (job->options->min_area_m2 > 0 && area_m2 < job->options->min_area_m2)) {
    ++job->counts->too_small;
    return STATUS_OK;
  }
  OGRFeatureH feature = OGR_F_Create(OGR_L_GetLayerDefn(feature_file_layer(job->file)));
  const ClassEntry *entry = class_find(job->classes, job->class_count, value);
  OGR_F_SetFieldInteger(feature, job->value_field, value);
  if (entry != NULL) OGR_F_SetFieldString(feature, job->name_field, entry->name);
  if (job->ellipsoid != NULL) OGR_F_SetFieldDouble(feature, job->area_field, area_m2);
  (void)OGR_F_SetGeometry(feature, geometry);
  const Status status = feature_file_write(job->file, feature);
  OGR_F_Destroy(feature);
  if (status == STATUS_OK) ++job->counts->written;
  return status;
}

static Status write_feature(const Polygonizing *job, OGRFeatureH patch)
{
  const int32_t value = OGR_F_GetFieldAsInteger(patch, 0);
  if (value == job->nodata) return STATUS_OK;
  OGRGeometryH whole = OGR_F_GetGeometryRef(patch);
  if (!(job->options->simplify > 0)) return write_patch(job, whole, value);
  OGRGeometryH simple = OGR_G_SimplifyPreserveTopology(whole, job->options->simplify);
  const Status status = write_patch(job, simple == NULL ? whole : simple, value);
  if (simple != NULL) OGR_G_DestroyGeometry(simple);
  return status;
}

static Status write_all(const Polygonizing *job, const char *patches_path)
{
  GDALDatasetH patches = GDALOpenEx(patches_path, GDAL_OF_VECTOR, NULL, NULL, NULL);
  if (patches == NULL)
    return status_set(STATUS_IO, "%s: cannot be read back (%s)", patches_path,
                      CPLGetLastErrorMsg());
  Status status = STATUS_OK;
  OGRLayerH layer = GDALDatasetGetLayer(patches, 0);
  OGRFeatureH patch = NULL;
  while (layer != NULL && status == STATUS_OK && (patch = OGR_L_GetNextFeature(layer)) != NULL) {
    status = write_feature(job, patch);
    OGR_F_Destroy(patch);
  }
  GDALClose(patches);
  return status;
}

static Status write_file(Polygonizing *job, const char *patches_path)
{
  const bool is_shapefile = feature_file_is_shapefile(job->file);
  const FieldNames *names = is_shapefile ? &short_names : &long_names;
  TRY(feature_file_add_field(job->file, names->value, OFTInteger));
  TRY(feature_file_add_field(job->file, names->name, OFTString));
  TRY(feature_file_add_field(job->file, names->area, OFTReal));
  OGRFeatureDefnH definition = OGR_L_GetLayerDefn(feature_file_layer(job->file));
  job->value_field = OGR_FD_GetFieldIndex(definition, names->value);
  job->name_field = OGR_FD_GetFieldIndex(definition, names->name);
  job->area_field = OGR_FD_GetFieldIndex(definition, names->area);
  TRY(write_all(job, patches_path));
  if (feature_file_is_geopackage(job->file))
    TRY(qgis_style_write(job->file, names->value, job->classes, job->class_count, QGIS_FILLED));
  return feature_file_finish(job->file);
}

/* The map's reference system, for the output and for its ellipsoid; freed by memory_free. */
static Status crs_of_map(const char *map_path, char **crs_wkt)
{
  Raster *map;
  TRY(raster_open(map_path, &map));
  const Status status = memory_copy_text(raster_grid(map)->crs_wkt, crs_wkt);
  raster_close(map);
  return status;
}

static Status run(Polygonizing *job, const char *map_path, const char *output_path,
                  const char *crs_wkt, const char *patches_path)
{
  if (ellipsoid_open(crs_wkt, &job->ellipsoid) != STATUS_OK && job->options->min_area_m2 > 0)
    return status_set(STATUS_MISMATCH,
                      "%s: has no reference system tied to the Earth; a least area of %g m2 means "
                      "nothing there",
                      map_path, job->options->min_area_m2);
  TRY(feature_file_create(output_path, crs_wkt, wkbPolygon, &job->file));
  TRY(trace_map(map_path, job->options->keep_background, patches_path, job));
  return write_file(job, patches_path);
}

Status polygonize_class_map(const char *map_path, const char *output_path,
                            const ClassEntry *classes, int32_t class_count,
                            const PolygonizeOptions *options, PolygonizeCounts *counts)
{
  char aside[OUTPUT_PATH_BYTES];
  char patches_path[OUTPUT_PATH_BYTES + 16];
  char *crs_wkt = NULL;
  *counts = (PolygonizeCounts){0};
  TRY(output_aside(output_path, aside));
  TRY(crs_of_map(map_path, &crs_wkt));
  (void)snprintf(patches_path, sizeof patches_path, "%s.patches.fgb", aside);
  Polygonizing job = {
      .classes = classes, .class_count = class_count, .options = options, .counts = counts};
  const Status status = run(&job, map_path, output_path, crs_wkt, patches_path);
  feature_file_close(job.file);
  ellipsoid_close(job.ellipsoid);
  (void)unlink(patches_path);
  memory_free(crs_wkt);
  return status;
}
