#include "block_scan.cuh"

#include "roi_align_element.h"

template <typename T> struct Pyramid {
  const T *maps[PYRAMID_MAPS_MOST];
};

__device__ inline Eight eight_of(float value)
{
  Eight eight;
#pragma unroll
  for (int k = 0; k < 8; ++k)
    eight.v[k] = value;
  return eight;
}

template <typename T>
__device__ inline Eight load_pixel(Shape shape, const T *map, int32_t image, int32_t row,
                                   int32_t column, int32_t channel)
{
  const int64_t pixel = ((int64_t)image * shape.height + row) * shape.width + column;
  return load8(map + pixel * shape.channels + channel);
}

/* Adds one sample, in the order of the CPU's sum: in float32 to the last bit; where maps have 16 bits
 * products are not rounded. */
template <typename T>
__device__ inline void add_sample(Shape shape, const T *map, int32_t image, RoiTap row,
                                  RoiTap column, int32_t channel, Eight *sum)
{
  const Eight a = load_pixel(shape, map, image, row.low, column.low, channel);
  const Eight b = load_pixel(shape, map, image, row.low, column.high, channel);
  const Eight c = load_pixel(shape, map, image, row.high, column.low, channel);
  const Eight d = load_pixel(shape, map, image, row.high, column.high, channel);
  const float of_a = row.low_weight * column.low_weight;
  const float of_b = row.low_weight * column.high_weight;
  const float of_c = row.high_weight * column.low_weight;
  const float of_d = row.high_weight * column.high_weight;
#pragma unroll
  for (int k = 0; k < 8; ++k)
    if (sizeof(T) == sizeof(float))
      sum->v[k] += of_a * a.v[k] + of_b * b.v[k] + of_c * c.v[k] + of_d * d.v[k];
    else
      sum->v[k] =
          fmaf(of_d, d.v[k], fmaf(of_c, c.v[k], fmaf(of_b, b.v[k], fmaf(of_a, a.v[k], sum->v[k]))));
}

/* Over the number of samples; by its inverse where that is exact. */
__device__ inline Eight mean_of(Eight sum, int32_t samples)
{
  const bool exact = (samples & (samples - 1)) == 0;
  const float inverse = 1.0F / (float)samples;
#pragma unroll
  for (int k = 0; k < 8; ++k)
    sum.v[k] = exact ? sum.v[k] * inverse : sum.v[k] / (float)samples;
  return sum;
}

/* A thread has eight channels of a row of bins: where the row lies is found once for all of them.
 * SAMPLES: align.sampling, so that a row's taps stay in registers; 0: any number. */
template <typename T, int SAMPLES>
__global__ void roi_align_kernel(const __grid_constant__ RoiAlign align,
                                 const __grid_constant__ Pyramid<T> pyramid, Regions regions,
                                 Shape y_shape, T *y)
{
  const int64_t index = thread_index();
  const int32_t eighths = y_shape.channels / 8;
  const int32_t pooled = align.pooled;
  const int32_t samples = SAMPLES > 0 ? SAMPLES : align.sampling;
  const int32_t channel = (int32_t)(index % eighths) * 8;
  const int64_t bins_row = index / eighths;
  const int64_t row = bins_row / pooled;
  if (row >= y_shape.images) return;
  const RoiPlace place = roi_align_place(&align, &regions, (int32_t)row);
  T *to = y + bins_row * pooled * y_shape.channels + channel;
  if (place.map < 0) {
    for (int32_t q = 0; q < pooled; ++q)
      store8(to + (int64_t)q * y_shape.channels, eight_of(place.map == ROI_NAN ? nanf("") : 0.0F));
    return;
  }
  const Shape shape = align.maps[place.map];
  const T *map = pyramid.maps[place.map];
  const RoiBins bins = place.bins;
  const int32_t down = (int32_t)(bins_row % pooled);
  RoiTap rows[SAMPLES > 0 ? SAMPLES : 1];
#pragma unroll
  for (int i = 0; i < SAMPLES; ++i)
    rows[i] = roi_align_tap(bins.y, bins.height, down, i, samples, shape.height);
  for (int32_t q = 0; q < pooled; ++q) {
    Eight sum = eight_of(0.0F);
#pragma unroll
    for (int32_t i = 0; i < samples; ++i)
#pragma unroll
      for (int32_t j = 0; j < samples; ++j) {
        const RoiTap tap = SAMPLES > 0
                               ? rows[i]
                               : roi_align_tap(bins.y, bins.height, down, i, samples, shape.height);
        const RoiTap column = roi_align_tap(bins.x, bins.width, q, j, samples, shape.width);
        if (tap.low >= 0 && column.low >= 0)
          add_sample(shape, map, place.image, tap, column, channel, &sum);
      }
    store8(to + (int64_t)q * y_shape.channels, mean_of(sum, samples * samples));
  }
}

/* Backward: a block gathers a tile of a map. It lists the regions of the tile's image that reach the
 * tile, in order, and for each of them tabulates what its bins give to the tile's rows and columns,
 * once for all channels. So no two threads add to one place, the order of sums depends on nothing,
 * and a pixel meets only the regions about its tile. */
enum {
  TILE_ROWS = 4,
  TILE_COLUMNS = 8,
  TILE_PIXELS = TILE_ROWS * TILE_COLUMNS,
  GATHER_ACROSS = 32, /* threads side by side, eight channels each */
  GATHER_ROUNDS = GATHER_ACROSS * TILE_PIXELS / THREADS
};

/* Where the regions lie; those of an image begin at first_row. */
typedef struct RoiList {
  RoiPlace *places;
  int32_t *first_row; /* images + 1 */
  int32_t rows;
} RoiList;

static RoiList roi_list_in(const RoiAlign *align, int32_t rows, void *scratch)
{
  RoiList list;
  list.places = (RoiPlace *)scratch;
  list.first_row = (int32_t *)(list.places + rows);
  list.rows = rows;
  return list;
}

/* Regions stand by image, those without one behind all. A thread past the last row ends the list. */
__global__ void roi_places_kernel(RoiAlign align, Regions regions, RoiList list)
{
  const int64_t row = thread_index();
  if (row > list.rows) return;
  const int32_t images = align.maps[0].images;
  int32_t image = images;
  if (row < list.rows) {
    list.places[row] = roi_align_place(&align, &regions, (int32_t)row);
    if (regions.images[row] >= 0) image = regions.images[row];
  }
  int32_t before = -1;
  if (row > 0) before = regions.images[row - 1] < 0 ? images : regions.images[row - 1];
  for (int32_t i = before + 1; i <= image; ++i)
    list.first_row[i] = (int32_t)row;
}

/* The tile that a block has. */
typedef struct RoiTile {
  int32_t map, image;
  int32_t row, column; /* its first pixel */
} RoiTile;

static inline int64_t roi_tiles(Shape map)
{
  const int64_t down = (map.height + TILE_ROWS - 1) / TILE_ROWS;
  return map.images * down * ((map.width + TILE_COLUMNS - 1) / TILE_COLUMNS);
}

__device__ inline RoiTile roi_tile_of(const RoiAlign &align, int32_t map)
{
  const int32_t across = (align.maps[map].width + TILE_COLUMNS - 1) / TILE_COLUMNS;
  const int32_t down = (align.maps[map].height + TILE_ROWS - 1) / TILE_ROWS;
  const int32_t index = (int32_t)blockIdx.x;
  RoiTile tile;
  tile.map = map;
  tile.image = index / across / down;
  tile.row = index / across % down * TILE_ROWS;
  tile.column = index % across * TILE_COLUMNS;
  return tile;
}

/* Whether bins from start to end give to any of side pixels from first on; a little more than that,
 * for rounding. */
__device__ inline bool roi_reaches(float start, float end, int32_t first, int32_t side)
{
  return end >= (float)first - 1.1F && start <= (float)(first + side) + 0.1F;
}

__device__ inline bool roi_touches(const RoiAlign &align, const RoiPlace &place, RoiTile tile)
{
  if (place.map != tile.map || place.image != tile.image) return false;
  const RoiBins bins = place.bins;
  const float pooled = (float)align.pooled;
  return roi_reaches(bins.y, bins.y + pooled * bins.height, tile.row, TILE_ROWS) &&
         roi_reaches(bins.x, bins.x + pooled * bins.width, tile.column, TILE_COLUMNS);
}

/* What the bins of a region give to the pixels of a tile, along one axis: share[bin][pixel], and
 * which bins give to a pixel at all. */
template <int SIDE> struct RoiShares {
  float share[ROI_SAMPLES_MOST][SIDE];
  int32_t first[SIDE], end[SIDE];
};

/* Threads from the given one on share the bins; all of the block's threads call it. */
template <int SIDE>
__device__ inline void lay_shares(float start, float size, int32_t pooled, int32_t samples,
                                  int32_t side, int32_t pixel, RoiShares<SIDE> *shares)
{
  for (int32_t i = (int32_t)threadIdx.x; i < pooled * SIDE; i += THREADS)
    shares->share[i / SIDE][i % SIDE] =
        roi_align_share(start, size, i / SIDE, samples, side, pixel + i % SIDE);
}

/* Bins give to pixels in order, so those that give to one stand together. */
template <int SIDE>
__device__ inline void find_shares(int32_t pooled, int32_t pixel, RoiShares<SIDE> *shares)
{
  int32_t first = 0;
  int32_t end = pooled;
  while (first < end && shares->share[first][pixel] == 0.0F)
    ++first;
  while (end > first && shares->share[end - 1][pixel] == 0.0F)
    --end;
  shares->first[pixel] = first;
  shares->end[pixel] = end;
}

typedef struct RoiTables {
  RoiShares<TILE_ROWS> down;
  RoiShares<TILE_COLUMNS> across;
} RoiTables;

/* All threads of the block call it; begins and ends with a barrier. */
__device__ inline void lay_tables(const RoiAlign &align, const RoiPlace &place, RoiTile tile,
                                  RoiTables *tables)
{
  const Shape map = align.maps[tile.map];
  const RoiBins bins = place.bins;
  __syncthreads();
  lay_shares(bins.y, bins.height, align.pooled, align.sampling, map.height, tile.row,
             &tables->down);
  lay_shares(bins.x, bins.width, align.pooled, align.sampling, map.width, tile.column,
             &tables->across);
  __syncthreads();
  const int32_t pixel = (int32_t)threadIdx.x;
  if (pixel < TILE_ROWS) find_shares(align.pooled, pixel, &tables->down);
  if (pixel >= 32 && pixel < 32 + TILE_COLUMNS)
    find_shares(align.pooled, pixel - 32, &tables->across);
  __syncthreads();
}

/* What one region gives to eight channels of one pixel of the tile. */
template <typename T>
__device__ inline void gather_region(const RoiAlign &align, const RoiTables &tables, int32_t pixel,
                                     int32_t channels, const T *dy, Eight *sum)
{
  const int32_t i = pixel / TILE_COLUMNS;
  const int32_t j = pixel % TILE_COLUMNS;
  const float part = 1.0F / (float)(align.sampling * align.sampling);
  for (int32_t p = tables.down.first[i]; p < tables.down.end[i]; ++p)
    for (int32_t q = tables.across.first[j]; q < tables.across.end[j]; ++q) {
      const float share = tables.down.share[p][i] * tables.across.share[q][j] * part;
      const Eight here = load8(dy + (int64_t)(p * align.pooled + q) * channels);
#pragma unroll
      for (int k = 0; k < 8; ++k)
        sum->v[k] = sizeof(T) == sizeof(float) ? sum->v[k] + share * here.v[k]
                                               : fmaf(share, here.v[k], sum->v[k]);
    }
}

/* Threads that stand side by side have the same pixel, and go the same way. */
template <typename T>
__global__ void __launch_bounds__(THREADS, 2)
    roi_align_backward_kernel(const __grid_constant__ RoiAlign align, int32_t map, RoiList list,
                              const T *dy, T *dmap, Write write)
{
  __shared__ int32_t listed[THREADS];
  __shared__ RoiTables tables;
  const Shape shape = align.maps[map];
  const RoiTile tile = roi_tile_of(align, map);
  const int32_t eighths = shape.channels / 8;
  const int32_t across = eighths < GATHER_ACROSS ? eighths : GATHER_ACROSS;
  const int32_t eighth = (int32_t)blockIdx.y * across + (int32_t)threadIdx.x % across;
  const int32_t first_pixel = (int32_t)threadIdx.x / across;
  const int32_t step = THREADS / across;
  const bool works = eighth < eighths && first_pixel < step;
  Eight sums[GATHER_ROUNDS];
  bool touched = false;
#pragma unroll
  for (int m = 0; m < GATHER_ROUNDS; ++m)
    sums[m] = eight_of(0.0F);
  for (int32_t row = list.first_row[tile.image]; row < list.first_row[tile.image + 1];
       row += THREADS) {
    const int32_t mine = row + (int32_t)threadIdx.x;
    const bool reaches =
        mine < list.first_row[tile.image + 1] && roi_touches(align, list.places[mine], tile);
    int32_t count;
    const int32_t place = block_sum_before<THREADS>(reaches ? 1 : 0, &count);
    if (reaches) listed[place] = mine;
    __syncthreads();
    for (int32_t n = 0; n < count; ++n) {
      const int32_t region = listed[n];
      lay_tables(align, list.places[region], tile, &tables);
      const T *from = dy + (int64_t)region * align.pooled * align.pooled * shape.channels;
#pragma unroll
      for (int m = 0; m < GATHER_ROUNDS; ++m) {
        const int32_t pixel = first_pixel + m * step;
        if (works && pixel < TILE_PIXELS)
          gather_region(align, tables, pixel, shape.channels, from + eighth * 8, &sums[m]);
      }
    }
    touched = touched || count > 0;
    __syncthreads();
  }
  if (!works || !(touched || write == WRITE_SET)) return;
#pragma unroll
  for (int m = 0; m < GATHER_ROUNDS; ++m) {
    const int32_t pixel = first_pixel + m * step;
    const int32_t i = tile.row + pixel / TILE_COLUMNS;
    const int32_t j = tile.column + pixel % TILE_COLUMNS;
    if (pixel >= TILE_PIXELS || i >= shape.height || j >= shape.width) continue;
    const int64_t at = (((int64_t)tile.image * shape.height + i) * shape.width + j) * eighths;
    put8(dmap + (at + eighth) * 8, sums[m], write);
  }
}

template <typename T> static Pyramid<T> pyramid_of(const RoiAlign *align, const void *const *maps)
{
  Pyramid<T> pyramid = {{NULL}};
  for (int32_t i = 0; i < align->map_count; ++i)
    pyramid.maps[i] = (const T *)maps[i];
  return pyramid;
}

void roi_align_forward_cuda(Device *device, const RoiAlign *align, const void *const *maps,
                            const Regions *regions, Shape y_shape, void *y)
{
  const unsigned blocks = blocks_for(shape_elements(y_shape) / 8 / align->pooled);
  if (align->sampling == 2)
    BY_ELEMENT(y_shape.element, T,
               LAUNCH(device, (roi_align_kernel<T, 2>), blocks, THREADS, *align,
                      pyramid_of<T>(align, maps), *regions, y_shape, (T *)y));
  else
    BY_ELEMENT(y_shape.element, T,
               LAUNCH(device, (roi_align_kernel<T, 0>), blocks, THREADS, *align,
                      pyramid_of<T>(align, maps), *regions, y_shape, (T *)y));
}

size_t roi_align_backward_scratch_bytes_cuda(const RoiAlign *align, int32_t rows)
{
  return (size_t)rows * sizeof(RoiPlace) + ((size_t)align->maps[0].images + 1) * sizeof(int32_t);
}

void roi_align_backward_cuda(Device *device, const RoiAlign *align, const Regions *regions,
                             Shape y_shape, const void *dy, void *const *dmaps, Write write,
                             void *scratch)
{
  const RoiList list = roi_list_in(align, y_shape.images, scratch);
  const unsigned across = ((unsigned)y_shape.channels / 8 + GATHER_ACROSS - 1) / GATHER_ACROSS;
  LAUNCH(device, roi_places_kernel, blocks_for((int64_t)list.rows + 1), THREADS, *align, *regions,
         list);
  for (int32_t map = 0; map < align->map_count; ++map) {
    const dim3 grid((unsigned)roi_tiles(align->maps[map]), across);
    BY_ELEMENT(y_shape.element, T,
               LAUNCH(device, roi_align_backward_kernel, grid, THREADS, *align, map, list,
                      (const T *)dy, (T *)dmaps[map], write));
  }
}
