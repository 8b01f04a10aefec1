#pragma once

#include "gdal_door.h"

/* Writes features to a file whose ending names the format: aside, in one transaction, renamed when
 * whole. */
typedef struct FeatureFile FeatureFile;

/* The file is empty and its layer has no fields. crs_wkt "" is unknown. Errors: STATUS_BAD_OPTION
 * for an ending that has no format; STATUS_IO. */
Status feature_file_create(const char *path, const char *crs_wkt, OGRwkbGeometryType type,
                           FeatureFile **file);
OGRLayerH feature_file_layer(FeatureFile *file);
GDALDatasetH feature_file_dataset(FeatureFile *file);
/* Whether it is a Shapefile, whose field names have 10 characters. */
bool feature_file_is_shapefile(const FeatureFile *file);
bool feature_file_is_geopackage(const FeatureFile *file);
const char *feature_file_layer_name(const FeatureFile *file);
Status feature_file_add_field(FeatureFile *file, const char *name, OGRFieldType type);
/* feature stays the caller's. */
Status feature_file_write(FeatureFile *file, OGRFeatureH feature);
Status feature_file_finish(FeatureFile *file);
void feature_file_close(FeatureFile *file); /* accepts NULL; removes what was not finished */
