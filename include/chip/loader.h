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
  /* Objects go along where objects.class_of_value is given. K and M: what any sample may have, to
   * be chosen from ChipSetInfo (objects_most and augment_mask_bytes_most of augment.h). */
  ObjectRule objects;
  int32_t objects_most;    /* K, at least 1 */
  int64_t mask_bytes_most; /* M; 0: no masks are wanted, boxes only */
  /* What batches lie in, such as memory that a GPU copies from; NULL: any. */
  Status (*allocate)(void *memory_of, size_t bytes, const char *what, void **memory);
  void (*release)(void *memory_of, void *memory);
  void *memory_of;
} LoaderOptions;

/* One batch: samples x size x size. */
typedef struct LoadedBatch {
  const float *images;
  const uint8_t *valid;
  const uint8_t *labels;
  /* With objects, else NULL. Rows past a sample's count are 0. */
  const int32_t *object_counts;  /* samples */
  const float *boxes;            /* samples x K x 4: x1, y1, x2, y2 in pixels of the sample */
  const int32_t *object_classes; /* samples x K: from 1 */
  const int32_t *mask_windows;   /* samples x K x 4: x, y, width, height; 0 without a mask */
  const int64_t *mask_offsets;   /* samples x K: into the sample's own part of mask_bytes */
  const uint8_t *mask_bytes;     /* samples x M: height x width of each mask, 0 or 1 */
} LoadedBatch;

/* Local. Bytes that a loader of these options takes, its threads' rooms included. */
size_t loader_bytes(const LoaderOptions *options);
Status loader_open(LoaderOptions options, Loader **loader);
/* Waits for the next batch; valid until the call after. Errors: those of reading, named by chip;
 * STATUS_BAD_SHAPE for a chip with more objects or masks than there is room for. */
Status loader_next(Loader *loader, LoadedBatch *batch);
void loader_close(Loader *loader); /* accepts NULL */
