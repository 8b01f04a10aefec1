#include "launch.cuh"

#include "resize_element.h"

/* Eight channels of one pixel of y. */
template <typename T>
__global__ void resize_kernel(Shape x_shape, const float *x, const int32_t *sizes, Shape y_shape,
                              T *y)
{
  const int64_t index = thread_index();
  const int32_t eighths = y_shape.channels / 8;
  const int64_t pixel = index / eighths;
  if (pixel >= (int64_t)y_shape.images * y_shape.height * y_shape.width) return;
  const int32_t first = (int32_t)(index % eighths) * 8;
  const int32_t column = (int32_t)(pixel % y_shape.width);
  const int32_t row = (int32_t)(pixel / y_shape.width % y_shape.height);
  const int64_t image = pixel / y_shape.width / y_shape.height;
  const int32_t *size = sizes + 4 * image;
  const bool inside = row < size[2] && column < size[3];
  const bool small = resize_is_small(size[2], size[3]);
  RoiTap down = {0, 0, 0.0F, 0.0F};
  RoiTap across = {0, 0, 0.0F, 0.0F};
  if (inside) {
    down = resize_tap(size[0], size[2], row, small);
    across = resize_tap(size[1], size[3], column, small);
  }
  const float *above = x + (image * x_shape.height + down.low) * x_shape.width * x_shape.channels;
  const float *below = x + (image * x_shape.height + down.high) * x_shape.width * x_shape.channels;
  const int64_t low = (int64_t)across.low * x_shape.channels + first;
  const int64_t high = (int64_t)across.high * x_shape.channels + first;
  Eight eight = {{0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F}};
#pragma unroll
  for (int c = 0; c < 8; ++c)
    if (inside && first + c < x_shape.channels)
      eight.v[c] = small ? resize_small(above[low + c], above[high + c], below[low + c],
                                        below[high + c], down, across)
                         : resize_large(above[low + c], above[high + c], below[low + c],
                                        below[high + c], down, across);
  store8(y + index * 8, eight);
}

__global__ void resize_boxes_kernel(int32_t rows, int32_t rows_per_image, const int32_t *images,
                                    const float *scales, float *boxes)
{
  const int64_t r = thread_index();
  if (r >= rows) return;
  const int32_t image = images == NULL ? (int32_t)r / rows_per_image : images[r];
  for (int32_t k = 0; image >= 0 && k < 4; ++k)
    boxes[4 * r + k] *= scales[2 * (int64_t)image + (k % 2 == 0 ? 1 : 0)];
}

void resize_bilinear_cuda(Device *device, Shape x_shape, const float *x, const int32_t *sizes,
                          Shape y_shape, void *y)
{
  BY_ELEMENT(y_shape.element, T,
             LAUNCH(device, resize_kernel, blocks_for(shape_elements(y_shape) / 8), THREADS,
                    x_shape, x, sizes, y_shape, (T *)y));
}

void resize_boxes_cuda(Device *device, int32_t rows, int32_t rows_per_image, const int32_t *images,
                       const float *scales, float *boxes)
{
  LAUNCH(device, resize_boxes_kernel, blocks_for(rows), THREADS, rows, rows_per_image, images,
         scales, boxes);
}
