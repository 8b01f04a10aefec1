#include "pickle.h"

#include <string.h>

#include "base/memory.h"
#include "pickle_global.h"
#include "source.h"

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

static Status corrupt(const char *what)
{
  return status_set(STATUS_BAD_INPUT, "corrupt pickle: %s", what);
}

static Status row_reserve(Row *row, size_t count, size_t item_bytes)
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

static Status take(Machine *machine, uint64_t byte_count, const uint8_t **bytes)
{
  if (byte_count > machine->byte_count - machine->at) return corrupt("it is cut short");
  *bytes = machine->bytes + machine->at;
  machine->at += (size_t)byte_count;
  return STATUS_OK;
}

/* A little-endian count of 1, 2, 4 or 8 bytes. */
static Status take_count(Machine *machine, size_t width, uint64_t *count)
{
  const uint8_t *bytes = NULL;
  TRY(take(machine, width, &bytes));
  *count = 0;
  for (size_t i = 0; i < width; ++i)
    *count |= (uint64_t)bytes[i] << (8 * i);
  return STATUS_OK;
}

static Status push(Machine *machine, PickleValue *value)
{
  Row *stack = &machine->stack;
  TRY(row_reserve(stack, stack->count + 1, sizeof(PickleValue *)));
  ((PickleValue **)stack->items)[stack->count++] = value;
  return STATUS_OK;
}

static size_t floor_of_stack(const Machine *machine)
{
  const Row *marks = &machine->marks;
  return marks->count == 0 ? 0 : ((const size_t *)marks->items)[marks->count - 1];
}

static Status pop(Machine *machine, PickleValue **value)
{
  if (machine->stack.count <= floor_of_stack(machine)) return corrupt("its stack is empty");
  *value = ((PickleValue **)machine->stack.items)[--machine->stack.count];
  return STATUS_OK;
}

static Status top(const Machine *machine, PickleValue **value)
{
  if (machine->stack.count <= floor_of_stack(machine)) return corrupt("its stack is empty");
  *value = ((PickleValue **)machine->stack.items)[machine->stack.count - 1];
  return STATUS_OK;
}

/* The values above the last mark, which goes; they stay valid until the next push. */
static Status pop_to_mark(Machine *machine, PickleValue ***values, size_t *count)
{
  if (machine->marks.count == 0) return corrupt("a mark is missing");
  const size_t height = floor_of_stack(machine);
  --machine->marks.count;
  *values = (PickleValue **)machine->stack.items + height;
  *count = machine->stack.count - height;
  machine->stack.count = height;
  return STATUS_OK;
}

static Status push_new(Machine *machine, PickleKind kind, PickleValue **value)
{
  if (++machine->values > PICKLE_VALUES_MAX) return corrupt("it builds too many values");
  TRY(pickle_new(machine->arena, kind, value));
  return push(machine, *value);
}

static Status push_int(Machine *machine, int64_t integer)
{
  PickleValue *value = NULL;
  TRY(push_new(machine, PICKLE_INT, &value));
  value->integer = integer;
  return STATUS_OK;
}

static Status push_bytes(Machine *machine, PickleKind kind, uint64_t byte_count)
{
  const uint8_t *bytes = NULL;
  PickleValue *value = NULL;
  void *piece;
  TRY(take(machine, byte_count, &bytes));
  TRY(push_new(machine, kind, &value));
  TRY(arena_allocate(machine->arena, (size_t)byte_count + 1, &piece));
  memcpy(piece, bytes, (size_t)byte_count);
  value->text = piece;
  value->count = (size_t)byte_count;
  return STATUS_OK;
}

static Status push_counted(Machine *machine, PickleKind kind, size_t width)
{
  uint64_t byte_count = 0;
  TRY(take_count(machine, width, &byte_count));
  return push_bytes(machine, kind, byte_count);
}

/* Two's complement, little-endian, of any length. */
static Status push_long(Machine *machine, size_t width)
{
  uint64_t byte_count = 0;
  TRY(take_count(machine, width, &byte_count));
  if (byte_count > 8) return push_bytes(machine, PICKLE_LONG, byte_count);
  const uint8_t *bytes = NULL;
  TRY(take(machine, byte_count, &bytes));
  uint64_t bits = byte_count > 0 && (bytes[byte_count - 1] & 0x80) != 0 ? UINT64_MAX : 0;
  for (size_t i = 0; i < byte_count; ++i) {
    bits &= ~((uint64_t)0xFF << (8 * i));
    bits |= (uint64_t)bytes[i] << (8 * i);
  }
  return push_int(machine, (int64_t)bits);
}

static Status push_real(Machine *machine)
{
  const uint8_t *bytes = NULL;
  PickleValue *value = NULL;
  TRY(take(machine, 8, &bytes));
  uint64_t bits = 0;
  for (size_t i = 0; i < 8; ++i)
    bits = bits << 8 | bytes[i]; /* the one big-endian number */
  TRY(push_new(machine, PICKLE_REAL, &value));
  memcpy(&value->real, &bits, sizeof bits);
  return STATUS_OK;
}

static Status push_flag(Machine *machine, bool flag)
{
  PickleValue *value = NULL;
  TRY(push_new(machine, PICKLE_FLAG, &value));
  value->flag = flag;
  return STATUS_OK;
}

static Status step_number(Machine *machine, Opcode opcode)
{
  PickleValue *value = NULL;
  uint64_t count = 0;
  switch (opcode) {
  case OP_NONE: return push_new(machine, PICKLE_NONE, &value);
  case OP_NEWTRUE: return push_flag(machine, true);
  case OP_NEWFALSE: return push_flag(machine, false);
  case OP_BININT1: TRY(take_count(machine, 1, &count)); return push_int(machine, (int64_t)count);
  case OP_BININT2: TRY(take_count(machine, 2, &count)); return push_int(machine, (int64_t)count);
  case OP_BININT:
    TRY(take_count(machine, 4, &count));
    return push_int(machine, (int32_t)(uint32_t)count);
  case OP_LONG1: return push_long(machine, 1);
  case OP_LONG4: return push_long(machine, 4);
  default: return push_real(machine);
  }
}

static Status push_global(Machine *machine, const char *module, size_t module_bytes,
                          const char *name, size_t name_bytes)
{
  PickleValue *value = NULL;
  void *piece;
  TRY(push_new(machine, PICKLE_GLOBAL, &value));
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
  if (end == NULL) return corrupt("it is cut short");
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
  TRY(pop(machine, &name));
  TRY(pop(machine, &module));
  if (module->kind != PICKLE_TEXT || name->kind != PICKLE_TEXT)
    return corrupt("the name of a global is no text");
  return push_global(machine, module->text, module->count, name->text, name->count);
}

static Status step_text(Machine *machine, Opcode opcode)
{
  switch (opcode) {
  case OP_SHORT_BINSTRING:
  case OP_SHORT_BINUNICODE: return push_counted(machine, PICKLE_TEXT, 1);
  case OP_BINSTRING:
  case OP_BINUNICODE: return push_counted(machine, PICKLE_TEXT, 4);
  case OP_BINUNICODE8: return push_counted(machine, PICKLE_TEXT, 8);
  case OP_SHORT_BINBYTES: return push_counted(machine, PICKLE_BYTES, 1);
  case OP_BINBYTES: return push_counted(machine, PICKLE_BYTES, 4);
  case OP_BINBYTES8:
  case OP_BYTEARRAY8: return push_counted(machine, PICKLE_BYTES, 8);
  case OP_GLOBAL: return step_global(machine);
  default: return step_stack_global(machine);
  }
}

static Status memo_put(Machine *machine, uint64_t index)
{
  PickleValue *value = NULL;
  Row *memo = &machine->memo;
  if (index >= machine->byte_count) return corrupt("a memo index is out of range");
  TRY(top(machine, &value));
  TRY(row_reserve(memo, (size_t)index + 1, sizeof(PickleValue *)));
  if (memo->count <= index) memo->count = (size_t)index + 1; /* memory_allocate zeroed the gap */
  ((PickleValue **)memo->items)[index] = value;
  ++machine->memoized;
  return STATUS_OK;
}

static Status memo_get(Machine *machine, uint64_t index)
{
  const Row *memo = &machine->memo;
  PickleValue *value = index < memo->count ? ((PickleValue **)memo->items)[index] : NULL;
  return value == NULL ? corrupt("a memo index is out of range") : push(machine, value);
}

static Status step_memo(Machine *machine, Opcode opcode)
{
  uint64_t index = machine->memoized;
  if (opcode != OP_MEMOIZE)
    TRY(take_count(machine, opcode == OP_BINPUT || opcode == OP_BINGET ? 1 : 4, &index));
  if (opcode == OP_BINGET || opcode == OP_LONG_BINGET) return memo_get(machine, index);
  return memo_put(machine, index);
}

static Status push_mark(Machine *machine)
{
  Row *marks = &machine->marks;
  TRY(row_reserve(marks, marks->count + 1, sizeof(size_t)));
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
  case OP_POP: return pop(machine, &value);
  case OP_POP_MARK: return pop_to_mark(machine, &values, &count);
  default: /* OP_DUP */ TRY(top(machine, &value)); return push(machine, value);
  }
}

/* items may be the stack itself, so they are copied before anything is pushed. */
static Status push_items(Machine *machine, PickleKind kind, PickleValue *const *items, size_t count)
{
  PickleValue *value = NULL;
  void *piece;
  if (kind == PICKLE_DICT && count % 2 != 0) return corrupt("a key has no value");
  TRY(arena_allocate(machine->arena, (count + 1) * sizeof *items, &piece));
  if (count > 0) memcpy(piece, items, count * sizeof *items);
  TRY(push_new(machine, kind, &value));
  value->items = piece;
  value->count = count;
  value->capacity = count;
  return STATUS_OK;
}

static Status push_tuple(Machine *machine, size_t count)
{
  if (machine->stack.count - floor_of_stack(machine) < count) return corrupt("its stack is empty");
  machine->stack.count -= count;
  return push_items(machine, PICKLE_TUPLE,
                    (PickleValue **)machine->stack.items + machine->stack.count, count);
}

static Status push_marked(Machine *machine, PickleKind kind)
{
  PickleValue **items = NULL;
  size_t count = 0;
  TRY(pop_to_mark(machine, &items, &count));
  return push_items(machine, kind, items, count);
}

static Status push_set(Machine *machine)
{
  PickleValue *value = NULL;
  TRY(push_new(machine, PICKLE_OPAQUE, &value));
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
  case OP_FROZENSET: TRY(pop_to_mark(machine, &items, &count)); return push_set(machine);
  default: /* OP_EMPTY_SET */ return push_set(machine);
  }
}

/* Opaque things swallow what is put into them. */
static Status fill(const Machine *machine, PickleKind kind, PickleValue *const *items, size_t count)
{
  PickleValue *container = NULL;
  TRY(top(machine, &container));
  if (kind == PICKLE_DICT && count % 2 != 0) return corrupt("a key has no value");
  if (container->kind == PICKLE_OPAQUE) return STATUS_OK;
  if (container->kind != kind) return corrupt("items are put into what holds none");
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
  case OP_APPEND: TRY(pop(machine, &last[0])); return fill(machine, PICKLE_LIST, last, 1);
  case OP_SETITEM:
    TRY(pop(machine, &last[1]));
    TRY(pop(machine, &last[0]));
    return fill(machine, PICKLE_DICT, last, 2);
  default: /* OP_APPENDS, OP_SETITEMS, OP_ADDITEMS */
    TRY(pop_to_mark(machine, &items, &count));
    return fill(machine, opcode == OP_SETITEMS ? PICKLE_DICT : PICKLE_LIST, items, count);
  }
}

static Status step_call(Machine *machine, bool with_keywords)
{
  PickleValue *keywords = NULL;
  PickleValue *arguments = NULL;
  PickleValue *callable = NULL;
  PickleValue *made = NULL;
  if (with_keywords) TRY(pop(machine, &keywords));
  TRY(pop(machine, &arguments));
  TRY(pop(machine, &callable));
  if (arguments->kind != PICKLE_TUPLE) return corrupt("arguments are no tuple");
  if (++machine->values > PICKLE_VALUES_MAX) return corrupt("it builds too many values");
  TRY(pickle_call(machine->arena, callable, arguments, &made));
  return push(machine, made);
}

static Status step_object(Machine *machine, Opcode opcode)
{
  PickleValue *value = NULL;
  PickleValue *made = NULL;
  switch (opcode) {
  case OP_BUILD: /* the state of an object: nothing here has one that matters */
    TRY(pop(machine, &value));
    return top(machine, &made);
  case OP_BINPERSID:
    TRY(pop(machine, &value));
    if (++machine->values > PICKLE_VALUES_MAX) return corrupt("it builds too many values");
    TRY(pickle_persistent(machine->arena, value, &made));
    if (made->kind == PICKLE_STORAGE) {
      made->storage->previous = machine->storages;
      machine->storages = made->storage;
    }
    return push(machine, made);
  default: /* OP_REDUCE, OP_NEWOBJ, OP_NEWOBJ_EX */
    return step_call(machine, opcode == OP_NEWOBJ_EX);
  }
}

static Status step_frame(Machine *machine, Opcode opcode)
{
  uint64_t count = 0;
  TRY(take_count(machine, opcode == OP_FRAME ? 8 : 1, &count));
  if (opcode == OP_FRAME && count > machine->byte_count - machine->at)
    return corrupt("it is cut short");
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
    TRY(take(machine, 1, &opcode));
    if (*opcode == OP_STOP) return pop(machine, value);
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
  Status status = row_reserve(&machine.stack, 1, sizeof(PickleValue *));
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
