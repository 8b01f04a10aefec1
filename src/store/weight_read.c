#include <string.h>

#include "base/memory.h"
#include "weight_file.h"

enum { BLOCK_BYTES = 65536 };
static const int64_t unpacked_bytes_max = INT64_C(1) << 32; /* of one deflated storage */

/* Where converted elements go: one of the two. */
typedef struct Target {
  float *reals;
  int64_t *integers;
  size_t done;
} Target;

static void swap_bytes(uint8_t *bytes, size_t count, size_t item_bytes)
{
  for (size_t i = 0; i < count; ++i, bytes += item_bytes)
    for (size_t a = 0, b = item_bytes - 1; a < b; ++a, --b) {
      const uint8_t kept = bytes[a];
      bytes[a] = bytes[b];
      bytes[b] = kept;
    }
}

static void convert(const WeightFile *file, WeightType type, uint8_t *bytes, size_t count,
                    Target *target)
{
  if (file->big_endian) swap_bytes(bytes, count, weight_type_bytes(type));
  if (target->reals != NULL)
    weight_to_f32(type, bytes, count, target->reals + target->done);
  else
    weight_to_i64(type, bytes, count, target->integers + target->done);
  target->done += count;
}

static bool is_contiguous(const StoredTensor *tensor)
{
  int64_t strides[WEIGHT_RANK_MAX];
  weight_contiguous_strides(&tensor->weight, strides);
  for (int32_t i = 0; i < tensor->weight.rank; ++i)
    if (tensor->weight.dims[i] != 1 && tensor->strides[i] != strides[i]) return false;
  return true;
}

static Status read_contiguous(const WeightFile *file, const StoredTensor *tensor,
                              const Source *storage, Target *target)
{
  uint8_t block[BLOCK_BYTES];
  const size_t item_bytes = weight_type_bytes(tensor->weight.type);
  const int64_t block_count = (int64_t)(BLOCK_BYTES / item_bytes);
  for (int64_t done = 0; done < tensor->weight.element_count; done += block_count) {
    const int64_t left = tensor->weight.element_count - done;
    const size_t count = (size_t)(left < block_count ? left : block_count);
    TRY(source_read(storage, (tensor->offset + done) * (int64_t)item_bytes, block,
                    count * item_bytes));
    convert(file, tensor->weight.type, block, count, target);
  }
  return STATUS_OK;
}

/* The next place in C order; false after the last. *at moves by strides. */
static bool advance(const StoredTensor *tensor, int64_t index[WEIGHT_RANK_MAX], int64_t *at)
{
  for (int32_t i = tensor->weight.rank - 1; i >= 0; --i) {
    *at += tensor->strides[i];
    if (++index[i] < tensor->weight.dims[i]) return true;
    *at -= tensor->strides[i] * tensor->weight.dims[i];
    index[i] = 0;
  }
  return false;
}

static void gather(const WeightFile *file, const StoredTensor *tensor, const uint8_t *span,
                   Target *target)
{
  uint8_t block[BLOCK_BYTES];
  const size_t item_bytes = weight_type_bytes(tensor->weight.type);
  int64_t index[WEIGHT_RANK_MAX] = {0};
  int64_t at = 0;
  size_t count = 0;
  for (bool more = true; more;) {
    memcpy(block + count * item_bytes, span + (size_t)at * item_bytes, item_bytes);
    ++count;
    more = advance(tensor, index, &at);
    if (more && (count + 1) * item_bytes <= BLOCK_BYTES) continue;
    convert(file, tensor->weight.type, block, count, target);
    count = 0;
  }
}

static Status read_strided(const WeightFile *file, const StoredTensor *tensor,
                           const Source *storage, Target *target)
{
  const size_t item_bytes = weight_type_bytes(tensor->weight.type);
  int64_t span_count = 1;
  for (int32_t i = 0; i < tensor->weight.rank; ++i)
    span_count += (tensor->weight.dims[i] - 1) * tensor->strides[i];
  void *span;
  TRY(memory_allocate((size_t)span_count, item_bytes, tensor->weight.name, &span));
  const Status status = source_read(storage, tensor->offset * (int64_t)item_bytes, span,
                                    (size_t)span_count * item_bytes);
  if (status == STATUS_OK) gather(file, tensor, span, target);
  memory_free(span);
  return status;
}

/* Once per member; two threads at the same time both compare, which does no harm. */
static Status check_member(const WeightFile *file, const ZipEntry *entry)
{
  atomic_uchar *checked = &file->checked[entry - zip_at(file->zip, 0)];
  if (atomic_load(checked) != 0) return STATUS_OK;
  TRY(zip_check(file->zip, entry));
  atomic_store(checked, 1);
  return STATUS_OK;
}

static Status open_storage(const WeightFile *file, const StoredTensor *tensor, Source **storage)
{
  if (tensor->entry == NULL)
    return source_open_part(file->source, tensor->at, tensor->storage_bytes, file->path, storage);
  TRY(check_member(file, tensor->entry));
  return zip_open_source(file->zip, tensor->entry, unpacked_bytes_max, storage);
}

static Status read_tensor(const WeightFile *file, size_t index, size_t capacity, Target *target)
{
  const StoredTensor *tensor = &file->tensors[index];
  if ((uint64_t)tensor->weight.element_count > capacity)
    return status_set(STATUS_BAD_SHAPE, "%s: “%s” has %lld elements, room is for %zu", file->path,
                      tensor->weight.name, (long long)tensor->weight.element_count, capacity);
  if (tensor->weight.element_count == 0) return STATUS_OK;
  Source *storage;
  TRY(open_storage(file, tensor, &storage));
  const Status status = is_contiguous(tensor) ? read_contiguous(file, tensor, storage, target)
                                              : read_strided(file, tensor, storage, target);
  source_close(storage);
  return status;
}

Status weights_read_f32(const WeightFile *file, size_t index, float *values, size_t capacity)
{
  Target target = {.reals = values};
  return read_tensor(file, index, capacity, &target);
}

Status weights_read_i64(const WeightFile *file, size_t index, int64_t *values, size_t capacity)
{
  Target target = {.integers = values};
  const Weight *weight = &file->tensors[index].weight;
  if (weight->type < WEIGHT_I64)
    return status_set(STATUS_MISMATCH, "%s: “%s” is %s, not integer", file->path, weight->name,
                      weight_type_name(weight->type));
  return read_tensor(file, index, capacity, &target);
}
