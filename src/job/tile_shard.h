#pragma once

#include <stdint.h>

#include "base/status.h"
#include "store/array_file.h"

/* What one rank found, on disk: HDF5 files that are closed, checksummed and then named in this
 * rank's journal. Only what the journal names counts; a file that a crash left open is no loss but
 * its units.
 *
 *   shard_RUN_RANK_NUMBER.h5   the tool's arrays, with elements in the order of appending
 *   journal_RUN_RANK.txt       batch SIZE                              the first record
 *                              unit NUMBER OFFSET NODATA FAILED        OFFSET in elements, -1:
 *                                                                      nothing stored; NODATA and
 *                                                                      FAILED in pixels
 *                              shard NAME CHECKSUM COUNT               ends the COUNT units before
 *
 * NAME is "-" where none of the units stored anything. */
enum { SHARD_NAME_BYTES = 64, SHARD_ARRAYS_MOST = 2 };

/* Elements along the first dimension. */
typedef struct ShardArray {
  const char *name;
  ArrayType type;
  int64_t columns; /* of each element; 0: the array has one dimension */
} ShardArray;

typedef struct ShardFormat {
  const char *folder;
  const char *identity; /* of the job, for the journal */
  int32_t run;          /* counts how often the job was begun; names of runs never meet */
  int32_t rank;
  int32_t batch_size;
  ShardArray arrays[SHARD_ARRAYS_MOST];
  int32_t array_count;
  int32_t deflate_level;
  double interval_s; /* a shard is closed when it is so old */
} ShardFormat;

typedef struct ShardUnit {
  int64_t unit;
  int64_t stored;    /* elements of each array; 0: nothing */
  int64_t nodata_px; /* of its cores */
  int64_t failed_px;
  const void *values[SHARD_ARRAYS_MOST]; /* as the format's arrays */
} ShardUnit;

typedef struct ShardWriter ShardWriter;

/* The texts of the format must outlive the writer. Used by one thread at a time. */
Status shard_writer_open(const ShardFormat *format, ShardWriter **writer);
Status shard_writer_add(ShardWriter *writer, const ShardUnit *unit);
/* Closes the shard and writes its journal, if it is old enough, or due whatever its age. */
Status shard_writer_save(ShardWriter *writer, bool at_once);
void shard_writer_close(ShardWriter *writer); /* accepts NULL; what was not saved is dropped */
