#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "safetensors_plan.h"
#include "store/document.h"
#include "weight_file.h"

enum { HEADER_ALIGNMENT_BYTES = 8 };

Status weight_given_bytes(const WeightGiven *weight, int64_t *bytes)
{
  if (weight->type != WEIGHT_F32 && weight->type != WEIGHT_I64)
    return status_set(STATUS_UNSUPPORTED, "“%s”: tensors are written as F32 or I64 only",
                      weight->name);
  if (weight->rank < 0 || weight->rank > WEIGHT_RANK_MAX)
    return status_set(STATUS_BAD_SHAPE, "“%s” has %d dimensions; 0 to %d can be written",
                      weight->name, weight->rank, WEIGHT_RANK_MAX);
  *bytes = (int64_t)weight_type_bytes(weight->type);
  for (int32_t i = 0; i < weight->rank; ++i)
    if (weight->dims[i] < 0 || __builtin_mul_overflow(*bytes, weight->dims[i], bytes))
      return status_set(STATUS_BAD_SHAPE, "“%s” has a size that no file holds", weight->name);
  return STATUS_OK;
}

/* As safetensors' own writer: wider types first, so that all stay aligned; then by name. */
static int by_width_and_name(const void *left, const void *right)
{
  const WeightGiven *a = *(const WeightGiven *const *)left;
  const WeightGiven *b = *(const WeightGiven *const *)right;
  const size_t width_a = weight_type_bytes(a->type);
  const size_t width_b = weight_type_bytes(b->type);
  if (width_a != width_b) return width_a > width_b ? -1 : 1;
  return strcmp(a->name, b->name);
}

static Status describe(const WeightGiven *weight, Document *header, int64_t *end)
{
  Document *row;
  int64_t bytes;
  TRY(weight_given_bytes(weight, &bytes));
  if (document_child(header, weight->name) != NULL || strcmp(weight->name, "__metadata__") == 0)
    return status_set(STATUS_BAD_INPUT, "two tensors are named “%.200s”", weight->name);
  TRY(document_set_object(header, weight->name, &row));
  TRY(document_set_text(row, "dtype", weight_type_name(weight->type)));
  TRY(document_set_ints(row, "shape", weight->dims, (size_t)weight->rank));
  const int64_t offsets[2] = {*end, *end + bytes};
  *end = offsets[1];
  return document_set_ints(row, "data_offsets", offsets, 2);
}

static Status describe_all(const SafetensorsPlan *plan, const WeightNote *notes, size_t note_count,
                           Document *header, int64_t *data_bytes)
{
  Document *metadata;
  if (note_count > 0) TRY(document_set_object(header, "__metadata__", &metadata));
  for (size_t i = 0; i < note_count; ++i)
    TRY(document_set_text(metadata, notes[i].key, notes[i].text));
  for (size_t i = 0; i < plan->count; ++i)
    TRY(describe(plan->order[i], header, data_bytes));
  return STATUS_OK;
}

static Status format_header(SafetensorsPlan *plan, const Document *header)
{
  char *text;
  TRY(document_format(header, DOCUMENT_ONE_LINE, &text));
  const size_t length = strlen(text);
  const size_t padded =
      (length + HEADER_ALIGNMENT_BYTES - 1) / HEADER_ALIGNMENT_BYTES * HEADER_ALIGNMENT_BYTES;
  void *memory;
  const Status status = memory_allocate(padded, 1, "safetensors header", &memory);
  if (status == STATUS_OK) {
    plan->header = memory;
    plan->header_bytes = padded;
    memset(plan->header, ' ', padded);
    memcpy(plan->header, text, length);
  }
  memory_free(text);
  return status;
}

static Status plan_header(SafetensorsPlan *plan, const WeightNote *notes, size_t note_count)
{
  int64_t data_bytes = 0;
  Document *header;
  TRY(document_new_object(&header));
  Status status = describe_all(plan, notes, note_count, header, &data_bytes);
  if (status == STATUS_OK) status = format_header(plan, header);
  document_close(header);
  plan->total_bytes = 8 + (int64_t)plan->header_bytes + data_bytes;
  return status;
}

static Status make_plan(SafetensorsPlan *plan, const WeightGiven *weights, size_t weight_count,
                        const WeightNote *notes, size_t note_count)
{
  void *memory;
  TRY(memory_allocate(weight_count, sizeof *plan->order, "order of tensors", &memory));
  plan->order = memory;
  plan->count = weight_count;
  for (size_t i = 0; i < weight_count; ++i)
    plan->order[i] = &weights[i];
  if (weight_count > 0) qsort(plan->order, plan->count, sizeof *plan->order, by_width_and_name);
  return plan_header(plan, notes, note_count);
}

Status safetensors_plan(const WeightGiven *weights, size_t weight_count, const WeightNote *notes,
                        size_t note_count, SafetensorsPlan *plan)
{
  *plan = (SafetensorsPlan){.header = NULL};
  const Status status = make_plan(plan, weights, weight_count, notes, note_count);
  if (status != STATUS_OK) safetensors_plan_close(plan);
  return status;
}

void safetensors_plan_close(SafetensorsPlan *plan)
{
  memory_free(plan->header);
  memory_free(plan->order);
  *plan = (SafetensorsPlan){.header = NULL};
}

Status safetensors_emit(const void *context, WriteSink *sink, void *sink_context)
{
  const SafetensorsPlan *plan = context;
  uint8_t length[8];
  for (size_t i = 0; i < 8; ++i)
    length[i] = (uint8_t)((uint64_t)plan->header_bytes >> (8 * i));
  TRY(sink(sink_context, length, sizeof length));
  TRY(sink(sink_context, plan->header, plan->header_bytes));
  for (size_t i = 0; i < plan->count; ++i) {
    int64_t bytes;
    TRY(weight_given_bytes(plan->order[i], &bytes));
    TRY(sink(sink_context, plan->order[i]->values, (size_t)bytes));
  }
  return STATUS_OK;
}

Status safetensors_write(const char *path, const WeightGiven *weights, size_t weight_count,
                         const WeightNote *notes, size_t note_count)
{
  SafetensorsPlan plan;
  TRY(status_prefix(safetensors_plan(weights, weight_count, notes, note_count, &plan), "%s", path));
  const Status status = sink_write_file(path, safetensors_emit, &plan);
  safetensors_plan_close(&plan);
  return status;
}
