#include "geo/raster.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <cpl_conv.h>
#include <cpl_string.h>

#include "base/memory.h"
#include "raster_private.h"

static Status open_dataset(Raster *raster, const char *path)
{
  GdalWatch watch;
  gdal_watch_begin(&watch);
  raster->dataset =
      GDALOpenEx(path, GDAL_OF_RASTER | GDAL_OF_READONLY | GDAL_OF_VERBOSE_ERROR, NULL, NULL, NULL);
  gdal_watch_end(&watch);
  if (raster->dataset == NULL) return gdal_open_failed(path, "a raster", &watch);
  if (GDALGetRasterCount(raster->dataset) > 0) return STATUS_OK;

  char **parts = GDALGetMetadata(raster->dataset, "SUBDATASETS");
  const char *first = CSLFetchNameValue(parts, "SUBDATASET_1_NAME");
  if (first == NULL) return status_set(STATUS_BAD_INPUT, "%s: has no band", path);
  return status_set(STATUS_BAD_INPUT,
                    "%s: holds %d rasters; name one of them, as gdalinfo lists them: %s", path,
                    CSLCount(parts) / 2, first);
}

static Status read_grid(Raster *raster, const char *path)
{
  static const double pixel_space[6] = {0, 1, 0, 0, 0, -1};
  Grid *grid = &raster->grid;
  double *m = grid->pixel_to_map;
  grid->width_px = GDALGetRasterXSize(raster->dataset);
  grid->height_px = GDALGetRasterYSize(raster->dataset);
  raster->georeferenced = GDALGetGeoTransform(raster->dataset, m) == CE_None;
  if (!raster->georeferenced) memcpy(m, pixel_space, sizeof pixel_space);
  raster->crs_wkt = gdal_crs_wkt(raster->georeferenced ? GDALGetSpatialRef(raster->dataset) : NULL);
  grid->crs_wkt = raster->crs_wkt;
  const double determinant = m[1] * m[5] - m[2] * m[4];
  if (!isfinite(determinant) || determinant == 0 || !isfinite(m[0]) || !isfinite(m[3]))
    return status_set(STATUS_BAD_INPUT,
                      "%s: its geotransform %g, %g, %g, %g, %g, %g gives pixels without an area",
                      path, m[0], m[1], m[2], m[3], m[4], m[5]);
  return STATUS_OK;
}

static void name_band(RasterBand *band)
{
  const char *description = GDALGetDescription(band->handle);
  const GDALColorInterp colour = GDALGetRasterColorInterpretation(band->handle);
  if (description != NULL && description[0] != '\0')
    (void)snprintf(band->name, sizeof band->name, "%s", description);
  else if (colour != GCI_Undefined && colour != GCI_GrayIndex && colour != GCI_PaletteIndex)
    (void)snprintf(band->name, sizeof band->name, "%s", GDALGetColorInterpretationName(colour));
  else
    (void)snprintf(band->name, sizeof band->name, "Band_%d", band->number);
}

static Status take_band(Raster *raster, const char *path, int number)
{
  GDALRasterBandH handle = GDALGetRasterBand(raster->dataset, number);
  if (GDALGetRasterColorInterpretation(handle) == GCI_AlphaBand &&
      GDALGetRasterCount(raster->dataset) > 1) {
    raster->alpha_number = number;
    raster->alpha = handle;
    return STATUS_OK;
  }
  PixelType type;
  if (!gdal_pixel_type(handle, &type))
    return status_set(
        STATUS_UNSUPPORTED,
        "%s: band %d is %s; bands may be uint8, uint16, int16 or float32 (convert with "
        "gdal_translate -ot)",
        path, number, gdal_type_words(handle));
  if (raster->band_count > 0 && type != raster->type)
    return status_set(STATUS_UNSUPPORTED,
                      "%s: band %d is %s, band %d is %s; all bands must have one type", path,
                      number, pixel_name(type), raster->bands[0].number, pixel_name(raster->type));
  raster->type = type;
  RasterBand *band = &raster->bands[raster->band_count++];
  int has_nodata = 0;
  *band = (RasterBand){.handle = handle, .number = number};
  band->mask_flags = GDALGetMaskFlags(handle);
  band->nodata = GDALGetRasterNoDataValue(handle, &has_nodata);
  band->has_nodata = has_nodata != 0;
  name_band(band);
  return STATUS_OK;
}

static Status read_bands(Raster *raster, const char *path)
{
  void *memory;
  const int count = GDALGetRasterCount(raster->dataset);
  TRY(memory_allocate((size_t)count, sizeof(RasterBand), "bands of a raster", &memory));
  raster->bands = memory;
  raster->chosen_capacity = count > 64 ? count : 64;
  TRY(memory_allocate((size_t)raster->chosen_capacity, sizeof(int), "bands of a raster", &memory));
  raster->chosen = memory;
  for (int number = 1; number <= count; ++number)
    TRY(take_band(raster, path, number));
  if (raster->band_count == 0)
    return status_set(STATUS_BAD_INPUT, "%s: has no band but transparency", path);
  return STATUS_OK;
}

static Status fill(Raster *raster, const char *path)
{
  TRY(memory_copy_text(path, &raster->path));
  TRY(open_dataset(raster, path));
  TRY(read_grid(raster, path));
  return read_bands(raster, path);
}

Status raster_open(const char *path, Raster **raster)
{
  *raster = NULL;
  void *memory;
  Status status = memory_allocate(1, sizeof(Raster), "a raster", &memory);
  if (status != STATUS_OK) return status;
  Raster *opening = memory;
  status = fill(opening, path);
  if (status == STATUS_OK)
    *raster = opening;
  else
    raster_close(opening);
  return status;
}

void raster_close(Raster *raster)
{
  if (raster == NULL) return;
  if (raster->dataset != NULL) GDALClose(raster->dataset);
  CPLFree(raster->crs_wkt);
  memory_free(raster->mask);
  memory_free(raster->chosen);
  memory_free(raster->bands);
  memory_free(raster->path);
  memory_free(raster);
}

const char *raster_path(const Raster *raster)
{
  return raster->path;
}

const Grid *raster_grid(const Raster *raster)
{
  return &raster->grid;
}

bool raster_is_georeferenced(const Raster *raster)
{
  return raster->georeferenced;
}

PixelType raster_type(const Raster *raster)
{
  return raster->type;
}

int32_t raster_band_count(const Raster *raster)
{
  return raster->band_count;
}

void raster_block_size(const Raster *raster, int32_t *width_px, int32_t *height_px)
{
  int width, height;
  GDALGetBlockSize(raster->bands[0].handle, &width, &height);
  *width_px = width;
  *height_px = height;
}

int64_t raster_block_bytes(const Raster *raster, Window window)
{
  int32_t width_px, height_px;
  const Window inside = window_intersect(window, grid_window(&raster->grid));
  if (window_is_empty(inside)) return 0;
  raster_block_size(raster, &width_px, &height_px);
  const int64_t columns =
      (inside.x_px + inside.width_px - 1) / width_px - inside.x_px / width_px + 1;
  const int64_t rows =
      (inside.y_px + inside.height_px - 1) / height_px - inside.y_px / height_px + 1;
  const int64_t pixel =
      (int64_t)pixel_bytes(raster->type) * GDALGetRasterCount(raster->dataset); /* all of a block */
  return columns * rows * width_px * height_px * pixel;
}

const char *raster_band_name(const Raster *raster, int32_t band)
{
  return raster->bands[band].name;
}

int32_t raster_alpha_band(const Raster *raster)
{
  return raster->alpha_number;
}

bool raster_band_nodata(const Raster *raster, int32_t band, double *value)
{
  if (raster->bands[band].has_nodata) *value = raster->bands[band].nodata;
  return raster->bands[band].has_nodata;
}

bool raster_has_mask(const Raster *raster)
{
  if (raster->alpha_number > 0 || raster->type == PIXEL_F32) return true;
  for (int32_t i = 0; i < raster->band_count; ++i)
    if ((raster->bands[i].mask_flags & GMF_ALL_VALID) == 0) return true;
  return false;
}

Status raster_window_of_extent(const Raster *raster, Extent extent, Window *window)
{
  *window =
      window_intersect(grid_window_of_extent(&raster->grid, extent), grid_window(&raster->grid));
  if (!window_is_empty(*window)) return STATUS_OK;
  const Extent own = grid_extent(&raster->grid);
  return status_set(STATUS_MISMATCH,
                    "%s: the extent %.3f %.3f %.3f %.3f lies outside of the raster, which has "
                    "%.3f %.3f %.3f %.3f (x and y from, x and y to, in map units)",
                    raster->path, extent.x_min, extent.y_min, extent.x_max, extent.y_max, own.x_min,
                    own.y_min, own.x_max, own.y_max);
}
