#include <omp.h>
#include <string.h>

#include "cpu_backend.h"
#include "op/roi_align_element.h"
#include "span.h"

/* The four pixels of a sample, with their weights. */
typedef struct Corners {
  int64_t at[4]; /* elements of the map, at the first channel */
  float weights[4];
} Corners;

VECTORIZED static void add_f32(const float *restrict map, Corners corners, int64_t count,
                               float *restrict sums)
{
  const float *a = map + corners.at[0], *b = map + corners.at[1];
  const float *c = map + corners.at[2], *d = map + corners.at[3];
  const float wa = corners.weights[0], wb = corners.weights[1];
  const float wc = corners.weights[2], wd = corners.weights[3];
  for (int64_t k = 0; k < count; ++k)
    sums[k] += wa * a[k] + wb * b[k] + wc * c[k] + wd * d[k];
}

VECTORIZED static void add_bf16(const uint16_t *restrict map, Corners corners, int64_t count,
                                float *restrict sums)
{
  const uint16_t *a = map + corners.at[0], *b = map + corners.at[1];
  const uint16_t *c = map + corners.at[2], *d = map + corners.at[3];
  const float wa = corners.weights[0], wb = corners.weights[1];
  const float wc = corners.weights[2], wd = corners.weights[3];
  for (int64_t k = 0; k < count; ++k)
    sums[k] += wa * bf16_to_f32(a[k]) + wb * bf16_to_f32(b[k]) + wc * bf16_to_f32(c[k]) +
               wd * bf16_to_f32(d[k]);
}

VECTORIZED static void divide(float *restrict sums, int64_t count, float by)
{
  for (int64_t k = 0; k < count; ++k)
    sums[k] /= by;
}

/* All samples of a region along both axes, bin by bin. */
typedef struct Taps {
  RoiTap rows[ROI_SAMPLES_MOST];
  RoiTap columns[ROI_SAMPLES_MOST];
} Taps;

static void lay_taps(const RoiAlign *align, const RoiPlace *place, Taps *taps)
{
  const RoiBins bins = place->bins;
  const Shape map = align->maps[place->map];
  const int32_t samples = align->sampling;
  for (int32_t i = 0; i < align->pooled * samples; ++i) {
    taps->rows[i] =
        roi_align_tap(bins.y, bins.height, i / samples, i % samples, samples, map.height);
    taps->columns[i] =
        roi_align_tap(bins.x, bins.width, i / samples, i % samples, samples, map.width);
  }
}

static Corners corners_of(Shape map, int32_t image, RoiTap row, RoiTap column, int64_t channel)
{
  const int64_t first = (int64_t)image * map.height;
  const int64_t top = (first + row.low) * map.width, bottom = (first + row.high) * map.width;
  return (Corners){
      .at = {(top + column.low) * map.channels + channel,
             (top + column.high) * map.channels + channel,
             (bottom + column.low) * map.channels + channel,
             (bottom + column.high) * map.channels + channel},
      .weights = {row.low_weight * column.low_weight, row.low_weight * column.high_weight,
                  row.high_weight * column.low_weight, row.high_weight * column.high_weight}};
}

/* Some channels of one bin, whose first samples are given. */
static void pool_bin(const RoiAlign *align, const RoiPlace *place, const void *map,
                     const RoiTap *rows, const RoiTap *columns, int64_t channel, int64_t count,
                     float *sums)
{
  const Shape shape = align->maps[place->map];
  memset(sums, 0, (size_t)count * sizeof *sums);
  for (int32_t i = 0; i < align->sampling; ++i)
    for (int32_t j = 0; j < align->sampling; ++j) {
      if (rows[i].low < 0 || columns[j].low < 0) continue;
      const Corners corners = corners_of(shape, place->image, rows[i], columns[j], channel);
      if (shape.element == ELEMENT_BF16)
        add_bf16(map, corners, count, sums);
      else
        add_f32(map, corners, count, sums);
    }
  divide(sums, count, (float)(align->sampling * align->sampling));
}

static void pool_region(const RoiAlign *align, const void *const *maps, const RoiPlace *place,
                        Shape y_shape, int32_t row, void *y)
{
  Taps taps;
  const int32_t bins = align->pooled * align->pooled;
  lay_taps(align, place, &taps);
  for (int32_t bin = 0; bin < bins; ++bin)
    for (int32_t c = 0; c < y_shape.channels; c += SPAN_MOST) {
      float sums[SPAN_MOST];
      const int64_t count = y_shape.channels - c < SPAN_MOST ? y_shape.channels - c : SPAN_MOST;
      pool_bin(align, place, maps[place->map], taps.rows + bin / align->pooled * align->sampling,
               taps.columns + bin % align->pooled * align->sampling, c, count, sums);
      span_store(y_shape.element, y, ((int64_t)row * bins + bin) * y_shape.channels + c, count,
                 sums);
    }
}

/* A row without a map: zeros, or NaN, whose bits are all 1. */
static void fill_region(int32_t map, Shape y_shape, int32_t row, void *y)
{
  Shape one = y_shape;
  one.images = 1;
  const size_t bytes = shape_bytes(one);
  memset((char *)y + (size_t)row * bytes, map == ROI_NAN ? 0xFF : 0, bytes);
}

void roi_align_forward_cpu(Device *device, const RoiAlign *align, const void *const *maps,
                           const Regions *regions, Shape y_shape, void *y)
{
#pragma omp parallel for schedule(dynamic)
  for (int32_t row = 0; row < y_shape.images; ++row) {
    const RoiPlace place = roi_align_place(align, regions, row);
    if (place.map < 0)
      fill_region(place.map, y_shape, row, y);
    else
      pool_region(align, maps, &place, y_shape, row, y);
  }
}

/* The gradient is gathered by bands of a map's rows, as float32 sums that fit a core's cache: no
 * two threads add to one place, and the order of sums depends on nothing. */
enum { BAND_BYTES = 1 << 18 };

static int32_t band_rows(Shape map)
{
  const int64_t row_bytes = (int64_t)map.width * map.channels * (int64_t)sizeof(float);
  const int64_t rows = BAND_BYTES / row_bytes;
  return rows < 1 ? 1 : (int32_t)(rows < map.height ? rows : map.height);
}

static size_t band_bytes(const RoiAlign *align)
{
  size_t most = 0;
  for (int32_t i = 0; i < align->map_count; ++i) {
    const Shape band = {1, band_rows(align->maps[i]), align->maps[i].width, align->maps[i].channels,
                        ELEMENT_F32};
    if (shape_bytes(band) > most) most = shape_bytes(band);
  }
  return (most + 63) / 64 * 64;
}

static size_t places_bytes(int32_t rows)
{
  return ((size_t)rows * sizeof(RoiPlace) + 63) / 64 * 64;
}

size_t roi_align_backward_scratch_bytes_cpu(const RoiAlign *align, int32_t rows)
{
  return places_bytes(rows) + (size_t)omp_get_max_threads() * band_bytes(align);
}

typedef struct Band {
  int32_t map;
  int32_t image;
  int32_t first_row, end_row;
} Band;

static int32_t bands_of(Shape map)
{
  const int32_t rows = band_rows(map);
  return (map.height + rows - 1) / rows;
}

static Band band_at(const RoiAlign *align, int32_t index)
{
  Band band = {.map = 0};
  while (index >= align->maps[band.map].images * bands_of(align->maps[band.map])) {
    index -= align->maps[band.map].images * bands_of(align->maps[band.map]);
    ++band.map;
  }
  const Shape map = align->maps[band.map];
  const int32_t rows = band_rows(map);
  band.image = index / bands_of(map);
  band.first_row = index % bands_of(map) * rows;
  band.end_row = band.first_row + rows < map.height ? band.first_row + rows : map.height;
  return band;
}

VECTORIZED static void add_scaled(const float *restrict dy, float weight, int64_t count,
                                  float *restrict sums)
{
  for (int64_t k = 0; k < count; ++k)
    sums[k] += weight * dy[k];
}

/* Which pixels a bin gives to along one axis, and how much. */
typedef struct Shares {
  int32_t count;
  int32_t pixels[2 * ROI_SAMPLES_MOST];
  float shares[2 * ROI_SAMPLES_MOST];
} Shares;

static void add_share(Shares *shares, int32_t pixel, float weight)
{
  int32_t i = shares->count;
  while (i > 0 && shares->pixels[i - 1] > pixel)
    --i;
  if (i > 0 && shares->pixels[i - 1] == pixel) {
    shares->shares[i - 1] += weight;
    return;
  }
  shares->pixels[shares->count] = pixel; /* samples come in order, so it is the last */
  shares->shares[shares->count++] = weight;
}

/* Pixels from first to end - 1 only. */
static void lay_shares(const RoiTap *taps, int32_t samples, int32_t first, int32_t end,
                       Shares *shares)
{
  shares->count = 0;
  for (int32_t i = 0; i < samples; ++i) {
    if (taps[i].low >= first && taps[i].low < end)
      add_share(shares, taps[i].low, taps[i].low_weight);
    if (taps[i].high >= first && taps[i].high < end)
      add_share(shares, taps[i].high, taps[i].high_weight);
  }
}

/* Some channels of a bin's gradient, to the pixels that it came from. */
static void spread(const RoiAlign *align, Band band, const Shares *rows, const Shares *columns,
                   int64_t channel, const float *dy, int64_t count, float *sums)
{
  const Shape map = align->maps[band.map];
  const float part = 1.0F / (float)(align->sampling * align->sampling);
  for (int32_t i = 0; i < rows->count; ++i)
    for (int32_t j = 0; j < columns->count; ++j) {
      const int64_t pixel =
          (int64_t)(rows->pixels[i] - band.first_row) * map.width + columns->pixels[j];
      add_scaled(dy, rows->shares[i] * columns->shares[j] * part, count,
                 sums + pixel * map.channels + channel);
    }
}

static void gather_region(const RoiAlign *align, Band band, const RoiPlace *place, Shape y_shape,
                          int64_t row, const void *dy, float *sums)
{
  const int32_t pooled = align->pooled, samples = align->sampling;
  Taps taps;
  Shares rows, columns;
  lay_taps(align, place, &taps);
  for (int32_t bin = 0; bin < pooled * pooled; ++bin) {
    lay_shares(taps.rows + bin / pooled * samples, samples, band.first_row, band.end_row, &rows);
    if (rows.count == 0) continue;
    lay_shares(taps.columns + bin % pooled * samples, samples, 0, INT32_MAX, &columns);
    for (int32_t c = 0; c < y_shape.channels; c += SPAN_MOST) {
      float buffer[SPAN_MOST];
      const int64_t count = y_shape.channels - c < SPAN_MOST ? y_shape.channels - c : SPAN_MOST;
      const int64_t at = (row * pooled * pooled + bin) * y_shape.channels + c;
      spread(align, band, &rows, &columns, c, span_load(y_shape.element, dy, at, count, buffer),
             count, sums);
    }
  }
}

/* Whether a sample of the region can give to a row of the band. */
static bool touches(const RoiAlign *align, Band band, const RoiPlace *place)
{
  if (place->map != band.map || place->image != band.image) return false;
  const float end = place->bins.y + (float)align->pooled * place->bins.height;
  return end >= (float)(band.first_row - 1) && place->bins.y <= (float)(band.end_row + 1);
}

static void write_band(Shape map, Band band, float *sums, Write write, void *dmap)
{
  const int64_t first =
      ((int64_t)band.image * map.height + band.first_row) * map.width * map.channels;
  const int64_t count = (int64_t)(band.end_row - band.first_row) * map.width * map.channels;
  for (int64_t i = 0; i < count; i += SPAN_MOST)
    span_write(map.element, dmap, first + i, count - i < SPAN_MOST ? count - i : SPAN_MOST,
               sums + i, write == WRITE_ADD);
}

/* Returns whether any region gave to it. */
static bool gather_band(const RoiAlign *align, Band band, const RoiPlace *places, Shape y_shape,
                        const void *dy, float *sums)
{
  const Shape map = align->maps[band.map];
  memset(sums, 0,
         (size_t)(band.end_row - band.first_row) * (size_t)map.width * (size_t)map.channels *
             sizeof *sums);
  bool touched = false;
  for (int32_t row = 0; row < y_shape.images; ++row)
    if (touches(align, band, &places[row])) {
      gather_region(align, band, &places[row], y_shape, row, dy, sums);
      touched = true;
    }
  return touched;
}

void roi_align_backward_cpu(Device *device, const RoiAlign *align, const Regions *regions,
                            Shape y_shape, const void *dy, void *const *dmaps, Write write,
                            void *scratch)
{
  RoiPlace *places = scratch;
  char *sums = (char *)scratch + places_bytes(y_shape.images);
  const size_t sums_bytes = band_bytes(align);
  int32_t bands = 0;
  for (int32_t i = 0; i < align->map_count; ++i)
    bands += align->maps[i].images * bands_of(align->maps[i]);
  for (int32_t row = 0; row < y_shape.images; ++row)
    places[row] = roi_align_place(align, regions, row);
#pragma omp parallel for schedule(dynamic)
  for (int32_t i = 0; i < bands; ++i) {
    const Band band = band_at(align, i);
    float *own = (float *)(void *)(sums + (size_t)omp_get_thread_num() * sums_bytes);
    const bool touched = gather_band(align, band, places, y_shape, dy, own);
    if (touched || write == WRITE_SET)
      write_band(align->maps[band.map], band, own, write, dmaps[band.map]);
  }
}
