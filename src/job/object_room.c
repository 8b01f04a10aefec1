#include "object_room.h"

#include <string.h>

#include "base/memory.h"

Status object_room(void **array, int64_t *capacity, int64_t needed, size_t size, const char *what)
{
  if (needed <= *capacity) return STATUS_OK;
  const int64_t wish = 2 * *capacity > 64 ? 2 * *capacity : 64;
  const int64_t larger = wish > needed ? wish : needed;
  void *memory;
  TRY(memory_allocate((size_t)larger, size, what, &memory));
  if (*capacity > 0) memcpy(memory, *array, (size_t)*capacity * size);
  memory_free(*array);
  *array = memory;
  *capacity = larger;
  return STATUS_OK;
}
