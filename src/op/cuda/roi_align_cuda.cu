#include "launch.cuh"

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

/* Adds one sample, in the order of the CPU's sum. */
template <typename T>
__device__ inline void add_sample(Shape shape, const T *map, int32_t image, RoiTap row,
                                  RoiTap column, int32_t channel, Eight *sum)
{
  const Eight a = load_pixel(shape, map, image, row.low, column.low, channel);
  const Eight b = load_pixel(shape, map, image, row.low, column.high, channel);
  const Eight c = load_pixel(shape, map, image, row.high, column.low, channel);
  const Eight d = load_pixel(shape, map, image, row.high, column.high, channel);
#pragma unroll
  for (int k = 0; k < 8; ++k)
    sum->v[k] += row.low_weight * column.low_weight * a.v[k] +
                 row.low_weight * column.high_weight * b.v[k] +
                 row.high_weight * column.low_weight * c.v[k] +
                 row.high_weight * column.high_weight * d.v[k];
}

/* A thread has eight channels of one bin. */
template <typename T>
__global__ void roi_align_kernel(RoiAlign align, Pyramid<T> pyramid, Regions regions, Shape y_shape,
                                 T *y)
{
  const int64_t index = thread_index();
  const int32_t eighths = y_shape.channels / 8;
  const int32_t pooled = align.pooled;
  const int64_t bin = index / eighths;
  const int64_t row = bin / (pooled * pooled);
  if (row >= y_shape.images) return;
  const RoiPlace place = roi_align_place(&align, &regions, (int32_t)row);
  if (place.map < 0) {
    store8(y + index * 8, eight_of(place.map == ROI_NAN ? nanf("") : 0.0F));
    return;
  }
  const Shape shape = align.maps[place.map];
  const RoiBins bins = place.bins;
  const int32_t down = (int32_t)(bin / pooled % pooled);
  const int32_t across = (int32_t)(bin % pooled);
  Eight sum = eight_of(0.0F);
  for (int32_t i = 0; i < align.sampling; ++i)
    for (int32_t j = 0; j < align.sampling; ++j) {
      const RoiTap tap = roi_align_tap(bins.y, bins.height, down, i, align.sampling, shape.height);
      const RoiTap column =
          roi_align_tap(bins.x, bins.width, across, j, align.sampling, shape.width);
      if (tap.low < 0 || column.low < 0) continue;
      add_sample(shape, pyramid.maps[place.map], place.image, tap, column,
                 (int32_t)(index % eighths) * 8, &sum);
    }
#pragma unroll
  for (int k = 0; k < 8; ++k)
    sum.v[k] /= (float)(align.sampling * align.sampling);
  store8(y + index * 8, sum);
}

__global__ void roi_places_kernel(RoiAlign align, Regions regions, int32_t rows, RoiPlace *places)
{
  const int64_t row = thread_index();
  if (row < rows) places[row] = roi_align_place(&align, &regions, (int32_t)row);
}

/* Bins first … last of a region may give to a pixel; a little more than that, for rounding. */
typedef struct BinRange {
  int32_t first, last;
} BinRange;

__device__ inline BinRange bins_about(float start, float size, int32_t pooled, int32_t pixel)
{
  const float low = ((float)(pixel - 1) - start) / size - 0.1F;
  const float high = ((float)(pixel + 1) - start) / size + 0.1F;
  BinRange range;
  range.first = low > 0.0F ? (low < (float)pooled ? (int32_t)low : pooled) : 0;
  range.last = high >= 0.0F ? (high < (float)pooled ? (int32_t)high : pooled - 1) : -1;
  return range;
}

/* What one region gives to eight channels of a pixel. */
template <typename T>
__device__ inline void gather_region(const RoiAlign &align, const RoiPlace &place, int64_t row,
                                     int32_t i, int32_t j, int32_t channel, int32_t channels,
                                     const T *dy, Eight *sum)
{
  const Shape map = align.maps[place.map];
  const RoiBins bins = place.bins;
  const int32_t pooled = align.pooled, samples = align.sampling;
  const BinRange down = bins_about(bins.y, bins.height, pooled, i);
  const BinRange across = bins_about(bins.x, bins.width, pooled, j);
  const float part = 1.0F / (float)(samples * samples);
  for (int32_t p = down.first; p <= down.last; ++p) {
    const float of_row = roi_align_share(bins.y, bins.height, p, samples, map.height, i);
    if (of_row == 0.0F) continue;
    for (int32_t q = across.first; q <= across.last; ++q) {
      const float share =
          of_row * roi_align_share(bins.x, bins.width, q, samples, map.width, j) * part;
      if (share == 0.0F) continue;
      const Eight here = load8(dy + ((row * pooled + p) * pooled + q) * channels + channel);
#pragma unroll
      for (int k = 0; k < 8; ++k)
        sum->v[k] += share * here.v[k];
    }
  }
}

/* A thread gathers eight channels of one pixel of a map from all regions in order, so that no two
 * add to one place. Threads of a warp mostly have the same pixel, and go the same way. */
template <typename T>
__global__ void roi_align_backward_kernel(RoiAlign align, int32_t map, const RoiPlace *places,
                                          int32_t rows, const T *dy, T *dmap, Write write)
{
  const int64_t index = thread_index();
  const Shape shape = align.maps[map];
  const int64_t pixel = index / (shape.channels / 8);
  const int32_t image = (int32_t)(pixel / ((int64_t)shape.height * shape.width));
  if (image >= shape.images) return;
  const int32_t channel = (int32_t)(index % (shape.channels / 8)) * 8;
  const int32_t i = (int32_t)(pixel / shape.width % shape.height);
  const int32_t j = (int32_t)(pixel % shape.width);
  Eight sum = eight_of(0.0F);
  bool touched = false;
  for (int32_t row = 0; row < rows; ++row) {
    const RoiPlace place = places[row];
    if (place.map != map || place.image != image) continue;
    gather_region(align, place, row, i, j, channel, shape.channels, dy, &sum);
    touched = true;
  }
  if (touched || write == WRITE_SET) put8(dmap + index * 8, sum, write);
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
  const unsigned blocks = blocks_for(shape_elements(y_shape) / 8);
  BY_ELEMENT(y_shape.element, T,
             LAUNCH(device, roi_align_kernel, blocks, THREADS, *align, pyramid_of<T>(align, maps),
                    *regions, y_shape, (T *)y));
}

size_t roi_align_backward_scratch_bytes_cuda(const RoiAlign *align, int32_t rows)
{
  return (size_t)rows * sizeof(RoiPlace);
}

void roi_align_backward_cuda(Device *device, const RoiAlign *align, const Regions *regions,
                             Shape y_shape, const void *dy, void *const *dmaps, Write write,
                             void *scratch)
{
  RoiPlace *places = (RoiPlace *)scratch;
  const int32_t rows = y_shape.images;
  LAUNCH(device, roi_places_kernel, blocks_for(rows), THREADS, *align, *regions, rows, places);
  for (int32_t map = 0; map < align->map_count; ++map) {
    const unsigned blocks = blocks_for(shape_elements(align->maps[map]) / 8);
    BY_ELEMENT(y_shape.element, T,
               LAUNCH(device, roi_align_backward_kernel, blocks, THREADS, *align, map,
                      (const RoiPlace *)places, rows, (const T *)dy, (T *)dmaps[map], write));
  }
}
