#pragma once

#include "chip/chip_set.h"
#include "chip/split.h"
#include "job/job.h"
#include "op/segmentation_loss.h"
#include "train_options.h"

/* What a training learns from: the chips, which of them teach, and what their class values mean to
 * the network. */
typedef struct TrainData {
  ChipSet *set;
  const ChipSetInfo *info;
  Split split;
  int32_t class_count;
  ClassEntry classes[CLASS_COUNT_MOST]; /* by index */
  float class_weights[CLASS_COUNT_MOST];
  const char *names[CLASS_COUNT_MOST];
  bool has_background; /* index 0 is what carries no label */
  uint8_t index_of_value[CLASS_LARGEST_VALUE + 1];
  int32_t crop_px;
  int32_t chip_px; /* what validation is done in: the chip's side, rounded up to a multiple of 32 */
  int64_t crops_per_chip;
  int64_t steps_per_epoch;
} TrainData;

/* Collective. Opens the chips on every rank; all succeed or none does. */
Status train_data_open(const Job *job, const TrainOptions *options, TrainData *data);
void train_data_close(TrainData *data);

/* Local. The chips of an epoch's samples on one rank: steps_per_epoch x samples of them. The same
 * permutation on any rank count. order: room for that many. Errors: STATUS_NO_MEMORY. */
Status train_data_order(const TrainData *data, const TrainOptions *options, int64_t epoch, int rank,
                        int rank_count, int64_t *order);
