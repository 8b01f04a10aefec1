#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/output.h"
#include "safetensors_plan.h"
#include "zip_writer.h"

/* A zip .pth with the smallest pickle that torch.load takes, weights_only too: protocol 2, no memo.
 */
typedef struct Pickler {
  uint8_t *bytes;
  size_t count;
  size_t capacity;
} Pickler;

static Status put(Pickler *pickler, const void *bytes, size_t byte_count)
{
  if (pickler->capacity - pickler->count < byte_count) {
    const size_t capacity = 2 * pickler->capacity + byte_count + 1024;
    void *memory;
    TRY(memory_allocate(capacity, 1, "pickle", &memory));
    if (pickler->count > 0) memcpy(memory, pickler->bytes, pickler->count);
    memory_free(pickler->bytes);
    pickler->bytes = memory;
    pickler->capacity = capacity;
  }
  memcpy(pickler->bytes + pickler->count, bytes, byte_count);
  pickler->count += byte_count;
  return STATUS_OK;
}

static Status put_code(Pickler *pickler, const char *code)
{
  return put(pickler, code, strlen(code));
}

static Status put_text(Pickler *pickler, const char *text)
{
  const uint64_t length = strlen(text);
  uint8_t head[5] = {'X'};
  if (length > UINT32_MAX) return status_set(STATUS_BAD_INPUT, "the name %.80s… is too long", text);
  for (int i = 0; i < 4; ++i)
    head[1 + i] = (uint8_t)(length >> (8 * i));
  TRY(put(pickler, head, sizeof head));
  return put(pickler, text, (size_t)length);
}

/* LONG1 with eight bytes: one form for all sizes. */
static Status put_int(Pickler *pickler, int64_t value)
{
  uint8_t bytes[10] = {0x8A, 8};
  for (int i = 0; i < 8; ++i)
    bytes[2 + i] = (uint8_t)((uint64_t)value >> (8 * i));
  return put(pickler, bytes, sizeof bytes);
}

static Status put_extents(Pickler *pickler, const int64_t *extents, int32_t rank)
{
  TRY(put_code(pickler, "("));
  for (int32_t i = 0; i < rank; ++i)
    TRY(put_int(pickler, extents[i]));
  return put_code(pickler, "t");
}

static Status put_tensor(Pickler *pickler, const WeightGiven *weight, size_t index)
{
  char key[24];
  int64_t strides[WEIGHT_RANK_MAX];
  int64_t count = 1;
  for (int32_t i = weight->rank - 1; i >= 0; --i) {
    strides[i] = count;
    count *= weight->dims[i];
  }
  (void)snprintf(key, sizeof key, "%zu", index);
  TRY(put_text(pickler, weight->name));
  TRY(put_code(pickler, "ctorch._utils\n_rebuild_tensor_v2\n(("));
  TRY(put_text(pickler, "storage"));
  TRY(put_code(pickler,
               weight->type == WEIGHT_F32 ? "ctorch\nFloatStorage\n" : "ctorch\nLongStorage\n"));
  TRY(put_text(pickler, key));
  TRY(put_text(pickler, "cpu"));
  TRY(put_int(pickler, count));
  TRY(put_code(pickler, "tQK"));
  TRY(put(pickler, "\0", 1)); /* offset */
  TRY(put_extents(pickler, weight->dims, weight->rank));
  TRY(put_extents(pickler, strides, weight->rank));
  return put_code(pickler, "\x89"
                           "ccollections\nOrderedDict\n)RtR");
}

static Status put_state_dict(Pickler *pickler, const WeightGiven *weights, size_t count)
{
  TRY(put_code(pickler, "\x80\x02"
                        "ccollections\nOrderedDict\n)R("));
  for (size_t i = 0; i < count; ++i)
    TRY(put_tensor(pickler, &weights[i], i));
  return put_code(pickler, "u.");
}

static Status add_storages(ZipWriter *writer, const WeightGiven *weights, size_t count)
{
  for (size_t i = 0; i < count; ++i) {
    char name[40];
    int64_t bytes;
    TRY(weight_given_bytes(&weights[i], &bytes));
    (void)snprintf(name, sizeof name, "archive/data/%zu", i);
    TRY(zip_writer_member(writer, name, weights[i].values, (size_t)bytes));
  }
  return STATUS_OK;
}

static Status emit(ZipWriter *writer, const Pickler *pickler, const WeightGiven *weights,
                   size_t count)
{
  TRY(zip_writer_member(writer, "archive/data.pkl", pickler->bytes, pickler->count));
  TRY(zip_writer_member(writer, "archive/byteorder", "little", 6));
  TRY(add_storages(writer, weights, count));
  TRY(zip_writer_member(writer, "archive/version", "3\n", 2));
  return zip_writer_finish(writer);
}

static Status write_zip(const char *aside, const Pickler *pickler, const WeightGiven *weights,
                        size_t count)
{
  ZipWriter *writer;
  TRY(zip_writer_open(aside, &writer));
  const Status status = emit(writer, pickler, weights, count);
  zip_writer_close(writer);
  return status;
}

static Status write_pickled(const char *path, Pickler *pickler, const WeightGiven *weights,
                            size_t count)
{
  char aside[OUTPUT_PATH_BYTES];
  SafetensorsPlan plan; /* for its checks of names and sizes */
  TRY(safetensors_plan(weights, count, NULL, 0, &plan));
  safetensors_plan_close(&plan);
  TRY(put_state_dict(pickler, weights, count));
  TRY(output_aside(path, aside));
  Status status = write_zip(aside, pickler, weights, count);
  if (status == STATUS_OK) status = output_commit(path);
  if (status != STATUS_OK) output_discard(path);
  return status;
}

Status pth_write(const char *path, const WeightGiven *weights, size_t weight_count)
{
  Pickler pickler = {0};
  const Status status = write_pickled(path, &pickler, weights, weight_count);
  memory_free(pickler.bytes);
  return status_prefix(status, "%s", path);
}
