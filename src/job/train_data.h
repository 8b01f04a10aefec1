#pragma once

#include "chip/augment.h"
#include "chip/chip_set.h"
#include "chip/split.h"
#include "job/job.h"
#include "model_package.h"
#include "nn/schedule.h"
#include "op/segmentation_loss.h"
#include "train_options.h"

/* What a training learns from: the chips, which of them teach, and what their class values mean to
 * the network. */
typedef struct TrainData {
  ModelKind kind; /* of what is trained */
  ChipSet *set;
  const ChipSetInfo *info;
  Split split;
  int32_t class_count;
  ClassEntry classes[CLASS_COUNT_MOST]; /* by index; of detectors by index - 1 */
  float class_weights[CLASS_COUNT_MOST];
  const char *names[CLASS_COUNT_MOST];
  bool has_background;                              /* index 0 is what carries no label */
  uint8_t index_of_value[CLASS_LARGEST_VALUE + 1];  /* of pixels */
  uint16_t class_of_value[CLASS_LARGEST_VALUE + 1]; /* of objects: from 1, or 0 */
  bool frozen_norm;
  int32_t frozen_layers;
  int32_t crop_px;
  int32_t chip_px; /* what validation is done in: the chip's side, rounded up to a multiple of 32 */
  int64_t crops_per_chip;
  int64_t steps_per_epoch;
} TrainData;

/* GDAL's block cache of a rank: chips may be files of their own. */
enum { TRAIN_CACHE_BYTES = 32 << 20 };

/* Local. What can be said against the options of a training on so many ranks before any chip is
 * read. */
Status train_options_check(const Job *job, const TrainOptions *options, int64_t ranks);

/* Collective. Opens the chips on every rank; all succeed or none does. */
Status train_data_open(const Job *job, const TrainOptions *options, TrainData *data);
void train_data_close(TrainData *data);

/* The learning rate over all steps. */
Schedule train_schedule(const TrainOptions *options, const TrainData *data);
Augmentation train_augmentation(const TrainOptions *options);

/* Local. The chips of an epoch's samples on one rank: steps_per_epoch x samples of them. The same
 * permutation on any rank count. order: room for that many. Errors: STATUS_NO_MEMORY. */
Status train_data_order(const TrainData *data, const TrainOptions *options, int64_t epoch, int rank,
                        int rank_count, int64_t *order);
