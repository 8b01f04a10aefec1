#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cpl_string.h>

#include "base/path.h"
#include "cog_writer.h"

/* A tile's place in the file as GDAL's GTiff driver tells it; 0 for a tile that is not stored. */
static int64_t tile_item(GDALRasterBandH band, const char *what, int column, int row)
{
  char key[64];
  (void)snprintf(key, sizeof key, "%s_%d_%d", what, column, row);
  const char *value = GDALGetMetadataItem(band, key, "TIFF");
  return value == NULL ? 0 : strtoll(value, NULL, 10);
}

static Status check_tiles(const char *path, GDALRasterBandH band, int64_t file_bytes)
{
  int width, height;
  GDALGetBlockSize(band, &width, &height);
  const int columns = (GDALGetRasterBandXSize(band) + width - 1) / width;
  const int rows = (GDALGetRasterBandYSize(band) + height - 1) / height;
  for (int row = 0; row < rows; ++row)
    for (int column = 0; column < columns; ++column)
      if (tile_item(band, "BLOCK_OFFSET", column, row) +
              tile_item(band, "BLOCK_SIZE", column, row) >
          file_bytes)
        return status_set(STATUS_IO,
                          "%s: tile %d, %d lies beyond the end of the file; the disk may be full",
                          path, column, row);
  return STATUS_OK;
}

static Status check_dataset(const char *path, GDALDatasetH dataset, int64_t width_px,
                            int64_t height_px)
{
  int64_t file_bytes;
  TRY(path_size_bytes(path, &file_bytes));
  const char *layout = GDALGetMetadataItem(dataset, "LAYOUT", "IMAGE_STRUCTURE");
  if (GDALGetRasterXSize(dataset) != width_px || GDALGetRasterYSize(dataset) != height_px ||
      layout == NULL || !EQUAL(layout, "COG"))
    return status_set(STATUS_IO, "%s: was not written as a Cloud Optimized GeoTIFF", path);
  GDALRasterBandH band = GDALGetRasterBand(dataset, 1);
  TRY(check_tiles(path, band, file_bytes));
  for (int i = 0; i < GDALGetOverviewCount(band); ++i)
    TRY(check_tiles(path, GDALGetOverview(band, i), file_bytes));
  return STATUS_OK;
}

Status cog_check(const char *path, int64_t width_px, int64_t height_px)
{
  GdalWatch watch;
  gdal_watch_begin(&watch);
  GDALDatasetH dataset = GDALOpenEx(path, GDAL_OF_RASTER | GDAL_OF_READONLY, NULL, NULL, NULL);
  gdal_watch_end(&watch);
  if (dataset == NULL)
    return status_set(STATUS_IO, "%s: cannot be read back (%s)", path, gdal_watch_words(&watch));
  const Status status = check_dataset(path, dataset, width_px, height_px);
  GDALClose(dataset);
  return status;
}
