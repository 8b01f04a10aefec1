#include "geo/tiff_chip.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cpl_string.h>

#include "base/memory.h"
#include "base/output.h"
#include "gdal_door.h"

/* All bands of a chip, channels last, in one direction. */
static CPLErr transfer(GDALDatasetH dataset, GDALRWFlag direction, const ChipImage *chip)
{
  const GSpacing element = (GSpacing)pixel_bytes(chip->type);
  const GSpacing pixel = element * chip->band_count;
  return GDALDatasetRasterIOEx(dataset, direction, 0, 0, chip->width_px, chip->height_px,
                               chip->pixels, chip->width_px, chip->height_px,
                               gdal_type_of_pixel(chip->type), chip->band_count, NULL, pixel,
                               pixel * chip->width_px, element, NULL);
}

static char **creation_options(const ChipImage *chip)
{
  char height[16];
  char **options = NULL;
  (void)snprintf(height, sizeof height, "%d", chip->height_px);
  const bool is_rgb = chip->band_count == 3 && chip->type == PIXEL_U8;
  options = CSLSetNameValue(options, "COMPRESS", "LZW");
  options = CSLSetNameValue(options, "INTERLEAVE", "PIXEL");
  options = CSLSetNameValue(options, "BLOCKYSIZE", height);
  options = CSLSetNameValue(options, "PHOTOMETRIC", is_rgb ? "RGB" : "MINISBLACK");
  options = CSLSetNameValue(options, "ALPHA", "NO");
  return options;
}

static Status write_tiff(const char *path, const Grid *grid, const ChipImage *chip)
{
  char **options = creation_options(chip);
  GdalWatch watch;
  gdal_watch_begin(&watch);
  GDALDatasetH dataset =
      GDALCreate(GDALGetDriverByName("GTiff"), path, chip->width_px, chip->height_px,
                 chip->band_count, gdal_type_of_pixel(chip->type), options);
  CPLErr failed =
      dataset == NULL || gdal_set_grid(dataset, grid, path) != STATUS_OK ? CE_Failure : CE_None;
  if (failed == CE_None) failed = transfer(dataset, GF_Write, chip);
  if (dataset != NULL) GDALClose(dataset);
  gdal_watch_end(&watch);
  CSLDestroy(options);
  if (failed != CE_None || watch.failed)
    return status_set(STATUS_IO, "%s: cannot be written; is the disk full? (%s)", path,
                      gdal_watch_words(&watch));
  return STATUS_OK;
}

static Status world_file_name(const char *path, char name[OUTPUT_PATH_BYTES])
{
  const char *dot = strrchr(path, '.');
  const int stem = dot == NULL ? (int)strlen(path) : (int)(dot - path);
  const int written = snprintf(name, OUTPUT_PATH_BYTES, "%.*s.tfw", stem, path);
  if (written < 0 || written >= OUTPUT_PATH_BYTES)
    return status_set(STATUS_BAD_OPTION, "the path %.80s… is too long", path);
  return STATUS_OK;
}

static Status write_world_file(const char *path, const Grid *grid)
{
  char name[OUTPUT_PATH_BYTES];
  double x, y;
  const double *m = grid->pixel_to_map;
  TRY(world_file_name(path, name));
  grid_pixel_to_map(grid, 0.5, 0.5, &x, &y);
  FILE *stream = fopen(name, "we");
  if (stream == NULL) return status_set(STATUS_IO, "%s: %s", name, strerror(errno));
  const int written =
      fprintf(stream, "%.10f\n%.10f\n%.10f\n%.10f\n%.10f\n%.10f\n", m[1], m[4], m[2], m[5], x, y);
  const int closed = fclose(stream);
  if (written < 0 || closed != 0)
    return status_set(STATUS_IO, "%s: cannot be written (%s)", name, strerror(errno));
  return STATUS_OK;
}

static void remove_chip(const char *path)
{
  char name[OUTPUT_PATH_BYTES];
  (void)unlink(path);
  if (world_file_name(path, name) == STATUS_OK) (void)unlink(name);
}

Status tiff_chip_write(const char *path, const Grid *grid, const ChipImage *chip)
{
  Status status = write_tiff(path, grid, chip);
  if (status == STATUS_OK) status = write_world_file(path, grid);
  if (status != STATUS_OK) {
    char sentence[1024]; /* removing may fail, which is not what went wrong */
    (void)snprintf(sentence, sizeof sentence, "%s", status_message());
    remove_chip(path);
    return status_set(status, "%s", sentence);
  }
  return status;
}

static Status measure(const char *path, GDALDatasetH dataset, ChipImage *chip)
{
  chip->width_px = GDALGetRasterXSize(dataset);
  chip->height_px = GDALGetRasterYSize(dataset);
  chip->band_count = GDALGetRasterCount(dataset);
  if (chip->band_count < 1) return status_set(STATUS_BAD_INPUT, "%s: has no band", path);
  for (int number = 1; number <= chip->band_count; ++number) {
    GDALRasterBandH band = GDALGetRasterBand(dataset, number);
    PixelType type;
    if (!gdal_pixel_type(band, &type) || (number > 1 && type != chip->type))
      return status_set(STATUS_UNSUPPORTED,
                        "%s: band %d is %s; a chip is uint8, uint16, int16 or float32 in all bands",
                        path, number, gdal_type_words(band));
    chip->type = type;
  }
  return STATUS_OK;
}

static Status read_dataset(const char *path, GDALDatasetH dataset, ChipImage *chip)
{
  GdalWatch watch;
  TRY(measure(path, dataset, chip));
  TRY(memory_allocate((size_t)chip->width_px * (size_t)chip->height_px,
                      (size_t)chip->band_count * pixel_bytes(chip->type), path, &chip->pixels));
  gdal_watch_begin(&watch);
  const CPLErr failed = transfer(dataset, GF_Read, chip);
  gdal_watch_end(&watch);
  if (failed != CE_None || watch.failed)
    return status_set(STATUS_BAD_INPUT, "%s: is truncated or damaged (%s)", path,
                      gdal_watch_words(&watch));
  return STATUS_OK;
}

static Status open_chip(const char *path, GDALDatasetH *dataset)
{
  /* An empty list of neighbours: GDAL would else list a folder of 100 000 chips for each of them.
   */
  const char *const no_siblings[] = {NULL};
  GdalWatch watch;
  gdal_watch_begin(&watch);
  *dataset = GDALOpenEx(path, GDAL_OF_RASTER | GDAL_OF_READONLY | GDAL_OF_VERBOSE_ERROR, NULL, NULL,
                        no_siblings);
  gdal_watch_end(&watch);
  return *dataset == NULL ? gdal_open_failed(path, "a chip", &watch) : STATUS_OK;
}

Status chip_image_read(const char *path, ChipImage *chip)
{
  GDALDatasetH dataset;
  *chip = (ChipImage){.pixels = NULL};
  TRY(open_chip(path, &dataset));
  const Status status = read_dataset(path, dataset, chip);
  GDALClose(dataset);
  if (status != STATUS_OK) chip_image_free(chip);
  return status;
}

void chip_image_free(ChipImage *chip)
{
  memory_free(chip->pixels);
  *chip = (ChipImage){.pixels = NULL};
}

static bool tells_objects(GDALRasterBandH band)
{
  switch (GDALGetRasterDataType(band)) {
  case GDT_Byte:
  case GDT_UInt16:
  case GDT_Int16:
  case GDT_UInt32:
  case GDT_Int32: return true;
  default: return false;
  }
}

static Status read_ids(const char *path, GDALDatasetH dataset, int32_t *width_px,
                       int32_t *height_px, uint32_t **ids)
{
  GdalWatch watch;
  void *memory;
  GDALRasterBandH band = GDALGetRasterBand(dataset, 1);
  if (band == NULL) return status_set(STATUS_BAD_INPUT, "%s: has no band", path);
  if (!tells_objects(band))
    return status_set(STATUS_UNSUPPORTED,
                      "%s: is %s; masks of objects are whole numbers of 8, 16 or 32 bits", path,
                      gdal_type_words(band));
  *width_px = GDALGetRasterXSize(dataset);
  *height_px = GDALGetRasterYSize(dataset);
  TRY(memory_allocate((size_t)*width_px * (size_t)*height_px, sizeof **ids, path, &memory));
  *ids = memory;
  gdal_watch_begin(&watch);
  const CPLErr failed = GDALRasterIO(band, GF_Read, 0, 0, *width_px, *height_px, memory, *width_px,
                                     *height_px, GDT_UInt32, 0, 0);
  gdal_watch_end(&watch);
  if (failed == CE_None && !watch.failed) return STATUS_OK;
  return status_set(STATUS_BAD_INPUT, "%s: is truncated or damaged (%s)", path,
                    gdal_watch_words(&watch));
}

Status chip_ids_read(const char *path, int32_t *width_px, int32_t *height_px, uint32_t **ids)
{
  GDALDatasetH dataset;
  *ids = NULL;
  TRY(open_chip(path, &dataset));
  const Status status = read_ids(path, dataset, width_px, height_px, ids);
  GDALClose(dataset);
  if (status == STATUS_OK) return STATUS_OK;
  memory_free(*ids);
  *ids = NULL;
  return status;
}
