#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "tensor/bf16.h"

/* Rounding to bfloat16 by the processor's own instruction instead of some ten integer operations. The same results, but that float32's denormals (below 1.2e-38) become 0.
 *
 * Functions that call bf16_round_lanes are marked BF16_TARGET and called only where bf16_hardware()
 * says so. */
#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define BF16_TARGET __attribute__((target("arch=x86-64-v4,avx512bf16")))
enum { BF16_LANES = 16 };

static inline bool bf16_hardware(void)
{
  return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bw");
}

BF16_TARGET static inline void bf16_round_lanes(uint16_t *to, const float *from)
{
  const __m256bh rounded = _mm512_cvtneps_pbh(_mm512_loadu_ps(from));
  memcpy(to, &rounded, sizeof rounded);
}
#else
#define BF16_TARGET
enum { BF16_LANES = 16 };

static inline bool bf16_hardware(void)
{
  return false;
}

static inline void bf16_round_lanes(uint16_t *to, const float *from)
{
  for (int i = 0; i < BF16_LANES; ++i)
    to[i] = bf16_from_f32(from[i]);
}
#endif
