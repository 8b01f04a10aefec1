#pragma once

#include "object_oracle.h"

/* The objects that a merge gave out, held against the oracle. An object belongs to the shape that
 * most of its pixels are of. */
typedef struct Trial {
  const Oracle *oracle;
  MergeCounts counts;
  int64_t found; /* by the detector */
  int64_t given;
  int64_t mixed;     /* objects with pixels of another shape or of none */
  int64_t partial;   /* objects that lack pixels of their shape */
  int32_t *objects;  /* of each shape */
  int32_t *complete; /* of these, without a pixel too few or too many */
  double *best_iou;  /* of each shape, with one of its objects */
  int64_t *pixels;   /* of each shape: scratch */
  uint64_t sequence; /* a hash of all objects in their order */
  uint64_t set;      /* the same in no order; without what the blanket gave */
  uint64_t shapes;   /* a hash of classes, pixels, boxes and scores, in no order */
  bool has_junk;     /* objects below ORACLE_JUNK_SCORE are counted, and no more */
  int64_t junk;
} Trial;

Window trial_raster(const Oracle *oracle);
Trial trial_run(const Oracle *oracle, const OracleDetector *detector, const TilePlan *plan,
                MergeOptions options, bool pass_empty);
void trial_close(Trial *trial);
