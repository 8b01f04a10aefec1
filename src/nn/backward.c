#include "step.h"

/* NULL where it is not trained. */
static float *flat_gradient(const Network *n, int32_t parameter)
{
  const Parameter *p = network_parameter(n, parameter);
  return p->trained ? n->flat_gradients + p->offset : NULL;
}

static void backward_norm(Network *n, const Step *step)
{
  const BatchNorm2dParameters parameters = network_norm_parameters(n, step->node.weight);
  const void *x = network_value(n, step->inputs[0]);
  const void *y = network_value(n, step->output);
  const void *dy = network_gradient(n, step->output);
  const void *saved = n->activations + n->pieces[step->saved].offset;
  void *dx = network_gradient(n, step->inputs[0]);
  void *dadd = step->input_count > 1 ? network_gradient(n, step->inputs[1]) : NULL;
  float *dweight = flat_gradient(n, step->node.weight);
  float *dbias = flat_gradient(n, step->node.weight + 1);
  if (network_norm_is_frozen(n, step) || n->options.shared_norm == NULL) {
    n->backend->batch_norm2d_backward(step->norm, parameters, x, y, dy, saved, dx, dadd,
                                      step->writes[1], dweight, dbias, n->scratch);
    return;
  }
  const int64_t pixels = shape_pixels(n->shapes[step->output]);
  n->backend->batch_norm2d_backward_sums(step->norm, x, y, dy, saved, dweight, dbias, n->sums,
                                         n->scratch);
  device_fail(n->device, gradients_sum(n->options.shared_norm, "the sum of batch norm's gradients",
                                       n->sums, 2 * (size_t)step->node.channels));
  n->backend->batch_norm2d_backward_from_sums(step->norm, parameters, n->sums,
                                              pixels * n->options.rank_count, x, y, dy, saved, dx,
                                              dadd, step->writes[1], n->scratch);
}

static void backward_conv(Network *n, const Step *step)
{
  const void *dy = network_gradient(n, step->output);
  float *dweight = flat_gradient(n, step->node.weight);
  float *dbias = step->node.bias ? flat_gradient(n, step->node.weight + 1) : NULL;
  if (dweight != NULL)
    n->backend->conv2d_backward_weight(step->conv, network_value(n, step->inputs[0]), dy, dweight,
                                       dbias, n->scratch);
  if (step->wanted[0])
    n->backend->conv2d_backward_data(step->conv, n->packed + step->packed_offset, dy,
                                     network_gradient(n, step->inputs[0]), step->writes[0],
                                     n->scratch);
}

static void backward_decoder(Network *n, const Step *step)
{
  const bool has_skip = step->input_count > 1;
  const void *skip = has_skip ? network_value(n, step->inputs[1]) : NULL;
  void *dskip = has_skip ? network_gradient(n, step->inputs[1]) : NULL;
  const void *dy = network_gradient(n, step->output);
  float *dweight = flat_gradient(n, step->node.weight);
  if (dweight != NULL)
    n->backend->decoder_conv2d_backward_weight(step->decoder, network_value(n, step->inputs[0]),
                                               skip, dy, dweight, NULL, n->scratch);
  n->backend->decoder_conv2d_backward_data(step->decoder, n->packed + step->packed_offset, dy,
                                           network_gradient(n, step->inputs[0]), step->writes[0],
                                           dskip, step->writes[1], n->scratch);
}

static void backward_transposed(Network *n, const Step *step)
{
  const void *dy = network_gradient(n, step->output);
  float *dweight = flat_gradient(n, step->node.weight);
  if (dweight != NULL)
    n->backend->conv_transpose2d_backward_weight(
        step->transposed, network_value(n, step->inputs[0]), dy, dweight,
        flat_gradient(n, step->node.weight + 1), n->scratch);
  if (step->wanted[0])
    n->backend->conv_transpose2d_backward_data(step->transposed, n->packed + step->packed_offset,
                                               dy, network_gradient(n, step->inputs[0]),
                                               step->writes[0], n->scratch);
}

static void backward_pool(Network *n, const Step *step)
{
  if (!step->wanted[0]) return;
  const MaxPool2d pool = {step->node.kernel, step->node.stride, step->node.pad};
  n->backend->max_pool2d_backward(
      n->device, pool, n->shapes[step->inputs[0]], network_gradient(n, step->inputs[0]),
      n->shapes[step->output], network_gradient(n, step->output),
      (const uint8_t *)n->activations + n->pieces[step->saved].offset, step->writes[0]);
}

static void backward_concat(Network *n, const Step *step)
{
  int32_t offset = 0;
  for (int32_t i = 0; i < step->input_count; ++i) {
    const Shape x = n->shapes[step->inputs[i]];
    if (step->wanted[i])
      n->backend->concat_backward(n->device, x, network_gradient(n, step->inputs[i]),
                                  n->shapes[step->output], offset,
                                  network_gradient(n, step->output), step->writes[i]);
    offset += x.channels;
  }
}

static void backward_add(Network *n, const Step *step)
{
  for (int32_t i = 0; i < 2; ++i)
    if (step->wanted[i])
      n->backend->accumulate(n->device, n->shapes[step->output], network_gradient(n, step->output),
                             network_gradient(n, step->inputs[i]), step->writes[i]);
}

static void backward_relu(Network *n, const Step *step)
{
  if (step->wanted[0])
    n->backend->relu_backward(n->device, n->shapes[step->output], network_value(n, step->output),
                              network_gradient(n, step->output),
                              network_gradient(n, step->inputs[0]), step->writes[0]);
}

static void backward_upsample(Network *n, const Step *step)
{
  if (step->wanted[0])
    n->backend->upsample_nearest_backward(
        n->device, n->shapes[step->inputs[0]], network_gradient(n, step->inputs[0]),
        n->shapes[step->output], 0, network_gradient(n, step->output), step->writes[0]);
}

static void backward_step(Network *n, const Step *step)
{
  if (!step->backward) return;
  switch (step->kind) {
  case NODE_CONV2D: backward_conv(n, step); break;
  case NODE_DECODER_CONV2D: backward_decoder(n, step); break;
  case NODE_CONV_TRANSPOSE2D: backward_transposed(n, step); break;
  case NODE_BATCH_NORM2D: backward_norm(n, step); break;
  case NODE_MAX_POOL2D: backward_pool(n, step); break;
  case NODE_RELU: backward_relu(n, step); break;
  case NODE_ADD: backward_add(n, step); break;
  case NODE_UPSAMPLE_NEAREST: backward_upsample(n, step); break;
  case NODE_CONCAT: backward_concat(n, step); break;
  case NODE_INPUT: break;
  }
}

/* Steps run in the reverse order of the graph, but a block's parameters may be named before its
 * shortcut's: complete is what no step still to come writes to. */
static int64_t first_still_open(const Network *n, int32_t step_count)
{
  int64_t end = 0;
  for (int32_t s = 0; s < step_count; ++s) {
    const int32_t weight = n->steps[s].node.weight;
    if (weight < 0 || !network_parameter(n, weight)->trained) continue;
    const bool two = n->steps[s].kind == NODE_BATCH_NORM2D || n->steps[s].node.bias;
    const Parameter *last = network_parameter(n, weight + (two ? 1 : 0));
    if (last->offset + last->count > end) end = last->offset + last->count;
  }
  return end;
}

Status network_backward(Network *n, Status (*ready)(void *context, size_t first), void *context)
{
  for (int32_t s = n->step_count - 1; s >= 0; --s) {
    network_issue(n, "backward", &n->steps[s]);
    backward_step(n, &n->steps[s]);
    network_issue(n, NULL, NULL);
    if (ready != NULL && n->steps[s].node.weight >= 0)
      TRY(ready(context, (size_t)first_still_open(n, s)));
  }
  return STATUS_OK;
}
