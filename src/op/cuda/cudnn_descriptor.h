#pragma once

#include <cudnn.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "tensor/shape.h"

/* cuDNN's backend descriptors: made, filled by attribute, finalized. Descriptors live in a bag that
 * frees them together, so that the functions that make them own nothing. */
enum { CUDNN_BAG_MOST = 192 };

typedef struct CudnnBag {
  cudnnBackendDescriptor_t items[CUDNN_BAG_MOST];
  int count;
} CudnnBag;

void cudnn_bag_empty(CudnnBag *bag);
/* Frees all but the first count. */
void cudnn_bag_shrink(CudnnBag *bag, int count);

/* STATUS_OK, or STATUS_DEVICE with cuDNN's words. */
Status cudnn_status(cudnnStatus_t code, const char *what);

Status cudnn_create(CudnnBag *bag, cudnnBackendDescriptorType_t type,
                    cudnnBackendDescriptor_t *descriptor);
Status cudnn_finalize(cudnnBackendDescriptor_t descriptor, const char *what);

/* One attribute; the value's C type is that of cuDNN's table of attributes. */
Status cudnn_set(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                 cudnnBackendAttributeType_t type, int64_t count, const void *values);
Status cudnn_set_descriptor(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                            cudnnBackendDescriptor_t value);
Status cudnn_set_int64(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                       int64_t value);

cudnnDataType_t cudnn_type_of(Element element); /* float32, bfloat16, float16 */

/* A finalized tensor, channels last, named by id. Virtual: it lives inside a graph only. */
Status cudnn_make_tensor(CudnnBag *bag, int64_t id, Shape shape, bool is_virtual,
                         cudnnBackendDescriptor_t *tensor);
