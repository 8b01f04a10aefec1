#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "nn/parameter.h"
#include "op/max_pool2d.h"

/* A network as a list of nodes in the order of the forward pass, built once by a model. Sizes of
 * images come later, with a batch and a tile (network.h); channels are settled here.
 *
 * A builder does not check every call: the graph keeps the first failure, and graph_finish returns
 * it. */
typedef struct Graph Graph;

/* The output of a node. */
typedef int32_t Value;
enum { VALUE_NONE = -1, GRAPH_INPUTS_MOST = 4 };

typedef enum NodeKind {
  NODE_INPUT,
  NODE_CONV2D,
  NODE_DECODER_CONV2D,
  NODE_BATCH_NORM2D,
  NODE_MAX_POOL2D,
  NODE_RELU,
  NODE_ADD,
  NODE_UPSAMPLE_NEAREST,
  NODE_CONCAT
} NodeKind;

typedef struct Node {
  NodeKind kind;
  int32_t channels; /* of its output */
  int32_t input_count;
  Value inputs[GRAPH_INPUTS_MOST]; /* batch norm: x, then the residual; decoder: a, then the skip */
  int32_t kernel, stride, pad, dilation, groups; /* convolutions and pooling */
  bool bias;
  bool relu;
  int32_t weight; /* the first of its parameters: weight [, bias [, running_mean, running_var]]; -1
                     for none */
} Node;

/* The padding that keeps a convolution of stride 1 at its size is dilation * (kernel - 1) / 2. */
typedef struct GraphConv {
  int32_t out_channels;
  int32_t kernel, stride, pad, dilation, groups; /* 0: 1, but pad 0 is 0 */
  bool bias;
  Initial initial;
} GraphConv;

Status graph_open(int32_t input_channels, Graph **graph);
void graph_close(Graph *graph); /* accepts NULL */

/* name: what PyTorch's state_dict calls the module; its parameters are name.weight and so on. */
Value graph_input(Graph *graph);
Value graph_conv2d(Graph *graph, Value x, GraphConv conv, const char *name);
/* A convolution over [nearest2x(a), skip]; skip may be VALUE_NONE. 3 x 3, pad 1. */
Value graph_decoder_conv2d(Graph *graph, Value a, Value skip, int32_t out_channels,
                           const char *name);
/* eps 1e-5, momentum 0.1; residual may be VALUE_NONE. */
Value graph_batch_norm2d(Graph *graph, Value x, Value residual, bool relu, const char *name);
Value graph_max_pool2d(Graph *graph, Value x, MaxPool2d pool);
Value graph_relu(Graph *graph, Value x);
Value graph_add(Graph *graph, Value a, Value b);
Value graph_upsample_nearest(Graph *graph, Value x);
Value graph_concat(Graph *graph, const Value *inputs, int32_t count);

/* Marks what the network gives; the first failure of the building. */
Status graph_finish(Graph *graph, Value output);

/* Borrowed; lives as long as the graph. */
const Node *graph_nodes(const Graph *graph, int32_t *count);
const ParameterList *graph_parameters(const Graph *graph);
Value graph_output(const Graph *graph);
/* Sides of tiles must be multiples of it. */
int32_t graph_size_multiple(const Graph *graph);
