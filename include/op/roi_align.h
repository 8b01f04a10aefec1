#pragma once

#include "op/regions.h"

enum { ROI_SAMPLES_MOST = 256 };

/* Features of regions from a pyramid of maps, by bilinear samples.
 *
 *   Shapes    maps    N x H_m x W_m x C, all of one element type; scale_m px of the map per px of
 *                     the input
 *             y       R x pooled x pooled x C, R at most the capacity of the regions; rows without
 *                     an image are 0
 *   Level     of a region: floor(4 + log2(sqrt(area) / 224) + 1e-6) in float32, clamped to
 *             least_level … least_level + map_count - 1; map = level - least_level
 *   Formula   torchvision's roi_align, aligned false. A region times scale_m, at least 1 px wide and
 *             high, is cut into pooled x pooled bins; the value of a bin is the sum of sampling x
 *             sampling samples, i-th at bin + (i + 0.5) / sampling in row-major order, over their
 *             number. A sample is bilinear between the four pixels (i at coordinate i) about it,
 *             pulled to the outermost ones up to a pixel outside of the map, and 0 beyond. Sums in
 *             float32
 *   Gradient  of the maps only: dmaps are written or added to, as asked; every element's sum is
 *             taken in the order of regions and bins, in float32, and rounded once
 *   NaN       a region with a NaN gives NaN features and no gradient
 *   Errors    in plan only: STATUS_BAD_SHAPE, also where pooled x sampling exceeds ROI_SAMPLES_MOST
 *   Source    He et al., "Mask R-CNN", 2017, section 3; Lin et al., "Feature pyramid networks",
 *             2017, section 4.2 */
typedef struct RoiAlign {
  int32_t map_count;
  Shape maps[PYRAMID_MAPS_MOST];
  float scales[PYRAMID_MAPS_MOST];
  int32_t least_level; /* 2: the map of scale 1/4 */
  int32_t pooled;
  int32_t sampling;
} RoiAlign;

/* scales are 2^round(log2(map height / input height)). y: for rows regions. */
Status roi_align_plan(int32_t map_count, const Shape *maps, int32_t input_height_px, int32_t pooled,
                      int32_t sampling, int32_t rows, RoiAlign *align, Shape *y);
