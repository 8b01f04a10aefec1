#include "launch.cuh"

#include "relu_element.h"

/* Each thread takes eight neighbouring elements; the last thread of a tensor, whose count need not
 * be a multiple of eight, takes what is left one by one. */

template <typename T> __global__ void relu_forward_kernel(int64_t count, const T *x, T *y)
{
  const int64_t first = thread_index() * 8;
  if (first + 8 <= count) {
    Eight eight = load8(x + first);
#pragma unroll
    for (int k = 0; k < 8; ++k)
      eight.v[k] = relu_element(eight.v[k]);
    store8(y + first, eight);
  } else {
    for (int64_t i = first; i < count; ++i)
      narrow(y + i, relu_element(widen(x[i])));
  }
}

template <typename T>
__global__ void relu_backward_kernel(int64_t count, const T *y, const T *dy, T *dx, Write write)
{
  const int64_t first = thread_index() * 8;
  if (first + 8 <= count) {
    const Eight output = load8(y + first);
    Eight gradient = load8(dy + first);
#pragma unroll
    for (int k = 0; k < 8; ++k)
      gradient.v[k] = relu_gradient_element(output.v[k], gradient.v[k]);
    put8(dx + first, gradient, write);
  } else {
    for (int64_t i = first; i < count; ++i) {
      const float before = write == WRITE_ADD ? widen(dx[i]) : 0.0F;
      narrow(dx + i, before + relu_gradient_element(widen(y[i]), widen(dy[i])));
    }
  }
}

template <typename T> __global__ void add_kernel(int64_t count, const T *a, const T *b, T *y)
{
  const int64_t first = thread_index() * 8;
  if (first + 8 <= count) {
    const Eight other = load8(b + first);
    Eight sum = load8(a + first);
#pragma unroll
    for (int k = 0; k < 8; ++k)
      sum.v[k] += other.v[k];
    store8(y + first, sum);
  } else {
    for (int64_t i = first; i < count; ++i)
      narrow(y + i, widen(a[i]) + widen(b[i]));
  }
}

void relu_forward_cuda(Device *device, Shape shape, const void *x, void *y)
{
  const int64_t count = shape_elements(shape);
  BY_ELEMENT(shape.element, T,
             LAUNCH(device, relu_forward_kernel, blocks_for((count + 7) / 8), THREADS, count,
                    (const T *)x, (T *)y));
}

void relu_backward_cuda(Device *device, Shape shape, const void *y, const void *dy, void *dx,
                        Write write)
{
  const int64_t count = shape_elements(shape);
  BY_ELEMENT(shape.element, T,
             LAUNCH(device, relu_backward_kernel, blocks_for((count + 7) / 8), THREADS, count,
                    (const T *)y, (const T *)dy, (T *)dx, write));
}

void add_forward_cuda(Device *device, Shape shape, const void *a, const void *b, void *y)
{
  const int64_t count = shape_elements(shape);
  BY_ELEMENT(shape.element, T,
             LAUNCH(device, add_kernel, blocks_for((count + 7) / 8), THREADS, count, (const T *)a,
                    (const T *)b, (T *)y));
}

void accumulate_cuda(Device *device, Shape shape, const void *dy, void *dx, Write write)
{
  if (write == WRITE_ADD)
    add_forward_cuda(device, shape, dx, dy, dx);
  else
    device_copy(device, dx, dy, shape_bytes(shape));
}
