/* Pickles alone: in a zip the checksum would keep most changes from the reader. */
#include "fuzzer.h"
#include "state_dict.h"

static Status visit(void *context, const char *name, const PickleTensor *tensor)
{
  int64_t *total = context;
  *total += tensor->element_count + (int64_t)name[0];
  return STATUS_OK;
}

static void run(const uint8_t *bytes, size_t byte_count, Arena *arena)
{
  PickleValue *root;
  const PickleStorage *storages;
  const PickleValue *dict;
  size_t used_bytes;
  int64_t total = 0;
  if (pickle_run(bytes, byte_count, "input", arena, &root, &storages, &used_bytes) != STATUS_OK)
    return;
  if (used_bytes > byte_count) __builtin_trap();
  if (state_dict_find(root, "input", &dict) == STATUS_OK)
    (void)state_dict_walk(dict, "input", visit, &total);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
  Arena *arena;
  if (arena_open(&arena) != STATUS_OK) return 0;
  run(bytes, byte_count, arena);
  arena_close(arena);
  return 0;
}
