#include "cpu_backend.h"
#include "op/relu_element.h"
#include "span.h"

/* Elements in spans, shared out among the threads. */
static int64_t span_count(int64_t elements)
{
  return (elements + SPAN_MOST - 1) / SPAN_MOST;
}

static int64_t span_length(int64_t elements, int64_t span)
{
  const int64_t left = elements - span * SPAN_MOST;
  return left < SPAN_MOST ? left : SPAN_MOST;
}

/* y may be x. */
VECTORIZED static void relu_f32(const float *x, float *y, int64_t count)
{
  for (int64_t i = 0; i < count; ++i)
    y[i] = relu_element(x[i]);
}

/* On the bits: what lies between -0 and the NaNs with a sign is negative. */
VECTORIZED static void relu_bf16(const uint16_t *x, uint16_t *y, int64_t count)
{
  enum { MINUS_ZERO = 0x8000, MINUS_INFINITY = 0xff80 };
  for (int64_t i = 0; i < count; ++i)
    y[i] = x[i] > MINUS_ZERO && x[i] <= MINUS_INFINITY ? 0 : x[i];
}

VECTORIZED static void relu_gradient(const float *restrict y, const float *restrict dy,
                                     float *restrict dx, int64_t count)
{
  for (int64_t i = 0; i < count; ++i)
    dx[i] = relu_gradient_element(y[i], dy[i]);
}

VECTORIZED static void sum(const float *restrict a, const float *restrict b, float *restrict y,
                           int64_t count)
{
  for (int64_t i = 0; i < count; ++i)
    y[i] = a[i] + b[i];
}

void relu_forward_cpu(Device *device, Shape shape, const void *x, void *y)
{
  const int64_t elements = shape_elements(shape);
#pragma omp parallel for
  for (int64_t s = 0; s < span_count(elements); ++s) {
    const int64_t first = s * SPAN_MOST, count = span_length(elements, s);
    if (shape.element == ELEMENT_F32)
      relu_f32((const float *)x + first, (float *)y + first, count);
    else
      relu_bf16((const uint16_t *)x + first, (uint16_t *)y + first, count);
  }
}

void relu_backward_cpu(Device *device, Shape shape, const void *y, const void *dy, void *dx,
                       Write write)
{
  const int64_t elements = shape_elements(shape);
#pragma omp parallel for
  for (int64_t s = 0; s < span_count(elements); ++s) {
    float output[SPAN_MOST], gradient[SPAN_MOST], result[SPAN_MOST];
    const int64_t count = span_length(elements, s);
    relu_gradient(span_load(shape.element, y, s * SPAN_MOST, count, output),
                  span_load(shape.element, dy, s * SPAN_MOST, count, gradient), result, count);
    span_write(shape.element, dx, s * SPAN_MOST, count, result, write == WRITE_ADD);
  }
}

void add_forward_cpu(Device *device, Shape shape, const void *a, const void *b, void *y)
{
  const int64_t elements = shape_elements(shape);
#pragma omp parallel for
  for (int64_t s = 0; s < span_count(elements); ++s) {
    float left[SPAN_MOST], right[SPAN_MOST], result[SPAN_MOST];
    const int64_t count = span_length(elements, s);
    sum(span_load(shape.element, a, s * SPAN_MOST, count, left),
        span_load(shape.element, b, s * SPAN_MOST, count, right), result, count);
    span_store(shape.element, y, s * SPAN_MOST, count, result);
  }
}

void accumulate_cpu(Device *device, Shape shape, const void *dy, void *dx, Write write)
{
  if (write == WRITE_ADD)
    add_forward_cpu(device, shape, dx, dy, dx);
  else
    device_copy(device, dx, dy, shape_bytes(shape));
}

void convert_cpu(Device *device, int64_t count, Element x_element, const void *x, Element y_element,
                 void *y)
{
#pragma omp parallel for
  for (int64_t s = 0; s < span_count(count); ++s) {
    float buffer[SPAN_MOST];
    const int64_t length = span_length(count, s);
    span_store(y_element, y, s * SPAN_MOST, length,
               span_load(x_element, x, s * SPAN_MOST, length, buffer));
  }
}
