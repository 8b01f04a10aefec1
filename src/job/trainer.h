#pragma once

#include "chip/augment.h"
#include "chip/loader.h"
#include "comm/gradients.h"
#include "device/inbox.h"
#include "device/recording.h"
#include "model_package.h"
#include "nn/checkpoint.h"
#include "nn/optimizer.h"
#include "op/backend.h"
#include "train_data.h"

enum { LOSS_RING = 64 };

typedef struct Trainer Trainer;

/* What of a training depends on the network: U-Nets (trainer_unet.c), and Mask R-CNN and Faster
 * R-CNN (trainer_detector.c). own is theirs. */
typedef struct TrainerKind {
  int32_t test_samples; /* of a batch of validation */
  /* Local. Graphs; sets parameters and sums_count, and own. */
  Status (*build)(Trainer *trainer);
  /* Local. Networks, bound to the optimiser, and their device memory. */
  Status (*open)(Trainer *trainer);
  void (*close)(Trainer *trainer); /* own may be NULL */

  /* Local. Adds to the loader's options what this network wants besides the image. */
  void (*ask)(const Trainer *trainer, const Augmentation *augmentation, LoaderOptions *loader);
  /* Local. Puts a batch of the loader's into the inbox. */
  void (*put)(Trainer *trainer, const LoadedBatch *batch);
  /* Collective. From the batch that was taken from the inbox to gradients, which are clear before;
   * leaves the sums of its losses, over all ranks, in device_sums. On GPUs the same work is issued
   * for every batch, since it is recorded. */
  Status (*learn)(Trainer *trainer);
  /* On the host, from such sums: the loss, and what it is made of into a line of the log. */
  double (*loss)(const Trainer *trainer, const float *sums);
  Status (*report_parts)(const Trainer *trainer, const float *sums, Document *line);

  /* Collective. Tests weights (host memory) on the validation chips; the scores below are those of
   * the last test, the same on all ranks. */
  Status (*validate)(Trainer *trainer, const float *trained, const float *statistics);
  double (*metric)(const Trainer *trainer); /* by the option monitor; more is better */
  void (*print)(const Trainer *trainer, int64_t epoch, bool best);
  Status (*report)(const Trainer *trainer, Document *object);
  /* Local. Sets what is this network's own in a model whose weights follow. */
  void (*describe)(const Trainer *trainer, Model *model);
} TrainerKind;

extern const TrainerKind trainer_unet;
extern const TrainerKind trainer_detector;

/* A training on one rank: parameters, optimiser and what they share with the other ranks. */
struct Trainer {
  const Job *job;
  const TrainOptions *options;
  const TrainData *data;
  Device *device;
  const Backend *backend;
  Element element;
  const TrainerKind *kind;
  void *own;
  const ParameterList *parameters;
  Optimizer *optimizer;
  Gradients *gradients;
  Inbox *inbox;         /* batches on their way to the device */
  Recording *recording; /* a step, once it was recorded */
  int32_t issued;       /* steps that were issued op by op */
  bool validates;
  int64_t step;           /* at work */
  ModelDetector detector; /* of detectors, also from the package that training goes on from */
  double means[NORMALIZE_CHANNELS_MOST],
      standard_deviations[NORMALIZE_CHANNELS_MOST]; /* of the bands, in the raster's values */

  float *device_means, *device_inverse_stds;
  float *device_sums;
  float *ring; /* host: the sums of the last steps, LOSS_RING x sums_count */
  size_t sums_count;

  Checkpoint state; /* host copies; statistics of this rank only until they are gathered */
};

/* Collective. Everything ready for the first step: weights initialised or loaded from start. */
Status trainer_open(const Job *job, const TrainOptions *options, const TrainData *data,
                    Device *device, Trainer *trainer);
void trainer_close(Trainer *trainer);

/* The loader's options of a batch of samples from chips in an order: what all networks want. A loader
 * of them is closed by trainer_close_loader. */
LoaderOptions trainer_loader(const Trainer *trainer, const int64_t *order, int64_t batch_count,
                             int32_t samples, int32_t size_px, const Augmentation *augmentation);

/* Local. After the last batch has left the loader's memory. Accepts NULL. */
void trainer_close_loader(Trainer *trainer, Loader *loader);

/* Collective. One step on the loader's next batch; its sums go into the ring. */
Status trainer_step(Trainer *trainer, Loader *loader, int64_t step);
/* Local. The loss of a step not more than LOSS_RING - 1 steps ago, and its sums, borrowed. Waits for
 * the device. Errors: STATUS_DIVERGED if it is no number. */
Status trainer_loss(Trainer *trainer, int64_t step, double *loss, const float **sums);

/* Collective. Host copies of the weights; statistics as the mean over the ranks. */
Status trainer_gather(Trainer *trainer, float *trained, float *mean_statistics);

/* Collective. Between the device and a file, by rank 0. */
Status trainer_save(Trainer *trainer, const char *path, const char *identity);
Status trainer_restore(Trainer *trainer, const char *path, const char *identity);

/* For the kinds. Device memory, into a pointer of any type. */
Status trainer_allocate(Device *device, size_t bytes, const char *what, void *pointer);

/* A batch of images on its way to a network, in device memory. */
typedef struct ImageFeed {
  int32_t samples, size_px;
  float *images; /* samples x size x size x bands, as loaded */
  uint8_t *valid;
} ImageFeed;

Status image_feed_open(const Trainer *trainer, int32_t samples, int32_t size_px, ImageFeed *feed);
void image_feed_close(const Trainer *trainer, ImageFeed *feed);
size_t image_feed_pixels(const ImageFeed *feed);
/* Room in the inbox. */
void image_feed_reserve(const Trainer *trainer, const ImageFeed *feed);
/* Local. The batch's images on their way to the device: put into the inbox, or, without one,
 * uploaded. */
void image_feed_send(const Trainer *trainer, ImageFeed *feed, const LoadedBatch *batch,
                     Inbox *inbox);
/* Local. Writes them, normalised, to a network's input. */
void image_feed_normalize(const Trainer *trainer, const ImageFeed *feed, Shape input_shape,
                          void *input);
/* Local. As inbox_put, or device_upload without an inbox. */
void trainer_send(const Trainer *trainer, Inbox *inbox, void *to, const void *from_host,
                  size_t bytes);

/* Validation chips of this rank, every rank_count-th, filled up with the first one to whole
 * batches; the caller frees order. */
Status trainer_test_order(const Trainer *trainer, int32_t samples, int64_t **order,
                          int64_t *chip_count, int64_t *batch_count);
