#include "nn/network.h"

#include <string.h>

#include "base/memory.h"
#include "fold.h"
#include "step.h"

static Status allocate_lists(Network *n)
{
  const size_t values = (size_t)n->value_count;
  void *memory;
  TRY(memory_allocate(values, sizeof *n->steps, "network", &memory));
  n->steps = memory;
  TRY(memory_allocate(values, sizeof *n->shapes, "network", &memory));
  n->shapes = memory;
  TRY(memory_allocate(2 * values, sizeof *n->places, "network", &memory));
  n->places = memory;
  n->gradients = n->places + n->value_count;
  TRY(memory_allocate(3 * values, sizeof *n->pieces, "network", &memory));
  n->pieces = memory;
  return STATUS_OK;
}

static Status check_size(const Network *n)
{
  const int32_t multiple = graph_size_multiple(n->graph);
  if (n->options.height % multiple == 0 && n->options.width % multiple == 0) return STATUS_OK;
  return status_set(STATUS_BAD_SHAPE,
                    "tiles of %d x %d px: this model wants sides that are multiples of %d px",
                    n->options.width, n->options.height, multiple);
}

static Status fill(Network *n)
{
  const Node *nodes = graph_nodes(n->graph, &n->value_count);
  const int32_t channel_multiple = n->backend->channel_multiple;
  TRY(check_size(n));
  TRY(allocate_lists(n));
  n->shapes[0] = (Shape){.images = n->options.images,
                         .height = n->options.height,
                         .width = n->options.width,
                         .channels = (nodes[0].channels + channel_multiple - 1) / channel_multiple *
                                     channel_multiple,
                         .element = n->options.element};
  TRY(steps_build(n));
  TRY(steps_open(n));
  return pieces_build(n);
}

Status network_open(const Graph *graph, Device *device, NetworkOptions options, Network **network)
{
  void *memory;
  *network = NULL;
  TRY(memory_allocate(1, sizeof **network, "network", &memory));
  Network *opening = memory;
  opening->graph = graph;
  opening->device = device;
  opening->backend = backend_of(device);
  opening->options = options;
  const Status status = fill(opening);
  if (status == STATUS_OK)
    *network = opening;
  else
    network_close(opening);
  return status;
}

void network_close(Network *n)
{
  if (n == NULL) return;
  steps_close(n);
  device_release(n->device, n->activations);
  device_release(n->device, n->packed);
  device_release(n->device, n->scratch);
  device_release(n->device, n->sums);
  device_release(n->device, n->own_parameters);
  memory_free(n->steps);
  memory_free(n->shapes);
  memory_free(n->places);
  memory_free(n->pieces);
  memory_free(n);
}

static size_t own_parameter_bytes(const Network *n)
{
  const ParameterList *list = graph_parameters(n->graph);
  return n->options.training
             ? 0
             : (size_t)(list->trained_count + list->statistic_count) * sizeof(float);
}

static size_t sums_bytes(const Network *n)
{
  int32_t most = 0;
  for (Value v = 0; v < n->value_count; ++v)
    if (n->shapes[v].channels > most) most = n->shapes[v].channels;
  return n->options.shared_norm != NULL ? 2 * (size_t)most * sizeof(float) : 0;
}

size_t network_bytes(const Network *n)
{
  return n->activation_bytes + n->packed_bytes + n->scratch_bytes + own_parameter_bytes(n) +
         sums_bytes(n);
}

Status network_allocate(Network *n)
{
  void *memory;
  TRY(device_allocate(n->device, n->activation_bytes, "activations", &memory));
  n->activations = memory;
  TRY(device_allocate(n->device, n->packed_bytes, "packed weights", &memory));
  n->packed = memory;
  TRY(device_allocate(n->device, n->scratch_bytes, "scratch", &n->scratch));
  TRY(device_allocate(n->device, sums_bytes(n), "sums of batch norms", &memory));
  n->sums = memory;
  if (n->options.training) return STATUS_OK;

  TRY(device_allocate(n->device, own_parameter_bytes(n), "parameters", &memory));
  n->own_parameters = memory;
  n->trained = n->own_parameters;
  n->statistics = n->own_parameters + graph_parameters(n->graph)->trained_count;
  return STATUS_OK;
}

void network_log_plan(const Network *n, const Log *log)
{
  const double mib = 1048576.0;
  log_once(log,
           "memory plan of a batch of %d x %d x %d px in %s: activations %.1f MiB, packed weights "
           "%.1f MiB, scratch %.1f MiB",
           n->options.images, n->options.height, n->options.width, element_name(n->options.element),
           (double)n->activation_bytes / mib, (double)n->packed_bytes / mib,
           (double)n->scratch_bytes / mib);
}

const Parameter *network_parameter(const Network *n, int32_t index)
{
  return &graph_parameters(n->graph)->items[index];
}

static const float *values_in(const Parameter *parameter, const float *trained,
                              const float *statistics)
{
  return (parameter->trained ? trained : statistics) + parameter->offset;
}

const float *network_parameter_values(const Network *n, int32_t index)
{
  return values_in(network_parameter(n, index), n->trained, n->statistics);
}

bool network_norm_is_frozen(const Network *n, const Step *step)
{
  return !n->options.training || n->options.frozen_norm || step->node.frozen;
}

static bool is_packed(const Step *step)
{
  return step->kind == NODE_CONV2D || step->kind == NODE_DECODER_CONV2D ||
         step->kind == NODE_CONV_TRANSPOSE2D;
}

static void pack_step(Network *n, const Step *step, const float *weight, const float *bias)
{
  void *packed = n->packed + step->packed_offset;
  if (step->kind == NODE_CONV2D)
    n->backend->conv2d_pack(step->conv, weight, bias, packed);
  else if (step->kind == NODE_DECODER_CONV2D)
    n->backend->decoder_conv2d_pack(step->decoder, weight, bias, packed);
  else
    n->backend->conv_transpose2d_pack(step->transposed, weight, bias, packed);
}

void network_pack(Network *n)
{
  for (int32_t s = 0; s < n->step_count; ++s) {
    const Step *step = &n->steps[s];
    if (!is_packed(step)) continue;
    pack_step(n, step, network_parameter_values(n, step->node.weight),
              step->node.bias ? network_parameter_values(n, step->node.weight + 1) : NULL);
  }
}

/* Weights pass through one staging block: on the host folded, on the device packed from. */
typedef struct Staging {
  float *host;
  void *device;
  int64_t weight_most; /* floats of the largest weight; the bias comes behind it */
  int64_t bias_most;
} Staging;

static Staging measure_staging(const Network *n)
{
  Staging staging = {0};
  for (int32_t s = 0; s < n->step_count; ++s) {
    if (!is_packed(&n->steps[s])) continue;
    const int64_t weights = network_parameter(n, n->steps[s].node.weight)->count;
    if (weights > staging.weight_most) staging.weight_most = weights;
    if (n->steps[s].node.channels > staging.bias_most)
      staging.bias_most = n->steps[s].node.channels;
  }
  return staging;
}

static void stage(const Network *n, const Step *step, const float *trained, const float *statistics,
                  Staging staging)
{
  const Parameter *weight = network_parameter(n, step->node.weight);
  const float *weights = values_in(weight, trained, statistics);
  float *bias = staging.host + staging.weight_most;
  if (step->norm_weight >= 0) {
    const Parameter *norm = network_parameter(n, step->norm_weight);
    const FoldedNorm folded = {.channels = norm[0].count,
                               .weight = values_in(&norm[0], trained, statistics),
                               .bias = values_in(&norm[1], trained, statistics),
                               .mean = values_in(&norm[2], trained, statistics),
                               .variance = values_in(&norm[3], trained, statistics),
                               .eps = step->norm_eps};
    fold_norm(folded, weight->count, weights, staging.host, bias);
    return;
  }
  memcpy(staging.host, weights, (size_t)weight->count * sizeof(float));
  if (!step->node.bias) return;
  const Parameter *own_bias = network_parameter(n, step->node.weight + 1);
  memcpy(bias, values_in(own_bias, trained, statistics), (size_t)own_bias->count * sizeof(float));
}

static Status load_steps(Network *n, const float *trained, const float *statistics, Staging staging,
                         size_t bytes)
{
  for (int32_t s = 0; s < n->step_count; ++s) {
    const Step *step = &n->steps[s];
    if (!is_packed(step)) continue;
    stage(n, step, trained, statistics, staging);
    device_upload(n->device, staging.device, staging.host, bytes);
    pack_step(n, step, staging.device, (float *)staging.device + staging.weight_most);
    TRY(device_synchronize(n->device)); /* the next weights use the same staging block */
  }
  return STATUS_OK;
}

Status network_load(Network *n, const float *trained, const float *statistics)
{
  const ParameterList *list = graph_parameters(n->graph);
  Staging staging = measure_staging(n);
  const size_t bytes = (size_t)(staging.weight_most + staging.bias_most) * sizeof(float);
  void *host;
  TRY(device_allocate_host(n->device, bytes, "folded weights", &host));
  staging.host = host;
  Status status = device_allocate(n->device, bytes, "folded weights", &staging.device);
  if (status == STATUS_OK && !device_counts_only(n->device))
    status = load_steps(n, trained, statistics, staging, bytes);
  device_release(n->device, staging.device);
  device_release_host(n->device, host);
  if (status != STATUS_OK) return status;

  device_upload(n->device, n->own_parameters, trained, (size_t)list->trained_count * sizeof(float));
  device_upload(n->device, n->statistics, statistics,
                (size_t)list->statistic_count * sizeof(float));
  return device_synchronize(n->device);
}

void network_bind(Network *n, const float *trained, float *statistics, float *gradients)
{
  n->trained = trained;
  n->statistics = statistics;
  n->flat_gradients = gradients;
}

void *network_value(Network *n, Value value)
{
  return n->activations + n->pieces[n->places[value]].offset;
}

void *network_gradient(Network *n, Value value)
{
  return n->gradients[value] < 0 ? NULL : n->activations + n->pieces[n->gradients[value]].offset;
}

BatchNorm2dParameters network_norm_parameters(const Network *n, int32_t first)
{
  return (BatchNorm2dParameters){
      .weight = network_parameter_values(n, first),
      .bias = network_parameter_values(n, first + 1),
      .running_mean = n->statistics + network_parameter(n, first + 2)->offset,
      .running_var = n->statistics + network_parameter(n, first + 3)->offset};
}

Shape network_input_shape(const Network *n)
{
  return n->shapes[0];
}

Shape network_output_shape(const Network *n, int32_t output)
{
  return n->shapes[graph_output(n->graph, output)];
}

void *network_input(Network *n)
{
  return network_value(n, 0);
}

void *network_input_gradient(Network *n)
{
  return network_gradient(n, 0);
}

const void *network_output(Network *n, int32_t output)
{
  return network_value(n, graph_output(n->graph, output));
}

void *network_output_gradient(Network *n, int32_t output)
{
  return network_gradient(n, graph_output(n->graph, output));
}
