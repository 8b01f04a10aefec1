#pragma once

#include "box_element.h"
#include "op/roi_sample.h"

/* Matching of boxes with an image's objects. A matcher answers with the object's index, or with one
 * of these. */
enum { MATCH_BACKGROUND = -1, MATCH_IGNORED = -2 };

SHARED_INLINE Box anchor_box_at(const AnchorMap *map, int32_t cell, int32_t y, int32_t x)
{
  const float *of_cell = map->cells[cell];
  const float dx = (float)(x * map->stride_x_px);
  const float dy = (float)(y * map->stride_y_px);
  const Box box = {of_cell[0] + dx, of_cell[1] + dy, of_cell[2] + dx, of_cell[3] + dy};
  return box;
}

/* By its number in an image; in 32 bits, since 64 are slow to divide on a GPU. */
SHARED_INLINE Box anchor_box_of(const Rpn *rpn, uint32_t anchor)
{
  const uint32_t cells = (uint32_t)rpn->anchor_count;
  const AnchorMap *map = rpn->maps;
  for (;; ++map) {
    const uint32_t anchors = (uint32_t)map->height * (uint32_t)map->width * cells;
    if (anchor < anchors) break;
    anchor -= anchors;
  }
  const uint32_t pixel = anchor / cells;
  const uint32_t y = pixel / (uint32_t)map->width;
  return anchor_box_at(map, (int32_t)(anchor % cells), (int32_t)y,
                       (int32_t)(pixel % (uint32_t)map->width));
}

/* The object of the highest IoU so far, of none at first: {0, 0}. */
typedef struct BestObject {
  float iou;
  int32_t object;
} BestObject;

SHARED_INLINE BestObject best_object_of(BestObject best, float iou, int32_t object)
{
  const BestObject challenger = {iou, object};
  return iou > best.iou ? challenger : best;
}

/* Whether an IoU rescues its anchor: it is the highest that the object has. */
SHARED_INLINE bool rpn_match_rescues(float iou, float highest)
{
  return iou == highest && iou > 0.0F;
}

SHARED_INLINE int32_t rpn_match_element(RpnMatching matching, int32_t object_count, BestObject best,
                                        bool rescued)
{
  if (rescued) return best.object;
  if (object_count == 0 || best.iou < matching.low) return MATCH_BACKGROUND;
  return best.iou < matching.high ? MATCH_IGNORED : best.object;
}

SHARED_INLINE int32_t roi_match_element(RoiSampling sampling, int32_t object_count, BestObject best)
{
  return object_count > 0 && best.iou >= sampling.iou_least ? best.object : MATCH_BACKGROUND;
}

/* Candidate i of an image: its proposals, then its objects. */
SHARED_INLINE Box roi_candidate(const float *proposals, int32_t proposal_count,
                                const float *objects, int32_t i)
{
  return i < proposal_count ? box_load(proposals, i) : box_load(objects, i - proposal_count);
}
