#include <float.h>
#include <math.h>
#include <string.h>

#include <cpl_error.h>

#include "base/memory.h"
#include "raster_private.h"

/* GDAL's ARE_REAL_EQUAL: within 2 ulp, so that -3.4e38 written as text is still found. */
static bool is_value(float value, float nodata)
{
  return value == nodata || fabsf(value - nodata) < FLT_EPSILON * fabsf(value + nodata) * 2;
}

static float nearest_float(double nodata)
{
  if (isnan(nodata) || isinf(nodata)) return (float)nodata;
  return (float)fmax(-(double)FLT_MAX, fmin((double)FLT_MAX, nodata));
}

static void hide_in_floats(const RasterPart *part, int row, int32_t band, const RasterBand *of)
{
  const float *pixels = (const float *)(const void *)(part->pixels + row * part->row_bytes) + band;
  uint8_t *valid = part->valid + row * part->valid_row_bytes;
  const float nodata = of->has_nodata ? nearest_float(of->nodata) : NAN;
  for (int column = 0; column < part->width_px; ++column) {
    const float value = pixels[(ptrdiff_t)column * part->band_count];
    if (!isfinite(value) || is_value(value, nodata)) valid[column] = 0;
  }
}

/* The bits that a pixel of the type has for the value; false if it cannot have it. */
static bool bits_of(PixelType type, double value, uint16_t *bits)
{
  const double least = type == PIXEL_I16 ? INT16_MIN : 0;
  const double most = type == PIXEL_U8 ? UINT8_MAX : type == PIXEL_U16 ? UINT16_MAX : INT16_MAX;
  if (!(value >= least && value <= most) || value != floor(value)) return false;
  *bits = (uint16_t)(int32_t)value;
  return true;
}

static void hide_in_bytes(const RasterPart *part, int row, int32_t band, uint16_t bits)
{
  const uint8_t *pixels = part->pixels + row * part->row_bytes + band;
  uint8_t *valid = part->valid + row * part->valid_row_bytes;
  for (int column = 0; column < part->width_px; ++column)
    if (pixels[(ptrdiff_t)column * part->band_count] == bits) valid[column] = 0;
}

static void hide_in_shorts(const RasterPart *part, int row, int32_t band, uint16_t bits)
{
  const uint16_t *pixels =
      (const uint16_t *)(const void *)(part->pixels + row * part->row_bytes) + band;
  uint8_t *valid = part->valid + row * part->valid_row_bytes;
  for (int column = 0; column < part->width_px; ++column)
    if (pixels[(ptrdiff_t)column * part->band_count] == bits) valid[column] = 0;
}

static void hide_in_integers(const RasterPart *part, PixelType type, int row, int32_t band,
                             double nodata)
{
  uint16_t bits;
  if (!bits_of(type, nodata, &bits)) return;
  if (type == PIXEL_U8)
    hide_in_bytes(part, row, band, bits);
  else
    hide_in_shorts(part, row, band, bits);
}

static void hide_values(const Raster *raster, const RasterPart *part, int32_t band)
{
  const RasterBand *of = raster_part_band(raster, part, band);
  for (int row = 0; row < part->height_px; ++row) {
    if (raster->type == PIXEL_F32)
      hide_in_floats(part, row, band, of);
    else if (of->has_nodata)
      hide_in_integers(part, raster->type, row, band, of->nodata);
  }
}

static Status hide_by_mask(Raster *raster, const RasterPart *part, GDALRasterBandH mask)
{
  GdalWatch watch;
  gdal_watch_begin(&watch);
  const CPLErr failed = GDALRasterIO(mask, GF_Read, (int)part->window.x_px, (int)part->window.y_px,
                                     (int)part->window.width_px, (int)part->window.height_px,
                                     raster->mask, part->width_px, part->height_px, GDT_Byte, 0, 0);
  gdal_watch_end(&watch);
  if (failed != CE_None || watch.failed) return raster_read_failed(raster, part->window, &watch);
  const uint8_t *shown = raster->mask;
  for (int row = 0; row < part->height_px; ++row) {
    uint8_t *valid = part->valid + row * part->valid_row_bytes;
    for (int column = 0; column < part->width_px; ++column)
      if (*shown++ == 0) valid[column] = 0;
  }
  return STATUS_OK;
}

/* A NoData value is looked for in the pixels themselves, which saves GDAL a second read. */
static bool has_mask_of_its_own(const RasterBand *band)
{
  return (band->mask_flags & (GMF_ALL_VALID | GMF_ALPHA)) == 0 && band->mask_flags != GMF_NODATA;
}

static Status hide_by_masks(Raster *raster, const RasterPart *part)
{
  bool shared_is_done = false;
  if (raster->alpha != NULL) TRY(hide_by_mask(raster, part, raster->alpha));
  for (int32_t i = 0; i < part->band_count; ++i) {
    const RasterBand *band = raster_part_band(raster, part, i);
    const bool shared = (band->mask_flags & GMF_PER_DATASET) != 0;
    if (!has_mask_of_its_own(band) || (shared && shared_is_done)) continue;
    shared_is_done = shared_is_done || shared;
    TRY(hide_by_mask(raster, part, GDALGetMaskBand(band->handle)));
  }
  return STATUS_OK;
}

static Status reserve_mask(Raster *raster, size_t bytes)
{
  if (bytes <= raster->mask_capacity) return STATUS_OK;
  memory_free(raster->mask);
  raster->mask = NULL;
  raster->mask_capacity = 0;
  void *memory;
  TRY(memory_allocate(bytes, 1, "the mask of a raster", &memory));
  raster->mask = memory;
  raster->mask_capacity = bytes;
  return STATUS_OK;
}

static void clear_hidden(const Raster *raster, const RasterPart *part)
{
  const size_t pixel = pixel_bytes(raster->type) * (size_t)part->band_count;
  for (int row = 0; row < part->height_px; ++row) {
    const uint8_t *valid = part->valid + row * part->valid_row_bytes;
    uint8_t *pixels = part->pixels + row * part->row_bytes;
    for (int column = 0; column < part->width_px; ++column)
      if (valid[column] == 0) memset(pixels + (size_t)column * pixel, 0, pixel);
  }
}

Status raster_hide_nodata(Raster *raster, const RasterPart *part)
{
  if (!raster_has_mask(raster)) return STATUS_OK;
  TRY(reserve_mask(raster, (size_t)part->width_px * (size_t)part->height_px));
  for (int32_t i = 0; i < part->band_count; ++i)
    hide_values(raster, part, i);
  TRY(hide_by_masks(raster, part));
  clear_hidden(raster, part);
  return STATUS_OK;
}
