#pragma once

#include <stdint.h>

#include "chip/chip_set.h"

/* Which chips teach and which test, so that no pixel of ground is in both: whole blocks of the grid
 * are drawn for validation, and a training chip that overlaps one of theirs is left out. The same
 * for the same set, share and seed. */
typedef struct Split {
  int64_t *training; /* numbers of chips, ascending */
  int64_t training_count;
  int64_t *validation;
  int64_t validation_count;
  int64_t left_out_count;
} Split;

/* validation_share: of the blocks, 0 to 0.9; 0: all teach. labelled_share: of each chip's pixels;
 * blocks are drawn evenly over the range of theirs (stratified), NULL: over their places. With a
 * share above 0 at least one block is drawn. Errors: STATUS_MISMATCH if nothing is left to teach.
 */
Status split_make(const ChipPlace *places, int64_t chip_count, const float *labelled_share,
                  double validation_share, uint64_t seed, Split *split);
void split_free(Split *split);
