#pragma once

#include "conv_graph.h"
#include "cudnn_descriptor.h"

/* The graph as cuDNN's own: builds and finalizes; everything is in the bag. Errors: STATUS_DEVICE.
 */
Status conv_operations_build(const ConvGraph *graph, CudnnBag *bag,
                             cudnnBackendDescriptor_t *operation_graph);
