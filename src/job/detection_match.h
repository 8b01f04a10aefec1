#pragma once

#include "detection_score.h"

/* What truths a detection may be matched with: of detection d, in the order of scores,
 * pairs[first[d]] … pairs[first[d + 1] - 1], by truth. */
typedef struct DetectionCandidates {
  int32_t detection_count;
  int32_t *order; /* detection_count: places in the case, best score first */
  int64_t *first; /* detection_count + 1 */
  DetectionPair *pairs;
} DetectionCandidates;

/* The best detections of a case, most of them, and their pairs with an IoU of least_iou or more.
 * Ended by detection_candidates_free in any case. Errors: STATUS_BAD_INPUT for a score that is no
 * number; STATUS_NO_MEMORY. */
Status detection_candidates_open(const DetectionCase *found, int32_t most, double least_iou,
                                 DetectionCandidates *candidates);
void detection_candidates_free(DetectionCandidates *candidates);
