#pragma once

#include "gdal_door.h"

/* Writes features to a file whose ending names the format: aside, in one transaction, renamed when
 * whole. */
typedef struct FeatureFile FeatureFile;

/* The file is empty and its layer has no fields. crs_wkt "" is unknown. Errors: STATUS_BAD_OPTION
 * for an ending that has no format; STATUS_IO. */
Status feature_file_create(const char *path, const char *crs_wkt, OGRwkbGeometryType type,
                           FeatureFile **file);
/* The same in the format of this name ("GPKG", "MapInfo File"); "" takes the path's ending, here of
 * any format that this GDAL writes. Errors: STATUS_BAD_OPTION also for a format that GDAL does not
 * know or does not write; STATUS_UNSUPPORTED for one whose files are folders. */
Status feature_file_create_as(const char *path, const char *format, const char *crs_wkt,
                              OGRwkbGeometryType type, FeatureFile **file);
/* Whether feature_file_create_as would know how to write it. */
Status feature_file_check_format(const char *path, const char *format);
bool feature_file_would_be_geopackage(const char *path, const char *format);
/* A further layer, called as the first with suffix behind. Errors: STATUS_UNSUPPORTED for all but
 * GeoPackages. */
Status feature_file_add_layer(FeatureFile *file, const char *suffix, const char *crs_wkt,
                              OGRwkbGeometryType type, OGRLayerH *layer);
/* Says something of the whole file, where the format has a place for it. */
void feature_file_note(FeatureFile *file, const char *key, const char *text);
OGRLayerH feature_file_layer(FeatureFile *file);
GDALDatasetH feature_file_dataset(FeatureFile *file);
/* Whether it is a Shapefile, whose field names have 10 characters. */
bool feature_file_is_shapefile(const FeatureFile *file);
bool feature_file_is_geopackage(const FeatureFile *file);
const char *feature_file_layer_name(const FeatureFile *file);
Status feature_file_add_field(FeatureFile *file, const char *name, OGRFieldType type);
Status feature_file_add_field_to(FeatureFile *file, OGRLayerH layer, const char *name,
                                 OGRFieldType type);
/* feature stays the caller's. */
Status feature_file_write(FeatureFile *file, OGRFeatureH feature);
Status feature_file_write_to(FeatureFile *file, OGRLayerH layer, OGRFeatureH feature);
Status feature_file_finish(FeatureFile *file);
void feature_file_close(FeatureFile *file); /* accepts NULL; removes what was not finished */
