#pragma once

/* What the files of this floor share about GDAL; no other floor may include this. */

#include <stdbool.h>
#include <stdint.h>

#include <gdal.h>
#include <ogr_api.h>
#include <ogr_srs_api.h>

#include "base/status.h"
#include "geo/grid.h"
#include "geo/pixel.h"

/* Keeps the first failure that GDAL reports in this thread between begin and end; warnings do not
 * count. Watches may be nested; the inner one hears it. */
typedef struct GdalWatch {
  bool failed;
  char words[400]; /* one line, without a full stop at its end */
} GdalWatch;

void gdal_watch_begin(GdalWatch *watch);
void gdal_watch_end(GdalWatch *watch);
/* GDAL's reason, or "no reason given". */
const char *gdal_watch_words(const GdalWatch *watch);

/* False for a type that pixel.h lacks. */
bool gdal_pixel_type(GDALRasterBandH band, PixelType *type);
GDALDataType gdal_type_of_pixel(PixelType type);
/* The band's type in our words: "float64", "complex float32", "int8". */
const char *gdal_type_words(GDALRasterBandH band);

/* A system from WKT with x before y, without its vertical part; NULL if wkt is "" or not
 * understood. Ended by OSRRelease. */
OGRSpatialReferenceH gdal_crs_open(const char *wkt);
/* WKT 2 of a system, "" for NULL and for GeoPackage's undefined ones; freed by CPLFree. NULL if memory ended. */
char *gdal_crs_wkt(OGRSpatialReferenceH crs);

/* Why a path could not be opened, as a status with its sentence. */
Status gdal_open_failed(const char *path, const char *as_what, const GdalWatch *watch);

/* The geotransform and the reference system of grid onto a new dataset. */
Status gdal_set_grid(GDALDatasetH dataset, const Grid *grid, const char *path);
