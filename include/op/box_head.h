#pragma once

#include "op/regions.h"

/* What follows the box head's two outputs.
 *
 *   Shapes    logits  R x 1 x 1 x C (C >= class_count); class 0 is background
 *             deltas  R x 1 x 1 x D (D >= 4 class_count): number k of class c at channel 4 c + k,
 *             coded (rpn.h) against the row's region with weights 10, 10, 5, 5
 *
 * box_loss_sums: sums[0] = cross-entropy of rows with class >= 0, sums[1] = smooth L1 (beta 1/9) of
 * the true class's deltas from targets over rows with class > 0, sums[2] = rows with class >= 0,
 * sums[3] = rows with class > 0. A class past the last is as -1.
 * Sums of ranks are added before the backward pass.
 *   loss_classifier = sums[0] / sums[2], loss_box_reg = sums[1] / sums[2]; 0 where sums[2] is 0
 * box_loss_backward: writes the gradients of scale times their sum, 0 in all other elements. scale: a
 * number in device memory, or NULL for 1 (loss_scale.h).
 *
 * detections: boxes of all classes but 0 are decoded and clipped to the image, scores are the
 * softmax; per image those with score > score_least and both sides >= least_side_px go through
 * non-maximum suppression within each class (IoU > iou_most drops, as in rpn.h), and the first
 * capacity of them in the order of falling score are written.
 *   Ties      equal scores: the lower row, then the lower class, first
 *   NaN       a score or a box that is NaN is dropped
 *   dropped   per image: how many the capacity cut off; 0 when nothing is missing
 *
 * detection_regions: the detections of the batch as regions (capacity images x capacity), with
 * their classes (0 behind the count). Uses boxes and counts only where classes is NULL, and so makes
 * regions of an RPN's proposals too. */
enum { BOX_SUMS = 4 };

typedef struct BoxHead {
  int32_t class_count; /* background included */
  Shape logits;
  Shape deltas;
} BoxHead;

typedef struct DetectionLimits {
  float score_least;   /* 0.05 */
  float iou_most;      /* 0.5 */
  float least_side_px; /* 0.01 */
} DetectionLimits;

/* Behind an image's count: zeros. */
typedef struct Detections {
  int32_t images;
  int32_t capacity; /* per image */
  float *boxes;     /* images x capacity x 4 */
  float *scores;    /* images x capacity */
  int32_t *classes; /* images x capacity */
  int32_t *counts;  /* images */
  int32_t *dropped; /* images */
} Detections;

Status box_head_plan(int32_t class_count, Shape logits, Shape deltas, BoxHead *head);
