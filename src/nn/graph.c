#include "nn/graph.h"

#include <string.h>

#include "base/memory.h"

struct Graph {
  Node *nodes;
  int32_t count;
  int32_t capacity;
  int32_t *strides; /* of each value: pixels of the input per pixel; 0 until known */
  ParameterList parameters;
  GraphTraining training;
  Value outputs[GRAPH_OUTPUTS_MOST];
  int32_t output_count;
  Status failure; /* the first; its sentence is the thread's */
};

static Status open_parts(Graph *graph, int32_t input_channels)
{
  graph->training = graph_training_default();
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

GraphTraining graph_training_default(void)
{
  return (GraphTraining){.norm_eps = 1e-5F};
}

void graph_set_training(Graph *graph, GraphTraining training)
{
  graph->training = training;
}

/* given, as one that is trained unless the graph says otherwise. */
static Status add_weight(Graph *graph, const char *module, const char *name, Parameter given)
{
  given.frozen = graph->training.frozen;
  given.trained = !given.frozen;
  return parameter_add(&graph->parameters, module, name, &given);
}

static Status add_bias(Graph *graph, const char *module, int32_t channels, Initial initial)
{
  const Parameter *weight = &graph->parameters.items[graph->parameters.count - 1];
  return add_weight(graph, module, "bias",
                    (Parameter){.rank = 1,
                                .dims = {channels},
                                .initial = initial,
                                .fan_in = weight->fan_in,
                                .fan_out = weight->fan_out});
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
  const int64_t in = graph->nodes[x].channels / node.groups;
  const int64_t taps = (int64_t)node.kernel * node.kernel;
  const Parameter cube = {.rank = 4,
                          .dims = {conv.out_channels, in, node.kernel, node.kernel},
                          .initial = conv.initial,
                          .fan_in = in * taps,
                          .fan_out = conv.out_channels * taps};
  Parameter weight = cube;
  if (conv.linear) {
    weight.rank = 2;
    weight.dims[1] = in * taps;
    weight.fan_out = conv.out_channels;
  }
  Status status = add_weight(graph, name, "weight", weight);
  if (status == STATUS_OK && conv.bias)
    status = add_bias(graph, name, conv.out_channels, conv.initial_bias);
  if (status != STATUS_OK) return refuse(graph, status);
  return add_node(graph, node, graph->strides[x] * node.stride);
}

Value graph_conv2d_again(Graph *graph, Value x, Value like)
{
  if (!usable(graph, x) || !usable(graph, like)) return VALUE_NONE;
  Node node = graph->nodes[like];
  if (node.kind != NODE_CONV2D || graph->nodes[node.inputs[0]].channels != graph->nodes[x].channels)
    return refuse(graph, status_set(STATUS_BAD_SHAPE,
                                    "value %d is no convolution of %d channels to repeat", like,
                                    graph->nodes[x].channels));
  node.inputs[0] = x;
  return add_node(graph, node, graph->strides[x] * node.stride);
}

Value graph_conv_transpose2d(Graph *graph, Value x, int32_t out_channels, Initial initial,
                             const char *name)
{
  if (!usable(graph, x)) return VALUE_NONE;
  const int32_t in = graph->nodes[x].channels;
  const Node node = {.kind = NODE_CONV_TRANSPOSE2D,
                     .channels = out_channels,
                     .input_count = 1,
                     .inputs = {x},
                     .kernel = 2,
                     .stride = 2,
                     .bias = true,
                     .weight = graph->parameters.count};
  /* PyTorch takes the fans from the axes of the weight, whose first is the input's here. */
  const Parameter weight = {.rank = 4,
                            .dims = {in, out_channels, 2, 2},
                            .initial = initial,
                            .fan_in = (int64_t)out_channels * 4,
                            .fan_out = (int64_t)in * 4};
  Status status = add_weight(graph, name, "weight", weight);
  if (status == STATUS_OK) status = add_bias(graph, name, out_channels, INITIAL_UNIFORM_IN);
  if (status != STATUS_OK) return refuse(graph, status);
  return add_node(graph, node, graph->strides[x] / 2);
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
  const int64_t in =
      graph->nodes[a].channels + (has_skip ? (int64_t)graph->nodes[skip].channels : 0);
  const Parameter weight = {.rank = 4,
                            .dims = {out_channels, in, 3, 3},
                            .initial = INITIAL_KAIMING_UNIFORM_IN,
                            .fan_in = in * 9,
                            .fan_out = (int64_t)out_channels * 9};
  const Status status = add_weight(graph, name, "weight", weight);
  if (status != STATUS_OK) return refuse(graph, status);
  return add_node(graph, node, graph->strides[a] / 2);
}

static Status add_norm_parameters(Graph *graph, const char *name, int32_t channels)
{
  const bool frozen = graph->training.frozen || graph->training.norm_frozen;
  Parameter p = {.rank = 1, .dims = {channels}, .frozen = frozen, .trained = !frozen};
  ParameterList *list = &graph->parameters;
  p.initial = INITIAL_ONE;
  TRY(parameter_add(list, name, "weight", &p));
  p.initial = INITIAL_ZERO;
  TRY(parameter_add(list, name, "bias", &p));
  p.trained = p.frozen = false;
  TRY(parameter_add(list, name, "running_mean", &p));
  p.initial = INITIAL_ONE;
  return parameter_add(list, name, "running_var", &p);
}

Value graph_batch_norm2d(Graph *graph, Value x, Value residual, bool relu, const char *name)
{
  if (!usable(graph, x) || (residual != VALUE_NONE && !usable(graph, residual))) return VALUE_NONE;
  const Node node = {.kind = NODE_BATCH_NORM2D,
                     .channels = graph->nodes[x].channels,
                     .input_count = residual == VALUE_NONE ? 1 : 2,
                     .inputs = {x, residual},
                     .relu = relu,
                     .frozen = graph->training.norm_frozen,
                     .eps = graph->training.norm_eps,
                     .weight = graph->parameters.count};
  const Status status = add_norm_parameters(graph, name, node.channels);
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
  /* windows of one pixel pick pixels, of any size */
  return add_node(graph, node, graph->strides[x] * (pool.size == 1 ? 1 : pool.stride));
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
  return graph_finish_many(graph, &output, 1);
}

Status graph_finish_many(Graph *graph, const Value *outputs, int32_t count)
{
  if (count < 1 || count > GRAPH_OUTPUTS_MOST)
    (void)refuse(graph, status_set(STATUS_BAD_SHAPE, "a network of %d outputs; it has 1 to %d",
                                   count, GRAPH_OUTPUTS_MOST));
  for (int32_t i = 0; i < count && usable(graph, outputs[i]); ++i)
    graph->outputs[graph->output_count++] = outputs[i];
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

int32_t graph_output_count(const Graph *graph)
{
  return graph->output_count;
}

Value graph_output(const Graph *graph, int32_t index)
{
  return graph->outputs[index];
}

int32_t graph_size_multiple(const Graph *graph)
{
  int32_t multiple = 1;
  for (int32_t i = 0; i < graph->count; ++i)
    if (graph->strides[i] > multiple) multiple = graph->strides[i];
  return multiple;
}
