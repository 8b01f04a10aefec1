#pragma once

#include "op/match_element.h"

/* A run of boxes against one object after another, by vectors: BOX_LANES at a time, so that runs are
 * filled up with empty boxes, which have an IoU of 0 with everything. */
enum { BOX_SPAN_MOST = 64, BOX_LANES = 16 };

typedef struct BoxSpan {
  float x1[BOX_SPAN_MOST];
  float y1[BOX_SPAN_MOST];
  float x2[BOX_SPAN_MOST];
  float y2[BOX_SPAN_MOST];
} BoxSpan;

typedef struct BestSpan {
  float iou[BOX_SPAN_MOST];
  int32_t object[BOX_SPAN_MOST];
  int32_t rescued[BOX_SPAN_MOST]; /* 0 or 1 */
} BestSpan;

static inline void box_span_set(BoxSpan *span, int32_t i, Box box)
{
  span->x1[i] = box.x1;
  span->y1[i] = box.y1;
  span->x2[i] = box.x2;
  span->y2[i] = box.y2;
}

/* Behind the last of count boxes. */
static inline void box_span_fill_up(BoxSpan *span, int32_t count)
{
  for (; count % BOX_LANES != 0; ++count)
    box_span_set(span, count, (Box){0, 0, 0, 0});
}

/* The highest IoU of boxes first … end - 1, and perhaps of some beside them, with the object; 0 of
 * none. */
float box_span_highest(const BoxSpan *span, int32_t first, int32_t end, Box object);
/* Shows them object g, whose highest IoU with any box is highest (or a number that no IoU equals).
 */
void box_span_match(const BoxSpan *span, int32_t first, int32_t end, Box object, int32_t g,
                    float highest, BestSpan *best);
