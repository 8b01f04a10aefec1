#pragma once

#include "store/weights.h"

/* Opens the bytes as weights and reads every tensor that is not huge, both ways. */
static inline void read_weights(const uint8_t *bytes, size_t byte_count)
{
  enum { COUNT_MAX = 1 << 16 };
  static float reals[COUNT_MAX];
  static int64_t integers[COUNT_MAX];
  WeightFile *file;
  if (weights_open_memory(bytes, byte_count, "input", &file) != STATUS_OK) return;
  for (size_t i = 0; i < weights_count(file); ++i) {
    size_t found;
    if (!weights_find(file, weights_at(file, i)->name, &found) || found != i) __builtin_trap();
    (void)weights_read_f32(file, i, reals, COUNT_MAX);
    (void)weights_read_i64(file, i, integers, COUNT_MAX);
  }
  weights_close(file);
}
