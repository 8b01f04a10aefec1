#include "op/roi_align.h"

#include <math.h>

static Status check_bins(int32_t map_count, int32_t pooled, int32_t sampling)
{
  if (map_count < 1 || map_count > PYRAMID_MAPS_MOST)
    return status_set(STATUS_BAD_SHAPE, "roi_align: %d maps; it takes 1 to %d", map_count,
                      PYRAMID_MAPS_MOST);
  if (pooled < 1 || sampling < 1 || sampling > ROI_SAMPLES_MOST ||
      pooled > ROI_SAMPLES_MOST / sampling)
    return status_set(STATUS_BAD_SHAPE, "roi_align: %d bins of %d samples; at most %d in a row",
                      pooled, sampling, ROI_SAMPLES_MOST);
  return STATUS_OK;
}

static Status check_map(const Shape *maps, int32_t i)
{
  TRY(shape_check(maps[i], "roi_align"));
  if (maps[i].images == maps[0].images && maps[i].channels == maps[0].channels &&
      maps[i].element == maps[0].element)
    return STATUS_OK;
  return status_set(STATUS_BAD_SHAPE,
                    "roi_align: map %d has %d images of %d channels, map 0 has %d of %d", i,
                    maps[i].images, maps[i].channels, maps[0].images, maps[0].channels);
}

/* 0 for a scale of 1, 2 for one of 1/4. */
static int32_t level_of(int32_t map_height_px, int32_t input_height_px)
{
  return (int32_t)-roundf(log2f((float)map_height_px / (float)input_height_px));
}

Status roi_align_plan(int32_t map_count, const Shape *maps, int32_t input_height_px, int32_t pooled,
                      int32_t sampling, int32_t rows, RoiAlign *align, Shape *y)
{
  TRY(check_bins(map_count, pooled, sampling));
  if (input_height_px < 1 || rows < 1)
    return status_set(STATUS_BAD_SHAPE, "roi_align: %d regions of an input of %d px", rows,
                      input_height_px);
  RoiAlign planned = {.map_count = map_count, .pooled = pooled, .sampling = sampling};
  for (int32_t i = 0; i < map_count; ++i) {
    TRY(check_map(maps, i));
    planned.maps[i] = maps[i];
    planned.scales[i] = ldexpf(1.0F, -level_of(maps[i].height, input_height_px));
  }
  planned.least_level = level_of(maps[0].height, input_height_px);
  *y = maps[0];
  y->images = rows;
  y->height = y->width = pooled;
  *align = planned;
  return shape_check(*y, "roi_align");
}
