#include "op/rpn.h"

#include <math.h>

static Status check_options(const RpnOptions *options, int32_t map_count)
{
  if (map_count < 1 || map_count > PYRAMID_MAPS_MOST)
    return status_set(STATUS_BAD_SHAPE, "rpn: %d maps; it takes 1 to %d", map_count,
                      (int)PYRAMID_MAPS_MOST);
  if (options->ratio_count < 1 || options->ratio_count > ANCHORS_MOST)
    return status_set(STATUS_BAD_SHAPE, "rpn: %d ratios of anchors; it takes 1 to %d",
                      options->ratio_count, (int)ANCHORS_MOST);
  for (int32_t r = 0; r < options->ratio_count; ++r)
    if (!(options->ratios[r] > 0 && isfinite(options->ratios[r])))
      return status_set(STATUS_BAD_SHAPE, "rpn: a ratio of anchors is %g; it must be above 0",
                        (double)options->ratios[r]);
  return STATUS_OK;
}

/* Map m is like map 0 in all but its size, and not larger than the input. */
static Status check_map(const RpnOptions *options, int32_t m, const Shape *logits,
                        const Shape *deltas)
{
  const Shape logit = logits[m], delta = deltas[m];
  TRY(shape_check(logit, "rpn logits"));
  TRY(shape_check(delta, "rpn deltas"));
  if (options->sizes_px[m] < 1)
    return status_set(STATUS_BAD_SHAPE, "rpn: anchors of map %d have a size of %d px", m,
                      options->sizes_px[m]);
  if (logit.channels < options->ratio_count || delta.channels < 4 * options->ratio_count)
    return status_set(STATUS_BAD_SHAPE,
                      "rpn: map %d has %d channels of logits and %d of deltas for %d anchors", m,
                      logit.channels, delta.channels, options->ratio_count);
  if (logit.images != delta.images || logit.height != delta.height || logit.width != delta.width ||
      logit.element != delta.element)
    return status_set(
        STATUS_BAD_SHAPE,
        "rpn: map %d has logits of %d x %d x %d px %s and deltas of %d x %d x %d px %s", m,
        logit.images, logit.height, logit.width, element_name(logit.element), delta.images,
        delta.height, delta.width, element_name(delta.element));
  if (logit.images != logits[0].images || logit.channels != logits[0].channels ||
      delta.channels != deltas[0].channels || logit.element != logits[0].element)
    return status_set(STATUS_BAD_SHAPE, "rpn: map %d differs from map 0 in more than its size", m);
  if (logit.height > options->height_px || logit.width > options->width_px)
    return status_set(STATUS_BAD_SHAPE,
                      "rpn: map %d of %d x %d px is larger than the %d x %d px input", m,
                      logit.height, logit.width, options->height_px, options->width_px);
  return STATUS_OK;
}

/* In torchvision's order of float32 operations. */
static void fill_cell(int32_t size_px, float ratio, float cell[4])
{
  const float root = sqrtf(ratio);
  const float width = 1.0F / root * (float)size_px;
  const float height = root * (float)size_px;
  cell[0] = rintf(-width / 2.0F);
  cell[1] = rintf(-height / 2.0F);
  cell[2] = rintf(width / 2.0F);
  cell[3] = rintf(height / 2.0F);
}

int64_t rpn_anchor_count(const Rpn *rpn)
{
  int64_t count = 0;
  for (int32_t m = 0; m < rpn->map_count; ++m)
    count += (int64_t)rpn->maps[m].height * rpn->maps[m].width * rpn->anchor_count;
  return count;
}

Status rpn_plan(RpnOptions options, int32_t map_count, const Shape *logits, const Shape *deltas,
                Rpn *rpn)
{
  TRY(check_options(&options, map_count));
  *rpn = (Rpn){.images = logits[0].images,
               .map_count = map_count,
               .anchor_count = options.ratio_count,
               .logit_channels = logits[0].channels,
               .delta_channels = deltas[0].channels,
               .element = logits[0].element};
  for (int32_t m = 0; m < map_count; ++m) {
    TRY(check_map(&options, m, logits, deltas));
    AnchorMap *map = &rpn->maps[m];
    map->height = logits[m].height;
    map->width = logits[m].width;
    map->stride_y_px = options.height_px / map->height;
    map->stride_x_px = options.width_px / map->width;
    for (int32_t r = 0; r < options.ratio_count; ++r)
      fill_cell(options.sizes_px[m], options.ratios[r], map->cells[r]);
  }
  if (rpn_anchor_count(rpn) > INT32_MAX)
    return status_set(STATUS_BAD_SHAPE, "rpn: %lld anchors in an image; take smaller tiles",
                      (long long)rpn_anchor_count(rpn));
  return STATUS_OK;
}

Status rpn_training_plan(RpnMatching matching, RpnSampling sampling)
{
  if (!(matching.low > 0 && matching.low <= matching.high && matching.high <= 1))
    return status_set(
        STATUS_BAD_OPTION,
        "anchors are background below an IoU of %g and have an object from %g on: both "
        "must be above 0 and at most 1, the second not below the first",
        (double)matching.low, (double)matching.high);
  if (sampling.count < 1 || sampling.positive_count < 0 || sampling.positive_count > sampling.count)
    return status_set(STATUS_BAD_OPTION,
                      "%d anchors of an image are sampled, %d of them with an object at most: the "
                      "first must be 1 or more, the second 0 to the first",
                      sampling.count, sampling.positive_count);
  return STATUS_OK;
}
