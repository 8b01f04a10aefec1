#pragma once

#include <stdint.h>

#include "store/document.h"

/* What a map's pixels were and what they were taken for: counts[label * class_count + prediction],
 * exact. */
typedef struct Confusion {
  int32_t class_count;
  int64_t *counts; /* class_count x class_count, borrowed */
} Confusion;

/* Of one class against all others. A quotient of 0 by 0 is 0. */
typedef struct ClassScore {
  double precision; /* tp / (tp + fp) */
  double recall;    /* tp / (tp + fn) */
  double f1;        /* 2 tp / (2 tp + fp + fn) */
  double iou;       /* tp / (tp + fp + fn) */
  int64_t label_count;
  int64_t prediction_count;
} ClassScore;

ClassScore confusion_score(Confusion confusion, int32_t class_index);
/* Share of pixels that are right; 0 for none. */
double confusion_accuracy(Confusion confusion);
/* Cohen's kappa: how much better than chance; NaN where chance is always right, or for none. */
double confusion_kappa(Confusion confusion);
/* Mean over the classes that occur in labels or predictions; first: the class to begin with (1
 * leaves out the background). */
double confusion_mean_iou(Confusion confusion, int32_t first);
double confusion_mean_f1(Confusion confusion, int32_t first);
/* All of the above as an object: accuracy, mean_iou, classes [{name, precision, …}], confusion.
 * names: class_count of them. */
Status confusion_report(Confusion confusion, const char *const *names, Document *object);
