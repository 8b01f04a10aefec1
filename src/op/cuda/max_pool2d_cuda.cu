#include "launch.cuh"

#include "max_pool2d_element.h"

typedef struct Pool {
  MaxPool2d pool;
  Shape x;
  Shape y;
} Pool;

/* The eighth of a pixel that a thread works on. */
typedef struct Spot {
  int32_t image, row, column;
  int32_t channel; /* the first of eight */
} Spot;

__device__ inline Spot spot_of(Shape shape, int64_t index)
{
  const int32_t eighths = shape.channels / 8;
  const int64_t pixel = index / eighths;
  const int64_t row = pixel / shape.width;
  Spot spot;
  spot.channel = (int32_t)(index % eighths) * 8;
  spot.column = (int32_t)(pixel % shape.width);
  spot.row = (int32_t)(row % shape.height);
  spot.image = (int32_t)(row / shape.height);
  return spot;
}

__device__ inline int64_t element_at(Shape shape, int32_t image, int32_t row, int32_t column,
                                     int32_t channel)
{
  return (((int64_t)image * shape.height + row) * shape.width + column) * shape.channels + channel;
}

/* The plan has seen to it that every window holds a pixel that is no padding. */
template <typename T> __global__ void pool_kernel(Pool op, const T *x, T *y, uint8_t *winner)
{
  const int64_t index = thread_index();
  if (index >= (int64_t)op.y.images * op.y.height * op.y.width * (op.y.channels / 8)) return;
  const Spot spot = spot_of(op.y, index);
  Eight best;
  uint8_t place[8];
  bool empty = true;
  for (int32_t r = 0; r < op.pool.size; ++r)
    for (int32_t s = 0; s < op.pool.size; ++s) {
      const int32_t row = spot.row * op.pool.stride - op.pool.pad + r;
      const int32_t column = spot.column * op.pool.stride - op.pool.pad + s;
      if (row < 0 || row >= op.x.height || column < 0 || column >= op.x.width) continue;
      const Eight here = load8(x + element_at(op.x, spot.image, row, column, spot.channel));
#pragma unroll
      for (int k = 0; k < 8; ++k)
        if (empty || max_pool2d_beats(here.v[k], best.v[k])) {
          best.v[k] = here.v[k];
          place[k] = (uint8_t)(r * op.pool.size + s);
        }
      empty = false;
    }
  store8(y + index * 8, best);
  uint64_t places = 0; /* eight bytes at once, the first lowest */
#pragma unroll
  for (int k = 0; k < 8; ++k)
    places |= (uint64_t)place[k] << (8 * k);
  *reinterpret_cast<uint64_t *>(winner + index * 8) = places;
}

/* A pixel of x asks the windows that hold it whether it won: no two threads write the same place,
 * and the order of the sum is fixed. */
template <typename T>
__global__ void pool_backward_kernel(Pool op, T *dx, const T *dy, const uint8_t *winner,
                                     Write write)
{
  const int64_t index = thread_index();
  if (index >= (int64_t)op.x.images * op.x.height * op.x.width * (op.x.channels / 8)) return;
  const Spot spot = spot_of(op.x, index);
  const int32_t size = op.pool.size;
  const int32_t stride = op.pool.stride;
  const int32_t row = spot.row + op.pool.pad;
  const int32_t column = spot.column + op.pool.pad;
  const int32_t top = row < size ? 0 : (row - size) / stride + 1;
  const int32_t left = column < size ? 0 : (column - size) / stride + 1;
  const int32_t bottom = min(row / stride, op.y.height - 1);
  const int32_t right = min(column / stride, op.y.width - 1);
  Eight sum = {{0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F}};
  for (int32_t i = top; i <= bottom; ++i)
    for (int32_t j = left; j <= right; ++j) {
      const int64_t at = element_at(op.y, spot.image, i, j, spot.channel);
      const int32_t place = (row - i * stride) * size + column - j * stride;
      const Eight gradient = load8(dy + at);
      const uint64_t places = *reinterpret_cast<const uint64_t *>(winner + at);
#pragma unroll
      for (int k = 0; k < 8; ++k)
        if ((int32_t)(places >> (8 * k) & 0xFFU) == place) sum.v[k] += gradient.v[k];
    }
  put8(dx + index * 8, sum, write);
}

static Pool pool_of(MaxPool2d pool, Shape x, Shape y)
{
  Pool op;
  op.pool = pool;
  op.x = x;
  op.y = y;
  return op;
}

void max_pool2d_forward_cuda(Device *device, MaxPool2d pool, Shape x_shape, const void *x,
                             Shape y_shape, void *y, uint8_t *winner)
{
  const unsigned blocks = blocks_for(shape_elements(y_shape) / 8);
  BY_ELEMENT(x_shape.element, T,
             LAUNCH(device, pool_kernel, blocks, THREADS, pool_of(pool, x_shape, y_shape),
                    (const T *)x, (T *)y, winner));
}

void max_pool2d_backward_cuda(Device *device, MaxPool2d pool, Shape x_shape, void *dx,
                              Shape y_shape, const void *dy, const uint8_t *winner, Write write)
{
  const unsigned blocks = blocks_for(shape_elements(x_shape) / 8);
  BY_ELEMENT(x_shape.element, T,
             LAUNCH(device, pool_backward_kernel, blocks, THREADS, pool_of(pool, x_shape, y_shape),
                    (T *)dx, (const T *)dy, winner, write));
}
