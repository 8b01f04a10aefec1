#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Named tensors of a trained network, whatever file they come from: safetensors; PyTorch's .pth,
 * zip or older; a model package (.dlpk, .emd, folder), whose definition names one of these. Nothing
 * in a file is ever executed: of a .pth only tensors are built (see src/store/pickle.h). */
typedef struct WeightFile WeightFile;

typedef enum WeightType {
  WEIGHT_F32,
  WEIGHT_F64,
  WEIGHT_F16,
  WEIGHT_BF16,
  WEIGHT_I64,
  WEIGHT_I32,
  WEIGHT_I16,
  WEIGHT_I8,
  WEIGHT_U8,
  WEIGHT_BOOL,
  WEIGHT_TYPE_COUNT
} WeightType;

enum { WEIGHT_RANK_MAX = 8 };

typedef struct Weight {
  const char *name; /* as in the state_dict, without a "module." that all names share */
  WeightType type;  /* as stored */
  int32_t rank;     /* 0: a scalar */
  int64_t dims[WEIGHT_RANK_MAX];
  int64_t element_count;
} Weight;

/* Decides by content, not by name. A checkpoint that holds its state_dict under model, state_dict,
 * net, model_state_dict, param, params or weights is entered. Reads names and shapes only. Errors:
 * STATUS_IO; STATUS_BAD_INPUT for a damaged file; STATUS_UNSUPPORTED for what is whole but holds no
 * state_dict (a pickled module, TorchScript, a tar file) or types not listed above. */
Status weights_open(const char *path, WeightFile **file);
/* The bytes are borrowed until weights_close; name is what sentences call them. Not for packages.
 */
Status weights_open_memory(const void *bytes, size_t byte_count, const char *name,
                           WeightFile **file);
void weights_close(WeightFile *file); /* accepts NULL */

const char *weights_path(const WeightFile *file);
const char *
weights_format(const WeightFile *file); /* "safetensors", "torch zip" or "torch legacy" */
size_t weights_count(const WeightFile *file);
const Weight *weights_at(const WeightFile *file,
                         size_t index); /* in the file's order; index < count */
bool weights_find(const WeightFile *file, const char *name, size_t *index);
/* A text of safetensors' __metadata__, or NULL. */
const char *weights_note(const WeightFile *file, const char *key);

/* All elements in C order, converted (F64 rounds to nearest; integers above 2^24 round). Views and
 * strides are gathered. capacity: of values, in elements; too small is STATUS_BAD_SHAPE. May be
 * called from several threads at once. */
Status weights_read_f32(const WeightFile *file, size_t index, float *values, size_t capacity);
/* Integers and flags only, else STATUS_MISMATCH. */
Status weights_read_i64(const WeightFile *file, size_t index, int64_t *values, size_t capacity);

size_t weight_type_bytes(WeightType type);
const char *weight_type_name(WeightType type); /* safetensors' word: "F32" */

/* A tensor to be written; all borrowed. */
typedef struct WeightGiven {
  const char *name;
  WeightType type; /* WEIGHT_F32 or WEIGHT_I64 */
  int32_t rank;
  int64_t dims[WEIGHT_RANK_MAX];
  const void *values; /* C order, of the type */
} WeightGiven;

typedef struct WeightNote {
  const char *key;
  const char *text;
} WeightNote;

/* Both are written aside and renamed; the same input gives the same bytes. Names must differ and be
 * UTF-8. safetensors sorts tensors by type and name as its own writer does. */
Status safetensors_write(const char *path, const WeightGiven *weights, size_t weight_count,
                         const WeightNote *notes, size_t note_count);
/* A zip .pth that torch.load reads, with weights_only too; order kept. */
Status pth_write(const char *path, const WeightGiven *weights, size_t weight_count);
