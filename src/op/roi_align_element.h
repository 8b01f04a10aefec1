#pragma once

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "op/roi_align.h"
#include "tensor/bf16.h"

/* A region on its map: where its bins begin and how large they are, in pixels of the map. */
typedef struct RoiBins {
  float x, y;
  float width, height;
} RoiBins;

/* Where a row's features come from. */
enum { ROI_BEHIND = -1, ROI_NAN = -2 }; /* instead of a map */

typedef struct RoiPlace {
  int32_t map;
  int32_t image;
  RoiBins bins;
} RoiPlace;

/* A sample along one axis: two neighbouring pixels and their weights; low is -1 outside. */
typedef struct RoiTap {
  int32_t low, high;
  float low_weight, high_weight;
} RoiTap;

SHARED_INLINE int32_t roi_align_level(const float *box, int32_t least, int32_t most)
{
  const float side = sqrtf((box[2] - box[0]) * (box[3] - box[1]));
  const float level = floorf(4.0F + log2f(side / 224.0F) + 1e-6F);
  if (!(level > (float)least)) return least;
  return level < (float)most ? (int32_t)level : most;
}

SHARED_INLINE RoiBins roi_align_bins(const float *box, float scale, int32_t pooled)
{
  const float width = box[2] * scale - box[0] * scale;
  const float height = box[3] * scale - box[1] * scale;
  RoiBins bins;
  bins.x = box[0] * scale;
  bins.y = box[1] * scale;
  bins.width = (width < 1.0F ? 1.0F : width) / (float)pooled;
  bins.height = (height < 1.0F ? 1.0F : height) / (float)pooled;
  return bins;
}

SHARED_INLINE RoiPlace roi_align_place(const RoiAlign *align, const Regions *regions, int32_t row)
{
  RoiPlace place;
  place.map = ROI_BEHIND;
  place.image = regions->images[row];
  if (place.image < 0) return place;
  const float *box = regions->boxes + 4 * (int64_t)row;
  const float sum = box[0] + box[1] + box[2] + box[3];
  place.map = ROI_NAN;
  if (sum != sum) return place;
  const int32_t most = align->least_level + align->map_count - 1;
  place.map = roi_align_level(box, align->least_level, most) - align->least_level;
  place.bins = roi_align_bins(box, align->scales[place.map], align->pooled);
  return place;
}

/* Sample number i of the given ones of a bin, on an axis of side pixels. */
SHARED_INLINE RoiTap roi_align_tap(float start, float size, int32_t bin, int32_t i, int32_t samples,
                                   int32_t side)
{
  const float at = start + (float)bin * size + ((float)i + 0.5F) * size / (float)samples;
  RoiTap tap;
  tap.low = tap.high = -1;
  tap.low_weight = tap.high_weight = 0.0F;
  if (!(at >= -1.0F && at <= (float)side)) return tap;
  const float inside = at <= 0.0F ? 0.0F : at;
  const int32_t low = (int32_t)inside;
  const bool last = low >= side - 1;
  tap.low = last ? side - 1 : low;
  tap.high = last ? side - 1 : low + 1;
  tap.high_weight = last ? 0.0F : inside - (float)low;
  tap.low_weight = 1.0F - tap.high_weight;
  return tap;
}

/* What a bin gives to one pixel along an axis: the sum over its samples. */
SHARED_INLINE float roi_align_share(float start, float size, int32_t bin, int32_t samples,
                                    int32_t side, int32_t pixel)
{
  float share = 0.0F;
  for (int32_t i = 0; i < samples; ++i) {
    const RoiTap tap = roi_align_tap(start, size, bin, i, samples, side);
    if (tap.low == pixel) share += tap.low_weight;
    if (tap.high == pixel) share += tap.high_weight;
  }
  return share;
}
