#include <limits.h>
#include <string.h>

#include <cpl_error.h>

#include "raster_private.h"

Status raster_read_failed(const Raster *raster, Window window, const GdalWatch *watch)
{
  return status_set(STATUS_BAD_INPUT,
                    "%s: cannot read columns %lld-%lld, rows %lld-%lld; the file is truncated or "
                    "damaged (%s)",
                    raster->path, (long long)window.x_px,
                    (long long)(window.x_px + window.width_px - 1), (long long)window.y_px,
                    (long long)(window.y_px + window.height_px - 1), gdal_watch_words(watch));
}

static Status choose_bands(Raster *raster, const int32_t *bands, int32_t band_count)
{
  if (band_count < 1 || band_count > raster->chosen_capacity)
    return status_set(STATUS_BAD_OPTION, "%s: %d bands cannot be read at once; it has %d",
                      raster->path, band_count, raster->band_count);
  for (int32_t i = 0; i < band_count; ++i) {
    const int32_t band = bands == NULL ? i : bands[i];
    if (band < 0 || band >= raster->band_count)
      return status_set(STATUS_BAD_OPTION, "%s: there is no band %d; it has %d (counted from 0%s)",
                        raster->path, band, raster->band_count,
                        raster->alpha_number > 0 ? ", without transparency" : "");
    raster->chosen[i] = raster->bands[band].number;
  }
  return STATUS_OK;
}

const RasterBand *raster_part_band(const Raster *raster, const RasterPart *part, int32_t index)
{
  return &raster->bands[part->bands == NULL ? index : part->bands[index]];
}

static Status read_pixels(Raster *raster, const RasterPart *part)
{
  const GSpacing element = (GSpacing)pixel_bytes(raster->type);
  GDALRasterIOExtraArg extra;
  INIT_RASTERIO_EXTRA_ARG(extra);
  extra.eResampleAlg = part->thinning == RASTER_AVERAGE ? GRIORA_Average : GRIORA_NearestNeighbour;
  GdalWatch watch;
  gdal_watch_begin(&watch);
  const CPLErr failed = GDALDatasetRasterIOEx(
      raster->dataset, GF_Read, (int)part->window.x_px, (int)part->window.y_px,
      (int)part->window.width_px, (int)part->window.height_px, part->pixels, part->width_px,
      part->height_px, gdal_type_of_pixel(raster->type), part->band_count, raster->chosen,
      element * part->band_count, part->row_bytes, element, &extra);
  gdal_watch_end(&watch);
  if (failed != CE_None || watch.failed) return raster_read_failed(raster, part->window, &watch);
  return STATUS_OK;
}

static Status read_part(Raster *raster, const RasterPart *part)
{
  TRY(read_pixels(raster, part));
  if (part->valid == NULL) return STATUS_OK;
  for (int row = 0; row < part->height_px; ++row)
    memset(part->valid + row * part->valid_row_bytes, 1, (size_t)part->width_px);
  return raster_hide_nodata(raster, part);
}

static Status check_size(const Raster *raster, int64_t width_px, int64_t height_px,
                         int32_t band_count)
{
  if (width_px <= INT_MAX && height_px <= INT_MAX &&
      width_px * height_px <= INT64_MAX / 16 / band_count)
    return STATUS_OK;
  return status_set(STATUS_BAD_OPTION, "%s: a window of %lld x %lld px is too large to be read",
                    raster->path, (long long)width_px, (long long)height_px);
}

Status raster_read(Raster *raster, Window window, const int32_t *bands, int32_t band_count,
                   void *pixels, uint8_t *valid)
{
  if (window_is_empty(window)) return STATUS_OK;
  TRY(choose_bands(raster, bands, band_count));
  TRY(check_size(raster, window.width_px, window.height_px, band_count));

  const int64_t pixel = (int64_t)pixel_bytes(raster->type) * band_count;
  const Window inside = window_intersect(window, grid_window(&raster->grid));
  if (!window_equal(inside, window)) {
    memset(pixels, 0, (size_t)(window_pixels(window) * pixel));
    if (valid != NULL) memset(valid, 0, (size_t)window_pixels(window));
  }
  if (window_is_empty(inside)) return STATUS_OK;

  const int64_t first = (inside.y_px - window.y_px) * window.width_px + (inside.x_px - window.x_px);
  const RasterPart part = {
      .window = inside,
      .width_px = (int)inside.width_px,
      .height_px = (int)inside.height_px,
      .bands = bands,
      .band_count = band_count,
      .pixels = (uint8_t *)pixels + first * pixel,
      .row_bytes = window.width_px * pixel,
      .valid = valid == NULL ? NULL : valid + first,
      .valid_row_bytes = window.width_px,
  };
  return read_part(raster, &part);
}

Status raster_read_reduced(Raster *raster, Window window, RasterThinning thinning,
                           const int32_t *bands, int32_t band_count, int32_t width_px,
                           int32_t height_px, void *pixels, uint8_t *valid)
{
  if (window_is_empty(window) || !window_contains(grid_window(&raster->grid), window) ||
      width_px < 1 || height_px < 1 || width_px > window.width_px || height_px > window.height_px)
    return status_set(STATUS_BAD_OPTION, "%s: %lld x %lld px cannot be thinned to %d x %d px",
                      raster->path, (long long)window.width_px, (long long)window.height_px,
                      width_px, height_px);
  TRY(choose_bands(raster, bands, band_count));
  const RasterPart part = {
      .window = window,
      .width_px = width_px,
      .height_px = height_px,
      .thinning = thinning,
      .bands = bands,
      .band_count = band_count,
      .pixels = pixels,
      .row_bytes = (int64_t)width_px * band_count * (int64_t)pixel_bytes(raster->type),
      .valid = valid,
      .valid_row_bytes = width_px,
  };
  return read_part(raster, &part);
}
