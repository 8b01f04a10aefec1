#include "conv_operations.h"

enum { OPERATIONS_MOST = 4 };

/* A graph being built: what each node ends in, in order. */
typedef struct Nodes {
  CudnnBag *bag;
  cudnnBackendDescriptor_t operations[OPERATIONS_MOST];
  int count;
} Nodes;

static Status make_convolution(const ConvGraph *graph, CudnnBag *bag,
                               cudnnBackendDescriptor_t *convolution)
{
  const cudnnDataType_t computed = CUDNN_DATA_FLOAT;
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  const int64_t pads[2] = {graph->pad, graph->pad};
  const int64_t strides[2] = {graph->stride, graph->stride};
  const int64_t dilations[2] = {graph->dilation, graph->dilation};
  TRY(cudnn_create(bag, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, convolution));
  const cudnnBackendDescriptor_t conv = *convolution;
  TRY(cudnn_set(conv, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &computed));
  TRY(cudnn_set(conv, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode));
  TRY(cudnn_set_int64(conv, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 2));
  TRY(cudnn_set(conv, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, pads));
  TRY(cudnn_set(conv, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, pads));
  TRY(cudnn_set(conv, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, strides));
  TRY(cudnn_set(conv, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilations));
  return cudnn_finalize(conv, "convolution");
}

/* The names that the three directions of a convolution have for the same six things. */
typedef struct ConvNames {
  cudnnBackendDescriptorType_t operation;
  cudnnBackendAttributeName_t convolution, x, w, y, alpha, beta;
} ConvNames;

static ConvNames names_of(ConvPass pass)
{
  switch (pass) {
  case CONV_BACKWARD_DATA:
    return (ConvNames){CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
  case CONV_BACKWARD_WEIGHT:
    return (ConvNames){CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
  default:
    return (ConvNames){CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
  }
}

static Status add_convolution(Nodes *nodes, const ConvGraph *graph, cudnnBackendDescriptor_t y)
{
  const ConvNames names = names_of(graph->pass);
  const float one = 1.0F;
  const float zero = 0.0F;
  cudnnBackendDescriptor_t convolution, x, w, operation;
  TRY(make_convolution(graph, nodes->bag, &convolution));
  TRY(cudnn_make_tensor(nodes->bag, CONV_X, graph->x, false, &x));
  TRY(cudnn_make_tensor(nodes->bag, CONV_W, conv_graph_weights(graph), false, &w));
  TRY(cudnn_create(nodes->bag, names.operation, &operation));
  TRY(cudnn_set_descriptor(operation, names.convolution, convolution));
  TRY(cudnn_set_descriptor(operation, names.x, x));
  TRY(cudnn_set_descriptor(operation, names.w, w));
  TRY(cudnn_set_descriptor(operation, names.y, y));
  TRY(cudnn_set(operation, names.alpha, CUDNN_TYPE_FLOAT, 1, &one));
  TRY(cudnn_set(operation, names.beta, CUDNN_TYPE_FLOAT, 1, &zero));
  TRY(cudnn_finalize(operation, "operation of a convolution"));
  nodes->operations[nodes->count++] = operation;
  return STATUS_OK;
}

/* b may be NULL, for a node of one operand. */
static Status add_pointwise(Nodes *nodes, cudnnPointwiseMode_t mode, cudnnBackendDescriptor_t x,
                            cudnnBackendDescriptor_t b, cudnnBackendDescriptor_t y)
{
  const cudnnDataType_t computed = CUDNN_DATA_FLOAT;
  cudnnBackendDescriptor_t pointwise, operation;
  TRY(cudnn_create(nodes->bag, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, &pointwise));
  TRY(cudnn_set(pointwise, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode));
  TRY(cudnn_set(pointwise, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &computed));
  TRY(cudnn_finalize(pointwise, "pointwise"));
  TRY(cudnn_create(nodes->bag, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, &operation));
  TRY(cudnn_set_descriptor(operation, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise));
  TRY(cudnn_set_descriptor(operation, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x));
  if (b != NULL) TRY(cudnn_set_descriptor(operation, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b));
  TRY(cudnn_set_descriptor(operation, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y));
  TRY(cudnn_finalize(operation, "operation of one element"));
  nodes->operations[nodes->count++] = operation;
  return STATUS_OK;
}

/* The tensor after a stage of the fused forward: the graph's y after the last one, else a float32
 * value inside the graph. */
static Status make_stage(const ConvGraph *graph, CudnnBag *bag, int64_t id, bool last,
                         cudnnBackendDescriptor_t *stage)
{
  Shape inside = graph->y;
  inside.element = ELEMENT_F32;
  return last ? cudnn_make_tensor(bag, CONV_Y, graph->y, false, stage)
              : cudnn_make_tensor(bag, id, inside, true, stage);
}

static Status add_fused(Nodes *nodes, const ConvGraph *graph)
{
  const Shape vector = {1, 1, 1, graph->y.channels, graph->y.element};
  cudnnBackendDescriptor_t before, after, operand;
  TRY(make_stage(graph, nodes->bag, 'C', !graph->add && !graph->bias && !graph->relu, &before));
  TRY(add_convolution(nodes, graph, before));
  if (graph->add) {
    TRY(cudnn_make_tensor(nodes->bag, CONV_ADD, graph->y, false, &operand));
    TRY(make_stage(graph, nodes->bag, 'A', !graph->bias && !graph->relu, &after));
    TRY(add_pointwise(nodes, CUDNN_POINTWISE_ADD, before, operand, after));
    before = after;
  }
  if (graph->bias) {
    TRY(cudnn_make_tensor(nodes->bag, CONV_BIAS, vector, false, &operand));
    TRY(make_stage(graph, nodes->bag, 'B', !graph->relu, &after));
    TRY(add_pointwise(nodes, CUDNN_POINTWISE_ADD, before, operand, after));
    before = after;
  }
  if (graph->relu) {
    TRY(make_stage(graph, nodes->bag, 'R', true, &after));
    TRY(add_pointwise(nodes, CUDNN_POINTWISE_RELU_FWD, before, NULL, after));
  }
  return STATUS_OK;
}

Status conv_operations_build(const ConvGraph *graph, CudnnBag *bag,
                             cudnnBackendDescriptor_t *operation_graph)
{
  Nodes nodes = {.bag = bag};
  if (graph->pass == CONV_FORWARD_FUSED) {
    TRY(add_fused(&nodes, graph));
  } else {
    cudnnBackendDescriptor_t y;
    TRY(cudnn_make_tensor(bag, CONV_Y, graph->y, false, &y));
    TRY(add_convolution(&nodes, graph, y));
  }
  TRY(cudnn_create(bag, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, operation_graph));
  TRY(cudnn_set(*operation_graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                nodes.count, nodes.operations));
  return cudnn_finalize(*operation_graph, "graph of operations");
}
