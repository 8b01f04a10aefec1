#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "pth_storage.h"
#include "state_dict.h"
#include "weight_file.h"

enum { NAME_BYTES = 512 };

static Status fill_tensor(WeightFile *file, const char *name, const PickleTensor *from,
                          StoredTensor *tensor)
{
  char *copy;
  TRY(arena_copy_text(file->arena, name, &copy));
  tensor->weight = (Weight){
      .name = copy, .type = from->type, .rank = from->rank, .element_count = from->element_count};
  memcpy(tensor->weight.dims, from->dims, sizeof from->dims);
  memcpy(tensor->strides, from->strides, sizeof from->strides);
  tensor->offset = from->offset;
  return STATUS_OK;
}

static Status storage_bytes(const WeightFile *file, const PickleStorage *storage, int64_t *bytes)
{
  if (__builtin_mul_overflow(storage->count, (int64_t)weight_type_bytes(storage->type), bytes))
    return status_set(STATUS_BAD_INPUT, "%s: the storage “%.80s” is larger than any file",
                      file->path, storage->key);
  return STATUS_OK;
}

static Status make_room(WeightFile *file, const PickleValue *dict)
{
  void *piece;
  TRY(arena_allocate(file->arena, dict->count / 2 * sizeof *file->tensors, &piece));
  file->tensors = piece;
  return STATUS_OK;
}

/* A zip .pth: <top>/data.pkl and <top>/data/<key>. */
typedef struct ZipPth {
  WeightFile *file;
  char top[NAME_BYTES]; /* with its slash */
} ZipPth;

static const ZipEntry *find_member(const ZipPth *pth, const char *name)
{
  char path[2 * NAME_BYTES];
  const int written = snprintf(path, sizeof path, "%s%s", pth->top, name);
  return written < 0 || (size_t)written >= sizeof path ? NULL : zip_find(pth->file->zip, path);
}

static Status add_zip_tensor(void *context, const char *name, const PickleTensor *from)
{
  const ZipPth *pth = context;
  WeightFile *file = pth->file;
  StoredTensor *tensor = &file->tensors[file->count];
  char member[NAME_BYTES];
  const int written = snprintf(member, sizeof member, "data/%s", from->storage->key);
  TRY(fill_tensor(file, name, from, tensor));
  TRY(storage_bytes(file, from->storage, &tensor->storage_bytes));
  tensor->entry = written < 0 || (size_t)written >= sizeof member ? NULL : find_member(pth, member);
  if (tensor->entry == NULL)
    return status_set(STATUS_BAD_INPUT, "%s: the data of “%.200s” (%.80s) are missing", file->path,
                      name, member);
  if (tensor->storage_bytes > tensor->entry->bytes)
    return status_set(STATUS_BAD_INPUT, "%s: the data of “%.200s” have %lld bytes, not %lld",
                      file->path, name, (long long)tensor->entry->bytes,
                      (long long)tensor->storage_bytes);
  ++file->count;
  return STATUS_OK;
}

static Status run_zip_pickle(ZipPth *pth, const uint8_t *bytes, size_t byte_count, Arena *arena)
{
  PickleValue *root;
  const PickleStorage *storages;
  const PickleValue *dict;
  size_t used_bytes;
  WeightFile *file = pth->file;
  TRY(pickle_run(bytes, byte_count, file->path, arena, &root, &storages, &used_bytes));
  TRY(state_dict_find(root, file->path, &dict));
  TRY(make_room(file, dict));
  return state_dict_walk(dict, file->path, add_zip_tensor, pth);
}

/* Values of the pickle are needed only until the tensors are known. */
static Status read_pickle_member(ZipPth *pth, const ZipEntry *pickle)
{
  void *bytes;
  size_t byte_count;
  Arena *arena = NULL;
  TRY(zip_read(pth->file->zip, pickle, PICKLE_BYTES_MAX, &bytes, &byte_count));
  Status status = arena_open(&arena);
  if (status == STATUS_OK) status = run_zip_pickle(pth, bytes, byte_count, arena);
  arena_close(arena);
  memory_free(bytes);
  return status;
}

static Status find_top(ZipPth *pth)
{
  if (zip_count(pth->file->zip) == 0)
    return status_set(STATUS_BAD_INPUT, "%s: an empty zip archive", pth->file->path);
  const char *name = zip_at(pth->file->zip, 0)->name;
  const char *slash = strchr(name, '/');
  const size_t length = slash == NULL ? 0 : (size_t)(slash - name) + 1;
  if (length >= sizeof pth->top)
    return status_set(STATUS_BAD_INPUT, "%s: a name in it is too long", pth->file->path);
  memcpy(pth->top, name, length);
  pth->top[length] = '\0';
  return STATUS_OK;
}

static Status read_byte_order(const ZipPth *pth)
{
  enum { ORDER_BYTES_MAX = 16 };
  void *bytes;
  size_t byte_count;
  const ZipEntry *entry = find_member(pth, "byteorder");
  if (entry == NULL) return STATUS_OK;
  TRY(zip_read(pth->file->zip, entry, ORDER_BYTES_MAX, &bytes, &byte_count));
  pth->file->big_endian = byte_count == 3 && memcmp(bytes, "big", 3) == 0;
  const bool known = pth->file->big_endian || (byte_count == 6 && memcmp(bytes, "little", 6) == 0);
  memory_free(bytes);
  return known ? STATUS_OK
               : status_set(STATUS_BAD_INPUT, "%s: its byte order is neither little nor big",
                            pth->file->path);
}

Status pth_read_zip(WeightFile *file)
{
  ZipPth pth = {.file = file};
  file->format = "torch zip";
  TRY(zip_open(file->source, &file->zip));
  TRY(find_top(&pth));
  if (find_member(&pth, "constants.pkl") != NULL)
    return status_set(STATUS_UNSUPPORTED,
                      "%s: a TorchScript program, not weights; load it in Python and save its "
                      "state_dict()",
                      file->path);
  const ZipEntry *pickle = find_member(&pth, "data.pkl");
  if (pickle == NULL)
    return status_set(STATUS_BAD_INPUT,
                      "%s: a zip archive, but neither of PyTorch nor a model package", file->path);
  TRY(read_byte_order(&pth));
  return read_pickle_member(&pth, pickle);
}

/* A legacy .pth: five pickles, then the storages in the order of the fifth. */
typedef struct LegacyPth {
  WeightFile *file;
  const uint8_t *bytes; /* the head of the file */
  size_t byte_count;
  size_t at;
  Arena *arena;
  const PickleStorage *storages;
  StorageTable table;
} LegacyPth;

static Status run_next(LegacyPth *pth, PickleKind kind, PickleValue **value,
                       const PickleStorage **storages)
{
  size_t used_bytes;
  TRY(pickle_run(pth->bytes + pth->at, pth->byte_count - pth->at, pth->file->path, pth->arena,
                 value, storages, &used_bytes));
  pth->at += used_bytes;
  if (kind != PICKLE_NONE && (*value)->kind != kind)
    return status_set(STATUS_BAD_INPUT, "%s: not a PyTorch file, or damaged", pth->file->path);
  return STATUS_OK;
}

static Status check_magic(LegacyPth *pth)
{
  static const uint8_t magic[10] = {0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19};
  const PickleStorage *none;
  PickleValue *value;
  TRY(run_next(pth, PICKLE_NONE, &value, &none));
  if (value->kind != PICKLE_LONG || value->count != sizeof magic ||
      memcmp(value->text, magic, sizeof magic) != 0)
    return status_set(STATUS_UNSUPPORTED, "%s: a Python pickle, but not one that torch.save wrote",
                      pth->file->path);
  TRY(run_next(pth, PICKLE_INT, &value, &none));
  if (value->integer != 1001)
    return status_set(STATUS_UNSUPPORTED, "%s: version %lld of PyTorch's file format is not read",
                      pth->file->path, (long long)value->integer);
  return run_next(pth, PICKLE_DICT, &value, &none); /* sizes of C types at the writer: unused */
}

static Status add_legacy_tensor(void *context, const char *name, const PickleTensor *from)
{
  const LegacyPth *pth = context;
  StoredTensor *tensor = &pth->file->tensors[pth->file->count];
  TRY(fill_tensor(pth->file, name, from, tensor));
  TRY(storage_bytes(pth->file, from->storage, &tensor->storage_bytes));
  const StorageRow *row = storage_table_find(&pth->table, from->storage->key);
  if (row == NULL || row->at < 0)
    return status_set(STATUS_BAD_INPUT, "%s: the data of “%.200s” are missing", pth->file->path,
                      name);
  tensor->at = row->at;
  ++pth->file->count;
  return STATUS_OK;
}

static Status run_legacy(LegacyPth *pth)
{
  PickleValue *root;
  PickleValue *keys;
  const PickleStorage *none;
  const PickleValue *dict;
  TRY(check_magic(pth));
  TRY(run_next(pth, PICKLE_NONE, &root, &pth->storages));
  TRY(run_next(pth, PICKLE_LIST, &keys, &none));
  TRY(state_dict_find(root, pth->file->path, &dict));
  TRY(storage_table_make(&pth->table, pth->storages, pth->arena, pth->file->path));
  TRY(storage_table_place(&pth->table, keys, pth->file->source, (int64_t)pth->at));
  TRY(make_room(pth->file, dict));
  return state_dict_walk(dict, pth->file->path, add_legacy_tensor, pth);
}

Status pth_read_legacy(WeightFile *file)
{
  file->format = "torch legacy";
  const int64_t file_bytes = source_bytes(file->source);
  const size_t byte_count = (size_t)(file_bytes < PICKLE_BYTES_MAX ? file_bytes : PICKLE_BYTES_MAX);
  void *bytes;
  TRY(memory_allocate(byte_count, 1, "head of a PyTorch file", &bytes));
  LegacyPth pth = {.file = file, .bytes = bytes, .byte_count = byte_count};
  Status status = source_read(file->source, 0, bytes, byte_count);
  if (status == STATUS_OK) status = arena_open(&pth.arena);
  if (status == STATUS_OK) status = run_legacy(&pth);
  arena_close(pth.arena);
  memory_free(bytes);
  return status;
}
