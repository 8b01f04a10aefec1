#pragma once

#include "detection_score.h"
#include "found_score.h"
#include "store/document.h"

/* Tables on stdout and objects in a report, of what was measured for each class. names: one for
 * each class. */

/* Counts and ratios at one IoU: a row per class, and one for all. */
Status accuracy_report_found(FoundScore *score, int32_t class_count, const char *const *names,
                             const char *title, Document *report, const char *key);

typedef struct CocoColumn {
  const char *key; /* "box", "mask" */
  DetectionScore *score;
} CocoColumn;

/* COCO's twelve figures side by side; sizes: those by size, too, and limits: recall by their number
 * of detections. Figures are -1 where no truth has a say. */
Status accuracy_report_coco(const CocoColumn *columns, int column_count, int32_t class_count,
                            const char *const *names, bool sizes, bool limits, Document *report);
