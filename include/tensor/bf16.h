#pragma once

#include <stdint.h>
#include <string.h>

/* bfloat16: the upper half of a float32. Read by both compilers. Rounds to nearest, ties to even; a
 * NaN stays a NaN. */
#ifdef __CUDACC__
#define SHARED_INLINE static __host__ __device__ inline
#else
#define SHARED_INLINE static inline
#endif

SHARED_INLINE float bf16_to_f32(uint16_t bits)
{
  const uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}

SHARED_INLINE uint16_t bf16_from_f32(float value)
{
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  const uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
  const uint32_t quiet_nan = (bits >> 16) | 0x40U;
  return (uint16_t)((bits & 0x7FFFFFFFU) > 0x7F800000U ? quiet_nan : rounded);
}
