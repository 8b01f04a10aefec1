#include "nn/graph.h"

#include <string.h>

#include "base/memory.h"

struct Graph {
  Node *nodes;
  int32_t count;
  int32_t capacity;
  int32_t *strides; /* of each value: pixels of the input per pixel; 0 until known */
  ParameterList parameters;
  Value output;
  Status failure; /* the first; its sentence is the thread's */
};

static Status open_parts(Graph *graph, int32_t input_channels)
{
  graph->output = VALUE_NONE;
  if (input_channels < 1)
    return status_set(STATUS_BAD_SHAPE, "a network needs at least one band, not %d",
                      input_channels);
  TRY(arena_open(&graph->parameters.names));
  void *nodes;
  graph->capacity = 512;
  TRY(memory_allocate((size_t)graph->capacity, sizeof *graph->nodes, "graph", &nodes));
  graph->nodes = nodes;
  void *strides;
  TRY(memory_allocate((size_t)graph->capacity, sizeof *graph->strides, "graph", &strides));
  graph->strides = strides;
  graph->nodes[0] = (Node){.kind = NODE_INPUT, .channels = input_channels, .weight = -1};
  graph->strides[0] = 1;
  graph->count = 1;
  return STATUS_OK;
}

Status graph_open(int32_t input_channels, Graph **graph)
{
  *graph = NULL;
  void *memory;
  TRY(memory_allocate(1, sizeof **graph, "graph", &memory));
  Graph *opening = memory;
  const Status status = open_parts(opening, input_channels);
  if (status == STATUS_OK)
    *graph = opening;
  else
    graph_close(opening);
  return status;
}

void graph_close(Graph *graph)
{
  if (graph == NULL) return;
  memory_free(graph->nodes);
  memory_free(graph->strides);
  memory_free(graph->parameters.items);
  arena_close(graph->parameters.names);
  memory_free(graph);
}

static Value refuse(Graph *graph, Status status)
{
  if (graph->failure == STATUS_OK) graph->failure = status;
  return VALUE_NONE;
}

static bool usable(Graph *graph, Value value)
{
  if (graph->failure != STATUS_OK) return false;
  if (value >= 0 && value < graph->count) return true;
  (void)refuse(graph, status_set(STATUS_BAD_SHAPE, "the graph has no value %d", value));
  return false;
}

static Value add_node(Graph *graph, Node node, int32_t stride)
{
  if (graph->count == graph->capacity)
    return refuse(graph,
                  status_set(STATUS_BAD_SHAPE, "a graph of more than %d nodes", graph->capacity));
  graph->nodes[graph->count] = node;
  graph->strides[graph->count] = stride;
  return graph->count++;
}

static Status add_parameter(Graph *graph, const char *module, const char *name, int32_t rank,
                            const int64_t *dims, bool trained, Initial initial)
{
  return parameter_add(&graph->parameters, module, name, rank, dims, trained, initial);
}

Value graph_input(Graph *graph)
{
  return 0;
}

static int32_t one_if_zero(int32_t count)
{
  return count == 0 ? 1 : count;
}

Value graph_conv2d(Graph *graph, Value x, GraphConv conv, const char *name)
{
  if (!usable(graph, x)) return VALUE_NONE;
  Node node = {.kind = NODE_CONV2D,
               .channels = conv.out_channels,
               .input_count = 1,
               .inputs = {x},
               .kernel = one_if_zero(conv.kernel),
               .stride = one_if_zero(conv.stride),
               .pad = conv.pad,
               .dilation = one_if_zero(conv.dilation),
               .groups = one_if_zero(conv.groups),
               .bias = conv.bias,
               .weight = graph->parameters.count};
  const int64_t weight[4] = {conv.out_channels, graph->nodes[x].channels / node.groups, node.kernel,
                             node.kernel};
  const int64_t bias[1] = {conv.out_channels};
  Status status = add_parameter(graph, name, "weight", 4, weight, true, conv.initial);
  if (status == STATUS_OK && conv.bias)
    status = add_parameter(graph, name, "bias", 1, bias, true, INITIAL_ZERO);
  if (status != STATUS_OK) return refuse(graph, status);
  return add_node(graph, node, graph->strides[x] * node.stride);
}

Value graph_decoder_conv2d(Graph *graph, Value a, Value skip, int32_t out_channels,
                           const char *name)
{
  if (!usable(graph, a) || (skip != VALUE_NONE && !usable(graph, skip))) return VALUE_NONE;
  const bool has_skip = skip != VALUE_NONE;
  Node node = {.kind = NODE_DECODER_CONV2D,
               .channels = out_channels,
               .input_count = has_skip ? 2 : 1,
               .inputs = {a, skip},
               .kernel = 3,
               .stride = 1,
               .pad = 1,
               .dilation = 1,
               .groups = 1,
               .weight = graph->parameters.count};
  const int64_t weight[4] = {
      out_channels, graph->nodes[a].channels + (has_skip ? graph->nodes[skip].channels : 0), 3, 3};
  const Status status =
      add_parameter(graph, name, "weight", 4, weight, true, INITIAL_KAIMING_UNIFORM_IN);
  if (status != STATUS_OK) return refuse(graph, status);
  return add_node(graph, node, graph->strides[a] / 2);
}

static Status add_norm_parameters(Graph *graph, const char *name, const int64_t *dims)
{
  TRY(add_parameter(graph, name, "weight", 1, dims, true, INITIAL_ONE));
  TRY(add_parameter(graph, name, "bias", 1, dims, true, INITIAL_ZERO));
  TRY(add_parameter(graph, name, "running_mean", 1, dims, false, INITIAL_ZERO));
  return add_parameter(graph, name, "running_var", 1, dims, false, INITIAL_ONE);
}

Value graph_batch_norm2d(Graph *graph, Value x, Value residual, bool relu, const char *name)
{
  if (!usable(graph, x) || (residual != VALUE_NONE && !usable(graph, residual))) return VALUE_NONE;
  const int64_t dims[1] = {graph->nodes[x].channels};
  const Node node = {.kind = NODE_BATCH_NORM2D,
                     .channels = graph->nodes[x].channels,
                     .input_count = residual == VALUE_NONE ? 1 : 2,
                     .inputs = {x, residual},
                     .relu = relu,
                     .weight = graph->parameters.count};
  const Status status = add_norm_parameters(graph, name, dims);
  if (status != STATUS_OK) return refuse(graph, status);
  return add_node(graph, node, graph->strides[x]);
}

Value graph_max_pool2d(Graph *graph, Value x, MaxPool2d pool)
{
  if (!usable(graph, x)) return VALUE_NONE;
  const Node node = {.kind = NODE_MAX_POOL2D,
                     .channels = graph->nodes[x].channels,
                     .input_count = 1,
                     .inputs = {x},
                     .kernel = pool.size,
                     .stride = pool.stride,
                     .pad = pool.pad,
                     .weight = -1};
  return add_node(graph, node, graph->strides[x] * pool.stride);
}

Value graph_relu(Graph *graph, Value x)
{
  if (!usable(graph, x)) return VALUE_NONE;
  const Node node = {.kind = NODE_RELU,
                     .channels = graph->nodes[x].channels,
                     .input_count = 1,
                     .inputs = {x},
                     .weight = -1};
  return add_node(graph, node, graph->strides[x]);
}

Value graph_add(Graph *graph, Value a, Value b)
{
  if (!usable(graph, a) || !usable(graph, b)) return VALUE_NONE;
  const Node node = {.kind = NODE_ADD,
                     .channels = graph->nodes[a].channels,
                     .input_count = 2,
                     .inputs = {a, b},
                     .weight = -1};
  return add_node(graph, node, graph->strides[a]);
}

Value graph_upsample_nearest(Graph *graph, Value x)
{
  if (!usable(graph, x)) return VALUE_NONE;
  const Node node = {.kind = NODE_UPSAMPLE_NEAREST,
                     .channels = graph->nodes[x].channels,
                     .input_count = 1,
                     .inputs = {x},
                     .weight = -1};
  return add_node(graph, node, graph->strides[x] / 2);
}

Value graph_concat(Graph *graph, const Value *inputs, int32_t count)
{
  if (graph->failure != STATUS_OK) return VALUE_NONE;
  if (count < 1 || count > GRAPH_INPUTS_MOST)
    return refuse(graph, status_set(STATUS_BAD_SHAPE, "concat of %d values; it takes 1 to %d",
                                    count, GRAPH_INPUTS_MOST));
  Node node = {.kind = NODE_CONCAT, .input_count = count, .weight = -1};
  for (int32_t i = 0; i < count; ++i) {
    if (!usable(graph, inputs[i])) return VALUE_NONE;
    node.inputs[i] = inputs[i];
    node.channels += graph->nodes[inputs[i]].channels;
  }
  return add_node(graph, node, graph->strides[inputs[0]]);
}

Status graph_finish(Graph *graph, Value output)
{
  if (usable(graph, output)) graph->output = output;
  return graph->failure;
}

const Node *graph_nodes(const Graph *graph, int32_t *count)
{
  *count = graph->count;
  return graph->nodes;
}

const ParameterList *graph_parameters(const Graph *graph)
{
  return &graph->parameters;
}

Value graph_output(const Graph *graph)
{
  return graph->output;
}

int32_t graph_size_multiple(const Graph *graph)
{
  int32_t multiple = 1;
  for (int32_t i = 0; i < graph->count; ++i)
    if (graph->strides[i] > multiple) multiple = graph->strides[i];
  return multiple;
}
