#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* All that a training needs to go on as if it had not stopped, in one HDF5 file. */
typedef struct Checkpoint {
  int64_t step; /* steps done */
  int64_t epochs_validated;
  double best_metric;
  int64_t best_epoch; /* counted from 1; 0: none yet */
  int64_t rank_count; /* whose statistics are kept, one behind the other */
  size_t trained_count, statistic_count, state_count;
  float *trained;
  float *statistics;   /* rank_count x statistic_count */
  float *state;        /* of the optimiser */
  float *best_trained; /* of the best epoch */
  float *best_statistics;
} Checkpoint;

/* Host memory for a training of these sizes, zeroed. */
Status checkpoint_allocate(size_t trained_count, size_t statistic_count, size_t state_count,
                           int64_t rank_count, Checkpoint *checkpoint);
void checkpoint_free(Checkpoint *checkpoint);

/* Bytes of an allocated one, in memory as on disk. */
size_t checkpoint_bytes(const Checkpoint *checkpoint);

/* identity: what must be the same for a training to be the same; written beside it. Aside and
 * renamed. */
Status checkpoint_write(const char *path, const char *identity, const Checkpoint *checkpoint);
/* Fills an allocated one. Statistics of another number of ranks are replaced by their mean.
 * Errors: STATUS_MISMATCH if the identity or the sizes differ; STATUS_IO, STATUS_BAD_INPUT. */
Status checkpoint_read(const char *path, const char *identity, Checkpoint *checkpoint);
