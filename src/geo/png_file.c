#include "png_file.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include <cpl_string.h>

#include "base/output.h"
#include "gdal_door.h"

static bool has_transparency(int64_t pixels, const uint8_t *rgba)
{
  for (int64_t i = 0; i < pixels; ++i)
    if (rgba[4 * i + 3] != 255) return true;
  return false;
}

static GDALDatasetH to_memory(int32_t width_px, int32_t height_px, int bands, const uint8_t *rgba)
{
  GDALDatasetH memory =
      GDALCreate(GDALGetDriverByName("MEM"), "", width_px, height_px, bands, GDT_Byte, NULL);
  if (memory == NULL) return NULL;
  if (bands == 4)
    (void)GDALSetRasterColorInterpretation(GDALGetRasterBand(memory, 4), GCI_AlphaBand);
  const CPLErr failed = GDALDatasetRasterIOEx(
      memory, GF_Write, 0, 0, width_px, height_px, (void *)(uintptr_t)rgba, width_px, height_px,
      GDT_Byte, bands, NULL, 4, (GSpacing)4 * width_px, 1, NULL);
  if (failed == CE_None) return memory;
  GDALClose(memory);
  return NULL;
}

static Status copy_to_png(const char *path, GDALDatasetH picture)
{
  char aside[OUTPUT_PATH_BYTES];
  TRY(output_check_writable(path));
  TRY(output_aside(path, aside));
  GDALDriverH driver = GDALGetDriverByName("PNG");
  if (driver == NULL) return status_set(STATUS_UNSUPPORTED, "%s: this GDAL writes no PNG", path);
  GdalWatch watch;
  gdal_watch_begin(&watch);
  GDALDatasetH png = GDALCreateCopy(driver, aside, picture, FALSE, NULL, NULL, NULL);
  if (png != NULL) GDALClose(png);
  gdal_watch_end(&watch);
  if (png == NULL || watch.failed)
    return status_set(STATUS_IO, "%s: cannot be written; is the disk full? (%s)", path,
                      gdal_watch_words(&watch));
  return output_commit(path);
}

Status png_write(const char *path, int32_t width_px, int32_t height_px, const uint8_t *rgba)
{
  const int bands = has_transparency((int64_t)width_px * height_px, rgba) ? 4 : 3;
  GDALDatasetH picture = to_memory(width_px, height_px, bands, rgba);
  if (picture == NULL)
    return status_set(STATUS_NO_MEMORY, "%s: a picture of %d x %d px", path, width_px, height_px);
  const Status status = copy_to_png(path, picture);
  GDALClose(picture);
  if (status != STATUS_OK) output_discard(path);
  return status;
}
