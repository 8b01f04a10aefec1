#include "step.h"

#include "base/memory.h"

void network_issue(Network *n, const char *pass, const Step *step)
{
  static const char *const ops[] = {
      [NODE_INPUT] = "input",
      [NODE_CONV2D] = "conv2d",
      [NODE_DECODER_CONV2D] = "decoder_conv2d",
      [NODE_CONV_TRANSPOSE2D] = "conv_transpose2d",
      [NODE_BATCH_NORM2D] = "batch_norm2d",
      [NODE_MAX_POOL2D] = "max_pool2d",
      [NODE_RELU] = "relu",
      [NODE_ADD] = "add",
      [NODE_UPSAMPLE_NEAREST] = "upsample_nearest",
      [NODE_CONCAT] = "concat",
  };
  if (step == NULL) {
    device_issue(n->device, (DeviceWork){.pass = NULL});
    return;
  }
  const Shape y = n->shapes[step->output];
  const int32_t weight = step->node.weight;
  device_issue(n->device,
               (DeviceWork){.pass = pass,
                            .op = ops[step->kind],
                            .number = step->output,
                            .tensor = weight < 0 ? NULL : network_parameter(n, weight)->name,
                            .sides = {y.images, y.height, y.width, y.channels}});
}

static bool is_convolution(const Node *node)
{
  return node->kind == NODE_CONV2D || node->kind == NODE_DECODER_CONV2D;
}

static void count_readers(const Graph *graph, int32_t *readers)
{
  int32_t count;
  const Node *nodes = graph_nodes(graph, &count);
  for (int32_t i = 0; i < count; ++i)
    for (int32_t j = 0; j < nodes[i].input_count; ++j)
      ++readers[nodes[i].inputs[j]];
  for (int32_t i = 0; i < graph_output_count(graph); ++i)
    ++readers[graph_output(graph, i)];
}

/* A norm is folded into the convolution before it where nobody else reads that; a decoder's takes
 * no residual. */
static bool can_fold(const Node *nodes, const int32_t *readers, const Node *norm)
{
  if (norm->kind != NODE_BATCH_NORM2D) return false;
  const Node *before = &nodes[norm->inputs[0]];
  return is_convolution(before) && !before->bias && readers[norm->inputs[0]] == 1 &&
         (before->kind == NODE_CONV2D || norm->input_count == 1);
}

/* In inference a relu joins the convolution whose only reader it is. Not in training: the relu that
 * libraries fuse into convolutions makes 0 of a NaN, which would hide a training that diverged. */
static bool can_join(const Network *network, const Node *nodes, const int32_t *readers,
                     const Node *relu)
{
  if (network->options.training) return false;
  if (relu->kind != NODE_RELU || readers[relu->inputs[0]] != 1) return false;
  const NodeKind before = nodes[relu->inputs[0]].kind;
  return before == NODE_CONV2D || before == NODE_CONV_TRANSPOSE2D;
}

/* Whether the one reader of a value takes it into itself. */
static bool is_taken(const Network *network, const Node *nodes, const int32_t *readers, Value value)
{
  const bool folds = !network->options.training;
  if (readers[value] != 1) return false;
  for (int32_t i = value + 1; i < network->value_count; ++i)
    if (nodes[i].input_count > 0 && nodes[i].inputs[0] == value)
      return can_join(network, nodes, readers, &nodes[i]) ||
             (folds && can_fold(nodes, readers, &nodes[i]));
  return false;
}

static Step plain_step(const Node *node, Value value)
{
  Step step = {.kind = node->kind,
               .node = *node,
               .output = value,
               .input_count = node->input_count,
               .norm_weight = -1,
               .saved = -1};
  for (int32_t i = 0; i < node->input_count; ++i)
    step.inputs[i] = node->inputs[i];
  return step;
}

static Step folded_step(const Node *nodes, const Node *norm, Value value)
{
  Step step = plain_step(&nodes[norm->inputs[0]], value);
  step.norm_weight = norm->weight;
  step.norm_eps = norm->eps;
  step.relu = norm->relu;
  step.node.bias = true;
  if (norm->input_count > 1) step.inputs[step.input_count++] = norm->inputs[1];
  return step;
}

static Step joined_step(const Node *nodes, const Node *relu, Value value)
{
  Step step = plain_step(&nodes[relu->inputs[0]], value);
  step.relu = true;
  return step;
}

static void fill_steps(Network *network, const Node *nodes, const int32_t *readers)
{
  for (Value v = 1; v < network->value_count; ++v) {
    if (is_taken(network, nodes, readers, v)) continue;
    Step *step = &network->steps[network->step_count++];
    if (can_join(network, nodes, readers, &nodes[v]))
      *step = joined_step(nodes, &nodes[v], v);
    else if (!network->options.training && can_fold(nodes, readers, &nodes[v]))
      *step = folded_step(nodes, &nodes[v], v);
    else
      *step = plain_step(&nodes[v], v);
  }
}

/* What the backward pass cannot do: a norm writes the gradient of its input, it does not add to it;
 * norms and decoders ask for the gradients of all their inputs, and the network's input has none; a
 * value that nobody reads has none either. */
static Status check_node(const Network *network, const Node *nodes, const int32_t *readers, Value v)
{
  const Node *node = &nodes[v];
  const bool is_norm = node->kind == NODE_BATCH_NORM2D;
  if (readers[v] == 0)
    return status_set(STATUS_UNSUPPORTED, "training: nobody reads what node %d gives", v);
  if (is_norm && readers[node->inputs[0]] != 1)
    return status_set(STATUS_UNSUPPORTED,
                      "training: a batch norm must be the only reader of what it normalises");
  for (int32_t i = 0; i < node->input_count && !network->options.input_gradient; ++i)
    if ((is_norm || node->kind == NODE_DECODER_CONV2D) && node->inputs[i] == 0)
      return status_set(STATUS_UNSUPPORTED,
                        "training: a batch norm or a decoder cannot read the image itself");
  return STATUS_OK;
}

static Status check_training(const Network *network, const Node *nodes, const int32_t *readers)
{
  if (!network->options.training) return STATUS_OK;
  for (Value v = 1; v < network->value_count; ++v)
    TRY(check_node(network, nodes, readers, v));
  return STATUS_OK;
}

static bool has_trained(const Network *n, const Node *node)
{
  return node->weight >= 0 && network_parameter(n, node->weight)->trained;
}

/* Which values have a gradient: those behind a parameter that is trained. Norms and decoders give
 * all their inputs one, so where one of these has a gradient so have they. */
static void find_gradients(Network *n, bool *has)
{
  has[0] = n->options.input_gradient;
  for (int32_t s = 0; s < n->step_count; ++s) {
    Step *step = &n->steps[s];
    step->backward = has_trained(n, &step->node);
    for (int32_t i = 0; i < step->input_count; ++i)
      step->backward = step->backward || has[step->inputs[i]];
    has[step->output] = step->backward;
    const bool gives_all = step->kind == NODE_BATCH_NORM2D || step->kind == NODE_DECODER_CONV2D;
    for (int32_t i = 0; step->backward && gives_all && i < step->input_count; ++i)
      has[step->inputs[i]] = true;
  }
  for (int32_t s = 0; s < n->step_count; ++s) {
    Step *step = &n->steps[s];
    step->backward = has[step->output];
    for (int32_t i = 0; i < step->input_count; ++i)
      step->wanted[i] = step->backward && has[step->inputs[i]];
  }
}

static Status mark_gradients(Network *n)
{
  void *has;
  TRY(memory_allocate((size_t)n->value_count, sizeof(bool), "graph", &has));
  find_gradients(n, has);
  memory_free(has);
  return STATUS_OK;
}

Status steps_build(Network *network)
{
  void *readers;
  const Node *nodes = graph_nodes(network->graph, &network->value_count);
  TRY(memory_allocate((size_t)network->value_count, sizeof(int32_t), "graph", &readers));
  count_readers(network->graph, readers);
  const Status status = check_training(network, nodes, readers);
  if (status == STATUS_OK) fill_steps(network, nodes, readers);
  memory_free(readers);
  return status == STATUS_OK && network->options.training ? mark_gradients(network) : status;
}

static Status open_conv2d(Network *n, Step *step, OpBytes *bytes)
{
  const Node *node = &step->node;
  const Node *nodes = graph_nodes(n->graph, &n->value_count);
  const Conv2d conv = {.in_channels = nodes[step->inputs[0]].channels,
                       .out_channels = node->channels,
                       .kernel_height = node->kernel,
                       .kernel_width = node->kernel,
                       .stride = node->stride,
                       .pad = node->pad,
                       .dilation = node->dilation,
                       .groups = node->groups,
                       .bias = node->bias,
                       .add = step->norm_weight >= 0 && step->input_count > 1,
                       .relu = step->relu};
  Conv2dPlan plan;
  TRY(conv2d_plan(conv, n->shapes[step->inputs[0]], n->backend->channel_multiple, step->backward,
                  step->wanted[0], &plan));
  n->shapes[step->output] = plan.y;
  return n->backend->conv2d_open(n->device, &plan, &step->conv, bytes);
}

static Status open_decoder(Network *n, Step *step, OpBytes *bytes)
{
  const Node *nodes = graph_nodes(n->graph, &n->value_count);
  const bool has_skip = step->input_count > 1;
  const DecoderConv2d conv = {.a_channels = nodes[step->inputs[0]].channels,
                              .skip_channels = has_skip ? nodes[step->inputs[1]].channels : 0,
                              .out_channels = step->node.channels,
                              .bias = step->node.bias,
                              .relu = step->relu};
  const Shape none = {0};
  DecoderConv2dPlan plan;
  TRY(decoder_conv2d_plan(conv, n->shapes[step->inputs[0]],
                          has_skip ? n->shapes[step->inputs[1]] : none,
                          n->backend->channel_multiple, step->backward, &plan));
  n->shapes[step->output] = plan.y;
  return n->backend->decoder_conv2d_open(n->device, &plan, &step->decoder, bytes);
}

static Status open_transposed(Network *n, Step *step, OpBytes *bytes)
{
  const Node *nodes = graph_nodes(n->graph, &n->value_count);
  const ConvTranspose2d conv = {.in_channels = nodes[step->inputs[0]].channels,
                                .out_channels = step->node.channels,
                                .relu = step->relu};
  ConvTranspose2dPlan plan;
  TRY(conv_transpose2d_plan(conv, n->shapes[step->inputs[0]], n->backend->channel_multiple,
                            step->backward, &plan));
  n->shapes[step->output] = plan.y;
  return n->backend->conv_transpose2d_open(n->device, &plan, &step->transposed, bytes);
}

static Status open_norm(Network *n, Step *step, OpBytes *bytes)
{
  const BatchNorm2d norm = {.channels = step->node.channels,
                            .eps = step->node.eps,
                            .momentum = 0.1F,
                            .frozen = network_norm_is_frozen(n, step),
                            .add = step->input_count > 1,
                            .relu = step->node.relu};
  BatchNorm2dPlan plan;
  TRY(batch_norm2d_plan(norm, n->shapes[step->inputs[0]], &plan));
  n->shapes[step->output] = plan.x;
  return n->backend->batch_norm2d_open(n->device, &plan, &step->norm, bytes);
}

static Status open_pool(Network *n, Step *step, OpBytes *bytes)
{
  const MaxPool2d pool = {step->node.kernel, step->node.stride, step->node.pad};
  Shape *y = &n->shapes[step->output];
  TRY(max_pool2d_plan(pool, n->shapes[step->inputs[0]], y));
  bytes->saved = (size_t)shape_elements(*y);
  return STATUS_OK;
}

/* Parts lie side by side as they are in memory: padding behind a part would stand where the reader
 * looks for the next. */
static Status open_concat(Network *n, const Step *step)
{
  Shape inputs[GRAPH_INPUTS_MOST];
  const Node *nodes = graph_nodes(n->graph, &n->value_count);
  for (int32_t i = 0; i < step->input_count; ++i) {
    const int32_t channels = nodes[step->inputs[i]].channels;
    inputs[i] = n->shapes[step->inputs[i]];
    if (channels != inputs[i].channels && i + 1 < step->input_count)
      return status_set(STATUS_UNSUPPORTED,
                        "concat: part %d has %d channels, which this device pads to %d; all parts "
                        "but the last need a multiple of %d channels",
                        i, channels, inputs[i].channels, n->backend->channel_multiple);
  }
  return concat_plan(inputs, step->input_count, &n->shapes[step->output]);
}

static Status open_step(Network *n, Step *step, OpBytes *bytes)
{
  const Shape x = n->shapes[step->inputs[0]];
  Shape *y = &n->shapes[step->output];
  switch (step->kind) {
  case NODE_CONV2D: return open_conv2d(n, step, bytes);
  case NODE_DECODER_CONV2D: return open_decoder(n, step, bytes);
  case NODE_CONV_TRANSPOSE2D: return open_transposed(n, step, bytes);
  case NODE_BATCH_NORM2D: return open_norm(n, step, bytes);
  case NODE_MAX_POOL2D: return open_pool(n, step, bytes);
  case NODE_ADD: return add_plan(x, n->shapes[step->inputs[1]], y);
  case NODE_UPSAMPLE_NEAREST: return upsample_nearest_plan(x, y);
  case NODE_CONCAT: return open_concat(n, step);
  case NODE_RELU:
  case NODE_INPUT: *y = x; return STATUS_OK;
  }
  return STATUS_OK;
}

static size_t aligned(size_t bytes)
{
  return (bytes + PIECE_ALIGNMENT_BYTES - 1) / PIECE_ALIGNMENT_BYTES * PIECE_ALIGNMENT_BYTES;
}

Status steps_open(Network *n)
{
  for (int32_t s = 0; s < n->step_count; ++s) {
    Step *step = &n->steps[s];
    OpBytes bytes = {0};
    TRY(open_step(n, step, &bytes));
    step->packed_offset = n->packed_bytes;
    n->packed_bytes += aligned(bytes.packed);
    if (bytes.scratch > n->scratch_bytes) n->scratch_bytes = bytes.scratch;
    if (bytes.saved == 0) continue;
    step->saved = n->piece_count;
    const int32_t last = n->options.training ? 2 * n->step_count - 1 - s : s;
    n->pieces[n->piece_count++] = (Piece){.bytes = bytes.saved, .first = s, .last = last};
  }
  return STATUS_OK;
}

void steps_close(Network *n)
{
  for (int32_t s = 0; s < n->step_count; ++s) {
    if (n->steps[s].conv != NULL) n->backend->conv2d_close(n->steps[s].conv);
    if (n->steps[s].decoder != NULL) n->backend->decoder_conv2d_close(n->steps[s].decoder);
    if (n->steps[s].transposed != NULL) n->backend->conv_transpose2d_close(n->steps[s].transposed);
    if (n->steps[s].norm != NULL) n->backend->batch_norm2d_close(n->steps[s].norm);
  }
}
