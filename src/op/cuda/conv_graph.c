#include "conv_graph.h"

#include <stdio.h>

Conv2dPlan conv_graph_flat(const Conv2dPlan *plan)
{
  const Conv2d conv = plan->conv;
  Conv2dPlan flat = *plan;
  if (conv.kernel_height != plan->x.height || conv.kernel_width != plan->x.width || conv.pad != 0 ||
      conv.groups != 1)
    return flat;
  flat.x.channels = plan->x.height * plan->x.width * plan->x.channels;
  flat.x.height = flat.x.width = 1;
  flat.conv.in_channels = flat.x.channels;
  flat.conv.kernel_height = flat.conv.kernel_width = 1;
  flat.conv.stride = flat.conv.dilation = 1;
  return flat;
}

Conv2dPlan conv_graph_joined(const DecoderConv2dPlan *plan)
{
  Shape x = plan->y;
  x.channels = plan->a.channels + plan->skip.channels;
  x.element = plan->a.element;
  const Conv2d conv = {.in_channels = x.channels,
                       .out_channels = plan->conv.out_channels,
                       .kernel_height = 3,
                       .kernel_width = 3,
                       .stride = 1,
                       .pad = 1,
                       .dilation = 1,
                       .groups = 1,
                       .bias = plan->conv.bias,
                       .relu = plan->conv.relu};
  return (Conv2dPlan){
      .conv = conv, .x = x, .y = plan->y, .backward = plan->backward, .dx = plan->backward};
}

ConvGraph conv_graph_of(const Conv2dPlan *plan, ConvPass pass)
{
  const Conv2d conv = plan->conv;
  const bool fused = pass == CONV_FORWARD_FUSED;
  return (ConvGraph){.pass = pass,
                     .x = plan->x,
                     .y = plan->y,
                     .kernel_height = conv.kernel_height,
                     .kernel_width = conv.kernel_width,
                     .stride = conv.stride,
                     .pad = conv.pad,
                     .dilation = conv.dilation,
                     .groups = conv.groups,
                     .bias = fused && conv.bias,
                     .add = fused && conv.add,
                     .relu = fused && conv.relu};
}

bool conv_graph_equal(const ConvGraph *a, const ConvGraph *b)
{
  return a->pass == b->pass && shape_equal(a->x, b->x) && shape_equal(a->y, b->y) &&
         a->kernel_height == b->kernel_height && a->kernel_width == b->kernel_width &&
         a->stride == b->stride && a->pad == b->pad && a->dilation == b->dilation &&
         a->groups == b->groups && a->bias == b->bias && a->add == b->add && a->relu == b->relu;
}

Shape conv_graph_weights(const ConvGraph *graph)
{
  return (Shape){.images = graph->y.channels,
                 .height = graph->kernel_height,
                 .width = graph->kernel_width,
                 .channels = graph->x.channels / graph->groups,
                 .element = graph->x.element};
}

const char *conv_graph_text(const ConvGraph *graph, char text[160])
{
  static const char *const passes[] = {"forward", "fused forward", "backward data",
                                       "backward weight"};
  snprintf(text, 160,
           "%s %s %d x %d stride %d pad %d dilation %d groups %d, %d x %d x %d x %d to %d%s%s%s",
           element_name(graph->x.element), passes[graph->pass], graph->kernel_height,
           graph->kernel_width, graph->stride, graph->pad, graph->dilation, graph->groups,
           graph->x.images, graph->x.height, graph->x.width, graph->x.channels, graph->y.channels,
           graph->add ? " + add" : "", graph->bias ? " + bias" : "", graph->relu ? " + relu" : "");
  return text;
}
