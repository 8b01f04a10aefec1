#include "pickle_global.h"

#include <stdio.h>
#include <string.h>

/* An element of a tensor may stand for many (stride 0); beyond this many such tensors are refused
 * as bombs. */
static const int64_t expanded_count_max = 1 << 24;

Status pickle_new(Arena *arena, PickleKind kind, PickleValue **value)
{
  void *piece;
  TRY(arena_allocate(arena, sizeof **value, &piece));
  *value = piece;
  (*value)->kind = kind;
  return STATUS_OK;
}

Status pickle_push(Arena *arena, PickleValue *list, PickleValue *item)
{
  if (list->count == list->capacity) {
    const size_t capacity = list->capacity < 8 ? 8 : 2 * list->capacity;
    void *piece;
    TRY(arena_allocate(arena, capacity * sizeof *list->items, &piece));
    if (list->count > 0) memcpy(piece, list->items, list->count * sizeof *list->items);
    list->items = piece;
    list->capacity = capacity;
  }
  list->items[list->count++] = item;
  return STATUS_OK;
}

static Status make_opaque(Arena *arena, const char *name, PickleValue **made)
{
  TRY(pickle_new(arena, PICKLE_OPAQUE, made));
  (*made)->name = name;
  return STATUS_OK;
}

Status pickle_corrupt(const char *what)
{
  return status_set(STATUS_BAD_INPUT, "corrupt pickle: %s", what);
}

/* The words of storages and of dtypes; complex and quantised types are none of ours. */
static bool find_type(const char *word, const char *ending, WeightType *type)
{
  static const struct {
    const char *storage;
    const char *dtype;
    WeightType type;
  } rows[] = {
      {"Float", "float32", WEIGHT_F32}, {"Double", "float64", WEIGHT_F64},
      {"Half", "float16", WEIGHT_F16},  {"BFloat16", "bfloat16", WEIGHT_BF16},
      {"Long", "int64", WEIGHT_I64},    {"Int", "int32", WEIGHT_I32},
      {"Short", "int16", WEIGHT_I16},   {"Char", "int8", WEIGHT_I8},
      {"Byte", "uint8", WEIGHT_U8},     {"Bool", "bool", WEIGHT_BOOL},
  };
  const size_t length = strlen(word) - strlen(ending);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
    const char *known = *ending == '\0' ? rows[i].dtype : rows[i].storage;
    if (strlen(known) != length || memcmp(known, word, length) != 0) continue;
    *type = rows[i].type;
    return true;
  }
  return false;
}

/* "torch FloatStorage", "torch.cuda FloatStorage", "torch.storage UntypedStorage". */
static bool read_storage_type(const char *global, PickleStorage *storage)
{
  static const char ending[] = "Storage";
  const char *blank = strchr(global, ' ');
  const size_t module_bytes = blank == NULL ? 0 : (size_t)(blank - global);
  const bool known_module = (module_bytes == 5 && memcmp(global, "torch", 5) == 0) ||
                            (module_bytes == 10 && memcmp(global, "torch.cuda", 10) == 0) ||
                            (module_bytes == 13 && memcmp(global, "torch.storage", 13) == 0);
  if (!known_module) return false;
  const char *word = blank + 1;
  const size_t length = strlen(word);
  if (length <= strlen(ending) || strcmp(word + length - strlen(ending), ending) != 0) return false;
  storage->typed = strcmp(word, "UntypedStorage") != 0;
  storage->type = WEIGHT_U8;
  return !storage->typed || find_type(word, ending, &storage->type);
}

static bool is_plain_text(const PickleValue *value)
{
  return value->kind == PICKLE_TEXT && strlen(value->text) == value->count;
}

static Status read_view(const PickleValue *view, PickleStorage *storage)
{
  if (view->kind == PICKLE_NONE) return STATUS_OK;
  if (view->kind != PICKLE_TUPLE || view->count != 3 || view->items[1]->kind != PICKLE_INT ||
      view->items[2]->kind != PICKLE_INT)
    return pickle_corrupt("the view of a storage is malformed");
  storage->view_offset = view->items[1]->integer;
  storage->view_count = view->items[2]->integer;
  if (storage->view_offset < 0 || storage->view_count < 0 ||
      storage->view_offset > storage->count ||
      storage->view_count > storage->count - storage->view_offset)
    return pickle_corrupt("the view of a storage lies outside it");
  return STATUS_OK;
}

Status pickle_persistent(Arena *arena, const PickleValue *id, PickleValue **made)
{
  PickleStorage storage = {.view_count = -1};
  void *piece;
  if (id->kind != PICKLE_TUPLE || id->count < 1 || id->items[0]->kind != PICKLE_TEXT)
    return pickle_corrupt("a persistent id is no tuple");
  if (strcmp(id->items[0]->text, "storage") != 0) return make_opaque(arena, "persistent id", made);
  if (id->count < 5 || id->items[1]->kind != PICKLE_GLOBAL || !is_plain_text(id->items[2]) ||
      id->items[4]->kind != PICKLE_INT || id->items[4]->integer < 0)
    return pickle_corrupt("the id of a storage is malformed");
  if (!read_storage_type(id->items[1]->name, &storage))
    return make_opaque(arena, id->items[1]->name, made);
  storage.key = id->items[2]->text;
  storage.count = id->items[4]->integer;
  if (id->count > 5) TRY(read_view(id->items[5], &storage));
  TRY(arena_allocate(arena, sizeof storage, &piece));
  memcpy(piece, &storage, sizeof storage);
  TRY(pickle_new(arena, PICKLE_STORAGE, made));
  (*made)->storage = piece;
  return STATUS_OK;
}

static Status read_extents(const PickleValue *list, int32_t rank, int64_t *extents)
{
  if (list->kind != PICKLE_TUPLE && list->kind != PICKLE_LIST)
    return pickle_corrupt("the shape of a tensor is no tuple");
  if (list->count > WEIGHT_RANK_MAX)
    return status_set(STATUS_UNSUPPORTED, "a tensor has %zu dimensions; at most %d are read",
                      list->count, WEIGHT_RANK_MAX);
  if (rank >= 0 && list->count != (size_t)rank)
    return pickle_corrupt("a tensor has not as many strides as dimensions");
  for (size_t i = 0; i < list->count; ++i) {
    if (list->items[i]->kind != PICKLE_INT || list->items[i]->integer < 0)
      return pickle_corrupt("a size or stride of a tensor is no number or negative");
    extents[i] = list->items[i]->integer;
  }
  return STATUS_OK;
}

/* The last element must lie inside the storage (or its view), and no product may overflow on the
 * way. */
static Status check_extent(PickleTensor *tensor, int64_t available)
{
  int64_t last = tensor->offset;
  int64_t count = 1;
  bool fits = last >= 0 && last <= available;
  for (int32_t i = 0; i < tensor->rank; ++i)
    if (tensor->dims[i] == 0) count = 0;
  for (int32_t i = 0; fits && count > 0 && i < tensor->rank; ++i) {
    int64_t step;
    fits = !__builtin_mul_overflow(count, tensor->dims[i], &count) &&
           !__builtin_mul_overflow(tensor->dims[i] - 1, tensor->strides[i], &step) &&
           !__builtin_add_overflow(last, step, &last);
  }
  if (!fits || (count > 0 && last >= available))
    return pickle_corrupt("a tensor reaches beyond its storage");
  if (count > available && count > expanded_count_max)
    return pickle_corrupt("a tensor repeats its storage too often");
  tensor->element_count = count;
  return STATUS_OK;
}

static Status make_tensor(Arena *arena, const PickleValue *arguments, const PickleValue *dtype,
                          PickleValue **made)
{
  PickleValue *const *items = arguments->items;
  void *piece;
  if (arguments->count < 4) return pickle_corrupt("a tensor has too few arguments");
  if (items[0]->kind == PICKLE_OPAQUE) return make_opaque(arena, items[0]->name, made);
  if (items[0]->kind != PICKLE_STORAGE || items[1]->kind != PICKLE_INT)
    return pickle_corrupt("a tensor has no storage");
  const PickleStorage *storage = items[0]->storage;
  PickleTensor tensor = {.storage = storage, .type = storage->type, .offset = items[1]->integer};
  if (dtype != NULL &&
      (strncmp(dtype->name, "torch ", 6) != 0 || !find_type(dtype->name + 6, "", &tensor.type)))
    return make_opaque(arena, dtype->name, made);
  if (dtype == NULL && !storage->typed) return pickle_corrupt("a tensor has no type");
  TRY(read_extents(items[2], -1, tensor.dims));
  tensor.rank = (int32_t)items[2]->count;
  TRY(read_extents(items[3], tensor.rank, tensor.strides));
  int64_t available = storage->view_count >= 0 ? storage->view_count : storage->count;
  if (!storage->typed) available /= (int64_t)weight_type_bytes(tensor.type);
  TRY(check_extent(&tensor, available));
  tensor.offset += storage->view_offset;
  for (int32_t i = 0; i < tensor.rank; ++i)
    if (tensor.dims[i] == 1) tensor.strides[i] = 0; /* may be any number, and must not overflow */
  TRY(arena_allocate(arena, sizeof tensor, &piece));
  memcpy(piece, &tensor, sizeof tensor);
  TRY(pickle_new(arena, PICKLE_TENSOR, made));
  (*made)->tensor = piece;
  return STATUS_OK;
}

static Status rebuild_v3(Arena *arena, const PickleValue *arguments, PickleValue **made)
{
  if (arguments->count < 7 ||
      (arguments->items[6]->kind != PICKLE_GLOBAL && arguments->items[6]->kind != PICKLE_OPAQUE))
    return pickle_corrupt("a tensor has no type");
  if (arguments->items[0]->kind == PICKLE_STORAGE && arguments->items[0]->storage->typed)
    return pickle_corrupt("a tensor has two types");
  return make_tensor(arena, arguments, arguments->items[6], made);
}

/* OrderedDict((key, value), …), or nothing. */
static Status make_dict(Arena *arena, const PickleValue *arguments, PickleValue **made)
{
  TRY(pickle_new(arena, PICKLE_DICT, made));
  const PickleValue *pairs = arguments->count == 0 ? NULL : arguments->items[0];
  if (pairs == NULL || pairs->kind != PICKLE_LIST) return STATUS_OK;
  for (size_t i = 0; i < pairs->count; ++i) {
    const PickleValue *pair = pairs->items[i];
    if ((pair->kind != PICKLE_TUPLE && pair->kind != PICKLE_LIST) || pair->count != 2)
      return pickle_corrupt("an OrderedDict is made of no pairs");
    TRY(pickle_push(arena, *made, pair->items[0]));
    TRY(pickle_push(arena, *made, pair->items[1]));
  }
  return STATUS_OK;
}

/* Parameters and sizes are their first argument. */
static Status pass_first(const PickleValue *callable, Arena *arena, PickleKind kind,
                         const PickleValue *arguments, PickleValue **made)
{
  if (arguments->count < 1 || arguments->items[0]->kind != kind)
    return make_opaque(arena, callable->name, made);
  *made = arguments->items[0];
  return STATUS_OK;
}

static Status call_plain(Arena *arena, const PickleValue *callable, const PickleValue *arguments,
                         PickleValue **made)
{
  const char *name = callable->name;
  if (strcmp(name, "collections OrderedDict") == 0 ||
      strcmp(name, "collections defaultdict") == 0 || strcmp(name, "builtins dict") == 0 ||
      strcmp(name, "__builtin__ dict") == 0)
    return make_dict(arena, arguments, made);
  if (strcmp(name, "torch._utils _rebuild_tensor_v2") == 0 ||
      strcmp(name, "torch._utils _rebuild_tensor") == 0)
    return make_tensor(arena, arguments, NULL, made);
  if (strcmp(name, "torch._utils _rebuild_tensor_v3") == 0)
    return rebuild_v3(arena, arguments, made);
  if (strcmp(name, "torch._utils _rebuild_parameter") == 0 ||
      strcmp(name, "torch._utils _rebuild_parameter_with_state") == 0 ||
      strcmp(name, "torch.nn.parameter Parameter") == 0 || strcmp(name, "torch Tensor") == 0)
    return pass_first(callable, arena, PICKLE_TENSOR, arguments, made);
  if (strcmp(name, "torch Size") == 0)
    return pass_first(callable, arena, PICKLE_TUPLE, arguments, made);
  return make_opaque(arena, name, made);
}

Status pickle_call(Arena *arena, const PickleValue *callable, const PickleValue *arguments,
                   PickleValue **made)
{
  if (callable->kind == PICKLE_OPAQUE) return make_opaque(arena, callable->name, made);
  if (callable->kind != PICKLE_GLOBAL) return pickle_corrupt("what is called is no global");
  if (strcmp(callable->name, "torch._tensor _rebuild_from_type_v2") != 0)
    return call_plain(arena, callable, arguments, made);
  if (arguments->count < 3 || arguments->items[0]->kind != PICKLE_GLOBAL ||
      arguments->items[2]->kind != PICKLE_TUPLE)
    return pickle_corrupt("a tensor of a derived type is malformed");
  return call_plain(arena, arguments->items[0], arguments->items[2], made);
}
