#pragma once

#include "chip/loader.h"
#include "comm/gradients.h"
#include "confusion.h"
#include "nn/checkpoint.h"
#include "nn/network.h"
#include "nn/optimizer.h"
#include "op/backend.h"
#include "train_data.h"

/* A batch on its way to a network, in device memory. */
typedef struct Feed {
  int32_t samples, size_px, bands;
  float *images; /* samples x size x size x bands, as loaded */
  uint8_t *valid;
  uint8_t *labels;
  void *scratch; /* of the loss */
} Feed;

enum { LOSS_RING = 64 };

/* A training on one rank: network, optimiser and what they share with the other ranks. */
typedef struct Trainer {
  const Job *job;
  const TrainOptions *options;
  const TrainData *data;
  Device *device;
  const Backend *backend;
  Element element;
  Graph *graph;
  Optimizer *optimizer;
  Gradients *gradients;
  Network *network; /* trains */
  Network *tester;  /* validates, with folded norms */
  Feed feed, test_feed;
  SegmentationLoss loss;
  double means[NORMALIZE_CHANNELS_MOST],
      standard_deviations[NORMALIZE_CHANNELS_MOST]; /* of the bands, in the raster's values */

  float *device_means, *device_inverse_stds, *device_class_weights;
  float *device_sums;
  int64_t *device_counts;
  float *ring; /* host: the sums of the last steps, LOSS_RING x sums_count */
  size_t sums_count;

  Checkpoint state;     /* host copies; statistics of this rank only until they are gathered */
  uint8_t no_say[4096]; /* LABEL_IGNORE */
  int64_t *counts;      /* host: the confusion of the last validation */
  double test_loss;
} Trainer;

/* Collective. Everything ready for the first step: weights initialised or loaded from start. */
Status trainer_open(const Job *job, const TrainOptions *options, const TrainData *data,
                    Device *device, Trainer *trainer);
void trainer_close(Trainer *trainer);

/* Collective. One step on the loader's next batch; its sums go into the ring. */
Status trainer_step(Trainer *trainer, Loader *loader, int64_t step);
/* Local. The loss of a step not more than LOSS_RING - 1 steps ago. Waits for the device.
 * Errors: STATUS_DIVERGED if it is no number. */
Status trainer_loss(Trainer *trainer, int64_t step, double *loss);

/* Collective. Host copies of the weights; statistics as the mean over the ranks. */
Status trainer_gather(Trainer *trainer, float *trained, float *mean_statistics);
/* Collective. Tests weights (host memory) on the validation chips: fills counts and test_loss, the
 * same on all ranks. */
Status trainer_validate(Trainer *trainer, const float *trained, const float *statistics);
Confusion trainer_confusion(const Trainer *trainer);

/* Collective. Between the device and a file, by rank 0. */
Status trainer_save(Trainer *trainer, const char *path, const char *identity);
Status trainer_restore(Trainer *trainer, const char *path, const char *identity);
