#pragma once

/* A temporary folder, and rasters and features made in it with GDAL itself, as a user's files would
 * be. */

#include <stdint.h>

#include <gdal.h>
#include <ogr_api.h>
#include <ogr_srs_api.h>

#include "geo/grid.h"
#include "support/check.h"

enum { FIXTURE_PATH_BYTES = 256 };

/* Setup and teardown of a group: starts GDAL and makes the folder, removes both. */
int fixture_start(void **state);
int fixture_end(void **state);
/* folder/name. */
void fixture_path(const char *name, char path[FIXTURE_PATH_BYTES]);
/* Whether the folder holds a file whose name begins so. */
int fixture_holds(const char *beginning);

/* A GeoTIFF of one type and band_count bands, channels last; options as "COMPRESS=LZW", ended by
 * NULL, or NULL. crs: "EPSG:3857" or "". Left open for more to be set; closed by GDALClose. */
GDALDatasetH fixture_raster(const char *path, const Grid *grid, const char *crs, GDALDataType type,
                            int band_count, const void *pixels, char **options);

/* A layer with one field, which is text unless type says otherwise. */
typedef struct FixtureFeature {
  const char *wkt;
  const char *text; /* value of the field as text; NULL: not set */
} FixtureFeature;

void fixture_features(const char *path, const char *driver, const char *crs, const char *field,
                      OGRFieldType type, const FixtureFeature *features, size_t count);

/* Whether two files hold the same bytes. */
int fixture_same_bytes(const char *a_path, const char *b_path);

/* 32 x 24 px of 2 m in UTM zone 45 north, whose first corner is at 300000, 3060000. */
extern const Grid fixture_grid;
extern const char fixture_crs[]; /* "EPSG:32645" */
