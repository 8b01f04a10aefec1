#pragma once

#include <stddef.h>
#include <stdint.h>

#include "store/weights.h"

/* The files of tests/golden/weights, which make.py wrote, and its formula. */

/* Element j of tensor number i, times 4 where it holds fractions. */
int golden_number(size_t index, size_t j);

/* The path of a golden file; lives until the next call. */
const char *golden_path(const char *name);
/* All bytes of a file; freed by free. */
uint8_t *golden_bytes(const char *name, size_t *byte_count);

/* Opens a golden file and fails the test if that does not work. */
WeightFile *golden_open(const char *name);
/* The tensor of this name has these dims and the values of tensor number index. */
void golden_check(const WeightFile *file, const char *name, WeightType type, int32_t rank,
                  const int64_t *dims, size_t index);

/* Opens bytes as weights and reads all tensors that are not huge: whatever comes, it must come
 * back. Returns the status of the opening. */
Status golden_read_all(const uint8_t *bytes, size_t byte_count);
