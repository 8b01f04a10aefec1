#pragma once

#include "classify_task.h"

/* From the tiles of a batch to what is stored of its unit: the cores, segment after segment, in the
 * map's values; or, for blending, the whole tiles as probabilities. */
typedef struct ClassifyPack {
  const ClassifyTask *task;
  uint8_t *indices; /* classes, or marks, of the unit's cores */
  void *values;     /* the same in the map's values */
  uint8_t *bytes;   /* probabilities */
} ClassifyPack;

/* One batch as it was read and computed: tiles of the plan's size, one behind the other. */
typedef struct ClassifyBatch {
  int64_t unit;
  bool is_empty; /* no core has data: nothing was computed */
  const uint8_t *valid;
  const uint8_t *classes;     /* where the task does not blend */
  const float *probabilities; /* where it has probabilities */
} ClassifyBatch;

/* Bytes that it takes for batches of the task. */
size_t classify_pack_bytes(const ClassifyTask *task);
Status classify_pack_open(const ClassifyTask *task, ClassifyPack *pack);
void classify_pack_close(ClassifyPack *pack);

/* The unit's arrays are the pack's, valid until the next call. */
void classify_pack_unit(ClassifyPack *pack, const ClassifyBatch *batch, ShardUnit *unit);

/* Whether no pixel of the unit's cores has data. */
bool classify_is_empty(const ClassifyTask *task, int64_t unit, const uint8_t *valid);
