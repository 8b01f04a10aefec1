#include "span.h"

#include <string.h>

#include "bf16_cpu.h"

enum { LINE = 32 }; /* bfloat16s that a line of the caches holds */

/* Spans are taken one after the other: the processor, which does not look ahead beyond a page of
 * memory, is told to fetch the next one. */
VECTORIZED static void load_bf16(const uint16_t *restrict from, int64_t count, float *restrict to)
{
  int64_t i = 0;
  for (; i + LINE <= count; i += LINE) {
    __builtin_prefetch(from + i + SPAN_MOST);
    for (int64_t j = i; j < i + LINE; ++j)
      to[j] = bf16_to_f32(from[j]);
  }
  for (; i < count; ++i)
    to[i] = bf16_to_f32(from[i]);
}

VECTORIZED static void store_bf16(uint16_t *restrict to, int64_t count, const float *restrict from)
{
  for (int64_t i = 0; i < count; ++i)
    to[i] = bf16_from_f32(from[i]);
}

BF16_TARGET static void store_bf16_hardware(uint16_t *restrict to, int64_t count,
                                            const float *restrict from)
{
  int64_t i = 0;
  for (; i + BF16_LANES <= count; i += BF16_LANES)
    bf16_round_lanes(to + i, from + i);
  for (; i < count; ++i)
    to[i] = bf16_from_f32(from[i]);
}

VECTORIZED static void load_u8(const uint8_t *restrict from, int64_t count, float *restrict to)
{
  for (int64_t i = 0; i < count; ++i)
    to[i] = (float)from[i];
}

VECTORIZED static void load_u16(const uint16_t *restrict from, int64_t count, float *restrict to)
{
  for (int64_t i = 0; i < count; ++i)
    to[i] = (float)from[i];
}

VECTORIZED static void load_i16(const int16_t *restrict from, int64_t count, float *restrict to)
{
  for (int64_t i = 0; i < count; ++i)
    to[i] = (float)from[i];
}

VECTORIZED static void add_to(float *restrict values, const float *restrict more, int64_t count)
{
  for (int64_t i = 0; i < count; ++i)
    values[i] += more[i];
}

const float *span_load(Element element, const void *elements, int64_t first, int64_t count,
                       float *buffer)
{
  switch (element) {
  case ELEMENT_BF16: load_bf16((const uint16_t *)elements + first, count, buffer); break;
  case ELEMENT_U8: load_u8((const uint8_t *)elements + first, count, buffer); break;
  case ELEMENT_U16: load_u16((const uint16_t *)elements + first, count, buffer); break;
  case ELEMENT_I16: load_i16((const int16_t *)elements + first, count, buffer); break;
  case ELEMENT_F32:
  case ELEMENT_F16: /* not on the CPU */
  case ELEMENT_I32: return (const float *)elements + first;
  }
  return buffer;
}

void span_store(Element element, void *elements, int64_t first, int64_t count, const float *values)
{
  if (element == ELEMENT_BF16 && bf16_hardware())
    store_bf16_hardware((uint16_t *)elements + first, count, values);
  else if (element == ELEMENT_BF16)
    store_bf16((uint16_t *)elements + first, count, values);
  else if ((float *)elements + first != values)
    memcpy((float *)elements + first, values, (size_t)count * sizeof *values);
}

void span_write(Element element, void *elements, int64_t first, int64_t count, float *values,
                bool add)
{
  float there[SPAN_MOST];
  if (add) add_to(values, span_load(element, elements, first, count, there), count);
  span_store(element, elements, first, count, values);
}
