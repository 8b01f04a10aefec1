#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "json_node.h"
#include "weight_file.h"

/* Format: huggingface/safetensors, README.md: u64 header length, JSON header, data. */
static Status refuse(const WeightFile *file, const char *name, const char *what)
{
  return status_set(STATUS_BAD_INPUT, "%s: damaged safetensors file: “%.200s” %s", file->path, name,
                    what);
}

static Status read_type(const WeightFile *file, const char *name, const char *word,
                        WeightType *type)
{
  for (int i = 0; i < WEIGHT_TYPE_COUNT; ++i) {
    *type = (WeightType)i;
    if (strcmp(weight_type_name(*type), word) == 0) return STATUS_OK;
  }
  return status_set(STATUS_UNSUPPORTED, "%s: “%.200s” has the type %.20s, which is not read",
                    file->path, name, word);
}

static Status read_shape(const WeightFile *file, const json_t *shape, Weight *weight)
{
  if (!json_is_array(shape)) return refuse(file, weight->name, "has no shape");
  if (json_array_size(shape) > WEIGHT_RANK_MAX)
    return status_set(STATUS_UNSUPPORTED, "%s: “%.200s” has %zu dimensions; at most %d are read",
                      file->path, weight->name, json_array_size(shape), WEIGHT_RANK_MAX);
  weight->rank = (int32_t)json_array_size(shape);
  for (int32_t i = 0; i < weight->rank; ++i) {
    const json_t *item = json_array_get(shape, (size_t)i);
    weight->dims[i] = json_integer_value(item);
    if (!json_is_integer(item) || weight->dims[i] < 0)
      return refuse(file, weight->name, "has a size that is no number or negative");
  }
  if (!weight_count_elements(weight)) return refuse(file, weight->name, "has too many elements");
  return STATUS_OK;
}

static Status read_place(const WeightFile *file, const json_t *offsets, StoredTensor *tensor)
{
  const json_t *begin = json_array_get(offsets, 0);
  const json_t *end = json_array_get(offsets, 1);
  const char *name = tensor->weight.name;
  if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
      json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin))
    return refuse(file, name, "has no valid data_offsets");
  tensor->at = json_integer_value(begin);
  tensor->storage_bytes = json_integer_value(end) - tensor->at;
  int64_t wanted;
  if (__builtin_mul_overflow(tensor->weight.element_count,
                             (int64_t)weight_type_bytes(tensor->weight.type), &wanted) ||
      wanted != tensor->storage_bytes)
    return refuse(file, name, "has data_offsets that do not fit its shape");
  return STATUS_OK;
}

static Status read_row(WeightFile *file, const char *name, const json_t *row, StoredTensor *tensor)
{
  char *copy;
  TRY(arena_copy_text(file->arena, name, &copy));
  tensor->weight.name = copy;
  const char *type = json_string_value(json_object_get(row, "dtype"));
  if (type == NULL) return refuse(file, name, "has no dtype");
  TRY(read_type(file, name, type, &tensor->weight.type));
  TRY(read_shape(file, json_object_get(row, "shape"), &tensor->weight));
  TRY(read_place(file, json_object_get(row, "data_offsets"), tensor));
  weight_contiguous_strides(&tensor->weight, tensor->strides);
  return STATUS_OK;
}

static int by_place(const void *left, const void *right)
{
  const StoredTensor *a = left;
  const StoredTensor *b = right;
  if (a->at != b->at) return a->at < b->at ? -1 : 1;
  if (a->storage_bytes != b->storage_bytes) return a->storage_bytes < b->storage_bytes ? -1 : 1;
  return strcmp(a->weight.name, b->weight.name);
}

/* Sorted, the tensors must cover the data without hole or overlap. */
static Status place_tensors(WeightFile *file, int64_t data_at)
{
  int64_t end = 0;
  if (file->count > 0) qsort(file->tensors, file->count, sizeof *file->tensors, by_place);
  for (size_t i = 0; i < file->count; ++i) {
    StoredTensor *tensor = &file->tensors[i];
    if (tensor->at != end)
      return refuse(file, tensor->weight.name, "overlaps another tensor or leaves a hole");
    end += tensor->storage_bytes;
    if (end > source_bytes(file->source) - data_at)
      return refuse(file, tensor->weight.name, "reaches behind the end of the file");
    tensor->at += data_at;
  }
  if (end != source_bytes(file->source) - data_at)
    return status_set(STATUS_BAD_INPUT,
                      "%s: damaged safetensors file: %lld bytes follow the last tensor", file->path,
                      (long long)(source_bytes(file->source) - data_at - end));
  return STATUS_OK;
}

static Status read_notes(WeightFile *file, json_t *notes)
{
  const char *key;
  json_t *value;
  if (!json_is_object(notes)) return refuse(file, "__metadata__", "is no object");
  json_object_foreach(notes, key, value)
  {
    if (!json_is_string(value)) return refuse(file, "__metadata__", "holds more than texts");
  }
  file->notes = document_of(json_incref(notes));
  return STATUS_OK;
}

static Status read_header(WeightFile *file, json_t *header, int64_t data_at)
{
  const char *name;
  json_t *row;
  void *piece;
  TRY(arena_allocate(file->arena, json_object_size(header) * sizeof *file->tensors, &piece));
  file->tensors = piece;
  json_object_foreach(header, name, row)
  {
    if (strcmp(name, "__metadata__") == 0)
      TRY(read_notes(file, row));
    else
      TRY(read_row(file, name, row, &file->tensors[file->count++]));
  }
  return place_tensors(file, data_at);
}

static Status parse_header(WeightFile *file, const char *text, size_t byte_count)
{
  Document *header;
  TRY(document_parse(text, byte_count, file->path, &header));
  const Status status = read_header(file, node_of(header), 8 + (int64_t)byte_count);
  document_close(header);
  return status;
}

Status safetensors_read(WeightFile *file)
{
  uint8_t length[8];
  void *text;
  file->format = "safetensors";
  TRY(source_read(file->source, 0, length, sizeof length));
  const uint64_t byte_count = le64(length);
  if (byte_count > DOCUMENT_BYTES_MAX)
    return status_set(STATUS_UNSUPPORTED, "%s: its header has %llu bytes; at most %d are read",
                      file->path, (unsigned long long)byte_count, DOCUMENT_BYTES_MAX);
  TRY(memory_allocate((size_t)byte_count, 1, "safetensors header", &text));
  Status status = source_read(file->source, 8, text, (size_t)byte_count);
  if (status == STATUS_OK) status = parse_header(file, text, (size_t)byte_count);
  memory_free(text);
  return status;
}
