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

VECTORIZED static void relu(const float *restrict x, float *restrict y, int64_t count)
{
  for (int64_t i = 0; i < count; ++i)
    y[i] = relu_element(x[i]);
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
    float buffer[SPAN_MOST], result[SPAN_MOST];
    const int64_t count = span_length(elements, s);
    relu(span_load(shape.element, x, s * SPAN_MOST, count, buffer), result, count);
    span_store(shape.element, y, s * SPAN_MOST, count, result);
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
