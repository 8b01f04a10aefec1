#pragma once

#include "gdal_door.h"
#include "label_class.h"

/* A raster whose pixels are class values. */
typedef struct LabelRaster {
  const char *path;
  GDALDatasetH dataset;
  GDALRasterBandH band;
  Grid grid; /* crs_wkt is "": it has been compared with the raster's */
  bool has_nodata;
  double nodata;
  int32_t *values; /* scratch: a window of the file */
} LabelRaster;

/* dataset stays the caller's; the struct is ended by label_raster_free in any case. */
Status label_raster_read(const char *path, GDALDatasetH dataset, const LabelOptions *options,
                         const Grid *raster, const Window *within, LabelRaster *labels,
                         LabelClasses *classes);
void label_raster_free(LabelRaster *labels);
/* As label_source_burn; listed: only the table's values count. */
Status label_raster_burn(LabelRaster *labels, const LabelClasses *classes, const Grid *chip,
                         PixelType type, void *class_values);
/* The table of a class raster: from the attribute table, the category names, or what occurs. */
Status label_raster_classes(LabelRaster *labels, LabelClasses *classes);
/* Reads a window of the file into values; NoData becomes 0. The window lies inside and holds at
 * most LABEL_RASTER_WINDOW_PX pixels. */
Status label_raster_window(LabelRaster *labels, Window window);

enum { LABEL_RASTER_WINDOW_PX = 1 << 20 };
