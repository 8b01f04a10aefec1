#include <cpl_string.h>
#include <gdal.h>
#include <ogr_srs_api.h>
#include <omp.h>
#include <string.h>

#include "base/memory.h"
#include "picture.h"
#include "scene_files.h"

enum { BLOCK = PICTURE_BLOCK_PX, BLOCK_BYTES = 3 * BLOCK * BLOCK, THREADS_MAX = 256 };

typedef struct Drawing {
  const SceneOptions *options;
  const Flight *flight;
  GDALDatasetH dataset;
  int thread_count;
  Picture *pictures[THREADS_MAX];
  int64_t columns, rows; /* of blocks */
  uint8_t *strip;        /* one row of blocks */
  uint8_t *planes;       /* one block, band by band */
  uint8_t *pattern;      /* SCENE_BIG_PX squared, NULL unless big */
} Drawing;

static Status gdal_failed(const char *path)
{
  return status_set(STATUS_IO, "cannot write %s: %s", path, CPLGetLastErrorMsg());
}

static Status set_georeference(GDALDatasetH dataset, const SceneOptions *options)
{
  double transform[6] = {scene_origin_east_m + (double)options->left_px * options->cell_m,
                         options->cell_m,
                         0,
                         scene_origin_north_m - (double)options->top_px * options->cell_m,
                         0,
                         -options->cell_m};
  OGRSpatialReferenceH system = OSRNewSpatialReference(NULL);
  const bool set = OSRImportFromEPSG(system, options->epsg) == OGRERR_NONE &&
                   GDALSetSpatialRef(dataset, system) == CE_None &&
                   GDALSetGeoTransform(dataset, transform) == CE_None;
  OSRDestroySpatialReference(system);
  return set ? STATUS_OK : status_set(STATUS_IO, "no georeference: %s", CPLGetLastErrorMsg());
}

static Status create(Drawing *drawing, const char *path)
{
  const SceneOptions *options = drawing->options;
  static const char *const words[] = {"TILED=YES",        "BLOCKXSIZE=256",   "BLOCKYSIZE=256",
                                      "COMPRESS=DEFLATE", "PREDICTOR=2",      "INTERLEAVE=PIXEL",
                                      "PHOTOMETRIC=RGB",  "BIGTIFF=IF_SAFER", NULL};
  drawing->dataset = GDALCreate(GDALGetDriverByName("GTiff"), path, (int)options->width_px,
                                (int)options->height_px, 3, GDT_Byte, (CSLConstList)words);
  if (drawing->dataset == NULL) return gdal_failed(path);
  TRY(set_georeference(drawing->dataset, options));
  for (int band = 1; band <= 3; ++band)
    if (GDALSetRasterNoDataValue(GDALGetRasterBand(drawing->dataset, band), 0.0) != CE_None)
      return gdal_failed(path);
  return STATUS_OK;
}

static Status reserve(Drawing *drawing, const World *world)
{
  void *memory = NULL;
  TRY(memory_allocate((size_t)drawing->columns, BLOCK_BYTES, "a row of blocks", &memory));
  drawing->strip = memory;
  TRY(memory_allocate(1, BLOCK_BYTES, "a block", &memory));
  drawing->planes = memory;
  if (drawing->options->big) {
    TRY(memory_allocate((size_t)SCENE_BIG_PX * SCENE_BIG_PX, 3, "the block that is repeated",
                        &memory));
    drawing->pattern = memory;
  }
  for (int thread = 0; thread < drawing->thread_count; ++thread)
    TRY(picture_open(world, drawing->options->cell_m, &drawing->pictures[thread]));
  return STATUS_OK;
}

/* A row of blocks of the world, side by side; any thread may draw any block. */
static void draw_strip(Drawing *drawing, int64_t block_row, int64_t columns)
{
  const int64_t left = drawing->options->left_px;
  const int64_t top = drawing->options->top_px + block_row * BLOCK;
#pragma omp parallel for schedule(dynamic) num_threads(drawing->thread_count)
  for (int64_t column = 0; column < columns; ++column)
    picture_render(drawing->pictures[omp_get_thread_num()], left + column * BLOCK, top,
                   drawing->strip + column * BLOCK_BYTES);
}

static void draw_pattern(Drawing *drawing)
{
  const int64_t blocks = SCENE_BIG_PX / BLOCK;
  const int64_t columns = drawing->columns < blocks ? drawing->columns : blocks;
  const int64_t rows = drawing->rows < blocks ? drawing->rows : blocks;
  for (int64_t row = 0; row < rows; ++row) {
    draw_strip(drawing, row, columns);
    for (int64_t column = 0; column < columns; ++column)
      for (int64_t r = 0; r < BLOCK; ++r)
        memcpy(drawing->pattern + 3 * ((row * BLOCK + r) * SCENE_BIG_PX + column * BLOCK),
               drawing->strip + column * BLOCK_BYTES + 3 * BLOCK * r, 3 * BLOCK);
  }
}

/* 0 1 2 … n-1 n-1 … 2 1 0 0 1 … */
static int64_t mirrored(int64_t place)
{
  const int64_t within = place % (2 * SCENE_BIG_PX);
  return within < SCENE_BIG_PX ? within : 2 * SCENE_BIG_PX - 1 - within;
}

static void copy_strip(Drawing *drawing, int64_t block_row)
{
  for (int64_t r = 0; r < BLOCK; ++r) {
    const uint8_t *line = drawing->pattern + 3 * SCENE_BIG_PX * mirrored(block_row * BLOCK + r);
    for (int64_t c = 0; c < drawing->columns * BLOCK; ++c)
      memcpy(drawing->strip + c / BLOCK * BLOCK_BYTES + 3 * (BLOCK * r + c % BLOCK),
             line + 3 * mirrored(c), 3);
  }
}

/* Whole blocks in file order, past GDAL's cache, whose size differs by machine and with it the
 * order in the file. */
static Status write_block(Drawing *drawing, int64_t block_column, int64_t block_row,
                          const uint8_t *rgb)
{
  for (int64_t i = 0; i < BLOCK * BLOCK; ++i)
    for (int64_t band = 0; band < 3; ++band)
      drawing->planes[band * BLOCK * BLOCK + i] = rgb[3 * i + band];
  for (int band = 0; band < 3; ++band)
    if (GDALWriteBlock(GDALGetRasterBand(drawing->dataset, band + 1), (int)block_column,
                       (int)block_row,
                       drawing->planes + (ptrdiff_t)band * BLOCK * BLOCK) != CE_None)
      return status_set(STATUS_IO, "cannot write the raster: %s", CPLGetLastErrorMsg());
  return STATUS_OK;
}

static int64_t past_edge(const Drawing *drawing, int64_t column, int64_t row)
{
  const int64_t right = (column + 1) * BLOCK - drawing->options->width_px;
  const int64_t below = (row + 1) * BLOCK - drawing->options->height_px;
  const int64_t kept_columns = BLOCK - (right > 0 ? right : 0),
                kept_rows = BLOCK - (below > 0 ? below : 0);
  return BLOCK * BLOCK - kept_columns * kept_rows;
}

static Status write_strip(Drawing *drawing, int64_t row, int64_t *nodata_px)
{
  for (int64_t column = 0; column < drawing->columns; ++column) {
    uint8_t *block = drawing->strip + column * BLOCK_BYTES;
    *nodata_px += flight_clear(drawing->flight, column * BLOCK, row * BLOCK, BLOCK, BLOCK, block) -
                  past_edge(drawing, column, row);
    TRY(write_block(drawing, column, row, block));
  }
  return STATUS_OK;
}

static Status draw_all(Drawing *drawing, const World *world, const char *path, int64_t *nodata_px)
{
  *nodata_px = 0;
  TRY(reserve(drawing, world));
  TRY(create(drawing, path));
  if (drawing->pattern != NULL) draw_pattern(drawing);
  for (int64_t row = 0; row < drawing->rows; ++row) {
    if (drawing->pattern != NULL)
      copy_strip(drawing, row);
    else
      draw_strip(drawing, row, drawing->columns);
    TRY(write_strip(drawing, row, nodata_px));
  }
  return STATUS_OK;
}

/* Closing writes what is left, so it too may fail. */
static Status close_file(GDALDatasetH dataset, Status status, const char *path)
{
  if (dataset == NULL) return status;
  CPLErrorReset();
  GDALClose(dataset);
  if (status == STATUS_OK && CPLGetLastErrorType() >= CE_Failure) return gdal_failed(path);
  return status;
}

Status scene_write_raster(const SceneOptions *options, const World *world, const Flight *flight,
                          const char *path, int64_t *nodata_px)
{
  const int threads = omp_get_max_threads();
  Drawing drawing = {.options = options,
                     .flight = flight,
                     .thread_count = threads < THREADS_MAX ? threads : THREADS_MAX,
                     .columns = (options->width_px + BLOCK - 1) / BLOCK,
                     .rows = (options->height_px + BLOCK - 1) / BLOCK};
  Status status = draw_all(&drawing, world, path, nodata_px);
  status = close_file(drawing.dataset, status, path);
  for (int thread = 0; thread < drawing.thread_count; ++thread)
    picture_close(drawing.pictures[thread]);
  memory_free(drawing.strip);
  memory_free(drawing.planes);
  memory_free(drawing.pattern);
  return status;
}
