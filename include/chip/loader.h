#pragma once

#include "chip/augment.h"
#include "chip/chip_set.h"

/* Samples ahead of the training: threads read, turn class values into indices and augment, into a
 * ring of batches. Batch and sample follow from their numbers alone. */
typedef struct Loader Loader;

typedef struct LoaderOptions {
  ChipSet *set;
  const int64_t *order; /* chip of each sample, over all batches: sample s of batch b is order[b *
                           samples + s] */
  int64_t batch_count;
  int64_t first_batch; /* where to begin */
  int32_t samples;     /* of a batch, on this rank */
  int32_t size_px;
  const uint8_t *index_of_value; /* of each class value 0 … 65535: its index, or 255 for no say */
  const Augmentation *augmentation; /* NULL: the chip's middle as it is */
  const double *means, *standard_deviations;
  uint64_t seed;
  uint64_t
      first_stream; /* sample s of batch b draws from stream first_stream + stream_step * b + s */
  uint64_t stream_step;
  int32_t threads;
} LoaderOptions;

/* One batch: samples x size x size. */
typedef struct LoadedBatch {
  const float *images;
  const uint8_t *valid;
  const uint8_t *labels;
} LoadedBatch;

Status loader_open(LoaderOptions options, Loader **loader);
/* Waits for the next batch; valid until the call after. Errors: those of reading, named by chip. */
Status loader_next(Loader *loader, LoadedBatch *batch);
void loader_close(Loader *loader); /* accepts NULL */
