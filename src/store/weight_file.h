#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "source.h"
#include "store/document.h"
#include "store/package.h"
#include "store/weights.h"
#include "zip_reader.h"

/* The common form that all readers fill. */
typedef struct StoredTensor {
  Weight weight;
  const ZipEntry *entry; /* where the storage is a member of a zip; else NULL and … */
  int64_t at;            /* … the byte where it begins */
  int64_t storage_bytes;
  int64_t offset; /* of the first element, in elements */
  int64_t strides[WEIGHT_RANK_MAX];
} StoredTensor;

struct WeightFile {
  char *path;
  const char *format;
  Source *owned_source;
  const Source *source;
  Package *package; /* owned, where the file was opened through one */
  Zip *zip;
  Arena *arena;
  StoredTensor *tensors;
  size_t count;
  const StoredTensor **sorted; /* by name */
  Document *notes;             /* __metadata__, or NULL */
  atomic_uchar *checked;       /* per member of the zip: its checksum was compared */
  bool big_endian;
};

/* Takes the source, also where it fails. Package, if any, is closed with the file. */
Status weights_open_source(Source *source, Package *package, WeightFile **file);

/* Fill tensors and count; names as in the file. */
Status safetensors_read(WeightFile *file);
Status pth_read_zip(WeightFile *file);
Status pth_read_legacy(WeightFile *file);

/* Row-major strides. */
void weight_contiguous_strides(const Weight *weight, int64_t strides[WEIGHT_RANK_MAX]);
/* The product of the dims; false if it overflows. */
bool weight_count_elements(Weight *weight);

/* count items of the type, little-endian and unaligned, as numbers. */
void weight_to_f32(WeightType type, const uint8_t *bytes, size_t count, float *values);
/* Integers and flags only. */
void weight_to_i64(WeightType type, const uint8_t *bytes, size_t count, int64_t *values);
