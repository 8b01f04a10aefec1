#include "box_span_cpu.h"

#include "span.h"

static int32_t lanes_from(int32_t first)
{
  return first / BOX_LANES * BOX_LANES;
}

VECTORIZED static void highest_by_lane(const BoxSpan *restrict span, int32_t first, int32_t end,
                                       Box object, float *restrict highest)
{
  for (; first < end; first += BOX_LANES)
    for (int32_t lane = 0; lane < BOX_LANES; ++lane) {
      const int32_t i = first + lane;
      const Box box = {span->x1[i], span->y1[i], span->x2[i], span->y2[i]};
      const float iou = box_iou(box, object);
      highest[lane] = iou > highest[lane] ? iou : highest[lane];
    }
}

float box_span_highest(const BoxSpan *span, int32_t first, int32_t end, Box object)
{
  float lanes[BOX_LANES] = {0};
  highest_by_lane(span, lanes_from(first), end, object, lanes);
  float highest = 0.0F;
  for (int32_t lane = 0; lane < BOX_LANES; ++lane)
    highest = lanes[lane] > highest ? lanes[lane] : highest;
  return highest;
}

VECTORIZED static void match_lanes(const BoxSpan *restrict span, int32_t first, int32_t end,
                                   Box object, int32_t g, float highest, float *restrict best_iou,
                                   int32_t *restrict best_object, int32_t *restrict rescued)
{
  for (; first < end; first += BOX_LANES)
    for (int32_t i = first; i < first + BOX_LANES; ++i) {
      const Box box = {span->x1[i], span->y1[i], span->x2[i], span->y2[i]};
      const float iou = box_iou(box, object);
      const bool better = iou > best_iou[i];
      best_iou[i] = better ? iou : best_iou[i];
      best_object[i] = better ? g : best_object[i];
      rescued[i] = rpn_match_rescues(iou, highest) ? 1 : rescued[i];
    }
}

void box_span_match(const BoxSpan *span, int32_t first, int32_t end, Box object, int32_t g,
                    float highest, BestSpan *best)
{
  match_lanes(span, lanes_from(first), end, object, g, highest, best->iou, best->object,
              best->rescued);
}
