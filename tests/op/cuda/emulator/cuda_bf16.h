#pragma once

#include "tensor/bf16.h"

typedef struct __nv_bfloat16 {
  uint16_t bits;
} __nv_bfloat16;

inline float __bfloat162float(__nv_bfloat16 x)
{
  return bf16_to_f32(x.bits);
}

inline __nv_bfloat16 __float2bfloat16_rn(float x)
{
  return {bf16_from_f32(x)};
}
