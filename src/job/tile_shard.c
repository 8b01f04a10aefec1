#include "tile_shard.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"
#include "store/checksum.h"
#include "store/journal.h"

enum { CHUNK_ELEMENTS = 1 << 16, UNITS_MOST = 4096, RECORD_BYTES = 160 };
static const int64_t shard_bytes_most = INT64_C(1) << 30;

typedef struct PendingUnit {
  int64_t unit;
  int64_t offset;
  int64_t nodata_px;
  int64_t failed_px;
} PendingUnit;

struct ShardWriter {
  ShardFormat format;
  Journal *journal;
  ArrayFile *file; /* NULL: none is open */
  char name[SHARD_NAME_BYTES];
  int32_t number;
  int64_t stored; /* elements in the open shard */
  double begun_s; /* when its first unit came */
  PendingUnit *pending;
  int32_t pending_count;
};

static Status open_journal(ShardWriter *writer)
{
  const ShardFormat *format = &writer->format;
  char name[SHARD_NAME_BYTES];
  char path[OUTPUT_PATH_BYTES];
  char record[RECORD_BYTES];
  (void)snprintf(name, sizeof name, "journal_%d_%d.txt", (int)format->run, (int)format->rank);
  TRY(path_join(format->folder, name, sizeof path, path));
  TRY(journal_open(path, format->identity, &writer->journal));
  (void)snprintf(record, sizeof record, "batch %d", (int)format->batch_size);
  return journal_append(writer->journal, record, true);
}

static Status fill(ShardWriter *writer)
{
  void *memory;
  TRY(memory_allocate(UNITS_MOST, sizeof *writer->pending, "units of a shard", &memory));
  writer->pending = memory;
  return open_journal(writer);
}

Status shard_writer_open(const ShardFormat *format, ShardWriter **writer)
{
  void *memory;
  *writer = NULL;
  TRY(memory_allocate(1, sizeof **writer, "shard", &memory));
  ShardWriter *opening = memory;
  opening->format = *format;
  const Status status = fill(opening);
  if (status == STATUS_OK)
    *writer = opening;
  else
    shard_writer_close(opening);
  return status;
}

void shard_writer_close(ShardWriter *writer)
{
  if (writer == NULL) return;
  array_file_close(writer->file);
  journal_close(writer->journal);
  memory_free(writer->pending);
  memory_free(writer);
}

static Status begin_shard(ShardWriter *writer)
{
  const ShardFormat *format = &writer->format;
  char path[OUTPUT_PATH_BYTES];
  (void)snprintf(writer->name, sizeof writer->name, "shard_%d_%d_%d.h5", (int)format->run,
                 (int)format->rank, (int)writer->number++);
  TRY(path_join(format->folder, writer->name, sizeof path, path));
  TRY(array_file_create(path, &writer->file));
  for (int32_t i = 0; i < format->array_count; ++i) {
    const ShardArray *array = &format->arrays[i];
    const int64_t columns = array->columns;
    const ArrayLayout layout = {
        .type = array->type,
        .rank = columns == 0 ? 1 : 2,
        .dims = {0, columns},
        .chunk_dims = {columns == 0 ? CHUNK_ELEMENTS : CHUNK_ELEMENTS / columns, columns},
        .deflate_level = format->deflate_level,
        .extendible = true};
    TRY(array_create(writer->file, array->name, &layout));
  }
  return STATUS_OK;
}

static Status store(ShardWriter *writer, const ShardUnit *unit)
{
  if (writer->file == NULL) TRY(begin_shard(writer));
  for (int32_t i = 0; i < writer->format.array_count; ++i)
    TRY(array_append(writer->file, writer->format.arrays[i].name, unit->stored,
                     writer->format.arrays[i].type, unit->values[i]));
  return STATUS_OK;
}

static int64_t element_bytes(const ShardFormat *format)
{
  int64_t bytes = 0;
  for (int32_t i = 0; i < format->array_count; ++i) {
    const ShardArray *array = &format->arrays[i];
    bytes += (int64_t)array_type_bytes(array->type) * (array->columns == 0 ? 1 : array->columns);
  }
  return bytes;
}

Status shard_writer_add(ShardWriter *writer, const ShardUnit *unit)
{
  if (writer->pending_count == 0) writer->begun_s = clock_seconds();
  if (unit->stored > 0) TRY(store(writer, unit));
  writer->pending[writer->pending_count++] =
      (PendingUnit){.unit = unit->unit,
                    .offset = unit->stored > 0 ? writer->stored : -1,
                    .nodata_px = unit->nodata_px,
                    .failed_px = unit->failed_px};
  writer->stored += unit->stored;
  return shard_writer_save(writer,
                           writer->pending_count == UNITS_MOST ||
                               writer->stored * element_bytes(&writer->format) >= shard_bytes_most);
}

static Status commit_shard(ShardWriter *writer, char digest[17])
{
  char path[OUTPUT_PATH_BYTES];
  uint64_t value;
  TRY(path_join(writer->format.folder, writer->name, sizeof path, path));
  TRY(array_file_commit(&writer->file));
  TRY(checksum_file(path, &value));
  checksum_text(value, digest);
  return STATUS_OK;
}

/* The shard's line comes last: units without one behind them do not count. */
static Status write_records(ShardWriter *writer, const char *name, const char *digest)
{
  char record[RECORD_BYTES];
  for (int32_t i = 0; i < writer->pending_count; ++i) {
    const PendingUnit *unit = &writer->pending[i];
    (void)snprintf(record, sizeof record, "unit %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64,
                   unit->unit, unit->offset, unit->nodata_px, unit->failed_px);
    TRY(journal_append(writer->journal, record, false));
  }
  (void)snprintf(record, sizeof record, "shard %s %s %d", name, digest, (int)writer->pending_count);
  return journal_append(writer->journal, record, true);
}

Status shard_writer_save(ShardWriter *writer, bool at_once)
{
  char digest[17] = "0";
  if (writer->pending_count == 0) return STATUS_OK;
  if (!at_once && clock_seconds() - writer->begun_s < writer->format.interval_s) return STATUS_OK;
  const bool has_file = writer->file != NULL;
  if (has_file) TRY(commit_shard(writer, digest));
  TRY(write_records(writer, has_file ? writer->name : "-", digest));
  writer->pending_count = 0;
  writer->stored = 0;
  return STATUS_OK;
}
