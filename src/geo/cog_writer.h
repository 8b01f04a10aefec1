#pragma once

#include "gdal_door.h"

/* Writes a Cloud Optimized GeoTIFF in two steps, since GDAL makes one only from a finished raster:
 * windows go into a tiled file beside it, which is then turned into the COG, checked and renamed.
 * What TIFF has no place for (category names, attribute table) follows in path.aux.xml. */
typedef struct CogWriter CogWriter;

/* What a pixel of an overview is of the four under it. */
typedef enum CogOverviews { COG_MODE, COG_AVERAGE } CogOverviews;

typedef struct CogSpec {
  PixelType type;
  int32_t band_count;
  bool has_nodata;
  double nodata;
  CogOverviews overviews;
  bool has_gradients; /* neighbours are alike in value, not only equal: a predictor pays */
  bool is_rgb;
  int32_t thread_count;
} CogSpec;

Status cog_writer_create(const char *path, const Grid *grid, const CogSpec *spec,
                         CogWriter **writer);
/* To describe its bands before the first window. */
GDALDatasetH cog_writer_dataset(CogWriter *writer);
/* values: height x width x bands, channels last. */
Status cog_writer_write(CogWriter *writer, Window window, const void *values);
Status cog_writer_finish(CogWriter *writer);
void cog_writer_close(CogWriter *writer); /* accepts NULL; removes what was not finished */

/* Whether a COG is laid out as one and every tile lies inside the file: a full disk may go
 * unnoticed by GDAL. */
Status cog_check(const char *path, int64_t width_px, int64_t height_px);
