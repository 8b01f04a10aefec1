#pragma once

#include "raster_task.h"

typedef struct DetectOptions {
  RasterOptions run;
  const char *output;
  const char *format;
  const char *result;
  const char *quicklook;
  double threshold;
  double nms_overlap;
  bool exclude_pad_detections;
  bool return_bboxes;
  bool test_time_augmentation;
  int32_t merge_policy;
  const char *classes;
  double min_area;
  const char *simplify;
  bool regularize;
  int32_t confidence_scale;
} DetectOptions;

enum { CONFIDENCE_ONE, CONFIDENCE_HUNDRED };

extern const OptionTable detect_table;

/* What can be said against the options before any file is opened. */
Status detect_options_check(const DetectOptions *given);

/* --simplify: a number, alone or with px or m behind it. */
typedef struct DetectLength {
  double value;
  bool in_metres;
} DetectLength;
Status detect_simplify(const DetectOptions *given, DetectLength *length);

/* --result: "" where there is to be none. Lives in the arena. */
Status detect_result_path(const DetectOptions *given, Arena *arena, const char **path);
