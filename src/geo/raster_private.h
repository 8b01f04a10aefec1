#pragma once

#include "gdal_door.h"
#include "geo/raster.h"

enum { RASTER_BAND_NAME_BYTES = 64 };

typedef struct RasterBand {
  GDALRasterBandH handle;
  int number; /* GDAL's, from 1 */
  int mask_flags;
  bool has_nodata;
  double nodata;
  char name[RASTER_BAND_NAME_BYTES];
} RasterBand;

struct Raster {
  GDALDatasetH dataset;
  char *path;
  char *crs_wkt; /* freed by CPLFree */
  Grid grid;
  bool georeferenced;
  PixelType type;
  RasterBand *bands;
  int32_t band_count;
  int alpha_number; /* 0: none */
  GDALRasterBandH alpha;
  int *chosen; /* GDAL's numbers of the bands being read */
  int32_t chosen_capacity;
  uint8_t *mask; /* scratch of one mask; grows to the largest window */
  size_t mask_capacity;
};

/* What is read, and into how many pixels. */
typedef struct RasterPart {
  Window window; /* inside the raster */
  int width_px;  /* of the result */
  int height_px;
  RasterThinning thinning;
  const int32_t *bands; /* NULL: the first ones */
  int32_t band_count;
  uint8_t *pixels;   /* of the part's first pixel */
  int64_t row_bytes; /* from row to row of the result */
  uint8_t *valid;
  int64_t valid_row_bytes;
} RasterPart;

/* Clears valid, and the pixels there, where the part is NoData. */
Status raster_hide_nodata(Raster *raster, const RasterPart *part);
/* The part's band as the struct of the raster's. */
const RasterBand *raster_part_band(const Raster *raster, const RasterPart *part, int32_t index);
Status raster_read_failed(const Raster *raster, Window window, const GdalWatch *watch);
