#include "label_raster.h"

#include <math.h>
#include <string.h>

#include <cpl_conv.h>

#include "base/memory.h"
#include "geo/crs.h"

static Status check_band(LabelRaster *labels)
{
  const int count = GDALGetRasterCount(labels->dataset);
  labels->band = GDALGetRasterBand(labels->dataset, 1);
  if (count != 1)
    return status_set(STATUS_BAD_INPUT, "%s: labels are a raster of one band, this one has %d",
                      labels->path, count);
  const GDALDataType type = GDALGetRasterDataType(labels->band);
  if (GDALDataTypeIsFloating(type) || GDALDataTypeIsComplex(type) ||
      GDALGetDataTypeSizeBits(type) > 32)
    return status_set(STATUS_UNSUPPORTED,
                      "%s: class values are whole numbers of at most 32 bits, this raster is %s "
                      "(convert with gdal_translate -ot)",
                      labels->path, gdal_type_words(labels->band));
  int has_nodata = 0;
  labels->nodata = GDALGetRasterNoDataValue(labels->band, &has_nodata);
  labels->has_nodata = has_nodata != 0;
  return STATUS_OK;
}

static Status check_crs(const LabelRaster *labels, const char *own_wkt, const Grid *raster,
                        bool assume_raster_crs)
{
  const bool both_known = own_wkt[0] != '\0' && raster->crs_wkt[0] != '\0';
  if (both_known ? crs_same(own_wkt, raster->crs_wkt) : assume_raster_crs) return STATUS_OK;
  char own_name[CRS_NAME_BYTES], raster_name[CRS_NAME_BYTES];
  crs_name(own_wkt, own_name);
  crs_name(raster->crs_wkt, raster_name);
  return status_set(
      STATUS_MISMATCH,
      "%s: a raster of labels must be in the raster's reference system; it is in %s, the "
      "raster in %s (%s)",
      labels->path, own_name, raster_name,
      both_known ? "warp it with gdalwarp -r near -t_srs"
                 : "set it, or say that both are the same");
}

static Status check_overlap(const LabelRaster *labels, const Grid *raster)
{
  const Extent own = grid_extent(&labels->grid);
  const Extent area = grid_extent(raster);
  if (own.x_min < area.x_max && own.x_max > area.x_min && own.y_min < area.y_max &&
      own.y_max > area.y_min)
    return STATUS_OK;
  char name[CRS_NAME_BYTES];
  crs_name(raster->crs_wkt, name);
  return status_set(
      STATUS_MISMATCH,
      "%s does not overlap the raster: it covers x %.10g to %.10g, y %.10g to %.10g; the "
      "raster x %.10g to %.10g, y %.10g to %.10g; both in %s",
      labels->path, own.x_min, own.x_max, own.y_min, own.y_max, area.x_min, area.x_max, area.y_min,
      area.y_max, name);
}

static Status check_place(LabelRaster *labels, const LabelOptions *options, const Grid *raster,
                          const Window *within, const char *own_wkt)
{
  double *m = labels->grid.pixel_to_map;
  labels->grid.width_px = GDALGetRasterXSize(labels->dataset);
  labels->grid.height_px = GDALGetRasterYSize(labels->dataset);
  labels->grid.crs_wkt = "";
  if (GDALGetGeoTransform(labels->dataset, m) != CE_None || m[1] * m[5] - m[2] * m[4] == 0)
    return status_set(STATUS_BAD_INPUT, "%s: has no geotransform; where its labels lie is unknown",
                      labels->path);
  TRY(check_crs(labels, own_wkt, raster, options->assume_raster_crs));
  return within == NULL ? check_overlap(labels, raster) : STATUS_OK;
}

Status label_raster_read(const char *path, GDALDatasetH dataset, const LabelOptions *options,
                         const Grid *raster, const Window *within, LabelRaster *labels,
                         LabelClasses *classes)
{
  void *memory;
  *labels = (LabelRaster){.path = path, .dataset = dataset};
  *classes = (LabelClasses){.rule = CLASS_RULE_NUMBER, .field = -1, .name_field = -1};
  TRY(memory_allocate(LABEL_RASTER_WINDOW_PX, sizeof(int32_t), "labels", &memory));
  labels->values = memory;
  TRY(check_band(labels));
  char *own_wkt = gdal_crs_wkt(GDALGetSpatialRef(dataset));
  const Status status = check_place(labels, options, raster, within, own_wkt);
  CPLFree(own_wkt);
  if (status != STATUS_OK) return status;
  classes->listed = options->classes != NULL && options->classes[0] != '\0';
  if (classes->listed) return label_classes_parse(options->classes, classes);
  return label_raster_classes(labels, classes);
}

void label_raster_free(LabelRaster *labels)
{
  memory_free(labels->values);
  *labels = (LabelRaster){.path = NULL};
}

Status label_raster_window(LabelRaster *labels, Window window)
{
  GdalWatch watch;
  gdal_watch_begin(&watch);
  const CPLErr failed = GDALRasterIO(labels->band, GF_Read, (int)window.x_px, (int)window.y_px,
                                     (int)window.width_px, (int)window.height_px, labels->values,
                                     (int)window.width_px, (int)window.height_px, GDT_Int32, 0, 0);
  gdal_watch_end(&watch);
  if (failed != CE_None || watch.failed)
    return status_set(STATUS_BAD_INPUT,
                      "%s: cannot read columns %lld-%lld, rows %lld-%lld; the file is truncated or "
                      "damaged (%s)",
                      labels->path, (long long)window.x_px,
                      (long long)(window.x_px + window.width_px - 1), (long long)window.y_px,
                      (long long)(window.y_px + window.height_px - 1), gdal_watch_words(&watch));
  if (!labels->has_nodata) return STATUS_OK;
  for (int64_t i = 0; i < window_pixels(window); ++i)
    if ((double)labels->values[i] == labels->nodata) labels->values[i] = 0;
  return STATUS_OK;
}

/* A chip, a part of it, and what of the labels lies under the part. */
typedef struct Burn {
  LabelRaster *labels;
  const LabelClasses *classes;
  const Grid *chip;
  PixelType type;
  void *class_values;
} Burn;

static Status put(const Burn *burn, int64_t column, int64_t row, int32_t value)
{
  const int32_t most = burn->type == PIXEL_U8 ? UINT8_MAX : UINT16_MAX;
  const LabelClasses *classes = burn->classes;
  if (classes->listed && class_find(classes->entries, classes->count, value) == NULL) value = 0;
  if (value < 0 || value > most)
    return status_set(
        STATUS_MISMATCH,
        "%s: holds the class value %d; %s labels go from 0 to %d (if it means no data, "
        "declare it as such)",
        burn->labels->path, value, pixel_name(burn->type), most);
  const int64_t place = row * burn->chip->width_px + column;
  if (burn->type == PIXEL_U8)
    ((uint8_t *)burn->class_values)[place] = (uint8_t)value;
  else
    ((uint16_t *)burn->class_values)[place] = (uint16_t)value;
  return STATUS_OK;
}

/* The label pixel that holds the chip pixel's centre. */
static void place_of(const Burn *burn, int64_t column, int64_t row, double *x_px, double *y_px)
{
  double x, y;
  grid_pixel_to_map(burn->chip, (double)column + 0.5, (double)row + 0.5, &x, &y);
  grid_map_to_pixel(&burn->labels->grid, x, y, x_px, y_px);
  *x_px = floor(*x_px);
  *y_px = floor(*y_px);
}

static Status sample(const Burn *burn, Window part, Window under)
{
  for (int64_t row = part.y_px; row < part.y_px + part.height_px; ++row)
    for (int64_t column = part.x_px; column < part.x_px + part.width_px; ++column) {
      double x_px, y_px;
      place_of(burn, column, row, &x_px, &y_px);
      if (!(fabs(x_px) < 1e15 && fabs(y_px) < 1e15) ||
          !window_contains_pixel(under, (int64_t)x_px, (int64_t)y_px))
        continue;
      const int64_t place =
          ((int64_t)y_px - under.y_px) * under.width_px + ((int64_t)x_px - under.x_px);
      TRY(put(burn, column, row, burn->labels->values[place]));
    }
  return STATUS_OK;
}

/* Halves the part until what lies under it fits the scratch: labels may be far finer than the chip.
 */
static Status burn_part(const Burn *burn, Window part)
{
  const Grid grid = grid_subgrid(burn->chip, part);
  Window under = grid_window_of_extent(&burn->labels->grid, grid_extent(&grid));
  if (part.width_px == 1 && part.height_px == 1) {
    double x_px, y_px;
    place_of(burn, part.x_px, part.y_px, &x_px, &y_px);
    if (!(fabs(x_px) < 1e15 && fabs(y_px) < 1e15)) return STATUS_OK;
    under = (Window){(int64_t)x_px, (int64_t)y_px, 1, 1};
  } else {
    under = window_grow(under, 1);
  }
  under = window_intersect(under, grid_window(&burn->labels->grid));
  if (window_is_empty(under)) return STATUS_OK;
  if (window_pixels(under) <= LABEL_RASTER_WINDOW_PX) {
    TRY(label_raster_window(burn->labels, under));
    return sample(burn, part, under);
  }
  Window first = part, second = part;
  if (part.width_px > part.height_px) {
    first.width_px = part.width_px / 2;
    second.x_px += first.width_px;
    second.width_px -= first.width_px;
  } else {
    first.height_px = part.height_px / 2;
    second.y_px += first.height_px;
    second.height_px -= first.height_px;
  }
  TRY(burn_part(burn, first));
  return burn_part(burn, second);
}

Status label_raster_burn(LabelRaster *labels, const LabelClasses *classes, const Grid *chip,
                         PixelType type, void *class_values)
{
  const Burn burn = {labels, classes, chip, type, class_values};
  memset(class_values, 0, (size_t)(chip->width_px * chip->height_px) * pixel_bytes(type));
  return burn_part(&burn, grid_window(chip));
}
