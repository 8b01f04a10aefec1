#pragma once

/* Run by the test of training in float16. */
typedef struct __half {
  _Float16 value;
} __half;

inline float __half2float(__half x)
{
  return (float)x.value;
}

inline __half __float2half_rn(float x)
{
  return {(_Float16)x};
}
