#pragma once

/* Objects of chips in the arrays of a shard. */

#include "chip_file.h"

/* Adds the objects of one more chip; counts what they take, but for the chip itself. */
Status shard_objects_append(ArrayFile *file, const ChipForm *form, const ChipObjects *objects,
                            ShardCount *count);

/* Where the objects of a shard's chips begin. */
typedef struct ShardIndex {
  int64_t chip_count;
  int64_t *first_objects; /* chip_count + 1 */
  int64_t *first_bytes;   /* of masks, as they are stored; chip_count + 1 */
  int64_t *checksums;     /* chip_count */
} ShardIndex;

/* Lives in the arena. Errors: STATUS_BAD_INPUT where its numbers do not add up to the arrays. */
Status shard_index_read(ArrayFile *file, const ChipForm *form, int64_t chip_count, Arena *arena,
                        ShardIndex *index);
/* Adds a chip's objects to a list that is empty. Errors: STATUS_BAD_INPUT for a checksum that is
 * wrong, or a mask outside of the chip. */
Status shard_objects_read(ArrayFile *file, const ChipForm *form, const ShardIndex *index,
                          int64_t chip, ChipObjects *objects);
