#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pickle.h"
#include "source.h"

/* Where the storages of a legacy .pth lie: they follow one another, each with its count before it,
 * so the type of every one must be known. */
typedef struct StorageRow {
  const char *key;
  int64_t count;
  size_t item_bytes;
  int64_t at; /* byte in the file; -1 where the file does not list it */
} StorageRow;

typedef struct StorageTable {
  StorageRow *rows; /* sorted by key, each once */
  size_t count;
} StorageTable;

/* STATUS_BAD_INPUT if two storages of one key differ. */
Status storage_table_make(StorageTable *table, const PickleStorage *last, Arena *arena,
                          const char *path);
/* keys: the list of keys that the file gives; at: where the first begins. They must reach exactly
 * to the end. */
Status storage_table_place(StorageTable *table, const PickleValue *keys, const Source *source,
                           int64_t at);
const StorageRow *storage_table_find(const StorageTable *table, const char *key); /* NULL */
