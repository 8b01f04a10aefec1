#pragma once

#include <stdint.h>

#include "base/status.h"
#include "store/array_file.h"

/* What one rank found, on disk: HDF5 files that are closed, checksummed and then named in this
 * rank's journal. Only what the journal names counts; a file that a crash left open is no loss but
 * its units.
 *
 *   shard_RUN_RANK_NUMBER.h5   class        pixels, in the order of appending
 *                              probability  pixels x classes, uint8 (blend.h)
 *   journal_RUN_RANK.txt       batch SIZE                              the first record
 *                              unit NUMBER OFFSET NODATA FAILED        pixels; OFFSET -1: nothing
 *                                                                      stored, all is NoData
 *                              shard NAME CHECKSUM COUNT               ends the COUNT units before
 *
 * NAME is "-" where none of the units stored anything. */
enum { SHARD_NAME_BYTES = 64 };

typedef struct ShardFormat {
  const char *folder;
  const char *identity; /* of the job, for the journal */
  int32_t run;          /* counts how often the job was begun; names of runs never meet */
  int32_t rank;
  int32_t batch_size;
  ArrayType class_type; /* ARRAY_U8 or ARRAY_U16 */
  bool has_classes;
  int32_t probability_classes; /* 0: no probabilities */
  int32_t deflate_level;
  double interval_s; /* a shard is closed when it is so old */
} ShardFormat;

typedef struct ShardUnit {
  int64_t unit;
  int64_t stored_px; /* 0: nothing, all is NoData */
  int64_t nodata_px; /* of its cores */
  int64_t failed_px;
  const void *classes;
  const uint8_t *probabilities;
} ShardUnit;

typedef struct ShardWriter ShardWriter;

/* The texts of the format must outlive the writer. Used by one thread at a time. */
Status shard_writer_open(const ShardFormat *format, ShardWriter **writer);
Status shard_writer_add(ShardWriter *writer, const ShardUnit *unit);
/* Closes the shard and writes its journal, if it is old enough, or due whatever its age. */
Status shard_writer_save(ShardWriter *writer, bool at_once);
void shard_writer_close(ShardWriter *writer); /* accepts NULL; what was not saved is dropped */
