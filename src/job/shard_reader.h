#pragma once

#include "classify_ledger.h"

/* Reads what journals name from shards; holds a few of them open at a time. */
typedef struct ShardReader ShardReader;

/* folder and ledger must outlive it. */
Status shard_reader_open(const char *folder, const Ledger *ledger, ShardReader **reader);
void shard_reader_close(ShardReader *reader); /* accepts NULL */

/* pixel_count pixels from the unit's pixel first_px on. The unit must be stored. */
Status shard_reader_classes(ShardReader *reader, int64_t unit, int64_t first_px,
                            int64_t pixel_count, ArrayType type, void *values);
Status shard_reader_probabilities(ShardReader *reader, int64_t unit, int64_t first_px,
                                  int64_t pixel_count, int32_t class_count, uint8_t *bytes);
