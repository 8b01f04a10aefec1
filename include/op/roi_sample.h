#pragma once

#include "op/regions.h"

/* Which proposals the heads are trained on.
 *
 * For each image the boxes of its truth are put behind its proposals. A candidate takes the class
 * of the object of the highest IoU (ties: the first) where that is at least iou_least, else class 0.
 * Up to positive_count candidates with a class and then background ones up to count are drawn; they
 * become rows of regions in ascending order of candidates.
 *
 *   proposals        N x proposal_capacity x 4; proposal_counts N
 *   regions          capacity N x count
 *   classes          per row: -1 behind the count
 *   matches          per row: the object's index in its image; 0 for background, and behind the
 *                    count
 *   targets          per row x 4: encoding (rpn.h) with weights 10, 10, 5, 5 of the object's box
 *                    against the region; zeros for background, and behind the
 *                    count
 *   positives        the rows with a class, again as regions in the same order (capacity N x
 *                    positive_count), with positive_classes and positive_matches
 *   Keys             index is the candidate's among those of its image; a seed of its own keeps
 *                    the sample apart from that of the anchors
 *   Errors           in plan only: an image without objects gives background rows only, one without
 *                    candidates gives none
 *   Source           Girshick, "Fast R-CNN", 2015, section 2.3; torchvision roi_heads */
typedef struct RoiSampling {
  int32_t count;          /* 512, of one image */
  int32_t positive_count; /* 128 at most */
  float iou_least;        /* 0.5 */
} RoiSampling;

typedef struct SampledRois {
  Regions regions;
  int32_t *classes;
  int32_t *matches;
  float *targets;
  Regions positives;
  int32_t *positive_classes;
  int32_t *positive_matches;
} SampledRois;

/* Errors: STATUS_BAD_OPTION, STATUS_BAD_SHAPE. */
Status roi_sample_plan(RoiSampling sampling, int32_t images);
