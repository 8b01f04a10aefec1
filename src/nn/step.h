#pragma once

#include "memory_plan.h"
#include "nn/network.h"
#include "op/backend.h"

/* One op of a network: a node, or a convolution with the batch norm that was folded into it, or with
 * the relu behind it.
 * Private to nn. */
typedef struct Step {
  NodeKind kind;
  Node node;
  Value output;
  Value inputs[GRAPH_INPUTS_MOST]; /* a folded residual among them, as the last */
  int32_t input_count;
  int32_t norm_weight; /* folded: the first of the norm's parameters; else -1 */
  float norm_eps;
  bool relu;     /* folded */
  bool backward; /* training: its output has a gradient */

  Conv2dKernel *conv;
  DecoderConv2dKernel *decoder;
  ConvTranspose2dKernel *transposed;
  BatchNorm2dKernel *norm;
  size_t packed_offset;
  int32_t saved; /* a piece; -1 for none */

  Write writes[GRAPH_INPUTS_MOST]; /* backward: whether the input's gradient is set or added to */
  bool wanted[GRAPH_INPUTS_MOST];  /* backward: whether the input has a gradient */
} Step;

struct Network {
  const Graph *graph;
  Device *device;
  const Backend *backend;
  NetworkOptions options;

  Step *steps;
  int32_t step_count;
  int32_t value_count;
  Shape *shapes;      /* of each value */
  int32_t *places;    /* of each value: its piece, or -1 */
  int32_t *gradients; /* of each value: its gradient's piece, or -1 */
  Piece *pieces;
  int32_t piece_count;

  size_t activation_bytes, packed_bytes, scratch_bytes;
  char *activations; /* device memory */
  char *packed;
  void *scratch;
  float *sums; /* shared norms' and their gradients' sums */

  float *own_parameters; /* inference: the norms that could not be folded read theirs here */
  const float *trained;  /* device memory */
  float *statistics;
  float *flat_gradients;
};

/* Says to the device what it is given next, for the sentence of a failure; NULL: nothing in
 * particular. */
void network_issue(Network *network, const char *pass, const Step *step);
/* How many values read each; fills steps from nodes, folding where inference may. */
Status steps_build(Network *network);
/* Shapes of all values, and a kernel for each step. */
Status steps_open(Network *network);
void steps_close(Network *network);
/* A piece for each tensor, and its place. */
Status pieces_build(Network *network);

void *network_value(Network *network, Value value);
void *network_gradient(Network *network, Value value);
/* A parameter in the block that it is a part of, which the device or the host holds. */
const Parameter *network_parameter(const Network *network, int32_t index);
const float *network_parameter_values(const Network *network, int32_t index);
/* Whether a batch norm uses its running statistics. */
bool network_norm_is_frozen(const Network *network, const Step *step);
BatchNorm2dParameters network_norm_parameters(const Network *network, int32_t first);
