#pragma once

#include "object_mask.h"

/* A mask that is being made: what its maker fills in. */
typedef struct ObjectMaskParts {
  ObjectMask *mask; /* window set, area_px 0 */
  int64_t *row_start;
  RowRun *runs;
} ObjectMaskParts;

/* One block, closed by object_mask_close. */
Status object_mask_allocate(Window window, int64_t run_count, ObjectMaskParts *parts);
