#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sink.h"
#include "store/weights.h"

/* A safetensors file about to be written: its header, and its tensors in order. */
typedef struct SafetensorsPlan {
  char *header;
  size_t header_bytes; /* padded with blanks to a multiple of 8 */
  const WeightGiven **order;
  size_t count;
  int64_t total_bytes; /* of the file */
} SafetensorsPlan;

/* The tensors are borrowed. */
Status safetensors_plan(const WeightGiven *weights, size_t weight_count, const WeightNote *notes,
                        size_t note_count, SafetensorsPlan *plan);
void safetensors_plan_close(SafetensorsPlan *plan);
Status safetensors_emit(const void *plan, WriteSink *sink, void *sink_context); /* fits SinkFill */

/* Type, rank and sizes of a tensor to be written, and its bytes. */
Status weight_given_bytes(const WeightGiven *weight, int64_t *bytes);
