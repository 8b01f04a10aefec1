#include "rasterize.h"

#include <stdio.h>
#include <string.h>

#include <cpl_conv.h>
#include <cpl_string.h>
#include <gdal_alg.h>

#include "base/memory.h"

/* GDAL asks for pixels of places on the map; the grid's own affine keeps more digits than GDAL's
 * inverse, which multiplies whole coordinates. */
static int to_pixels(void *grid, int from_pixels, int count, double *x, double *y, double *z,
                     int *done)
{
  for (int i = 0; i < count; ++i) {
    if (from_pixels)
      grid_pixel_to_map(grid, x[i], y[i], &x[i], &y[i]);
    else
      grid_map_to_pixel(grid, x[i], y[i], &x[i], &y[i]);
    done[i] = TRUE;
  }
  return TRUE;
}

/* A dataset whose one band is the caller's memory. NULL if GDAL refuses. */
static GDALDatasetH wrap(const Grid *chip, PixelType type, void *class_values)
{
  char pointer[64];
  char address[80];
  const int length = CPLPrintPointer(pointer, class_values, (int)sizeof pointer - 1);
  pointer[length] = '\0';
  (void)snprintf(address, sizeof address, "DATAPOINTER=%s", pointer);
  char *options[] = {address, NULL};
  GDALDatasetH dataset = GDALCreate(GDALGetDriverByName("MEM"), "", (int)chip->width_px,
                                    (int)chip->height_px, 0, GDT_Byte, NULL);
  if (dataset == NULL) return NULL;
  if (GDALAddBand(dataset, gdal_type_of_pixel(type), options) == CE_None) return dataset;
  GDALClose(dataset);
  return NULL;
}

static Status burn(GDALDatasetH dataset, Grid *chip, int count, const OGRGeometryH *geometries,
                   const double *values)
{
  int band = 1;
  GdalWatch watch;
  gdal_watch_begin(&watch);
  const CPLErr failed = GDALRasterizeGeometries(dataset, 1, &band, count, geometries, to_pixels,
                                                chip, values, NULL, NULL, NULL);
  GDALFlushCache(dataset);
  gdal_watch_end(&watch);
  if (failed != CE_None || watch.failed)
    return status_set(STATUS_BAD_INPUT, "labels cannot be burned (%s)", gdal_watch_words(&watch));
  return STATUS_OK;
}

static Status list(const char *path, const Feature *const *near, int count, PixelType type,
                   OGRGeometryH *geometries, double *values)
{
  for (int i = 0; i < count; ++i) {
    if (type == PIXEL_U8 && near[i]->value > UINT8_MAX)
      return status_set(STATUS_MISMATCH, "%s: feature %lld has class %d; uint8 labels end at 255",
                        path, (long long)near[i]->id, near[i]->value);
    geometries[i] = near[i]->geometry;
    values[i] = near[i]->value;
  }
  return STATUS_OK;
}

static Status burn_near(const char *path, const Feature *const *near, int count, const Grid *chip,
                        PixelType type, void *class_values)
{
  void *memory;
  const size_t each = sizeof(double) + sizeof(OGRGeometryH);
  TRY(memory_allocate((size_t)count, each, "labels of a chip", &memory));
  double *values = memory;
  OGRGeometryH *geometries = (OGRGeometryH *)(void *)(values + count);
  Grid grid = *chip;
  Status status = list(path, near, count, type, geometries, values);
  GDALDatasetH dataset = status == STATUS_OK ? wrap(chip, type, class_values) : NULL;
  if (status == STATUS_OK && dataset == NULL)
    status = status_set(STATUS_NO_MEMORY, "labels of a chip (%s)", CPLGetLastErrorMsg());
  if (status == STATUS_OK) status = burn(dataset, &grid, count, geometries, values);
  if (dataset != NULL) GDALClose(dataset);
  memory_free(memory);
  return status;
}

Status rasterize_features(const char *path, const FeatureSet *set, const Grid *chip, PixelType type,
                          void *class_values)
{
  int count;
  memset(class_values, 0, (size_t)(chip->width_px * chip->height_px) * pixel_bytes(type));
  const Feature **near = feature_set_near(set, chip, &count);
  const Status status =
      count == 0 ? STATUS_OK : burn_near(path, near, count, chip, type, class_values);
  CPLFree(near);
  return status;
}
