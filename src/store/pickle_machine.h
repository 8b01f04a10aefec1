#pragma once

#include "pickle.h"

/* The state of the stack machine, and the moves that all opcodes are made of. */

/* A growing row of values or of stack heights. */
typedef struct Row {
  void *items;
  size_t count;
  size_t capacity;
} Row;

typedef struct Machine {
  const uint8_t *bytes;
  size_t byte_count;
  size_t at;
  Arena *arena;
  Row stack;       /* PickleValue * */
  Row marks;       /* size_t, heights of the stack */
  Row memo;        /* PickleValue *, NULL where nothing was put */
  size_t memoized; /* for MEMOIZE */
  size_t values;
  const PickleStorage *storages;
} Machine;

Status machine_row_reserve(Row *row, size_t count, size_t item_bytes);
/* The next bytes of the pickle; STATUS_BAD_INPUT if it ends before. */
Status machine_take(Machine *machine, uint64_t byte_count, const uint8_t **bytes);
/* A little-endian number of 1, 2, 4 or 8 bytes. */
Status machine_take_count(Machine *machine, size_t width, uint64_t *count);
Status machine_push(Machine *machine, PickleValue *value);
size_t machine_floor_of_stack(const Machine *machine);
/* Values below the last mark are out of reach. */
Status machine_pop(Machine *machine, PickleValue **value);
Status machine_top(const Machine *machine, PickleValue **value);
/* The values above the last mark, which goes; they stay valid until the next push. */
Status machine_pop_to_mark(Machine *machine, PickleValue ***values, size_t *count);
Status machine_push_new(Machine *machine, PickleKind kind, PickleValue **value);
Status machine_push_int(Machine *machine, int64_t integer);
Status machine_push_bytes(Machine *machine, PickleKind kind, uint64_t byte_count);
/* The length, of width bytes, stands before the bytes. */
Status machine_push_counted(Machine *machine, PickleKind kind, size_t width);
Status machine_push_long(Machine *machine, size_t width);
Status machine_push_real(Machine *machine);
Status machine_push_flag(Machine *machine, bool flag);
