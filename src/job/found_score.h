#pragma once

#include "detection_score.h"

/* How many objects were found, at one IoU: precision, recall and F1 as SpaceNet counts them (Van
 * Etten et al., "SpaceNet: a remote sensing dataset and challenge series", 2018), and the average
 * precision of PASCAL VOC from 2010 on.
 *
 *   Matching  from high to low score, each detection takes the free truth of its class with the
 *             largest IoU, if that is min_iou or more; each truth is taken once
 *   Ties      equal scores in the order of images, then in that of detections; of equal IoU the
 *             first truth wins
 *   Crowds    are no truths; a detection without a truth whose IoU with one is min_iou or more does
 *             not count
 *   AP        area under precision, made falling, over recall: all points, not eleven or 101 */
typedef struct FoundScore FoundScore;

typedef struct FoundSummary {
  int64_t true_positive;
  int64_t false_positive;
  int64_t false_negative;
  double precision; /* a quotient of 0 by 0 is 0 */
  double recall;
  double f1;
  double ap; /* NaN without truths; of all classes: the mean over those that have some */
} FoundSummary;

Status found_score_open(int32_t class_count, double min_iou, FoundScore **score);
void found_score_close(FoundScore *score); /* accepts NULL */
/* As detection_score_add. Pairs below min_iou may be left out. */
Status found_score_add(FoundScore *score, const DetectionCase *found);
/* Of one class, or with class_index -1 of all: counts are summed. Sorts what was added. */
Status found_score_summary(FoundScore *score, int32_t class_index, FoundSummary *summary);
