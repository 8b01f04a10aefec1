#include "step.h"

static void forward_norm(Network *n, const Step *step)
{
  const BatchNorm2dParameters parameters = network_norm_parameters(n, step->node.weight);
  const void *x = network_value(n, step->inputs[0]);
  const void *add = step->input_count > 1 ? network_value(n, step->inputs[1]) : NULL;
  void *y = network_value(n, step->output);
  void *saved = n->activations + n->pieces[step->saved].offset;
  const bool shared = !network_norm_is_frozen(n, step) && n->options.shared_norm != NULL;
  if (!shared) {
    n->backend->batch_norm2d_forward(step->norm, parameters, x, add, y, saved, n->scratch);
    return;
  }
  const int64_t pixels = shape_pixels(n->shapes[step->output]);
  n->backend->batch_norm2d_sums(step->norm, parameters, x, n->sums, n->scratch);
  device_fail(n->device, gradients_sum(n->options.shared_norm, "the sum of batch norm's statistics",
                                       n->sums, 2 * (size_t)step->node.channels));
  n->backend->batch_norm2d_forward_from_sums(step->norm, parameters, n->sums,
                                             pixels * n->options.rank_count, x, add, y, saved,
                                             n->scratch);
}

static void forward_conv(Network *n, const Step *step)
{
  const void *add =
      step->norm_weight >= 0 && step->input_count > 1 ? network_value(n, step->inputs[1]) : NULL;
  n->backend->conv2d_forward(step->conv, n->packed + step->packed_offset,
                             network_value(n, step->inputs[0]), add, network_value(n, step->output),
                             n->scratch);
}

static void forward_decoder(Network *n, const Step *step)
{
  const void *skip = step->input_count > 1 ? network_value(n, step->inputs[1]) : NULL;
  n->backend->decoder_conv2d_forward(step->decoder, n->packed + step->packed_offset,
                                     network_value(n, step->inputs[0]), skip,
                                     network_value(n, step->output), n->scratch);
}

static void forward_pool(Network *n, const Step *step)
{
  const MaxPool2d pool = {step->node.kernel, step->node.stride, step->node.pad};
  n->backend->max_pool2d_forward(n->device, pool, n->shapes[step->inputs[0]],
                                 network_value(n, step->inputs[0]), n->shapes[step->output],
                                 network_value(n, step->output),
                                 (uint8_t *)n->activations + n->pieces[step->saved].offset);
}

static void forward_concat(Network *n, const Step *step)
{
  int32_t offset = 0;
  for (int32_t i = 0; i < step->input_count; ++i) {
    const Shape x = n->shapes[step->inputs[i]];
    n->backend->concat_forward(n->device, x, network_value(n, step->inputs[i]),
                               n->shapes[step->output], offset, network_value(n, step->output));
    offset += x.channels;
  }
}

static void forward_step(Network *n, const Step *step)
{
  const Shape shape = n->shapes[step->output];
  const void *x = network_value(n, step->inputs[0]);
  void *y = network_value(n, step->output);
  switch (step->kind) {
  case NODE_CONV2D: forward_conv(n, step); break;
  case NODE_DECODER_CONV2D: forward_decoder(n, step); break;
  case NODE_CONV_TRANSPOSE2D:
    n->backend->conv_transpose2d_forward(step->transposed, n->packed + step->packed_offset, x, y,
                                         n->scratch);
    break;
  case NODE_BATCH_NORM2D: forward_norm(n, step); break;
  case NODE_MAX_POOL2D: forward_pool(n, step); break;
  case NODE_RELU: n->backend->relu_forward(n->device, shape, x, y); break;
  case NODE_ADD:
    n->backend->add_forward(n->device, shape, x, network_value(n, step->inputs[1]), y);
    break;
  case NODE_UPSAMPLE_NEAREST:
    n->backend->upsample_nearest_forward(n->device, n->shapes[step->inputs[0]], x, shape, 0, y);
    break;
  case NODE_CONCAT: forward_concat(n, step); break;
  case NODE_INPUT: break;
  }
}

void network_forward(Network *n)
{
  for (int32_t s = 0; s < n->step_count; ++s) {
    network_issue(n, "forward", &n->steps[s]);
    forward_step(n, &n->steps[s]);
  }
  network_issue(n, NULL, NULL);
}
