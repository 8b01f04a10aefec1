#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "store/weights.h"

/* A reader of Python pickles that builds tensors and plain values only. It knows the opcodes that
 * PyTorch's files hold and the few globals in pickle_global.c; any other global becomes an opaque
 * value, and so does everything made of it. Nothing is imported or called. Values may refer to
 * themselves in a circle: who walks them must bound the depth. */
typedef enum PickleKind {
  PICKLE_NONE,
  PICKLE_FLAG,
  PICKLE_INT,
  PICKLE_LONG, /* beyond 64 bits; its bytes are kept */
  PICKLE_REAL,
  PICKLE_TEXT,
  PICKLE_BYTES,
  PICKLE_TUPLE,
  PICKLE_LIST,
  PICKLE_DICT,
  PICKLE_GLOBAL,
  PICKLE_STORAGE,
  PICKLE_TENSOR,
  PICKLE_OPAQUE
} PickleKind;

typedef struct PickleValue PickleValue;

typedef struct PickleStorage {
  const char *key; /* name of the bytes in the file */
  bool typed;      /* false: UntypedStorage, the tensor says what it holds */
  WeightType type;
  int64_t count;                        /* elements; bytes if untyped */
  int64_t view_offset;                  /* legacy: a view of the storage, in elements */
  int64_t view_count;                   /* -1: no view */
  const struct PickleStorage *previous; /* of the same pickle, in no order */
} PickleStorage;

typedef struct PickleTensor {
  const PickleStorage *storage;
  WeightType type;
  int64_t offset; /* of the first element, in elements of the storage, view included */
  int32_t rank;
  int64_t dims[WEIGHT_RANK_MAX];
  int64_t strides[WEIGHT_RANK_MAX];
  int64_t element_count;
} PickleTensor;

struct PickleValue {
  PickleKind kind;
  size_t count; /* TEXT, BYTES, LONG: bytes; TUPLE, LIST: items; DICT: keys and values, so twice its
                   pairs */
  size_t capacity; /* LIST, DICT */
  union {
    bool flag;
    int64_t integer;
    double real;
    const char *text;    /* TEXT, BYTES, LONG; ended by a 0 */
    PickleValue **items; /* TUPLE, LIST; DICT: key, value, key, value … */
    const char *name;    /* GLOBAL, OPAQUE: "module name" */
    PickleStorage *storage;
    PickleTensor *tensor;
  };
};

enum { PICKLE_BYTES_MAX = 32 << 20, PICKLE_VALUES_MAX = 2 << 20 };

/* Runs one pickle; *used_bytes is its length. *storages: the last storage it names, or NULL. Values
 * live in the arena. Errors: STATUS_BAD_INPUT (truncated, corrupt, a tensor that its storage does
 * not hold), STATUS_UNSUPPORTED (an opcode or a kind of tensor that is not read), each with name
 * and byte. */
Status pickle_run(const uint8_t *bytes, size_t byte_count, const char *name, Arena *arena,
                  PickleValue **value, const PickleStorage **storages, size_t *used_bytes);

/* The last value under a text key, or NULL. */
PickleValue *pickle_find(const PickleValue *dict, const char *key);
