#include "feature_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cpl_conv.h>
#include <cpl_string.h>

#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"

typedef struct FeatureFormat {
  const char *ending;
  const char *driver;
  const char *layer_options[4];
} FeatureFormat;

static const FeatureFormat formats[] = {
    {".gpkg", "GPKG", {NULL}},
    {".fgb", "FlatGeobuf", {NULL}},
    {".geojson", "GeoJSON", {"RFC7946=YES", "COORDINATE_PRECISION=9", NULL}},
    {".json", "GeoJSON", {"RFC7946=YES", "COORDINATE_PRECISION=9", NULL}},
    {".shp", "ESRI Shapefile", {"ENCODING=UTF-8", NULL}},
};

/* A Shapefile is several; the main one is renamed last. */
static const char *const shapefile_parts[] = {".shx", ".dbf", ".prj", ".cpg"};
enum { SHAPEFILE_PARTS = 4 };

struct FeatureFile {
  char *path;
  char aside[OUTPUT_PATH_BYTES];
  char name[256];
  const FeatureFormat *format;
  GDALDatasetH dataset;
  OGRLayerH layer;
  bool in_transaction;
  bool finished;
};

static const FeatureFormat *format_of(const char *path)
{
  for (size_t i = 0; i < sizeof formats / sizeof formats[0]; ++i)
    if (path_has_ending(path, formats[i].ending)) return &formats[i];
  return NULL;
}

static Status failed(const FeatureFile *file, const GdalWatch *watch)
{
  return status_set(STATUS_IO, "%s: cannot be written; is the disk full? (%s)", file->path,
                    gdal_watch_words(watch));
}

/* Anything but the same bytes for the same features would be a date. */
static void fix_date(bool fixed)
{
  CPLSetThreadLocalConfigOption("OGR_CURRENT_DATE", fixed ? "1970-01-01T00:00:00.000Z" : NULL);
}

static void name_part(const char *path, const char *ending, char name[OUTPUT_PATH_BYTES + 16])
{
  (void)snprintf(name, OUTPUT_PATH_BYTES + 16, "%.*s%s", (int)(strlen(path) - strlen(".shp")), path,
                 ending);
}

static void remove_aside(const FeatureFile *file)
{
  char name[OUTPUT_PATH_BYTES + 16];
  if (file->aside[0] == '\0') return;
  (void)unlink(file->aside);
  (void)snprintf(name, sizeof name, "%s-journal", file->aside);
  (void)unlink(name);
  for (size_t i = 0; feature_file_is_shapefile(file) && i < SHAPEFILE_PARTS; ++i) {
    name_part(file->aside, shapefile_parts[i], name);
    (void)unlink(name);
  }
}

static Status create(FeatureFile *file, const char *crs_wkt, OGRwkbGeometryType type)
{
  GDALDriverH driver = GDALGetDriverByName(file->format->driver);
  if (driver == NULL)
    return status_set(STATUS_UNSUPPORTED, "%s: this GDAL was built without %s", file->path,
                      file->format->driver);
  OGRSpatialReferenceH crs = gdal_crs_open(crs_wkt);
  char **options = (char **)(uintptr_t)file->format->layer_options;
  GdalWatch watch;
  fix_date(true);
  gdal_watch_begin(&watch);
  file->dataset = GDALCreate(driver, file->aside, 0, 0, 0, GDT_Unknown, NULL);
  if (file->dataset != NULL)
    file->layer = GDALDatasetCreateLayer(file->dataset, file->name, crs, type, options);
  gdal_watch_end(&watch);
  fix_date(false);
  if (crs != NULL) OSRRelease(crs);
  if (file->layer == NULL || watch.failed) return failed(file, &watch);
  if (GDALDatasetTestCapability(file->dataset, ODsCTransactions))
    file->in_transaction = GDALDatasetStartTransaction(file->dataset, FALSE) == OGRERR_NONE;
  return STATUS_OK;
}

static Status fill(FeatureFile *file, const char *path, const char *crs_wkt,
                   OGRwkbGeometryType type)
{
  TRY(memory_copy_text(path, &file->path));
  file->format = format_of(path);
  if (file->format == NULL)
    return status_set(STATUS_BAD_OPTION,
                      "%s: features are written as .gpkg, .fgb, .geojson or .shp", path);
  TRY(output_check_writable(path));
  TRY(output_aside(path, file->aside));
  const char *name = path_file_name(path);
  (void)snprintf(file->name, sizeof file->name, "%.*s",
                 (int)(strlen(name) - strlen(file->format->ending)), name);
  remove_aside(file);
  return create(file, crs_wkt, type);
}

Status feature_file_create(const char *path, const char *crs_wkt, OGRwkbGeometryType type,
                           FeatureFile **file)
{
  *file = NULL;
  void *memory;
  Status status = memory_allocate(1, sizeof(FeatureFile), "a file of features", &memory);
  if (status != STATUS_OK) return status;
  FeatureFile *creating = memory;
  status = fill(creating, path, crs_wkt, type);
  if (status == STATUS_OK)
    *file = creating;
  else
    feature_file_close(creating);
  return status;
}

OGRLayerH feature_file_layer(FeatureFile *file)
{
  return file->layer;
}

GDALDatasetH feature_file_dataset(FeatureFile *file)
{
  return file->dataset;
}

bool feature_file_is_shapefile(const FeatureFile *file)
{
  return file->format != NULL && strcmp(file->format->ending, ".shp") == 0;
}

bool feature_file_is_geopackage(const FeatureFile *file)
{
  return file->format != NULL && strcmp(file->format->ending, ".gpkg") == 0;
}

const char *feature_file_layer_name(const FeatureFile *file)
{
  return file->name;
}

Status feature_file_add_field(FeatureFile *file, const char *name, OGRFieldType type)
{
  GdalWatch watch;
  OGRFieldDefnH field = OGR_Fld_Create(name, type);
  gdal_watch_begin(&watch);
  const OGRErr refused = OGR_L_CreateField(file->layer, field, FALSE);
  gdal_watch_end(&watch);
  OGR_Fld_Destroy(field);
  return refused != OGRERR_NONE || watch.failed ? failed(file, &watch) : STATUS_OK;
}

Status feature_file_write(FeatureFile *file, OGRFeatureH feature)
{
  GdalWatch watch;
  gdal_watch_begin(&watch);
  const OGRErr refused = OGR_L_CreateFeature(file->layer, feature);
  gdal_watch_end(&watch);
  return refused != OGRERR_NONE || watch.failed ? failed(file, &watch) : STATUS_OK;
}

static Status commit_parts(const FeatureFile *file)
{
  char from[OUTPUT_PATH_BYTES + 16];
  char to[OUTPUT_PATH_BYTES + 16];
  for (size_t i = 0; feature_file_is_shapefile(file) && i < SHAPEFILE_PARTS; ++i) {
    name_part(file->aside, shapefile_parts[i], from);
    name_part(file->path, shapefile_parts[i], to);
    if (path_exists(from) ? rename(from, to) != 0 : unlink(to) != 0 && errno != ENOENT)
      return status_set(STATUS_IO, "%s: cannot be replaced (%s)", to, strerror(errno));
  }
  return output_commit(file->path);
}

Status feature_file_finish(FeatureFile *file)
{
  GdalWatch watch;
  fix_date(true);
  gdal_watch_begin(&watch);
  if (file->in_transaction) (void)GDALDatasetCommitTransaction(file->dataset);
  file->in_transaction = false;
  GDALClose(file->dataset);
  gdal_watch_end(&watch);
  fix_date(false);
  file->dataset = NULL;
  if (watch.failed) return failed(file, &watch);
  TRY(commit_parts(file));
  file->finished = true;
  return STATUS_OK;
}

void feature_file_close(FeatureFile *file)
{
  if (file == NULL) return;
  if (file->in_transaction) (void)GDALDatasetRollbackTransaction(file->dataset);
  if (file->dataset != NULL) GDALClose(file->dataset);
  if (!file->finished) remove_aside(file);
  memory_free(file->path);
  memory_free(file);
}
