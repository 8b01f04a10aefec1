#pragma once

#include "coco_file.h"
#include "found_score.h"

/* Which shape of objects is compared. */
typedef enum CocoShape { COCO_BOX, COCO_MASK } CocoShape;

/* Adds all images and categories to the scores, whose classes are the categories of their set.
 * Either score may be NULL. found takes all detections, coco the hundred best of an image and
 * category. Errors: STATUS_NO_MEMORY. */
Status coco_score_add(const CocoObjects *results, const CocoObjects *truths, CocoShape shape,
                      DetectionScore *coco, FoundScore *found);
