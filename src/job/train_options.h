#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/option.h"

/* The options of train, as their table fills them. */
typedef enum TrainModel { TRAIN_AUTO, TRAIN_UNET, TRAIN_MASK_RCNN, TRAIN_FASTER_RCNN } TrainModel;
typedef enum Monitor {
  MONITOR_AUTO,
  MONITOR_LOSS,
  MONITOR_MEAN_IOU,
  MONITOR_MEAN_F1,
  MONITOR_ACCURACY,
  MONITOR_AP,
  MONITOR_AP50
} Monitor;
typedef enum Frozen { FROZEN_AUTO, FROZEN_YES, FROZEN_NO } Frozen;
typedef enum Unlabelled { UNLABELLED_AUTO, UNLABELLED_BACKGROUND, UNLABELLED_IGNORE } Unlabelled;
typedef enum StartPart { START_AUTO, START_WHOLE, START_BODY, START_ENCODER } StartPart;
typedef enum Resume { RESUME_AUTO, RESUME_YES, RESUME_NO } Resume;

typedef struct TrainOptions {
  const char *chips;
  const char *output;
  int32_t model;
  int32_t encoder;
  const char *start;
  int32_t start_part;
  int64_t epochs;
  int64_t batch_size;
  int64_t crop_size;
  int64_t crops_per_chip;
  double learning_rate;
  int32_t schedule;
  int64_t warm_up_steps;
  OptionReals milestones;
  int32_t optimizer;
  double momentum;
  double weight_decay;
  double clip_norm;
  double focal_gamma;
  double dice_fraction;
  bool class_balancing;
  OptionReals class_weights;
  OptionReals ignore_classes;
  int32_t unlabelled;
  bool flips;
  bool turns;
  double scale_least, scale_most;
  double brightness, contrast;
  double validation_share;
  int64_t validate_every;
  int64_t patience;
  int32_t monitor;
  bool shared_norm;
  int32_t frozen_norm;
  int64_t frozen_layers;
  double norm_eps;
  OptionReals anchor_sizes;
  int64_t proposals;
  int64_t rpn_batch_size;
  int64_t box_batch_size;
  int64_t seed;
  int32_t device;
  int32_t precision;
  bool autotune;
  int64_t threads;
  int64_t reader_threads;
  const char *log;
  const char *checkpoint;
  int64_t checkpoint_every;
  int32_t resume;
} TrainOptions;

extern const OptionTable train_table;
