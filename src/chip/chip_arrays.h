#pragma once

/* The HDF5 form, as its two files share it. */

#include <pthread.h>

#include "chip_set_form.h"
#include "shard_objects.h"

enum { OPEN_SHARDS_MAX = 32 }; /* each keeps some MiB of chunks */

typedef struct ChipArrays {
  ChipForm form;
  int32_t shard_count;
  char **shard_paths;
  int64_t *first_chips; /* shard_count + 1 */
  int64_t *checksums;   /* per chip */
  ShardIndex *indices;  /* of sets with objects: per shard */
  pthread_mutex_t lock; /* of what follows; HDF5 reads one array at a time anyway */
  struct {
    int32_t shard;
    ArrayFile *file; /* NULL: free */
  } open[OPEN_SHARDS_MAX];
  int32_t next_open;
} ChipArrays;

/* Errors: STATUS_BAD_INPUT for a count that no memory holds. */
Status chip_arrays_allocate(ChipSet *set, int64_t count, size_t size, void **memory);
/* The shard of a chip, open. The lock is held. */
Status chip_arrays_shard_of(ChipArrays *arrays, int64_t chip, int32_t *shard, ArrayFile **file);

/* What a set of version 2 says of its objects; nothing for version 1. classes: made already. */
Status chip_arrays_read_kind(ChipSet *set, ArrayFile *file, int64_t version);
/* Of one shard, while it is looked at. */
Status chip_arrays_read_index(ChipSet *set, ArrayFile *file, int32_t shard);
Status chip_arrays_read_objects(ChipSet *set, int64_t chip, ChipObjects *objects);
