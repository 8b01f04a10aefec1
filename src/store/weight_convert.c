#include <string.h>

#include "base/require.h"
#include "weight_file.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are stored little-endian");

static const struct {
  const char *name;
  size_t bytes;
} types[WEIGHT_TYPE_COUNT] = {
    [WEIGHT_F32] = {"F32", 4},   [WEIGHT_F64] = {"F64", 8}, [WEIGHT_F16] = {"F16", 2},
    [WEIGHT_BF16] = {"BF16", 2}, [WEIGHT_I64] = {"I64", 8}, [WEIGHT_I32] = {"I32", 4},
    [WEIGHT_I16] = {"I16", 2},   [WEIGHT_I8] = {"I8", 1},   [WEIGHT_U8] = {"U8", 1},
    [WEIGHT_BOOL] = {"BOOL", 1},
};

size_t weight_type_bytes(WeightType type)
{
  return types[type].bytes;
}

const char *weight_type_name(WeightType type)
{
  return types[type].name;
}

static float float_of_bits(uint32_t bits)
{
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits. */
static float half_to_f32(uint16_t half)
{
  const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
  const uint32_t exponent = (half >> 10) & 0x1F;
  const uint32_t fraction = half & 0x3FF;
  if (exponent == 0x1F) return float_of_bits(sign | 0x7F800000 | fraction << 13);
  if (exponent != 0) return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
  const float tiny = (float)fraction * 0x1p-24F; /* subnormal or zero; exact */
  return sign == 0 ? tiny : -tiny;
}

static int64_t integer_at(WeightType type, const uint8_t *bytes)
{
  switch (type) {
  case WEIGHT_I64: return (int64_t)le64(bytes);
  case WEIGHT_I32: return (int32_t)le32(bytes);
  case WEIGHT_I16: return (int16_t)le16(bytes);
  case WEIGHT_I8: return (int8_t)bytes[0];
  case WEIGHT_BOOL: return bytes[0] != 0;
  default: return bytes[0];
  }
}

static float real_at(WeightType type, const uint8_t *bytes)
{
  double wide;
  switch (type) {
  case WEIGHT_F64: memcpy(&wide, bytes, sizeof wide); return (float)wide;
  case WEIGHT_F16: return half_to_f32(le16(bytes));
  case WEIGHT_BF16: return float_of_bits((uint32_t)le16(bytes) << 16);
  default: return (float)integer_at(type, bytes);
  }
}

void weight_to_f32(WeightType type, const uint8_t *bytes, size_t count, float *values)
{
  if (type == WEIGHT_F32) {
    if (count > 0) memcpy(values, bytes, count * sizeof *values);
    return;
  }
  const size_t step = types[type].bytes;
  for (size_t i = 0; i < count; ++i)
    values[i] = real_at(type, bytes + i * step);
}

void weight_to_i64(WeightType type, const uint8_t *bytes, size_t count, int64_t *values)
{
  require(type >= WEIGHT_I64);
  const size_t step = types[type].bytes;
  for (size_t i = 0; i < count; ++i)
    values[i] = integer_at(type, bytes + i * step);
}
