#pragma once

#include <stddef.h>

#include "base/status.h"

/* Many small pieces, one free: strings and rows that live as long as their job. */
typedef struct Arena Arena;

Status arena_open(Arena **arena);
void arena_close(Arena *arena); /* accepts NULL */
/* Zeroed, aligned to 16 bytes; lives as long as the arena. */
Status arena_allocate(Arena *arena, size_t bytes, void **piece);
Status arena_copy_text(Arena *arena, const char *text, char **copy);
