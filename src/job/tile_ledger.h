#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "tile_shard.h"

/* What all journals of a folder say together: which units are done, and where they lie. On rank 0
 * only. */
typedef struct LedgerPlace {
  int32_t shard;  /* index in shard_names; -1: nothing is stored; -2: not done */
  int64_t offset; /* in elements of the shard */
  int64_t nodata_px;
  int64_t failed_px;
} LedgerPlace;

enum { LEDGER_NOTHING = -1, LEDGER_NOT_DONE = -2 };

typedef struct Ledger {
  LedgerPlace *places; /* unit_count of them */
  int64_t unit_count;
  int64_t done_count;
  char (*shard_names)[SHARD_NAME_BYTES];
  int32_t shard_count;
  int32_t shard_capacity;
  int32_t runs; /* the number for the next run */
} Ledger;

/* The batch size of earlier runs, 0 if there was none. A folder that does not exist holds nothing.
 * Errors: STATUS_MISMATCH if a journal is another job's. */
Status ledger_batch_size(const char *folder, const char *identity, int32_t *batch_size);

/* check: reads every shard and leaves out the units of those that are gone or damaged (with a
 * warning). */
Status ledger_open(const char *folder, const char *identity, int64_t unit_count, bool check,
                   const Log *log, Ledger *ledger);
void ledger_close(Ledger *ledger);

/* Removes files of the folder that no journal names: what a killed run left open. */
Status ledger_remove_strays(const Ledger *ledger, const char *folder);
/* Removes the journals, or all but the shards. */
Status ledger_remove_journals(const char *folder);
