#include "conv_runner.h"

static size_t most(size_t a, size_t b)
{
  return a > b ? a : b;
}

static Status check(const Conv2dPlan *plan)
{
  const Element element = plan->x.element;
  if (plan->x.channels % CUDA_CHANNEL_MULTIPLE != 0 ||
      plan->y.channels % CUDA_CHANNEL_MULTIPLE != 0)
    return status_set(STATUS_BAD_SHAPE,
                      "conv2d: %d to %d channels in memory; on a GPU they are padded to multiples "
                      "of 8",
                      plan->x.channels, plan->y.channels);
  if ((element != ELEMENT_F32 && element != ELEMENT_BF16 && element != ELEMENT_F16) ||
      plan->y.element != element)
    return status_set(STATUS_UNSUPPORTED, "conv2d: from %s to %s on a GPU", element_name(element),
                      element_name(plan->y.element));
  return STATUS_OK;
}

static Status choose(const ConvRunner *runner, ConvPass pass, const ConvEngine **engine)
{
  const ConvGraph graph = conv_graph_of(&runner->plan, pass);
  return cudnn_context_engine(runner->device, &graph, engine);
}

static Status choose_forward(ConvRunner *runner)
{
  const Conv2d conv = runner->plan.conv;
  const bool more = conv.bias || conv.add || conv.relu;
  if (more) {
    const Status status = choose(runner, CONV_FORWARD_FUSED, &runner->forward);
    if (status != STATUS_UNSUPPORTED) return status;
  }
  runner->finish = more;
  return choose(runner, CONV_FORWARD, &runner->forward);
}

static Status choose_all(ConvRunner *runner)
{
  TRY(choose_forward(runner));
  if (!runner->plan.backward) return STATUS_OK;
  TRY(choose(runner, CONV_BACKWARD_WEIGHT, &runner->backward_weight));
  if (!runner->plan.dx) return STATUS_OK;
  return choose(runner, CONV_BACKWARD_DATA, &runner->backward_data);
}

/* scratch begins with what a pass needs besides the engine's workspace: a copy of add where add is
 * y, dx before it is added, dw before it is converted (or the sums of the bias). */
static size_t scratch_bytes(const ConvRunner *runner)
{
  const Conv2dPlan *plan = &runner->plan;
  const size_t copy = plan->conv.add ? cuda_aligned(shape_bytes(plan->y)) : 0;
  size_t bytes = copy + cudnn_context_workspace_bytes(runner->forward);
  if (runner->backward_data != NULL)
    bytes = most(bytes, cuda_aligned(shape_bytes(plan->x)) +
                            cudnn_context_workspace_bytes(runner->backward_data));
  if (runner->backward_weight != NULL)
    bytes = most(bytes, runner->dw_bytes + cudnn_context_workspace_bytes(runner->backward_weight));
  if (runner->backward_weight != NULL && plan->conv.bias)
    bytes = most(bytes, conv2d_bias_scratch_bytes(plan->y));
  return bytes;
}

Status conv_runner_fill(ConvRunner *runner, Device *device, const Conv2dPlan *plan,
                        WeightLayout layout, OpBytes *bytes)
{
  TRY(check(plan));
  *runner = (ConvRunner){.device = device, .plan = *plan, .layout = layout};
  TRY(choose_all(runner));
  const ConvGraph graph = conv_graph_of(plan, CONV_FORWARD);
  runner->dw_bytes = cuda_aligned(shape_bytes(conv_graph_weights(&graph)));
  runner->bias_offset = runner->dw_bytes;
  const size_t bias_bytes = (size_t)plan->y.channels * element_bytes(plan->y.element);
  *bytes = (OpBytes){.packed = runner->bias_offset + cuda_aligned(bias_bytes),
                     .scratch = scratch_bytes(runner)};
  return STATUS_OK;
}

void conv_runner_pack(ConvRunner *runner, const float *weight, const float *bias, void *packed)
{
  const Element element = runner->plan.x.element;
  conv2d_pack_weights(runner->device, runner->layout, element, weight, packed);
  if (runner->plan.conv.bias)
    conv2d_pack_bias(runner->device, runner->layout, element, bias,
                     (char *)packed + runner->bias_offset);
}

/* An engine may use y before it has read all of add, so add is kept aside where it is y itself. */
void conv_runner_forward(ConvRunner *runner, const void *packed, const void *x, const void *add,
                         void *y, void *scratch)
{
  const Conv2dPlan *plan = &runner->plan;
  const Conv2d conv = plan->conv;
  const void *bias = conv.bias ? (const char *)packed + runner->bias_offset : NULL;
  const void *residual = conv.add ? add : NULL;
  char *workspace = scratch;
  if (residual != NULL && residual == y) {
    device_copy(runner->device, scratch, add, shape_bytes(plan->y));
    residual = scratch;
  }
  if (conv.add) workspace += cuda_aligned(shape_bytes(plan->y));
  cudnn_context_run(runner->device, runner->forward,
                    (ConvOperands){.x = x,
                                   .w = packed,
                                   .y = y,
                                   .bias = runner->finish ? NULL : bias,
                                   .add = runner->finish ? NULL : residual,
                                   .workspace = workspace});
  if (runner->finish) conv2d_finish(runner->device, plan->y, bias, residual, conv.relu, y);
}

void conv_runner_backward_data(ConvRunner *runner, const void *packed, const void *dy, void *dx,
                               Write write, void *scratch)
{
  const Shape shape = runner->plan.x;
  void *target = write == WRITE_ADD ? scratch : dx;
  cudnn_context_run(
      runner->device, runner->backward_data,
      (ConvOperands){.x = target,
                     .w = packed,
                     .y = dy,
                     .workspace = (char *)scratch + cuda_aligned(shape_bytes(shape))});
  if (write == WRITE_ADD) accumulate_cuda(runner->device, shape, scratch, dx, WRITE_ADD);
}

void conv_runner_backward_weight(ConvRunner *runner, const void *x, const void *dy, float *dweight,
                                 float *dbias, void *scratch)
{
  const Conv2dPlan *plan = &runner->plan;
  cudnn_context_run(
      runner->device, runner->backward_weight,
      (ConvOperands){
          .x = x, .w = scratch, .y = dy, .workspace = (char *)scratch + runner->dw_bytes});
  conv2d_add_gradient(runner->device, runner->layout, plan->x.element, scratch, dweight);
  if (plan->conv.bias)
    conv2d_add_bias_gradient(runner->device, plan->y, plan->conv.out_channels, dy, dbias, scratch);
}
