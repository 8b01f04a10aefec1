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
  const char *ending; /* NULL: any */
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

enum { ENDING_BYTES = 32, PARTS_MOST = 16 };

struct FeatureFile {
  char *path;
  char aside[OUTPUT_PATH_BYTES];
  char name[256];
  char ending[ENDING_BYTES]; /* of the path, ".gpkg" */
  FeatureFormat format;
  char parts[PARTS_MOST][ENDING_BYTES]; /* files beside the main one: ".shx" */
  int part_count;
  GDALDatasetH dataset;
  OGRLayerH layer;
  bool in_transaction;
  bool finished;
};

/* The driver that says it writes files of this ending, the first in GDAL's order. */
static GDALDriverH driver_of_ending(const char *ending)
{
  for (int i = 0; i < GDALGetDriverCount(); ++i) {
    GDALDriverH driver = GDALGetDriver(i);
    const char *endings = GDALGetMetadataItem(driver, GDAL_DMD_EXTENSIONS, NULL);
    if (endings == NULL || GDALGetMetadataItem(driver, GDAL_DCAP_VECTOR, NULL) == NULL ||
        GDALGetMetadataItem(driver, GDAL_DCAP_CREATE, NULL) == NULL)
      continue;
    char **words = CSLTokenizeString2(endings, " ", 0);
    const bool found = CSLFindString(words, ending) >= 0;
    CSLDestroy(words);
    if (found) return driver;
  }
  return NULL;
}

static Status find_driver(const char *path, const char *name, const char *ending,
                          GDALDriverH *driver)
{
  *driver = *name != '\0' ? GDALGetDriverByName(name) : driver_of_ending(ending + 1);
  if (*driver == NULL && *name != '\0')
    return status_set(STATUS_BAD_OPTION, "%s: GDAL %s knows no format of the name %s", path,
                      GDALVersionInfo("RELEASE_NAME"), name);
  if (*driver == NULL)
    return status_set(STATUS_BAD_OPTION,
                      "%s: no format of GDAL %s that takes features has this ending; choose .gpkg",
                      path, GDALVersionInfo("RELEASE_NAME"));
  if (GDALGetMetadataItem(*driver, GDAL_DCAP_VECTOR, NULL) == NULL ||
      GDALGetMetadataItem(*driver, GDAL_DCAP_CREATE, NULL) == NULL)
    return status_set(STATUS_BAD_OPTION, "%s: GDAL %s does not write features as %s", path,
                      GDALVersionInfo("RELEASE_NAME"), name);
  return STATUS_OK;
}

/* only_known: no other formats than those of the table. */
static Status find_format(const char *path, const char *name, bool only_known,
                          char ending[ENDING_BYTES], FeatureFormat *format)
{
  const char *dot = strrchr(path_file_name(path), '.');
  GDALDriverH driver;
  if (!only_known && (dot == NULL || strlen(dot) < 2 || strlen(dot) >= ENDING_BYTES))
    return status_set(STATUS_BAD_OPTION, "%s: the name needs an ending, such as .gpkg", path);
  (void)snprintf(ending, ENDING_BYTES, "%s", dot == NULL ? "" : dot);
  for (size_t i = 0; i < sizeof formats / sizeof formats[0]; ++i)
    if (*name == '\0'
            ? path_has_ending(path, formats[i].ending)
            : EQUAL(name, formats[i].driver) && path_has_ending(path, formats[i].ending)) {
      *format = formats[i];
      return STATUS_OK;
    }
  if (only_known)
    return status_set(STATUS_BAD_OPTION,
                      "%s: features are written as .gpkg, .fgb, .geojson or .shp", path);
  TRY(find_driver(path, name, ending, &driver));
  *format = (FeatureFormat){.driver = GDALGetDriverShortName(driver)};
  return STATUS_OK;
}

Status feature_file_check_format(const char *path, const char *format)
{
  char ending[ENDING_BYTES];
  FeatureFormat found;
  return find_format(path, format, false, ending, &found);
}

bool feature_file_would_be_geopackage(const char *path, const char *format)
{
  char ending[ENDING_BYTES];
  FeatureFormat found;
  return find_format(path, format, false, ending, &found) == STATUS_OK &&
         EQUAL(found.driver, "GPKG");
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

static void name_part(const FeatureFile *file, const char *path, const char *ending,
                      char name[OUTPUT_PATH_BYTES + ENDING_BYTES])
{
  (void)snprintf(name, OUTPUT_PATH_BYTES + ENDING_BYTES, "%.*s%s",
                 (int)(strlen(path) - strlen(file->ending)), path, ending);
}

/* A Shapefile is several files; other formats too have some beside the main one. */
static void list_parts(FeatureFile *file)
{
  char stem[OUTPUT_PATH_BYTES + ENDING_BYTES];
  char **files = GDALGetFileList(file->dataset);
  name_part(file, file->aside, "", stem);
  const size_t length = strlen(stem);
  file->part_count = 0;
  for (int i = 0; i < CSLCount(files) && file->part_count < PARTS_MOST; ++i) {
    const char *ending = files[i] + length;
    if (strncmp(files[i], stem, length) != 0 || strcmp(files[i], file->aside) == 0 ||
        *ending != '.' || strlen(ending) >= ENDING_BYTES)
      continue;
    (void)snprintf(file->parts[file->part_count++], ENDING_BYTES, "%s", ending);
  }
  CSLDestroy(files);
}

static void remove_aside(const FeatureFile *file)
{
  char name[OUTPUT_PATH_BYTES + ENDING_BYTES];
  if (file->aside[0] == '\0') return;
  (void)unlink(file->aside);
  (void)snprintf(name, sizeof name, "%s-journal", file->aside);
  (void)unlink(name);
  for (int i = 0; i < file->part_count; ++i) {
    name_part(file, file->aside, file->parts[i], name);
    (void)unlink(name);
  }
}

/* What a killed run may have left of a Shapefile. */
static void expect_parts(FeatureFile *file)
{
  static const char *const endings[] = {".shx", ".dbf", ".prj", ".cpg"};
  if (!feature_file_is_shapefile(file)) return;
  for (size_t i = 0; i < sizeof endings / sizeof endings[0]; ++i)
    (void)snprintf(file->parts[file->part_count++], ENDING_BYTES, "%s", endings[i]);
}

static Status create(FeatureFile *file, const char *crs_wkt, OGRwkbGeometryType type)
{
  GDALDriverH driver = GDALGetDriverByName(file->format.driver);
  if (driver == NULL)
    return status_set(STATUS_UNSUPPORTED, "%s: this GDAL was built without %s", file->path,
                      file->format.driver);
  OGRSpatialReferenceH crs = gdal_crs_open(crs_wkt);
  char **options = (char **)(uintptr_t)file->format.layer_options;
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
  if (path_is_folder(file->aside))
    return status_set(STATUS_UNSUPPORTED,
                      "%s: files of the format %s are folders, which are not written here",
                      file->path, file->format.driver);
  if (GDALDatasetTestCapability(file->dataset, ODsCTransactions))
    file->in_transaction = GDALDatasetStartTransaction(file->dataset, FALSE) == OGRERR_NONE;
  return STATUS_OK;
}

static Status fill(FeatureFile *file, const char *path, const char *format, const char *crs_wkt,
                   OGRwkbGeometryType type)
{
  TRY(memory_copy_text(path, &file->path));
  TRY(find_format(path, format == NULL ? "" : format, format == NULL, file->ending, &file->format));
  TRY(output_check_writable(path));
  TRY(output_aside(path, file->aside));
  const char *name = path_file_name(path);
  (void)snprintf(file->name, sizeof file->name, "%.*s", (int)(strlen(name) - strlen(file->ending)),
                 name);
  expect_parts(file);
  remove_aside(file);
  return create(file, crs_wkt, type);
}

/* format: NULL for those of the table by the path's ending, "" for any by it. */
static Status open_new(const char *path, const char *format, const char *crs_wkt,
                       OGRwkbGeometryType type, FeatureFile **file)
{
  *file = NULL;
  void *memory;
  Status status = memory_allocate(1, sizeof(FeatureFile), "a file of features", &memory);
  if (status != STATUS_OK) return status;
  FeatureFile *creating = memory;
  status = fill(creating, path, format, crs_wkt, type);
  if (status == STATUS_OK)
    *file = creating;
  else
    feature_file_close(creating);
  return status;
}

Status feature_file_create(const char *path, const char *crs_wkt, OGRwkbGeometryType type,
                           FeatureFile **file)
{
  return open_new(path, NULL, crs_wkt, type, file);
}

Status feature_file_create_as(const char *path, const char *format, const char *crs_wkt,
                              OGRwkbGeometryType type, FeatureFile **file)
{
  return open_new(path, format, crs_wkt, type, file);
}

Status feature_file_add_layer(FeatureFile *file, const char *suffix, const char *crs_wkt,
                              OGRwkbGeometryType type, OGRLayerH *layer)
{
  char name[sizeof file->name + ENDING_BYTES];
  GdalWatch watch;
  if (!feature_file_is_geopackage(file))
    return status_set(STATUS_UNSUPPORTED, "%s: a second layer is written to .gpkg only",
                      file->path);
  OGRSpatialReferenceH crs = gdal_crs_open(crs_wkt);
  (void)snprintf(name, sizeof name, "%s%s", file->name, suffix);
  fix_date(true);
  gdal_watch_begin(&watch);
  *layer = GDALDatasetCreateLayer(file->dataset, name, crs, type, NULL);
  gdal_watch_end(&watch);
  fix_date(false);
  if (crs != NULL) OSRRelease(crs);
  return *layer == NULL || watch.failed ? failed(file, &watch) : STATUS_OK;
}

void feature_file_note(FeatureFile *file, const char *key, const char *text)
{
  (void)GDALSetMetadataItem(file->dataset, key, text, NULL);
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
  return file->format.driver != NULL && EQUAL(file->format.driver, "ESRI Shapefile");
}

bool feature_file_is_geopackage(const FeatureFile *file)
{
  return file->format.driver != NULL && EQUAL(file->format.driver, "GPKG");
}

const char *feature_file_layer_name(const FeatureFile *file)
{
  return file->name;
}

Status feature_file_add_field(FeatureFile *file, const char *name, OGRFieldType type)
{
  return feature_file_add_field_to(file, file->layer, name, type);
}

/* Some formats have no long whole numbers. */
static OGRFieldType type_there(const FeatureFile *file, OGRFieldType type)
{
  const char *types = GDALGetMetadataItem(GDALGetDatasetDriver(file->dataset),
                                          GDAL_DMD_CREATIONFIELDDATATYPES, NULL);
  if (type != OFTInteger64 || types == NULL || strstr(types, "Integer64") != NULL) return type;
  return OFTReal;
}

Status feature_file_add_field_to(FeatureFile *file, OGRLayerH layer, const char *name,
                                 OGRFieldType type)
{
  GdalWatch watch;
  OGRFieldDefnH field = OGR_Fld_Create(name, type_there(file, type));
  gdal_watch_begin(&watch);
  const OGRErr refused = OGR_L_CreateField(layer, field, FALSE);
  gdal_watch_end(&watch);
  OGR_Fld_Destroy(field);
  return refused != OGRERR_NONE || watch.failed ? failed(file, &watch) : STATUS_OK;
}

Status feature_file_write(FeatureFile *file, OGRFeatureH feature)
{
  return feature_file_write_to(file, file->layer, feature);
}

Status feature_file_write_to(FeatureFile *file, OGRLayerH layer, OGRFeatureH feature)
{
  GdalWatch watch;
  gdal_watch_begin(&watch);
  const OGRErr refused = OGR_L_CreateFeature(layer, feature);
  gdal_watch_end(&watch);
  return refused != OGRERR_NONE || watch.failed ? failed(file, &watch) : STATUS_OK;
}

/* The main file is renamed last. */
static Status commit_parts(const FeatureFile *file)
{
  char from[OUTPUT_PATH_BYTES + ENDING_BYTES];
  char to[OUTPUT_PATH_BYTES + ENDING_BYTES];
  for (int i = 0; i < file->part_count; ++i) {
    name_part(file, file->aside, file->parts[i], from);
    name_part(file, file->path, file->parts[i], to);
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
  if (!feature_file_is_shapefile(file)) list_parts(file);
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
