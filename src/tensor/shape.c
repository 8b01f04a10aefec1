#include "tensor/shape.h"

static const struct {
  size_t bytes;
  const char *name;
} elements[] = {
    [ELEMENT_F32] = {4, "float32"}, [ELEMENT_BF16] = {2, "bfloat16"},
    [ELEMENT_F16] = {2, "float16"}, [ELEMENT_U8] = {1, "uint8"},
    [ELEMENT_U16] = {2, "uint16"},  [ELEMENT_I16] = {2, "int16"},
    [ELEMENT_I32] = {4, "int32"},
};

size_t element_bytes(Element element)
{
  return elements[element].bytes;
}

const char *element_name(Element element)
{
  return elements[element].name;
}

int64_t shape_pixels(Shape shape)
{
  return (int64_t)shape.images * shape.height * shape.width;
}

int64_t shape_elements(Shape shape)
{
  return shape_pixels(shape) * shape.channels;
}

size_t shape_bytes(Shape shape)
{
  return (size_t)shape_elements(shape) * element_bytes(shape.element);
}

bool shape_equal(Shape a, Shape b)
{
  return a.images == b.images && a.height == b.height && a.width == b.width &&
         a.channels == b.channels && a.element == b.element;
}

Status shape_check(Shape shape, const char *what)
{
  if (shape.images < 1 || shape.height < 1 || shape.width < 1 || shape.channels < 1)
    return status_set(STATUS_BAD_SHAPE,
                      "%s: %d images of %d x %d px and %d channels; each must be 1 or more", what,
                      shape.images, shape.height, shape.width, shape.channels);
  const double bytes = (double)shape.images * shape.height * shape.width * shape.channels * 4.0;
  if (bytes > 0x1p62)
    return status_set(STATUS_BAD_SHAPE, "%s: %.3g bytes are more than any memory holds", what,
                      bytes);
  return STATUS_OK;
}
