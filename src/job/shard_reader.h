#pragma once

#include "tile_ledger.h"

/* Reads what journals name from shards; holds a few of them open at a time. */
typedef struct ShardReader ShardReader;

/* folder and ledger must outlive it. */
Status shard_reader_open(const char *folder, const Ledger *ledger, ShardReader **reader);
void shard_reader_close(ShardReader *reader); /* accepts NULL */

/* count elements of an array, from the unit's element first on. The unit must be stored. */
Status shard_reader_read(ShardReader *reader, int64_t unit, const ShardArray *array, int64_t first,
                         int64_t count, void *values);
