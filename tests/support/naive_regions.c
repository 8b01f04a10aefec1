#include <math.h>

#include "naive_parts.h"

/* A region on its map, and what a bin of it samples: all in double. */
typedef struct Region {
  int32_t map, image;
  double x, y, bin_width, bin_height;
} Region;

static bool has_nan(const float *box)
{
  return isnan(box[0]) || isnan(box[1]) || isnan(box[2]) || isnan(box[3]);
}

static Region region_of(const RoiAlign *align, const Regions *regions, int32_t row)
{
  const float *box = regions->boxes + 4 * (int64_t)row;
  const double side = sqrt(((double)box[2] - (double)box[0]) * ((double)box[3] - (double)box[1]));
  const double level = floor(4.0 + log2(side / 224.0) + 1e-6) - align->least_level;
  Region region = {.image = regions->images[row]};
  if (level > 0.0) region.map = level < align->map_count ? (int32_t)level : align->map_count - 1;
  const double scale = (double)align->scales[region.map];
  region.x = (double)box[0] * scale;
  region.y = (double)box[1] * scale;
  region.bin_width = fmax((double)box[2] * scale - region.x, 1.0) / align->pooled;
  region.bin_height = fmax((double)box[3] * scale - region.y, 1.0) / align->pooled;
  return region;
}

typedef void VisitPixel(void *context, int64_t pixel, double weight);

/* The four pixels of one sample at y, x; none where it lies outside. */
static void visit_sample(Shape map, int32_t image, double y, double x, VisitPixel *visit,
                         void *context)
{
  if (y < -1.0 || y > map.height || x < -1.0 || x > map.width) return;
  y = fmin(fmax(y, 0.0), map.height - 1);
  x = fmin(fmax(x, 0.0), map.width - 1);
  for (int32_t i = (int32_t)y; i <= (int32_t)y + 1; ++i)
    for (int32_t j = (int32_t)x; j <= (int32_t)x + 1; ++j) {
      const double weight = (1.0 - fabs(y - i)) * (1.0 - fabs(x - j));
      if (i < map.height && j < map.width)
        visit(context, ((int64_t)image * map.height + i) * map.width + j, weight);
    }
}

/* All samples of a bin, as pixels with weights whose sum is 1 (or less at the map's edge). */
static void visit_bin(const RoiAlign *align, Region region, int32_t p, int32_t q, VisitPixel *visit,
                      void *context)
{
  const int32_t samples = align->sampling;
  for (int32_t i = 0; i < samples; ++i)
    for (int32_t j = 0; j < samples; ++j)
      visit_sample(align->maps[region.map], region.image,
                   region.y + (p + (i + 0.5) / samples) * region.bin_height,
                   region.x + (q + (j + 0.5) / samples) * region.bin_width, visit, context);
}

typedef struct Pooled {
  Shape map;
  const void *values;
  int32_t channel;
  double sum;
} Pooled;

static void add_pixel(void *context, int64_t pixel, double weight)
{
  Pooled *pooled = context;
  pooled->sum += weight * naive_get(pooled->values, pooled->map.element,
                                    pixel * pooled->map.channels + pooled->channel);
}

static double pooled_value(const RoiAlign *align, const void *const *maps, const Regions *regions,
                           int32_t row, int32_t p, int32_t q, int32_t c)
{
  if (regions->images[row] < 0) return 0.0;
  if (has_nan(regions->boxes + 4 * (int64_t)row)) return (double)NAN;
  const Region region = region_of(align, regions, row);
  Pooled pooled = {.map = align->maps[region.map], .values = maps[region.map], .channel = c};
  visit_bin(align, region, p, q, add_pixel, &pooled);
  return pooled.sum / (align->sampling * align->sampling);
}

void naive_roi_align_forward(Device *device, const RoiAlign *align, const void *const *maps,
                             const Regions *regions, Shape y_shape, void *y)
{
  for (int32_t row = 0; row < y_shape.images; ++row)
    for (int32_t p = 0; p < y_shape.height; ++p)
      for (int32_t q = 0; q < y_shape.width; ++q)
        for (int32_t c = 0; c < y_shape.channels; ++c)
          naive_set(y, y_shape.element, naive_index(y_shape, row, p, q, c),
                    pooled_value(align, maps, regions, row, p, q, c));
}

size_t naive_roi_align_backward_scratch_bytes(const RoiAlign *align, int32_t rows)
{
  return 0;
}

typedef struct Spread {
  Shape map;
  int32_t channel;
  double gradient;
  double *sums;
} Spread;

static void spread_pixel(void *context, int64_t pixel, double weight)
{
  const Spread *spread = context;
  spread->sums[pixel * spread->map.channels + spread->channel] += weight * spread->gradient;
}

static void spread_row(const RoiAlign *align, Region region, int32_t row, Shape y_shape,
                       const void *dy, double *sums)
{
  for (int32_t p = 0; p < y_shape.height; ++p)
    for (int32_t q = 0; q < y_shape.width; ++q)
      for (int32_t c = 0; c < y_shape.channels; ++c) {
        const double gradient = naive_get(dy, y_shape.element, naive_index(y_shape, row, p, q, c));
        Spread spread = {.map = align->maps[region.map],
                         .channel = c,
                         .gradient = gradient / (align->sampling * align->sampling),
                         .sums = sums};
        visit_bin(align, region, p, q, spread_pixel, &spread);
      }
}

void naive_roi_align_backward(Device *device, const RoiAlign *align, const Regions *regions,
                              Shape y_shape, const void *dy, void *const *dmaps, Write write,
                              void *scratch)
{
  for (int32_t map = 0; map < align->map_count; ++map) {
    const int64_t count = shape_elements(align->maps[map]);
    double *sums = naive_zeros(count);
    for (int32_t row = 0; row < y_shape.images; ++row) {
      if (regions->images[row] < 0 || has_nan(regions->boxes + 4 * (int64_t)row)) continue;
      const Region region = region_of(align, regions, row);
      if (region.map == map) spread_row(align, region, row, y_shape, dy, sums);
    }
    for (int64_t i = 0; i < count; ++i)
      naive_put(dmaps[map], align->maps[map].element, i, sums[i], write);
    memory_free(sums);
  }
}
