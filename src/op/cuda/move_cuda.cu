#include "launch.cuh"

#include "normalize_element.h"

/* Ops that place channels: concatenation (enlarge 1) and the enlargement by nearest neighbour
 * (enlarge 2) are one kernel each way. A thread takes eight channels of one pixel of x. */
typedef struct Placement {
  int64_t count; /* pixels of x times eighths of its channels */
  int32_t eighths;
  int32_t width; /* of x, px */
  int64_t y_row; /* elements per row of y */
  int32_t y_channels;
  int32_t offset; /* the first channel in y */
  int32_t enlarge;
} Placement;

static Placement placement_of(Shape x, Shape y, int32_t offset, int32_t enlarge)
{
  Placement place;
  place.eighths = x.channels / 8;
  place.count = shape_pixels(x) * place.eighths;
  place.width = x.width;
  place.y_row = (int64_t)y.width * y.channels;
  place.y_channels = y.channels;
  place.offset = offset;
  place.enlarge = enlarge;
  return place;
}

/* Where in y the first pixel of x's thread lies. Rows of all images follow each other, and y has
 * enlarge times as many, so the image need not be known. */
__device__ inline int64_t place_in_y(Placement place, int64_t index)
{
  const int64_t pixel = index / place.eighths;
  const int64_t row = pixel / place.width;
  const int64_t column = pixel % place.width;
  return row * place.enlarge * place.y_row + column * place.enlarge * place.y_channels +
         place.offset + index % place.eighths * 8;
}

template <typename T> __global__ void place_kernel(Placement place, const T *x, T *y)
{
  const int64_t index = thread_index();
  if (index >= place.count) return;
  const EightStored<T> moved = *reinterpret_cast<const EightStored<T> *>(x + index * 8);
  T *corner = y + place_in_y(place, index);
  for (int32_t r = 0; r < place.enlarge; ++r)
    for (int32_t s = 0; s < place.enlarge; ++s)
      *reinterpret_cast<EightStored<T> *>(corner + r * place.y_row + s * place.y_channels) = moved;
}

template <typename T>
__global__ void gather_kernel(Placement place, const T *dy, T *dx, Write write)
{
  const int64_t index = thread_index();
  if (index >= place.count) return;
  const T *corner = dy + place_in_y(place, index);
  Eight sum = load8(corner);
  for (int32_t part = 1; part < place.enlarge * place.enlarge; ++part) {
    const Eight more = load8(corner + part / place.enlarge * place.y_row +
                             part % place.enlarge * place.y_channels);
#pragma unroll
    for (int k = 0; k < 8; ++k)
      sum.v[k] += more.v[k];
  }
  put8(dx + index * 8, sum, write);
}

static void place_in(Device *device, Shape x_shape, const void *x, Shape y_shape, int32_t offset,
                     void *y, int32_t enlarge)
{
  const Placement place = placement_of(x_shape, y_shape, offset, enlarge);
  BY_ELEMENT(
      x_shape.element, T,
      LAUNCH(device, place_kernel, blocks_for(place.count), THREADS, place, (const T *)x, (T *)y));
}

static void gather_from(Device *device, Shape x_shape, void *dx, Shape y_shape, int32_t offset,
                        const void *dy, Write write, int32_t enlarge)
{
  const Placement place = placement_of(x_shape, y_shape, offset, enlarge);
  BY_ELEMENT(x_shape.element, T,
             LAUNCH(device, gather_kernel, blocks_for(place.count), THREADS, place, (const T *)dy,
                    (T *)dx, write));
}

void upsample_nearest_forward_cuda(Device *device, Shape x_shape, const void *x, Shape y_shape,
                                   int32_t channel_offset, void *y)
{
  place_in(device, x_shape, x, y_shape, channel_offset, y, 2);
}

void upsample_nearest_backward_cuda(Device *device, Shape x_shape, void *dx, Shape y_shape,
                                    int32_t channel_offset, const void *dy, Write write)
{
  gather_from(device, x_shape, dx, y_shape, channel_offset, dy, write, 2);
}

void concat_forward_cuda(Device *device, Shape x_shape, const void *x, Shape y_shape,
                         int32_t channel_offset, void *y)
{
  place_in(device, x_shape, x, y_shape, channel_offset, y, 1);
}

void concat_backward_cuda(Device *device, Shape x_shape, void *dx, Shape y_shape,
                          int32_t channel_offset, const void *dy, Write write)
{
  gather_from(device, x_shape, dx, y_shape, channel_offset, dy, write, 1);
}

/* One element of any type; the type is the same for the whole launch, so no thread waits for
 * another's branch. */
__device__ inline float read_any(const void *values, Element element, int64_t i)
{
  switch (element) {
  case ELEMENT_F32: return ((const float *)values)[i];
  case ELEMENT_BF16: return widen(((const __nv_bfloat16 *)values)[i]);
  case ELEMENT_F16: return widen(((const __half *)values)[i]);
  case ELEMENT_U8: return (float)((const uint8_t *)values)[i];
  case ELEMENT_U16: return (float)((const uint16_t *)values)[i];
  case ELEMENT_I16: return (float)((const int16_t *)values)[i];
  case ELEMENT_I32: return (float)((const int32_t *)values)[i];
  }
  return 0.0F;
}

template <typename T>
__global__ void convert_kernel(int64_t count, Element x_element, const void *x, T *y)
{
  const int64_t i = thread_index();
  if (i < count) narrow(y + i, read_any(x, x_element, i));
}

void convert_cuda(Device *device, int64_t count, Element x_element, const void *x,
                  Element y_element, void *y)
{
  if (count < 1) return;
  BY_ELEMENT(
      y_element, T,
      LAUNCH(device, convert_kernel, blocks_for(count), THREADS, count, x_element, x, (T *)y));
}

/* A thread makes eight channels of one pixel of y. */
template <typename T>
__global__ void normalize_kernel(int64_t pixels, int32_t eighths, int32_t bands, Element x_element,
                                 const void *x, const uint8_t *valid, const float *mean,
                                 const float *inverse_std, T *y)
{
  const int64_t index = thread_index();
  if (index >= pixels * eighths) return;
  const int64_t pixel = index / eighths;
  const int32_t first = (int32_t)(index % eighths) * 8;
  const bool has_data = valid == NULL || valid[pixel] != 0;
  Eight eight;
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    const int32_t band = first + k;
    eight.v[k] = band < bands ? normalize_element(read_any(x, x_element, pixel * bands + band),
                                                  has_data, mean[band], inverse_std[band])
                              : 0.0F;
  }
  store8(y + index * 8, eight);
}

void normalize_cuda(Device *device, Shape x_shape, const void *x, const uint8_t *valid,
                    const float *mean, const float *inverse_std, Shape y_shape, void *y)
{
  const int64_t pixels = shape_pixels(y_shape);
  const int32_t eighths = y_shape.channels / 8;
  BY_ELEMENT(y_shape.element, T,
             LAUNCH(device, normalize_kernel, blocks_for(pixels * eighths), THREADS, pixels,
                    eighths, x_shape.channels, x_shape.element, x, valid, mean, inverse_std,
                    (T *)y));
}
