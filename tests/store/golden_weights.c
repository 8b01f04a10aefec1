#include "golden_weights.h"

#include <stdio.h>

#include "support/check.h"

int golden_number(size_t index, size_t j)
{
  return (int)((7 * j + 3 * index) % 32) - 16;
}

const char *golden_path(const char *name)
{
  static char path[1024];
  (void)snprintf(path, sizeof path, "%s/%s", GOLDEN_WEIGHTS, name);
  return path;
}

uint8_t *golden_bytes(const char *name, size_t *byte_count)
{
  FILE *file = fopen(golden_path(name), "rb");
  assert_non_null(file);
  assert_int_equal(fseek(file, 0, SEEK_END), 0);
  *byte_count = (size_t)ftell(file);
  rewind(file);
  uint8_t *bytes = malloc(*byte_count);
  assert_non_null(bytes);
  assert_int_equal(fread(bytes, 1, *byte_count, file), *byte_count);
  (void)fclose(file);
  return bytes;
}

WeightFile *golden_open(const char *name)
{
  WeightFile *file;
  CHECK_OK(weights_open(golden_path(name), &file));
  return file;
}

static float expected(WeightType type, size_t index, size_t j)
{
  const int number = golden_number(index, j);
  switch (type) {
  case WEIGHT_BOOL: return number > 0 ? 1 : 0;
  case WEIGHT_U8: return (float)(number + 16);
  case WEIGHT_I64:
  case WEIGHT_I32:
  case WEIGHT_I16:
  case WEIGHT_I8: return (float)number;
  default: return (float)number / 4;
  }
}

void golden_check(const WeightFile *file, const char *name, WeightType type, int32_t rank,
                  const int64_t *dims, size_t index)
{
  size_t place;
  float reals[64];
  int64_t integers[64];
  if (!weights_find(file, name, &place)) fail_msg("%s is missing", name);
  const Weight *weight = weights_at(file, place);
  assert_string_equal(weight->name, name);
  assert_int_equal(weight->type, type);
  assert_int_equal(weight->rank, rank);
  for (int32_t i = 0; i < rank; ++i)
    assert_int_equal(weight->dims[i], dims[i]);
  const size_t count = (size_t)weight->element_count;
  CHECK_OK(weights_read_f32(file, place, reals, 64));
  for (size_t j = 0; j < count; ++j)
    assert_true(reals[j] == expected(type, index, j));
  if (type < WEIGHT_I64) {
    CHECK_FAILS(STATUS_MISMATCH, "not integer", weights_read_i64(file, place, integers, 64));
    return;
  }
  CHECK_OK(weights_read_i64(file, place, integers, 64));
  for (size_t j = 0; j < count; ++j)
    assert_true((float)integers[j] == reals[j]);
}

Status golden_read_all(const uint8_t *bytes, size_t byte_count)
{
  enum { COUNT_MAX = 1 << 16 };
  static float values[COUNT_MAX];
  WeightFile *file;
  const Status status = weights_open_memory(bytes, byte_count, "bytes", &file);
  if (status != STATUS_OK) {
    assert_null(file);
    assert_true(strlen(status_message()) > 0);
    return status;
  }
  for (size_t i = 0; i < weights_count(file); ++i)
    (void)weights_read_f32(file, i, values, COUNT_MAX);
  weights_close(file);
  return STATUS_OK;
}
