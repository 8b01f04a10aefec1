#pragma once

#include "support/backends.h"

/* What tests of the detector's ops share. */

/* Objects on the device: counts per image, boxes images x capacity x 4, classes images x capacity
 * (NULL: all 1). No masks. */
Truth room_truth(Room *room, int32_t images, int32_t capacity, const int32_t *counts,
                 const float *boxes, const int32_t *classes);

/* Boxes whose corners are multiples of 1/8 px and whose sides are least_px to most_px; some hang
 * over the edges. */
float *room_boxes(Room *room, const char *name, int64_t count, int32_t height_px, int32_t width_px,
                  int32_t least_px, int32_t most_px);

/* A pyramid of maps, each half as large as the one before it (rounded up), on a backend. Ratios are
 * 1/2, 1, 2, as many as asked for; sizes are size_px and its doubles. */
typedef struct Pyramid {
  int32_t images;
  int32_t height_px, width_px;
  int32_t first_stride_px; /* of the first map */
  int32_t map_count;
  int32_t ratio_count;
  int32_t size_px; /* of the first map's anchors */
} Pyramid;

Rpn rpn_of(const TestBackend *on, Pyramid pyramid, Element element);
/* logits and deltas as they mean something, without padded channels. */
Shape pyramid_logits(Pyramid pyramid, int32_t map, Element element);
Shape pyramid_deltas(Pyramid pyramid, int32_t map, Element element);

/* One image of one map, 1 x width anchors of 10 x 10 px side by side. */
Rpn rpn_of_a_row(const TestBackend *on, int32_t images, int32_t width);
