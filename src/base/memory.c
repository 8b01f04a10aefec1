#include "base/memory.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT_BYTES = 64, RETURNED_BYTES = 1 << 20 };

/* Left alone, the C library raises this limit to the largest block that was freed. */
void memory_start(void)
{
  (void)mallopt(M_MMAP_THRESHOLD, RETURNED_BYTES);
}

Status memory_allocate(size_t count, size_t size, const char *what, void **memory)
{
  *memory = NULL;
  if (size != 0 && count > (SIZE_MAX / 2) / size)
    return status_set(STATUS_NO_MEMORY,
                      "%s: %zu pieces of %zu bytes are more than any memory holds", what, count,
                      size);
  const size_t bytes =
      count * size == 0 ? 1 : count * size; /* exact, so that sanitizers see its end */
  void *piece = NULL;
  if (posix_memalign(&piece, ALIGNMENT_BYTES, bytes) != 0)
    return status_set(STATUS_NO_MEMORY, "%s: the host has no %.1f MiB left", what,
                      (double)bytes / 1048576.0);
  memset(piece, 0, bytes);
  *memory = piece;
  return STATUS_OK;
}

void memory_free(void *memory)
{
  free(memory);
}

Status memory_copy_text(const char *text, char **copy)
{
  void *piece;
  TRY(memory_allocate(strlen(text) + 1, 1, "text", &piece));
  memcpy(piece, text, strlen(text) + 1);
  *copy = piece;
  return STATUS_OK;
}
