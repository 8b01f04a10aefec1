#include "cog_overview.h"

#include <math.h>

#include "base/memory.h"

enum { SIDE_PX = 512, MOST_LEVELS = 32 };

/* A tile of a level and what lies under it, of a type that holds the pixels exactly. */
typedef struct Halving {
  const CogSpec *spec;
  void *below; /* 2 * SIDE_PX squared */
  void *tile;  /* SIDE_PX squared */
  int below_width_px;
  int below_height_px;
  int width_px;
  int height_px;
} Halving;

/* The most frequent of the up to four pixels that are not NoData; of equals the first by rows. */
static uint16_t mode_at(const Halving *half, int column, int row)
{
  uint16_t values[4];
  int counts[4] = {0};
  int kinds = 0;
  const uint16_t *below = half->below;
  for (int y = 2 * row; y < 2 * row + 2 && y < half->below_height_px; ++y)
    for (int x = 2 * column; x < 2 * column + 2 && x < half->below_width_px; ++x) {
      const uint16_t value = below[y * half->below_width_px + x];
      if (half->spec->has_nodata && value == half->spec->nodata) continue;
      int kind = 0;
      while (kind < kinds && values[kind] != value)
        ++kind;
      kinds += kind == kinds;
      values[kind] = value;
      ++counts[kind];
    }
  if (kinds == 0) return (uint16_t)half->spec->nodata;
  int best = 0;
  for (int kind = 1; kind < kinds; ++kind)
    if (counts[kind] > counts[best]) best = kind;
  return values[best];
}

/* The mean of the up to four pixels that are data. */
static float mean_at(const Halving *half, int column, int row)
{
  double sum = 0;
  int count = 0;
  const float *below = half->below;
  const float nodata = (float)half->spec->nodata;
  for (int y = 2 * row; y < 2 * row + 2 && y < half->below_height_px; ++y)
    for (int x = 2 * column; x < 2 * column + 2 && x < half->below_width_px; ++x) {
      const float value = below[y * half->below_width_px + x];
      if (isnan(value) || (half->spec->has_nodata && value == nodata)) continue;
      sum += (double)value;
      ++count;
    }
  if (count > 0) return (float)(sum / count);
  return half->spec->has_nodata ? nodata : NAN;
}

static void halve(const Halving *half)
{
  uint16_t *modes = half->tile;
  float *means = half->tile;
  for (int row = 0; row < half->height_px; ++row)
    for (int column = 0; column < half->width_px; ++column) {
      const int place = row * half->width_px + column;
      if (half->spec->overviews == COG_MODE)
        modes[place] = mode_at(half, column, row);
      else
        means[place] = mean_at(half, column, row);
    }
}

static int smaller(int a, int b)
{
  return a < b ? a : b;
}

static bool halve_tile(Halving *half, GDALRasterBandH below, GDALRasterBandH level, int x, int y)
{
  const GDALDataType type = half->spec->overviews == COG_MODE ? GDT_UInt16 : GDT_Float32;
  half->width_px = smaller(SIDE_PX, GDALGetRasterBandXSize(level) - x);
  half->height_px = smaller(SIDE_PX, GDALGetRasterBandYSize(level) - y);
  half->below_width_px = smaller(2 * half->width_px, GDALGetRasterBandXSize(below) - 2 * x);
  half->below_height_px = smaller(2 * half->height_px, GDALGetRasterBandYSize(below) - 2 * y);
  if (GDALRasterIO(below, GF_Read, 2 * x, 2 * y, half->below_width_px, half->below_height_px,
                   half->below, half->below_width_px, half->below_height_px, type, 0, 0) != CE_None)
    return false;
  halve(half);
  return GDALRasterIO(level, GF_Write, x, y, half->width_px, half->height_px, half->tile,
                      half->width_px, half->height_px, type, 0, 0) == CE_None;
}

static bool halve_band(Halving *half, GDALRasterBandH band, int levels)
{
  for (int i = 0; i < levels; ++i) {
    GDALRasterBandH below = i == 0 ? band : GDALGetOverview(band, i - 1);
    GDALRasterBandH level = GDALGetOverview(band, i);
    if (level == NULL) return false;
    for (int y = 0; y < GDALGetRasterBandYSize(level); y += SIDE_PX)
      for (int x = 0; x < GDALGetRasterBandXSize(level); x += SIDE_PX)
        if (!halve_tile(half, below, level, x, y)) return false;
  }
  return true;
}

static int count_levels(GDALDatasetH dataset, int factors[MOST_LEVELS])
{
  int levels = 0;
  int64_t width = GDALGetRasterXSize(dataset), height = GDALGetRasterYSize(dataset);
  while ((width > SIDE_PX || height > SIDE_PX) && levels < MOST_LEVELS - 2) {
    factors[levels] = 2 << levels;
    ++levels;
    width = (width + 1) / 2;
    height = (height + 1) / 2;
  }
  return levels;
}

static Status build(GDALDatasetH dataset, Halving *half, int levels, int *factors)
{
  GdalWatch watch;
  gdal_watch_begin(&watch);
  bool done = GDALBuildOverviews(dataset, "NONE", levels, factors, 0, NULL, NULL, NULL) == CE_None;
  for (int number = 1; done && number <= half->spec->band_count; ++number)
    done = halve_band(half, GDALGetRasterBand(dataset, number), levels);
  gdal_watch_end(&watch);
  if (!done || watch.failed)
    return status_set(STATUS_IO, "overviews cannot be written; is the disk full? (%s)",
                      gdal_watch_words(&watch));
  return STATUS_OK;
}

Status cog_overviews_build(GDALDatasetH dataset, const CogSpec *spec)
{
  int factors[MOST_LEVELS];
  const int levels = count_levels(dataset, factors);
  if (levels == 0) return STATUS_OK;
  const size_t tile_px = (size_t)SIDE_PX * SIDE_PX;
  void *memory;
  TRY(memory_allocate(5 * tile_px, sizeof(float), "overviews", &memory));
  Halving half = {.spec = spec, .tile = memory, .below = (float *)memory + tile_px};
  const Status status = build(dataset, &half, levels, factors);
  memory_free(memory);
  return status;
}
