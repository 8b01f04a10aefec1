#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "comm/comm.h"
#include "store/document.h"

/* How well objects are found in images: COCO's average precision of boxes and of masks
 * (detection_score.h), added up image by image on every rank. */
typedef struct ObjectScores ObjectScores;

typedef struct ScoredObject {
  int32_t class_index;                     /* from 0 */
  double score;                            /* of what was found */
  float box[4];                            /* x1, y1, x2, y2 in pixels of the image */
  int32_t x_px, y_px, width_px, height_px; /* the mask's window */
  const uint8_t *mask;                     /* 0 or 1; NULL: none */
} ScoredObject;

typedef struct ObjectScoresSummary {
  double box_ap, box_ap50, box_ap75; /* -1 where there is no truth */
  double mask_ap, mask_ap50, mask_ap75;
  int64_t truth_count, found_count;
} ObjectScoresSummary;

/* masks: whether these are scored too. */
Status object_scores_open(int32_t class_count, bool masks, ObjectScores **scores);
void object_scores_close(ObjectScores *scores); /* accepts NULL */
/* Each image once. image: a number that no other image of any rank has. */
Status object_scores_add(ObjectScores *scores, int64_t image, const ScoredObject *found,
                         int32_t found_count, const ScoredObject *truths, int32_t truth_count);
/* Collective. All ranks have what all added. */
Status object_scores_merge(ObjectScores *scores, const Comm *comm);
/* class_index: -1 for the mean over all. */
Status object_scores_summary(ObjectScores *scores, int32_t class_index,
                             ObjectScoresSummary *summary);
