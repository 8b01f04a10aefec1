#include "pickle.h"

#include <string.h>

#include "base/memory.h"
#include "pickle_global.h"
#include "pickle_machine.h"

typedef enum Opcode {
  OP_MARK = '(',
  OP_STOP = '.',
  OP_POP = '0',
  OP_POP_MARK = '1',
  OP_DUP = '2',
  OP_BINBYTES = 'B',
  OP_SHORT_BINBYTES = 'C',
  OP_BINFLOAT = 'G',
  OP_BININT = 'J',
  OP_BININT1 = 'K',
  OP_BININT2 = 'M',
  OP_NONE = 'N',
  OP_BINPERSID = 'Q',
  OP_REDUCE = 'R',
  OP_BINSTRING = 'T',
  OP_SHORT_BINSTRING = 'U',
  OP_BINUNICODE = 'X',
  OP_EMPTY_LIST = ']',
  OP_APPEND = 'a',
  OP_BUILD = 'b',
  OP_GLOBAL = 'c',
  OP_DICT = 'd',
  OP_APPENDS = 'e',
  OP_BINGET = 'h',
  OP_LONG_BINGET = 'j',
  OP_LIST = 'l',
  OP_BINPUT = 'q',
  OP_LONG_BINPUT = 'r',
  OP_SETITEM = 's',
  OP_TUPLE = 't',
  OP_SETITEMS = 'u',
  OP_EMPTY_DICT = '}',
  OP_EMPTY_TUPLE = ')',
  OP_PROTO = 0x80,
  OP_NEWOBJ = 0x81,
  OP_TUPLE1 = 0x85,
  OP_TUPLE2 = 0x86,
  OP_TUPLE3 = 0x87,
  OP_NEWTRUE = 0x88,
  OP_NEWFALSE = 0x89,
  OP_LONG1 = 0x8A,
  OP_LONG4 = 0x8B,
  OP_SHORT_BINUNICODE = 0x8C,
  OP_BINUNICODE8 = 0x8D,
  OP_BINBYTES8 = 0x8E,
  OP_EMPTY_SET = 0x8F,
  OP_ADDITEMS = 0x90,
  OP_FROZENSET = 0x91,
  OP_NEWOBJ_EX = 0x92,
  OP_STACK_GLOBAL = 0x93,
  OP_MEMOIZE = 0x94,
  OP_FRAME = 0x95,
  OP_BYTEARRAY8 = 0x96
} Opcode;

static Status step_number(Machine *machine, Opcode opcode)
{
  PickleValue *value = NULL;
  uint64_t count = 0;
  switch (opcode) {
  case OP_NONE: return machine_push_new(machine, PICKLE_NONE, &value);
  case OP_NEWTRUE: return machine_push_flag(machine, true);
  case OP_NEWFALSE: return machine_push_flag(machine, false);
  case OP_BININT1:
    TRY(machine_take_count(machine, 1, &count));
    return machine_push_int(machine, (int64_t)count);
  case OP_BININT2:
    TRY(machine_take_count(machine, 2, &count));
    return machine_push_int(machine, (int64_t)count);
  case OP_BININT:
    TRY(machine_take_count(machine, 4, &count));
    return machine_push_int(machine, (int32_t)(uint32_t)count);
  case OP_LONG1: return machine_push_long(machine, 1);
  case OP_LONG4: return machine_push_long(machine, 4);
  default: return machine_push_real(machine);
  }
}

static Status push_global(Machine *machine, const char *module, size_t module_bytes,
                          const char *name, size_t name_bytes)
{
  PickleValue *value = NULL;
  void *piece;
  TRY(machine_push_new(machine, PICKLE_GLOBAL, &value));
  TRY(arena_allocate(machine->arena, module_bytes + name_bytes + 2, &piece));
  char *joined = piece;
  memcpy(joined, module, module_bytes);
  joined[module_bytes] = ' ';
  memcpy(joined + module_bytes + 1, name, name_bytes);
  value->name = joined;
  return STATUS_OK;
}

static Status take_line(Machine *machine, const char **line, size_t *length)
{
  const uint8_t *start = machine->bytes + machine->at;
  const uint8_t *end = memchr(start, '\n', machine->byte_count - machine->at);
  if (end == NULL) return pickle_corrupt("it is cut short");
  *line = (const char *)start;
  *length = (size_t)(end - start);
  machine->at += *length + 1;
  return STATUS_OK;
}

static Status step_global(Machine *machine)
{
  const char *module = NULL;
  const char *name = NULL;
  size_t module_bytes = 0;
  size_t name_bytes = 0;
  TRY(take_line(machine, &module, &module_bytes));
  TRY(take_line(machine, &name, &name_bytes));
  return push_global(machine, module, module_bytes, name, name_bytes);
}

static Status step_stack_global(Machine *machine)
{
  PickleValue *module = NULL;
  PickleValue *name = NULL;
  TRY(machine_pop(machine, &name));
  TRY(machine_pop(machine, &module));
  if (module->kind != PICKLE_TEXT || name->kind != PICKLE_TEXT)
    return pickle_corrupt("the name of a global is no text");
  return push_global(machine, module->text, module->count, name->text, name->count);
}

static Status step_text(Machine *machine, Opcode opcode)
{
  switch (opcode) {
  case OP_SHORT_BINSTRING:
  case OP_SHORT_BINUNICODE: return machine_push_counted(machine, PICKLE_TEXT, 1);
  case OP_BINSTRING:
  case OP_BINUNICODE: return machine_push_counted(machine, PICKLE_TEXT, 4);
  case OP_BINUNICODE8: return machine_push_counted(machine, PICKLE_TEXT, 8);
  case OP_SHORT_BINBYTES: return machine_push_counted(machine, PICKLE_BYTES, 1);
  case OP_BINBYTES: return machine_push_counted(machine, PICKLE_BYTES, 4);
  case OP_BINBYTES8:
  case OP_BYTEARRAY8: return machine_push_counted(machine, PICKLE_BYTES, 8);
  case OP_GLOBAL: return step_global(machine);
  default: return step_stack_global(machine);
  }
}

static Status memo_put(Machine *machine, uint64_t index)
{
  PickleValue *value = NULL;
  Row *memo = &machine->memo;
  if (index >= machine->byte_count) return pickle_corrupt("a memo index is out of range");
  TRY(machine_top(machine, &value));
  TRY(machine_row_reserve(memo, (size_t)index + 1, sizeof(PickleValue *)));
  if (memo->count <= index) memo->count = (size_t)index + 1; /* memory_allocate zeroed the gap */
  ((PickleValue **)memo->items)[index] = value;
  ++machine->memoized;
  return STATUS_OK;
}

static Status memo_get(Machine *machine, uint64_t index)
{
  const Row *memo = &machine->memo;
  PickleValue *value = index < memo->count ? ((PickleValue **)memo->items)[index] : NULL;
  return value == NULL ? pickle_corrupt("a memo index is out of range")
                       : machine_push(machine, value);
}

static Status step_memo(Machine *machine, Opcode opcode)
{
  uint64_t index = machine->memoized;
  if (opcode != OP_MEMOIZE)
    TRY(machine_take_count(machine, opcode == OP_BINPUT || opcode == OP_BINGET ? 1 : 4, &index));
  if (opcode == OP_BINGET || opcode == OP_LONG_BINGET) return memo_get(machine, index);
  return memo_put(machine, index);
}

static Status push_mark(Machine *machine)
{
  Row *marks = &machine->marks;
  TRY(machine_row_reserve(marks, marks->count + 1, sizeof(size_t)));
  ((size_t *)marks->items)[marks->count++] = machine->stack.count;
  return STATUS_OK;
}

static Status step_stack(Machine *machine, Opcode opcode)
{
  PickleValue *value = NULL;
  PickleValue **values = NULL;
  size_t count = 0;
  switch (opcode) {
  case OP_MARK: return push_mark(machine);
  case OP_POP: return machine_pop(machine, &value);
  case OP_POP_MARK: return machine_pop_to_mark(machine, &values, &count);
  default: /* OP_DUP */ TRY(machine_top(machine, &value)); return machine_push(machine, value);
  }
}

/* items may be the stack itself, so they are copied before anything is pushed. */
static Status push_items(Machine *machine, PickleKind kind, PickleValue *const *items, size_t count)
{
  PickleValue *value = NULL;
  void *piece;
  if (kind == PICKLE_DICT && count % 2 != 0) return pickle_corrupt("a key has no value");
  TRY(arena_allocate(machine->arena, (count + 1) * sizeof *items, &piece));
  if (count > 0) memcpy(piece, items, count * sizeof *items);
  TRY(machine_push_new(machine, kind, &value));
  value->items = piece;
  value->count = count;
  value->capacity = count;
  return STATUS_OK;
}

static Status push_tuple(Machine *machine, size_t count)
{
  if (machine->stack.count - machine_floor_of_stack(machine) < count)
    return pickle_corrupt("its stack is empty");
  machine->stack.count -= count;
  return push_items(machine, PICKLE_TUPLE,
                    (PickleValue **)machine->stack.items + machine->stack.count, count);
}

static Status push_marked(Machine *machine, PickleKind kind)
{
  PickleValue **items = NULL;
  size_t count = 0;
  TRY(machine_pop_to_mark(machine, &items, &count));
  return push_items(machine, kind, items, count);
}

static Status push_set(Machine *machine)
{
  PickleValue *value = NULL;
  TRY(machine_push_new(machine, PICKLE_OPAQUE, &value));
  value->name = "builtins set";
  return STATUS_OK;
}

static Status step_make(Machine *machine, Opcode opcode)
{
  PickleValue **items = NULL;
  size_t count = 0;
  switch (opcode) {
  case OP_EMPTY_TUPLE: return push_tuple(machine, 0);
  case OP_TUPLE1: return push_tuple(machine, 1);
  case OP_TUPLE2: return push_tuple(machine, 2);
  case OP_TUPLE3: return push_tuple(machine, 3);
  case OP_TUPLE: return push_marked(machine, PICKLE_TUPLE);
  case OP_EMPTY_LIST: return push_items(machine, PICKLE_LIST, NULL, 0);
  case OP_LIST: return push_marked(machine, PICKLE_LIST);
  case OP_EMPTY_DICT: return push_items(machine, PICKLE_DICT, NULL, 0);
  case OP_DICT: return push_marked(machine, PICKLE_DICT);
  case OP_FROZENSET: TRY(machine_pop_to_mark(machine, &items, &count)); return push_set(machine);
  default: /* OP_EMPTY_SET */ return push_set(machine);
  }
}

/* Opaque things swallow what is put into them. */
static Status fill(const Machine *machine, PickleKind kind, PickleValue *const *items, size_t count)
{
  PickleValue *container = NULL;
  TRY(machine_top(machine, &container));
  if (kind == PICKLE_DICT && count % 2 != 0) return pickle_corrupt("a key has no value");
  if (container->kind == PICKLE_OPAQUE) return STATUS_OK;
  if (container->kind != kind) return pickle_corrupt("items are put into what holds none");
  for (size_t i = 0; i < count; ++i)
    TRY(pickle_push(machine->arena, container, items[i]));
  return STATUS_OK;
}

static Status step_fill(Machine *machine, Opcode opcode)
{
  PickleValue *last[2] = {NULL, NULL};
  PickleValue **items = NULL;
  size_t count = 0;
  switch (opcode) {
  case OP_APPEND: TRY(machine_pop(machine, &last[0])); return fill(machine, PICKLE_LIST, last, 1);
  case OP_SETITEM:
    TRY(machine_pop(machine, &last[1]));
    TRY(machine_pop(machine, &last[0]));
    return fill(machine, PICKLE_DICT, last, 2);
  default: /* OP_APPENDS, OP_SETITEMS, OP_ADDITEMS */
    TRY(machine_pop_to_mark(machine, &items, &count));
    return fill(machine, opcode == OP_SETITEMS ? PICKLE_DICT : PICKLE_LIST, items, count);
  }
}

static Status step_call(Machine *machine, bool with_keywords)
{
  PickleValue *keywords = NULL;
  PickleValue *arguments = NULL;
  PickleValue *callable = NULL;
  PickleValue *made = NULL;
  if (with_keywords) TRY(machine_pop(machine, &keywords));
  TRY(machine_pop(machine, &arguments));
  TRY(machine_pop(machine, &callable));
  if (arguments->kind != PICKLE_TUPLE) return pickle_corrupt("arguments are no tuple");
  if (++machine->values > PICKLE_VALUES_MAX) return pickle_corrupt("it builds too many values");
  TRY(pickle_call(machine->arena, callable, arguments, &made));
  return machine_push(machine, made);
}

static Status step_object(Machine *machine, Opcode opcode)
{
  PickleValue *value = NULL;
  PickleValue *made = NULL;
  switch (opcode) {
  case OP_BUILD: /* the state of an object: nothing here has one that matters */
    TRY(machine_pop(machine, &value));
    return machine_top(machine, &made);
  case OP_BINPERSID:
    TRY(machine_pop(machine, &value));
    if (++machine->values > PICKLE_VALUES_MAX) return pickle_corrupt("it builds too many values");
    TRY(pickle_persistent(machine->arena, value, &made));
    if (made->kind == PICKLE_STORAGE) {
      made->storage->previous = machine->storages;
      machine->storages = made->storage;
    }
    return machine_push(machine, made);
  default: /* OP_REDUCE, OP_NEWOBJ, OP_NEWOBJ_EX */
    return step_call(machine, opcode == OP_NEWOBJ_EX);
  }
}

static Status step_frame(Machine *machine, Opcode opcode)
{
  uint64_t count = 0;
  TRY(machine_take_count(machine, opcode == OP_FRAME ? 8 : 1, &count));
  if (opcode == OP_FRAME && count > machine->byte_count - machine->at)
    return pickle_corrupt("it is cut short");
  if (opcode == OP_PROTO && count > 5)
    return status_set(STATUS_UNSUPPORTED, "pickle protocol %d is not read", (int)count);
  return STATUS_OK;
}

typedef Status Step(Machine *machine, Opcode opcode);

static Step *step_of(uint8_t opcode)
{
  static Step *const steps[256] = {
      [OP_NONE] = step_number,
      [OP_NEWTRUE] = step_number,
      [OP_NEWFALSE] = step_number,
      [OP_BININT] = step_number,
      [OP_BININT1] = step_number,
      [OP_BININT2] = step_number,
      [OP_LONG1] = step_number,
      [OP_LONG4] = step_number,
      [OP_BINFLOAT] = step_number,
      [OP_BINBYTES] = step_text,
      [OP_SHORT_BINBYTES] = step_text,
      [OP_BINSTRING] = step_text,
      [OP_SHORT_BINSTRING] = step_text,
      [OP_BINUNICODE] = step_text,
      [OP_SHORT_BINUNICODE] = step_text,
      [OP_BINUNICODE8] = step_text,
      [OP_BINBYTES8] = step_text,
      [OP_BYTEARRAY8] = step_text,
      [OP_GLOBAL] = step_text,
      [OP_STACK_GLOBAL] = step_text,
      [OP_BINPUT] = step_memo,
      [OP_LONG_BINPUT] = step_memo,
      [OP_BINGET] = step_memo,
      [OP_LONG_BINGET] = step_memo,
      [OP_MEMOIZE] = step_memo,
      [OP_MARK] = step_stack,
      [OP_POP] = step_stack,
      [OP_POP_MARK] = step_stack,
      [OP_DUP] = step_stack,
      [OP_EMPTY_TUPLE] = step_make,
      [OP_TUPLE] = step_make,
      [OP_TUPLE1] = step_make,
      [OP_TUPLE2] = step_make,
      [OP_TUPLE3] = step_make,
      [OP_EMPTY_LIST] = step_make,
      [OP_LIST] = step_make,
      [OP_EMPTY_DICT] = step_make,
      [OP_DICT] = step_make,
      [OP_EMPTY_SET] = step_make,
      [OP_FROZENSET] = step_make,
      [OP_APPEND] = step_fill,
      [OP_APPENDS] = step_fill,
      [OP_SETITEM] = step_fill,
      [OP_SETITEMS] = step_fill,
      [OP_ADDITEMS] = step_fill,
      [OP_REDUCE] = step_object,
      [OP_NEWOBJ] = step_object,
      [OP_NEWOBJ_EX] = step_object,
      [OP_BUILD] = step_object,
      [OP_BINPERSID] = step_object,
      [OP_PROTO] = step_frame,
      [OP_FRAME] = step_frame,
  };
  return steps[opcode];
}

static Status run(Machine *machine, PickleValue **value)
{
  for (;;) {
    const uint8_t *opcode = NULL;
    TRY(machine_take(machine, 1, &opcode));
    if (*opcode == OP_STOP) return machine_pop(machine, value);
    Step *step = step_of(*opcode);
    if (step == NULL)
      return status_set(STATUS_UNSUPPORTED, "opcode 0x%02x is none that PyTorch writes", *opcode);
    TRY(step(machine, (Opcode)*opcode));
  }
}

Status pickle_run(const uint8_t *bytes, size_t byte_count, const char *name, Arena *arena,
                  PickleValue **value, const PickleStorage **storages, size_t *used_bytes)
{
  Machine machine = {.bytes = bytes,
                     .byte_count = byte_count < PICKLE_BYTES_MAX ? byte_count : PICKLE_BYTES_MAX,
                     .arena = arena};
  Status status = machine_row_reserve(&machine.stack, 1, sizeof(PickleValue *));
  if (status == STATUS_OK) status = run(&machine, value);
  *used_bytes = machine.at;
  *storages = machine.storages;
  memory_free(machine.stack.items);
  memory_free(machine.marks.items);
  memory_free(machine.memo.items);
  return status_prefix(status, "%s: byte %zu of a pickle", name, machine.at);
}

PickleValue *pickle_find(const PickleValue *dict, const char *key)
{
  if (dict == NULL || dict->kind != PICKLE_DICT) return NULL;
  const size_t key_bytes = strlen(key);
  for (size_t i = dict->count; i >= 2; i -= 2) {
    const PickleValue *found = dict->items[i - 2];
    if (found->kind == PICKLE_TEXT && found->count == key_bytes &&
        memcmp(found->text, key, key_bytes) == 0)
      return dict->items[i - 1];
  }
  return NULL;
}
