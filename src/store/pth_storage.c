#include "pth_storage.h"

#include <stdlib.h>
#include <string.h>

static int by_key(const void *left, const void *right)
{
  return strcmp(((const StorageRow *)left)->key, ((const StorageRow *)right)->key);
}

static StorageRow *find(const StorageTable *table, const char *key)
{
  const StorageRow wanted = {.key = key};
  if (table->count == 0) return NULL;
  return bsearch(&wanted, table->rows, table->count, sizeof wanted, by_key);
}

const StorageRow *storage_table_find(const StorageTable *table, const char *key)
{
  return find(table, key);
}

Status storage_table_make(StorageTable *table, const PickleStorage *last, Arena *arena,
                          const char *path)
{
  void *piece;
  size_t count = 0;
  for (const PickleStorage *storage = last; storage != NULL; storage = storage->previous)
    ++count;
  TRY(arena_allocate(arena, count * sizeof *table->rows, &piece));
  table->rows = piece;
  for (const PickleStorage *storage = last; storage != NULL; storage = storage->previous)
    table->rows[table->count++] = (StorageRow){.key = storage->key,
                                               .count = storage->count,
                                               .item_bytes = weight_type_bytes(storage->type),
                                               .at = -1};
  if (count == 0) return STATUS_OK;
  qsort(table->rows, count, sizeof *table->rows, by_key);
  size_t kept = 1;
  for (size_t i = 1; i < count; ++i) {
    const StorageRow *row = &table->rows[i];
    const StorageRow *before = &table->rows[kept - 1];
    if (by_key(row, before) != 0)
      table->rows[kept++] = *row;
    else if (row->count != before->count || row->item_bytes != before->item_bytes)
      return status_set(STATUS_BAD_INPUT, "%s: the storage “%.80s” is described in two ways", path,
                        row->key);
  }
  table->count = kept;
  return STATUS_OK;
}

static Status place_one(StorageRow *row, const Source *source, int64_t *at)
{
  uint8_t count[8];
  TRY(source_read(source, *at, count, sizeof count));
  *at += (int64_t)sizeof count;
  int64_t bytes;
  if ((int64_t)le64(count) != row->count ||
      __builtin_mul_overflow(row->count, (int64_t)row->item_bytes, &bytes))
    return status_set(STATUS_BAD_INPUT, "%s: the storage “%.80s” has another length than stated",
                      source_name(source), row->key);
  if (bytes > source_bytes(source) - *at)
    return status_set(STATUS_BAD_INPUT, "%s: cut short in the storage “%.80s”", source_name(source),
                      row->key);
  row->at = *at;
  *at += bytes;
  return STATUS_OK;
}

Status storage_table_place(StorageTable *table, const PickleValue *keys, const Source *source,
                           int64_t at)
{
  for (size_t i = 0; i < keys->count; ++i) {
    const PickleValue *key = keys->items[i];
    if (key->kind != PICKLE_TEXT || strlen(key->text) != key->count)
      return status_set(STATUS_BAD_INPUT, "%s: the key of a storage is no text",
                        source_name(source));
    StorageRow *row = find(table, key->text);
    if (row == NULL)
      return status_set(STATUS_UNSUPPORTED, "%s: the storage “%.80s” has a type that is not read",
                        source_name(source), key->text);
    if (row->at >= 0)
      return status_set(STATUS_BAD_INPUT, "%s: the storage “%.80s” is listed twice",
                        source_name(source), key->text);
    TRY(place_one(row, source, &at));
  }
  if (at != source_bytes(source))
    return status_set(STATUS_BAD_INPUT, "%s: %lld bytes follow the last storage",
                      source_name(source), (long long)(source_bytes(source) - at));
  return STATUS_OK;
}
