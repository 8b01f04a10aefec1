#include "cudnn_descriptor.h"

#include "base/require.h"

void cudnn_bag_shrink(CudnnBag *bag, int count)
{
  while (bag->count > count)
    cudnnBackendDestroyDescriptor(bag->items[--bag->count]);
}

void cudnn_bag_empty(CudnnBag *bag)
{
  cudnn_bag_shrink(bag, 0);
}

Status cudnn_status(cudnnStatus_t code, const char *what)
{
  if (code == CUDNN_STATUS_SUCCESS) return STATUS_OK;
  char words[512] = "";
  cudnnGetLastErrorString(words, sizeof words);
  return status_set(STATUS_DEVICE, "cuDNN, %s: %s (%d)%s%s", what, cudnnGetErrorString(code),
                    (int)code, words[0] != '\0' ? ": " : "", words);
}

Status cudnn_create(CudnnBag *bag, cudnnBackendDescriptorType_t type,
                    cudnnBackendDescriptor_t *descriptor)
{
  require(bag->count < CUDNN_BAG_MOST);
  *descriptor = NULL;
  TRY(cudnn_status(cudnnBackendCreateDescriptor(type, descriptor), "create a descriptor"));
  bag->items[bag->count++] = *descriptor;
  return STATUS_OK;
}

Status cudnn_finalize(cudnnBackendDescriptor_t descriptor, const char *what)
{
  return cudnn_status(cudnnBackendFinalize(descriptor), what);
}

Status cudnn_set(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                 cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
  return cudnn_status(cudnnBackendSetAttribute(descriptor, name, type, count, values),
                      "set an attribute");
}

Status cudnn_set_descriptor(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                            cudnnBackendDescriptor_t value)
{
  return cudnn_set(descriptor, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

Status cudnn_set_int64(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                       int64_t value)
{
  return cudnn_set(descriptor, name, CUDNN_TYPE_INT64, 1, &value);
}

cudnnDataType_t cudnn_type_of(Element element)
{
  switch (element) {
  case ELEMENT_F32: return CUDNN_DATA_FLOAT;
  case ELEMENT_BF16: return CUDNN_DATA_BFLOAT16;
  case ELEMENT_F16: return CUDNN_DATA_HALF;
  default: require_failed("an element that cuDNN computes with", __FILE__, __LINE__);
  }
}

/* Dimensions are always given as N, C, H, W; that channels are last is said by the strides. */
static Status fill_tensor(cudnnBackendDescriptor_t tensor, int64_t id, Shape shape, bool is_virtual)
{
  const cudnnDataType_t type = cudnn_type_of(shape.element);
  const int64_t channels = shape.channels;
  const int64_t row = channels * shape.width;
  const int64_t dimensions[4] = {shape.images, channels, shape.height, shape.width};
  const int64_t strides[4] = {row * shape.height, 1, row, channels};
  TRY(cudnn_set(tensor, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type));
  TRY(cudnn_set(tensor, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dimensions));
  TRY(cudnn_set(tensor, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides));
  TRY(cudnn_set_int64(tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, id));
  TRY(cudnn_set_int64(tensor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 16));
  TRY(cudnn_set(tensor, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual));
  return cudnn_finalize(tensor, "tensor");
}

Status cudnn_make_tensor(CudnnBag *bag, int64_t id, Shape shape, bool is_virtual,
                         cudnnBackendDescriptor_t *tensor)
{
  TRY(cudnn_create(bag, CUDNN_BACKEND_TENSOR_DESCRIPTOR, tensor));
  return fill_tensor(*tensor, id, shape, is_virtual);
}
