#include "base/arena.h"

#include <stdint.h>
#include <string.h>

#include "base/memory.h"

enum { BLOCK_BYTES = 65536, ALIGNMENT = 16 };

typedef struct Block {
  struct Block *next;
  size_t used_bytes;
  size_t size_bytes;
  uint64_t padding; /* the pieces after it start at a multiple of 16 */
} Block;

struct Arena {
  Block *blocks; /* the newest first */
};

Status arena_open(Arena **arena)
{
  void *opened;
  TRY(memory_allocate(1, sizeof **arena, "arena", &opened));
  *arena = opened;
  return STATUS_OK;
}

void arena_close(Arena *arena)
{
  if (arena == NULL) return;
  for (Block *block = arena->blocks; block != NULL;) {
    Block *next = block->next;
    memory_free(block);
    block = next;
  }
  memory_free(arena);
}

static Status add_block(Arena *arena, size_t bytes)
{
  const size_t size_bytes = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
  if (bytes > SIZE_MAX / 2)
    return status_set(STATUS_NO_MEMORY, "arena: %zu bytes are too many", bytes);
  void *memory;
  TRY(memory_allocate(1, sizeof(Block) + size_bytes, "arena", &memory));
  Block *block = memory;
  block->next = arena->blocks;
  block->size_bytes = size_bytes;
  arena->blocks = block;
  return STATUS_OK;
}

Status arena_allocate(Arena *arena, size_t bytes, void **piece)
{
  if (bytes > SIZE_MAX - ALIGNMENT)
    return status_set(STATUS_NO_MEMORY, "arena: %zu bytes are too many", bytes);
  const size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  const Block *newest = arena->blocks;
  if (newest == NULL || newest->size_bytes - newest->used_bytes < rounded)
    TRY(add_block(arena, rounded));
  Block *block = arena->blocks;
  *piece = (char *)(block + 1) + block->used_bytes;
  block->used_bytes += rounded;
  return STATUS_OK;
}

Status arena_copy_text(Arena *arena, const char *text, char **copy)
{
  void *piece;
  TRY(arena_allocate(arena, strlen(text) + 1, &piece));
  memcpy(piece, text, strlen(text) + 1);
  *copy = piece;
  return STATUS_OK;
}
