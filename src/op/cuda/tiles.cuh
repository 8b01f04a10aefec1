#pragma once

#include "launch.cuh"

/* Work pixel by pixel on logits: a block brings the logits of a tile of pixels to shared memory as
 * float32, where each thread finds those of its pixel one after the other, as the shared element
 * functions want them. The cut depends on the shape alone. */
typedef struct Tiles {
  int64_t pixels;
  int32_t channels; /* in memory */
  int32_t class_count;
  int32_t stride;      /* floats per pixel in shared memory; odd, so that banks differ */
  int32_t tile_pixels; /* at most THREADS */
} Tiles;

enum { TILE_FLOATS = 8448, TILE_BLOCKS_MOST = 512 };

static inline Tiles tiles_of(Shape logits, int32_t class_count)
{
  Tiles cut;
  cut.pixels = shape_pixels(logits);
  cut.channels = logits.channels;
  cut.class_count = class_count;
  cut.stride = class_count | 1;
  const int32_t fit = TILE_FLOATS / cut.stride;
  cut.tile_pixels = fit < THREADS ? fit : THREADS;
  return cut;
}

static inline unsigned tiles_blocks(Tiles cut)
{
  const int64_t tiles = (cut.pixels + cut.tile_pixels - 1) / cut.tile_pixels;
  return (unsigned)(tiles < TILE_BLOCKS_MOST ? tiles : (int64_t)TILE_BLOCKS_MOST);
}

/* Pixels of the tile that begins at first. */
__device__ inline int32_t tile_count(Tiles cut, int64_t first)
{
  const int64_t left = cut.pixels - first;
  return (int32_t)(left < cut.tile_pixels ? left : cut.tile_pixels);
}

/* All threads of the block call it; ends with a barrier. A thread takes eight channels of a pixel. */
template <typename T>
__device__ inline void tile_load(Tiles cut, int64_t first, const T *logits, float *z)
{
  const int32_t eighths = (cut.class_count + 7) / 8;
  const int32_t count = tile_count(cut, first) * eighths;
  for (int32_t i = (int32_t)threadIdx.x; i < count; i += THREADS) {
    const int32_t pixel = i / eighths;
    const int32_t channel = i % eighths * 8;
    const Eight eight = load8(logits + (first + pixel) * cut.channels + channel);
    float *to = z + pixel * cut.stride + channel;
#pragma unroll
    for (int k = 0; k < 8; ++k)
      if (channel + k < cut.class_count) to[k] = eight.v[k];
  }
  __syncthreads();
}

/* The other way, with zeros behind the last class. Begins and ends with a barrier. */
template <typename T>
__device__ inline void tile_store(Tiles cut, int64_t first, const float *z, T *to)
{
  const int32_t eighths = cut.channels / 8;
  const int32_t count = tile_count(cut, first) * eighths;
  __syncthreads();
  for (int32_t i = (int32_t)threadIdx.x; i < count; i += THREADS) {
    const int32_t pixel = i / eighths;
    const int32_t channel = i % eighths * 8;
    const float *from = z + pixel * cut.stride + channel;
    Eight eight;
#pragma unroll
    for (int k = 0; k < 8; ++k)
      eight.v[k] = channel + k < cut.class_count ? from[k] : 0.0F;
    store8(to + (first + pixel) * cut.channels + channel, eight);
  }
  __syncthreads();
}
