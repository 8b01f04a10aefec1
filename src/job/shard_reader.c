#include "shard_reader.h"

#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"
#include "base/require.h"

enum { OPEN_MOST = 16 };

typedef struct OpenShard {
  ArrayFile *file; /* NULL: a free place */
  int32_t shard;
  int64_t last_use;
} OpenShard;

struct ShardReader {
  const char *folder;
  const Ledger *ledger;
  OpenShard open[OPEN_MOST];
  int64_t uses;
};

Status shard_reader_open(const char *folder, const Ledger *ledger, ShardReader **reader)
{
  void *memory;
  *reader = NULL;
  TRY(memory_allocate(1, sizeof **reader, "shards", &memory));
  *reader = memory;
  (*reader)->folder = folder;
  (*reader)->ledger = ledger;
  return STATUS_OK;
}

void shard_reader_close(ShardReader *reader)
{
  if (reader == NULL) return;
  for (int32_t i = 0; i < OPEN_MOST; ++i)
    array_file_close(reader->open[i].file);
  memory_free(reader);
}

static Status find_shard(ShardReader *reader, int32_t shard, ArrayFile **file)
{
  char path[OUTPUT_PATH_BYTES];
  OpenShard *oldest = &reader->open[0];
  ++reader->uses;
  for (int32_t i = 0; i < OPEN_MOST; ++i) {
    OpenShard *place = &reader->open[i];
    if (place->file != NULL && place->shard == shard) {
      place->last_use = reader->uses;
      *file = place->file;
      return STATUS_OK;
    }
    if (place->last_use < oldest->last_use) oldest = place;
  }
  array_file_close(oldest->file);
  *oldest = (OpenShard){0};
  TRY(path_join(reader->folder, reader->ledger->shard_names[shard], sizeof path, path));
  TRY(array_file_open(path, &oldest->file));
  oldest->shard = shard;
  oldest->last_use = reader->uses;
  *file = oldest->file;
  return STATUS_OK;
}

Status shard_reader_read(ShardReader *reader, int64_t unit, const ShardArray *array, int64_t first,
                         int64_t count, void *values)
{
  ArrayFile *file;
  const LedgerPlace *place = &reader->ledger->places[unit];
  require(place->shard >= 0);
  TRY(find_shard(reader, place->shard, &file));
  const int64_t start[2] = {place->offset + first, 0};
  const int64_t counts[2] = {count, array->columns};
  return array_read(file, array->name, start, counts, array->type, values);
}
