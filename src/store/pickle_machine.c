#include "pickle_machine.h"

#include <string.h>

#include "base/memory.h"
#include "pickle_global.h"

Status machine_row_reserve(Row *row, size_t count, size_t item_bytes)
{
  if (count <= row->capacity) return STATUS_OK;
  const size_t capacity = count < 128 ? 256 : 2 * count;
  void *items;
  TRY(memory_allocate(capacity, item_bytes, "pickle", &items));
  if (row->count > 0) memcpy(items, row->items, row->count * item_bytes);
  memory_free(row->items);
  row->items = items;
  row->capacity = capacity;
  return STATUS_OK;
}

Status machine_take(Machine *machine, uint64_t byte_count, const uint8_t **bytes)
{
  if (byte_count > machine->byte_count - machine->at) return pickle_corrupt("it is cut short");
  *bytes = machine->bytes + machine->at;
  machine->at += (size_t)byte_count;
  return STATUS_OK;
}

/* A little-endian count of 1, 2, 4 or 8 bytes. */
Status machine_take_count(Machine *machine, size_t width, uint64_t *count)
{
  const uint8_t *bytes = NULL;
  TRY(machine_take(machine, width, &bytes));
  *count = 0;
  for (size_t i = 0; i < width; ++i)
    *count |= (uint64_t)bytes[i] << (8 * i);
  return STATUS_OK;
}

Status machine_push(Machine *machine, PickleValue *value)
{
  Row *stack = &machine->stack;
  TRY(machine_row_reserve(stack, stack->count + 1, sizeof(PickleValue *)));
  ((PickleValue **)stack->items)[stack->count++] = value;
  return STATUS_OK;
}

size_t machine_floor_of_stack(const Machine *machine)
{
  const Row *marks = &machine->marks;
  return marks->count == 0 ? 0 : ((const size_t *)marks->items)[marks->count - 1];
}

Status machine_pop(Machine *machine, PickleValue **value)
{
  if (machine->stack.count <= machine_floor_of_stack(machine))
    return pickle_corrupt("its stack is empty");
  *value = ((PickleValue **)machine->stack.items)[--machine->stack.count];
  return STATUS_OK;
}

Status machine_top(const Machine *machine, PickleValue **value)
{
  if (machine->stack.count <= machine_floor_of_stack(machine))
    return pickle_corrupt("its stack is empty");
  *value = ((PickleValue **)machine->stack.items)[machine->stack.count - 1];
  return STATUS_OK;
}

/* The values above the last mark, which goes; they stay valid until the next push. */
Status machine_pop_to_mark(Machine *machine, PickleValue ***values, size_t *count)
{
  if (machine->marks.count == 0) return pickle_corrupt("a mark is missing");
  const size_t height = machine_floor_of_stack(machine);
  --machine->marks.count;
  *values = (PickleValue **)machine->stack.items + height;
  *count = machine->stack.count - height;
  machine->stack.count = height;
  return STATUS_OK;
}

Status machine_push_new(Machine *machine, PickleKind kind, PickleValue **value)
{
  if (++machine->values > PICKLE_VALUES_MAX) return pickle_corrupt("it builds too many values");
  TRY(pickle_new(machine->arena, kind, value));
  return machine_push(machine, *value);
}

Status machine_push_int(Machine *machine, int64_t integer)
{
  PickleValue *value = NULL;
  TRY(machine_push_new(machine, PICKLE_INT, &value));
  value->integer = integer;
  return STATUS_OK;
}

Status machine_push_bytes(Machine *machine, PickleKind kind, uint64_t byte_count)
{
  const uint8_t *bytes = NULL;
  PickleValue *value = NULL;
  void *piece;
  TRY(machine_take(machine, byte_count, &bytes));
  TRY(machine_push_new(machine, kind, &value));
  TRY(arena_allocate(machine->arena, (size_t)byte_count + 1, &piece));
  memcpy(piece, bytes, (size_t)byte_count);
  value->text = piece;
  value->count = (size_t)byte_count;
  return STATUS_OK;
}

Status machine_push_counted(Machine *machine, PickleKind kind, size_t width)
{
  uint64_t byte_count = 0;
  TRY(machine_take_count(machine, width, &byte_count));
  return machine_push_bytes(machine, kind, byte_count);
}

/* Two's complement, little-endian, of any length. */
Status machine_push_long(Machine *machine, size_t width)
{
  uint64_t byte_count = 0;
  TRY(machine_take_count(machine, width, &byte_count));
  if (byte_count > 8) return machine_push_bytes(machine, PICKLE_LONG, byte_count);
  const uint8_t *bytes = NULL;
  TRY(machine_take(machine, byte_count, &bytes));
  uint64_t bits = byte_count > 0 && (bytes[byte_count - 1] & 0x80) != 0 ? UINT64_MAX : 0;
  for (size_t i = 0; i < byte_count; ++i) {
    bits &= ~((uint64_t)0xFF << (8 * i));
    bits |= (uint64_t)bytes[i] << (8 * i);
  }
  return machine_push_int(machine, (int64_t)bits);
}

Status machine_push_real(Machine *machine)
{
  const uint8_t *bytes = NULL;
  PickleValue *value = NULL;
  TRY(machine_take(machine, 8, &bytes));
  uint64_t bits = 0;
  for (size_t i = 0; i < 8; ++i)
    bits = bits << 8 | bytes[i]; /* the one big-endian number */
  TRY(machine_push_new(machine, PICKLE_REAL, &value));
  memcpy(&value->real, &bits, sizeof bits);
  return STATUS_OK;
}

Status machine_push_flag(Machine *machine, bool flag)
{
  PickleValue *value = NULL;
  TRY(machine_push_new(machine, PICKLE_FLAG, &value));
  value->flag = flag;
  return STATUS_OK;
}
