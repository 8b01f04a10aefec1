#include "cog_writer.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cpl_conv.h>
#include <cpl_string.h>

#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"
#include "cog_overview.h"

enum { TILE_PX = 512 };

struct CogWriter {
  char *path;
  char aside[OUTPUT_PATH_BYTES];      /* the COG until it is whole */
  char tiles[OUTPUT_PATH_BYTES + 16]; /* what the windows are written to */
  GDALDatasetH dataset;               /* of tiles */
  int64_t width_px;
  int64_t height_px;
  CogSpec spec;
  int *bands; /* 1, 2, … */
  bool finished;
};

static bool driver_knows(GDALDriverH driver, const char *compression)
{
  const char *known = GDALGetMetadataItem(driver, GDAL_DMD_CREATIONOPTIONLIST, NULL);
  return known != NULL && strstr(known, compression) != NULL;
}

static char **with_threads(char **options, int32_t thread_count)
{
  char number[16];
  (void)snprintf(number, sizeof number, "%d", thread_count < 1 ? 1 : thread_count);
  return CSLSetNameValue(options, "NUM_THREADS", number);
}

static char **tiles_options(GDALDriverH driver, const CogSpec *spec)
{
  char size[16];
  char **options = NULL;
  (void)snprintf(size, sizeof size, "%d", TILE_PX);
  options = CSLSetNameValue(options, "TILED", "YES");
  options = CSLSetNameValue(options, "BLOCKXSIZE", size);
  options = CSLSetNameValue(options, "BLOCKYSIZE", size);
  options = CSLSetNameValue(options, "BIGTIFF", "YES");
  options = CSLSetNameValue(options, "SPARSE_OK", "TRUE"); /* unwritten tiles read as NoData */
  options = CSLSetNameValue(options, "INTERLEAVE", "PIXEL");
  options = CSLSetNameValue(options, "PHOTOMETRIC", spec->is_rgb ? "RGB" : "MINISBLACK");
  options = CSLSetNameValue(options, "ALPHA", "NO");
  if (driver_knows(driver, ">ZSTD<")) {
    options = CSLSetNameValue(options, "COMPRESS", "ZSTD");
    options = CSLSetNameValue(options, "ZSTD_LEVEL", "1");
  } else {
    options = CSLSetNameValue(options, "COMPRESS", "DEFLATE");
    options = CSLSetNameValue(options, "ZLEVEL", "1");
  }
  return with_threads(options, spec->thread_count);
}

static char **cog_options(const CogSpec *spec)
{
  char size[16];
  char **options = NULL;
  (void)snprintf(size, sizeof size, "%d", TILE_PX);
  options = CSLSetNameValue(options, "BLOCKSIZE", size);
  options = CSLSetNameValue(options, "COMPRESS", "DEFLATE");
  options = CSLSetNameValue(options, "PREDICTOR", spec->has_gradients ? "YES" : "NO");
  options = CSLSetNameValue(options, "BIGTIFF", "IF_SAFER");
  options = CSLSetNameValue(options, "OVERVIEWS", "FORCE_USE_EXISTING");
  return with_threads(options, spec->thread_count);
}

static Status create_tiles(CogWriter *writer)
{
  GDALDriverH driver = GDALGetDriverByName("GTiff");
  if (driver == NULL || GDALGetDriverByName("COG") == NULL)
    return status_set(STATUS_UNSUPPORTED, "%s: this GDAL writes no GeoTIFF", writer->path);
  char **options = tiles_options(driver, &writer->spec);
  GdalWatch watch;
  gdal_watch_begin(&watch);
  writer->dataset =
      GDALCreate(driver, writer->tiles, (int)writer->width_px, (int)writer->height_px,
                 writer->spec.band_count, gdal_type_of_pixel(writer->spec.type), options);
  gdal_watch_end(&watch);
  CSLDestroy(options);
  if (writer->dataset == NULL)
    return status_set(STATUS_IO, "%s: cannot write beside it (%s)", writer->path,
                      gdal_watch_words(&watch));
  return STATUS_OK;
}

static Status fill(CogWriter *writer, const char *path, const Grid *grid)
{
  void *memory;
  const CogSpec *spec = &writer->spec;
  TRY(memory_copy_text(path, &writer->path));
  if (grid->width_px < 1 || grid->height_px < 1 || grid->width_px > INT_MAX ||
      grid->height_px > INT_MAX || spec->band_count < 1 || spec->band_count > UINT16_MAX)
    return status_set(STATUS_BAD_OPTION, "%s: %lld x %lld px with %d bands are no raster", path,
                      (long long)grid->width_px, (long long)grid->height_px, spec->band_count);
  TRY(output_check_writable(path));
  TRY(output_aside(path, writer->aside));
  (void)snprintf(writer->tiles, sizeof writer->tiles, "%s.tiles", writer->aside);
  writer->width_px = grid->width_px;
  writer->height_px = grid->height_px;
  TRY(memory_allocate((size_t)spec->band_count, sizeof(int), "bands", &memory));
  writer->bands = memory;
  for (int i = 0; i < spec->band_count; ++i)
    writer->bands[i] = i + 1;
  TRY(create_tiles(writer));
  if (spec->has_nodata)
    for (int i = 1; i <= spec->band_count; ++i)
      (void)GDALSetRasterNoDataValue(GDALGetRasterBand(writer->dataset, i), spec->nodata);
  return gdal_set_grid(writer->dataset, grid, path);
}

Status cog_writer_create(const char *path, const Grid *grid, const CogSpec *spec,
                         CogWriter **writer)
{
  *writer = NULL;
  void *memory;
  Status status = memory_allocate(1, sizeof(CogWriter), "a raster to write", &memory);
  if (status != STATUS_OK) return status;
  CogWriter *creating = memory;
  creating->spec = *spec;
  status = fill(creating, path, grid);
  if (status == STATUS_OK)
    *writer = creating;
  else
    cog_writer_close(creating);
  return status;
}

GDALDatasetH cog_writer_dataset(CogWriter *writer)
{
  return writer->dataset;
}

static Status write_failed(const CogWriter *writer, const GdalWatch *watch)
{
  return status_set(STATUS_IO, "%s: cannot be written; is the disk full? (%s)", writer->path,
                    gdal_watch_words(watch));
}

Status cog_writer_write(CogWriter *writer, Window window, const void *values)
{
  const Window all = {0, 0, writer->width_px, writer->height_px};
  if (window_is_empty(window)) return STATUS_OK;
  if (!window_contains(all, window))
    return status_set(STATUS_BAD_OPTION, "%s: a window of %lld x %lld px at %lld, %lld hangs over",
                      writer->path, (long long)window.width_px, (long long)window.height_px,
                      (long long)window.x_px, (long long)window.y_px);
  const GSpacing element = (GSpacing)pixel_bytes(writer->spec.type);
  const GSpacing pixel = element * writer->spec.band_count;
  GdalWatch watch;
  gdal_watch_begin(&watch);
  /* GDAL only reads what it writes to a file, but its type says otherwise. */
  const CPLErr failed = GDALDatasetRasterIOEx(
      writer->dataset, GF_Write, (int)window.x_px, (int)window.y_px, (int)window.width_px,
      (int)window.height_px, (void *)(uintptr_t)values, (int)window.width_px, (int)window.height_px,
      gdal_type_of_pixel(writer->spec.type), writer->spec.band_count, writer->bands, pixel,
      pixel * window.width_px, element, NULL);
  gdal_watch_end(&watch);
  return failed != CE_None || watch.failed ? write_failed(writer, &watch) : STATUS_OK;
}

/* Tiles to COG. Errors come from any of flush, copy and close. */
static Status make_cog(CogWriter *writer)
{
  char **options = cog_options(&writer->spec);
  GdalWatch watch;
  gdal_watch_begin(&watch);
  GDALFlushCache(writer->dataset);
  if (!watch.failed) {
    GDALDatasetH cog = GDALCreateCopy(GDALGetDriverByName("COG"), writer->aside, writer->dataset,
                                      FALSE, options, NULL, NULL);
    watch.failed = watch.failed || cog == NULL;
    if (cog != NULL) GDALClose(cog);
  }
  GDALClose(writer->dataset);
  gdal_watch_end(&watch);
  writer->dataset = NULL;
  CSLDestroy(options);
  return watch.failed ? write_failed(writer, &watch) : STATUS_OK;
}

static void name_with(const char *path, const char *ending, char name[OUTPUT_PATH_BYTES + 32])
{
  (void)snprintf(name, OUTPUT_PATH_BYTES + 32, "%s%s", path, ending);
}

/* The sidecar first: alone it does no harm. */
static Status commit(CogWriter *writer)
{
  char from[OUTPUT_PATH_BYTES + 32];
  char to[OUTPUT_PATH_BYTES + 32];
  name_with(writer->aside, ".aux.xml", from);
  name_with(writer->path, ".aux.xml", to);
  if (path_exists(from) ? rename(from, to) != 0 : unlink(to) != 0 && errno != ENOENT)
    return status_set(STATUS_IO, "%s: cannot be replaced (%s)", to, strerror(errno));
  TRY(output_commit(writer->path));
  writer->finished = true;
  return STATUS_OK;
}

static void remove_traces(const CogWriter *writer)
{
  static const char *const endings[] = {
      "", ".aux.xml", ".ovr.tmp", ".msk.ovr.tmp", ".tiles.aux.xml", ".tiles"};
  char name[OUTPUT_PATH_BYTES + 32];
  if (writer->aside[0] == '\0') return;
  for (size_t i = 0; i < sizeof endings / sizeof endings[0]; ++i) {
    name_with(writer->aside, endings[i], name);
    (void)unlink(name);
  }
}

Status cog_writer_finish(CogWriter *writer)
{
  const Status status = cog_overviews_build(writer->dataset, &writer->spec);
  if (status != STATUS_OK) return status_prefix(status, "%s", writer->path);
  TRY(make_cog(writer));
  TRY(cog_check(writer->aside, writer->width_px, writer->height_px));
  TRY(commit(writer));
  remove_traces(writer);
  return STATUS_OK;
}

void cog_writer_close(CogWriter *writer)
{
  if (writer == NULL) return;
  if (writer->dataset != NULL) GDALClose(writer->dataset);
  if (!writer->finished) remove_traces(writer);
  memory_free(writer->bands);
  memory_free(writer->path);
  memory_free(writer);
}
