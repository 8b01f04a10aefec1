#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* Average precision and recall of detections as COCO defines them, number for number those of
 * pycocotools' COCOeval with its default parameters (Lin et al., "Microsoft COCO", 2014).
 *
 *   IoU        ten thresholds, 0.5 to 0.95 in steps of 0.05; a pair at a threshold is a match
 *   Areas      all; small below 32² px, medium, large from 96² px; both ends count. Truths
 *              of other areas are ignored, and detections of other areas that match nothing
 *   Ties       equal scores in the order of images, then in that of detections; of equal IoU the
 *              last truth wins
 *   Crowds     are ignored and may be matched again and again
 *   Precision  the largest at this recall or a higher one, mean over recall 0, 0.01, … 1
 *   Nothing    a number that no truth has a say in is -1
 *
 * One thing differs: a truth whose id is 0 counts as any other (COCOeval never sees it matched). */
typedef struct DetectionScore DetectionScore;

enum { DETECTION_IOU_COUNT = 10, DETECTION_RANGE_COUNT = 4, DETECTION_LIMIT_COUNT = 3 };

/* How many detections of a class in an image count, best scores first: recall is told for each
 * limit, precision for the last. They rise. */
typedef struct DetectionLimits {
  int32_t most[DETECTION_LIMIT_COUNT];
} DetectionLimits;

extern const DetectionLimits detection_limits_coco; /* 1, 10, 100 */
extern const DetectionLimits detection_no_limits;

/* A pair that overlaps; pairs that are left out have IoU 0. */
typedef struct DetectionPair {
  int32_t detection;
  int32_t truth;
  double iou; /* of a crowd: intersection over the detection's area */
} DetectionPair;

/* One class in one image. All is borrowed for the call. */
typedef struct DetectionCase {
  int64_t image; /* says the order for ties */
  int32_t class_index;
  int32_t detection_count;
  const double *scores;             /* in any order, no NaN */
  const double *detection_areas_px; /* in px² */
  int32_t truth_count;
  const double *truth_areas_px;
  const bool *crowd;          /* NULL: no truth is one */
  const double *ious;         /* detection_count x truth_count; or NULL, and pairs */
  const DetectionPair *pairs; /* in any order, each pair once */
  int64_t pair_count;
} DetectionCase;

Status detection_score_open(int32_t class_count, DetectionLimits limits, DetectionScore **score);
void detection_score_close(DetectionScore *score); /* accepts NULL */

/* Matches detections with truths and keeps 40 bytes per detection. Each class of an image is added
 * once, with all its detections and truths; images in any order; one without either need not be.
 * Errors: STATUS_BAD_INPUT for a score that is no number; STATUS_NO_MEMORY. */
Status detection_score_add(DetectionScore *score, const DetectionCase *found);

/* What add came to, to be sent between ranks and merged there. */
typedef struct DetectionRow {
  double score;
  int64_t image;
  int32_t class_index;
  int32_t place; /* 0: the best of its class and image */
  /* Bit t for the t-th threshold. */
  uint16_t matched[DETECTION_RANGE_COUNT];
  uint16_t ignored[DETECTION_RANGE_COUNT];
} DetectionRow;

/* Borrowed until the next call. truth_counts: class_count x DETECTION_RANGE_COUNT, truths that are
 * not ignored. */
const DetectionRow *detection_score_rows(const DetectionScore *score, int64_t *row_count);
const int64_t *detection_score_truth_counts(const DetectionScore *score);
Status detection_score_merge(DetectionScore *score, const DetectionRow *rows, int64_t row_count,
                             const int64_t *truth_counts);

typedef struct DetectionSummary {
  double ap, ap50, ap75;
  double ap_small, ap_medium, ap_large;
  double ar[DETECTION_LIMIT_COUNT]; /* by limit: AR1, AR10, AR100 */
  double ar_small, ar_medium, ar_large;
  int64_t detection_count; /* within the last limit */
  int64_t truth_count;     /* without crowds */
} DetectionSummary;

/* Of one class, or with class_index -1 the mean over the classes that have truths. Sorts what was
 * added since the last call. Errors: STATUS_NO_MEMORY. */
Status detection_score_summary(DetectionScore *score, int32_t class_index,
                               DetectionSummary *summary);

/* The t-th threshold, as COCOeval has it to the last bit. */
double detection_iou_threshold(int32_t t);

/* A box as COCO writes it: the first corner, then width and height. */
typedef struct DetectionBox {
  double x, y, width, height;
} DetectionBox;

/* Intersection over union, or over the detection's area where the truth is a crowd; 0 where they
 * only touch. */
double detection_box_iou(DetectionBox detection, DetectionBox truth, bool crowd);
