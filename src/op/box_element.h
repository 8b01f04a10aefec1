#pragma once

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "op/box_head.h"
#include "op/rpn.h"
#include "tensor/bf16.h"

/* Boxes, the coder and anchors (rpn.h), one at a time. All in float32, every operation rounded by
 * itself as torchvision does; exp and log are taken in float64 and rounded, so that both compilers'
 * libraries give the same float32. */
typedef struct Box {
  float x1, y1, x2, y2;
} Box;

typedef struct BoxCode {
  float x, y, w, h;
} BoxCode;

SHARED_INLINE Box box_load(const float *boxes, int64_t row)
{
  const float *from = boxes + 4 * row;
  const Box box = {from[0], from[1], from[2], from[3]};
  return box;
}

SHARED_INLINE void box_store(float *boxes, int64_t row, Box box)
{
  float *to = boxes + 4 * row;
  to[0] = box.x1;
  to[1] = box.y1;
  to[2] = box.x2;
  to[3] = box.y2;
}

SHARED_INLINE float box_area(Box box)
{
  return (box.x2 - box.x1) * (box.y2 - box.y1);
}

/* NaN where both areas are 0. */
SHARED_INLINE float box_iou(Box a, Box b)
{
  const float left = a.x1 > b.x1 ? a.x1 : b.x1;
  const float top = a.y1 > b.y1 ? a.y1 : b.y1;
  const float right = a.x2 < b.x2 ? a.x2 : b.x2;
  const float bottom = a.y2 < b.y2 ? a.y2 : b.y2;
  const float width = right - left > 0.0F ? right - left : 0.0F;
  const float height = bottom - top > 0.0F ? bottom - top : 0.0F;
  const float inter = width * height;
  return inter / (box_area(a) + box_area(b) - inter);
}

/* Whether boxes share an area. Most pairs do not, and need no division: their IoU is not above 0. */
SHARED_INLINE bool box_meets(Box a, Box b)
{
  return a.x1 < b.x2 && b.x1 < a.x2 && a.y1 < b.y2 && b.y1 < a.y2;
}

/* Whether the IoU is above most, which is 0 or more. */
SHARED_INLINE bool box_drops(Box a, Box b, float most)
{
  return box_meets(a, b) && box_iou(a, b) > most;
}

/* A NaN stays. */
SHARED_INLINE float box_limit(float x, float most)
{
  return x < 0.0F ? 0.0F : x > most ? most : x;
}

/* size: height and width of the image. */
SHARED_INLINE Box box_clip(Box box, const float *size)
{
  const Box clipped = {box_limit(box.x1, size[1]), box_limit(box.y1, size[0]),
                       box_limit(box.x2, size[1]), box_limit(box.y2, size[0])};
  return clipped;
}

/* Whether both sides have this length; not of a box that is NaN. */
SHARED_INLINE bool box_has_sides(Box box, float least_px)
{
  return box.x2 - box.x1 >= least_px && box.y2 - box.y1 >= least_px;
}

SHARED_INLINE BoxCode box_head_weights(void)
{
  const BoxCode weights = {10.0F, 10.0F, 5.0F, 5.0F};
  return weights;
}

SHARED_INLINE BoxCode rpn_weights(void)
{
  const BoxCode weights = {1.0F, 1.0F, 1.0F, 1.0F};
  return weights;
}

/* size times e^code; the code is limited by log(1000 / 16), and a NaN stays. */
SHARED_INLINE float box_decode_size(float code, float size)
{
  const float most = 4.135166556742356F;
  return (float)exp((double)(code > most ? most : code)) * size;
}

SHARED_INLINE Box box_decode(Box reference, BoxCode code, BoxCode weights)
{
  const float width = reference.x2 - reference.x1;
  const float height = reference.y2 - reference.y1;
  const float x = code.x / weights.x * width + (reference.x1 + 0.5F * width);
  const float y = code.y / weights.y * height + (reference.y1 + 0.5F * height);
  const float half_w = 0.5F * box_decode_size(code.w / weights.w, width);
  const float half_h = 0.5F * box_decode_size(code.h / weights.h, height);
  const Box box = {x - half_w, y - half_h, x + half_w, y + half_h};
  return box;
}

SHARED_INLINE BoxCode box_encode(Box reference, Box box, BoxCode weights)
{
  const float width = reference.x2 - reference.x1;
  const float height = reference.y2 - reference.y1;
  const float box_width = box.x2 - box.x1;
  const float box_height = box.y2 - box.y1;
  const float x = box.x1 + 0.5F * box_width - (reference.x1 + 0.5F * width);
  const float y = box.y1 + 0.5F * box_height - (reference.y1 + 0.5F * height);
  const BoxCode code = {weights.x * x / width, weights.y * y / height,
                        weights.w * (float)log((double)(box_width / width)),
                        weights.h * (float)log((double)(box_height / height))};
  return code;
}

/* Where an anchor, numbered as rpn.h has it, lies in the maps. */
typedef struct AnchorPlace {
  int32_t map;
  int32_t cell;
  int64_t pixel; /* of one image: row times width of the map plus column */
} AnchorPlace;

SHARED_INLINE int64_t anchor_map_pixels(const Rpn *rpn, int32_t map)
{
  return (int64_t)rpn->maps[map].height * rpn->maps[map].width;
}

SHARED_INLINE AnchorPlace anchor_place(const Rpn *rpn, int64_t anchor)
{
  AnchorPlace place = {0, 0, 0};
  int64_t pixels = anchor_map_pixels(rpn, 0);
  while (anchor >= pixels * rpn->anchor_count) {
    anchor -= pixels * rpn->anchor_count;
    ++place.map;
    pixels = anchor_map_pixels(rpn, place.map);
  }
  place.pixel = anchor / rpn->anchor_count;
  place.cell = (int32_t)(anchor % rpn->anchor_count);
  return place;
}

SHARED_INLINE Box anchor_box(const Rpn *rpn, AnchorPlace place)
{
  const AnchorMap *map = &rpn->maps[place.map];
  const float *cell = map->cells[place.cell];
  const float x = (float)(place.pixel % map->width * map->stride_x_px);
  const float y = (float)(place.pixel / map->width * map->stride_y_px);
  const Box box = {cell[0] + x, cell[1] + y, cell[2] + x, cell[3] + y};
  return box;
}

/* Elements in the map's tensors: the anchor's logit, and the first of its four deltas. */
SHARED_INLINE int64_t anchor_logit(const Rpn *rpn, int32_t image, AnchorPlace place)
{
  const int64_t pixel = image * anchor_map_pixels(rpn, place.map) + place.pixel;
  return pixel * rpn->logit_channels + place.cell;
}

SHARED_INLINE int64_t anchor_delta(const Rpn *rpn, int32_t image, AnchorPlace place)
{
  const int64_t pixel = image * anchor_map_pixels(rpn, place.map) + place.pixel;
  return pixel * rpn->delta_channels + 4 * (int64_t)place.cell;
}
