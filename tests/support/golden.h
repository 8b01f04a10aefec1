#pragma once

#include <stdint.h>

/* Reads golden files, tests/golden/…: text with "#" comments and tensors, each a line
 * "name rank dims…" and its values. A file or tensor that is missing or short fails the test. */
enum { GOLDEN_RANK_MOST = 4 };

typedef struct GoldenTensor {
  char name[96];
  int rank;
  int64_t dims[GOLDEN_RANK_MOST];
  int64_t count;
  double *values;
} GoldenTensor;

typedef struct Golden Golden;

/* file: its name in tests/golden (GOLDEN_FOLDER, which the build sets). */
Golden *golden_open(const char *file);
void golden_close(Golden *golden);

/* By name, as printf makes it; lives as long as the file is open. */
const GoldenTensor *golden_find(const Golden *golden, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The only value, or the i-th. */
double golden_value(const GoldenTensor *tensor, int64_t i);
/* All tensors in the file's order; NULL behind the last. */
const GoldenTensor *golden_at(const Golden *golden, int64_t index);
