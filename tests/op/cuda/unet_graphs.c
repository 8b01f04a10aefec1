#include "unet_graphs.h"

#include "base/require.h"

enum { MULTIPLE = 8 };

static void add_graph(GraphList *list, ConvGraph graph)
{
  for (int i = 0; i < list->count; ++i)
    if (conv_graph_equal(&list->items[i], &graph)) return;
  require(list->count < GRAPHS_MOST);
  list->items[list->count++] = graph;
}

typedef struct Layer {
  int32_t out, kernel, stride;
  bool first;     /* its input wants no gradient */
  bool bias;      /* also in training */
  bool no_pad;    /* else as the kernel wants it to keep the size */
  bool add, relu; /* in inference */
} Layer;

/* Adds the graphs of one layer; returns its output. */
static Shape add_layer(UnetCase network, Shape x, Layer layer, GraphList *list)
{
  const bool fused = !network.training;
  const Conv2d conv = {.in_channels = x.channels,
                       .out_channels = layer.out,
                       .kernel_height = layer.kernel,
                       .kernel_width = layer.kernel,
                       .stride = layer.stride,
                       .pad = layer.no_pad ? 0 : layer.kernel / 2,
                       .dilation = 1,
                       .groups = 1,
                       .bias = fused || layer.bias,
                       .add = fused && layer.add,
                       .relu = fused && layer.relu};
  Conv2dPlan plan;
  require(conv2d_plan(conv, x, MULTIPLE, network.training, !layer.first, &plan) == STATUS_OK);
  const Shape y = plan.y;
  plan = conv_graph_flat(&plan);
  add_graph(list, conv_graph_of(&plan, conv.bias ? CONV_FORWARD_FUSED : CONV_FORWARD));
  if (network.training) add_graph(list, conv_graph_of(&plan, CONV_BACKWARD_WEIGHT));
  if (network.training && !layer.first) add_graph(list, conv_graph_of(&plan, CONV_BACKWARD_DATA));
  return y;
}

static Shape add_block(UnetCase network, Shape x, int32_t width, int32_t stride, GraphList *list)
{
  const bool bottleneck = network.depth == 50;
  const int32_t out = bottleneck ? 4 * width : width;
  Shape y = x;
  if (bottleneck) {
    y = add_layer(network, y, (Layer){.out = width, .kernel = 1, .stride = 1, .relu = true}, list);
    y = add_layer(network, y, (Layer){.out = width, .kernel = 3, .stride = stride, .relu = true},
                  list);
    y = add_layer(network, y,
                  (Layer){.out = out, .kernel = 1, .stride = 1, .add = true, .relu = true}, list);
  } else {
    y = add_layer(network, y, (Layer){.out = width, .kernel = 3, .stride = stride, .relu = true},
                  list);
    y = add_layer(network, y,
                  (Layer){.out = out, .kernel = 3, .stride = 1, .add = true, .relu = true}, list);
  }
  if (stride != 1 || x.channels != out)
    (void)add_layer(network, x, (Layer){.out = out, .kernel = 1, .stride = stride}, list);
  return y;
}

/* skips: outputs of the stem and the first three stages. Returns the last stage's. */
static Shape add_encoder(UnetCase network, Shape x, Shape skips[4], GraphList *list)
{
  static const int32_t blocks_18[4] = {2, 2, 2, 2};
  static const int32_t blocks_deeper[4] = {3, 4, 6, 3};
  const int32_t *blocks = network.depth == 18 ? blocks_18 : blocks_deeper;
  Shape y = add_layer(
      network, x, (Layer){.out = 64, .kernel = 7, .stride = 2, .first = true, .relu = true}, list);
  skips[0] = y;
  y.height /= 2; /* max pool */
  y.width /= 2;
  for (int32_t stage = 0; stage < 4; ++stage) {
    for (int32_t block = 0; block < blocks[stage]; ++block)
      y = add_block(network, y, 64 << stage, stage > 0 && block == 0 ? 2 : 1, list);
    if (stage < 3) skips[stage + 1] = y;
  }
  return y;
}

void unet_graphs(UnetCase network, GraphList *list)
{
  static const int32_t widths[5] = {256, 128, 64, 32, 16};
  const Shape x = {.images = network.images,
                   .height = network.size_px,
                   .width = network.size_px,
                   .channels = (network.bands + MULTIPLE - 1) / MULTIPLE * MULTIPLE,
                   .element = network.element};
  Shape skips[4];
  Shape y = add_encoder(network, x, skips, list);
  for (int32_t i = 0; i < 5; ++i) {
    const int32_t skip_channels = i < 4 ? skips[3 - i].channels : 0;
    Shape joined = y;
    joined.height *= 2;
    joined.width *= 2;
    joined.channels += skip_channels;
    y = add_layer(network, joined,
                  (Layer){.out = widths[i], .kernel = 3, .stride = 1, .relu = true}, list);
    y = add_layer(network, y, (Layer){.out = widths[i], .kernel = 3, .stride = 1, .relu = true},
                  list);
  }
  (void)add_layer(network, y,
                  (Layer){.out = network.classes, .kernel = 3, .stride = 1, .bias = true}, list);
}

static Shape add_biased(UnetCase network, Shape x, int32_t out, int32_t kernel, bool relu,
                        GraphList *list)
{
  return add_layer(network, x,
                   (Layer){.out = out, .kernel = kernel, .stride = 1, .bias = true, .relu = relu},
                   list);
}

static void add_pyramid(UnetCase network, GraphList *list)
{
  enum { FEATURES = 256, ANCHORS = 3, MAPS = 5 };
  for (int32_t i = 0; i < MAPS; ++i) {
    Shape x = {network.images, network.size_px >> (i + 2), network.size_px >> (i + 2), 256 << i,
               network.element};
    if (i < MAPS - 1) {
      const Shape inner = add_biased(network, x, FEATURES, 1, false, list);
      (void)add_biased(network, inner, FEATURES, 3, false, list);
    }
    x.channels = FEATURES;
    const Shape hidden = add_biased(network, x, FEATURES, 3, true, list);
    (void)add_biased(network, hidden, ANCHORS, 1, false, list);
    (void)add_biased(network, hidden, 4 * ANCHORS, 1, false, list);
  }
}

void head_graphs(UnetCase network, GraphList *list)
{
  add_pyramid(network, list);
  Shape x = {500 * network.images, 7, 7, 256, network.element};
  x = add_layer(
      network, x,
      (Layer){.out = 1024, .kernel = 7, .stride = 1, .bias = true, .no_pad = true, .relu = true},
      list);
  x = add_biased(network, x, 1024, 1, true, list);
  (void)add_biased(network, x, network.classes, 1, false, list);
  (void)add_biased(network, x, 4 * network.classes, 1, false, list);

  x = (Shape){100 * network.images, 14, 14, 256, network.element};
  x = add_biased(network, x, 256, 3, true, list);
  x = add_biased(network, x, 4 * 256, 1, true, list); /* the transposed convolution's product */
  x = (Shape){100 * network.images, 28, 28, 256, network.element};
  (void)add_biased(network, x, network.classes, 1, false, list);
}
