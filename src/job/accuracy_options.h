#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/option.h"
#include "job/job.h"
#include "store/document.h"

/* What a user says to judge. */
typedef struct AccuracyOptions {
  const char *result, *truth, *output;
  const char *result_layer, *truth_layer;
  const char *detected_class_value_field, *ground_truth_class_value_field;
  const char *confidence_score_field;
  const char *mask_features, *mask_layer;
  double min_iou;
  double cell_size; /* 0: none */
  bool assume_same_crs;
} AccuracyOptions;

extern const OptionTable accuracy_table;

/* One run of the tool, on rank 0. */
typedef struct Accuracy {
  const Job *job;
  const AccuracyOptions *options;
  Document *report; /* an object; what each kind of judging adds to */
} Accuracy;

/* Local. Each judges one kind of input: prints its tables and fills the report. */
Status accuracy_of_features(const Accuracy *accuracy);
Status accuracy_of_maps(const Accuracy *accuracy);
/* truth: the annotations, already read. */
Status accuracy_of_coco(const Accuracy *accuracy, const Document *truth);
