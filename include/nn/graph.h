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
enum { VALUE_NONE = -1, GRAPH_INPUTS_MOST = 4, GRAPH_OUTPUTS_MOST = 16 };

typedef enum NodeKind {
  NODE_INPUT,
  NODE_CONV2D,
  NODE_DECODER_CONV2D,
  NODE_CONV_TRANSPOSE2D,
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
  bool frozen; /* batch norm: on its running statistics in training too */
  float eps;
  int32_t weight; /* the first of its parameters: weight [, bias [, running_mean, running_var]]; -1
                     for none */
} Node;

/* The padding that keeps a convolution of stride 1 at its size is dilation * (kernel - 1) / 2. */
typedef struct GraphConv {
  int32_t out_channels;
  int32_t kernel, stride, pad, dilation, groups; /* 0: 1, but pad 0 is 0 */
  bool bias;
  bool linear; /* the kernel covers all of x: the weight is out x (in * kernel * kernel), as
                  PyTorch's Linear behind flatten */
  Initial initial;
  Initial initial_bias; /* default 0 */
} GraphConv;

/* How nodes added from here on are trained. */
typedef struct GraphTraining {
  bool frozen;      /* their parameters stay as they are */
  bool norm_frozen; /* their batch norms use the running statistics, and nothing of them is trained:
                       torchvision's FrozenBatchNorm2d */
  float norm_eps;   /* 0 is 0 */
} GraphTraining;

Status graph_open(int32_t input_channels, Graph **graph);
void graph_close(Graph *graph); /* accepts NULL */

/* What a graph begins with: all is trained, eps 1e-5. */
GraphTraining graph_training_default(void);
void graph_set_training(Graph *graph, GraphTraining training);

/* name: what PyTorch's state_dict calls the module; its parameters are name.weight and so on. */
Value graph_input(Graph *graph);
Value graph_conv2d(Graph *graph, Value x, GraphConv conv, const char *name);
/* The same parameters and form as those of like, a convolution before it: a head that the maps of a
 * pyramid share. */
Value graph_conv2d_again(Graph *graph, Value x, Value like);
/* 2 x 2, stride 2, with bias. */
Value graph_conv_transpose2d(Graph *graph, Value x, int32_t out_channels, Initial initial,
                             const char *name);
/* A convolution over [nearest2x(a), skip]; skip may be VALUE_NONE. 3 x 3, pad 1. */
Value graph_decoder_conv2d(Graph *graph, Value a, Value skip, int32_t out_channels,
                           const char *name);
/* momentum 0.1; residual may be VALUE_NONE. */
Value graph_batch_norm2d(Graph *graph, Value x, Value residual, bool relu, const char *name);
Value graph_max_pool2d(Graph *graph, Value x, MaxPool2d pool);
Value graph_relu(Graph *graph, Value x);
Value graph_add(Graph *graph, Value a, Value b);
Value graph_upsample_nearest(Graph *graph, Value x);
Value graph_concat(Graph *graph, const Value *inputs, int32_t count);

/* Marks what the network gives; the first failure of the building. */
Status graph_finish(Graph *graph, Value output);
Status graph_finish_many(Graph *graph, const Value *outputs, int32_t count);

/* Borrowed; lives as long as the graph. */
const Node *graph_nodes(const Graph *graph, int32_t *count);
const ParameterList *graph_parameters(const Graph *graph);
int32_t graph_output_count(const Graph *graph);
Value graph_output(const Graph *graph, int32_t index);
/* Sides of tiles must be multiples of it. */
int32_t graph_size_multiple(const Graph *graph);
