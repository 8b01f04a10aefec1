#include "model/mask_rcnn.h"

#include <stdio.h>

#include "resnet.h"

enum { NAME_BYTES = 96, BOX_FEATURES = 1024, MASK_CONVOLUTIONS = 4 };

static const GraphConv same3 = {
    .out_channels = MASK_RCNN_CHANNELS, .kernel = 3, .pad = 1, .bias = true};

/* Top down: each map is its own feature's projection and the coarser map, enlarged. */
static void pyramid(Graph *graph, const Value *features, Value *maps)
{
  const GraphConv lateral = {
      .out_channels = MASK_RCNN_CHANNELS, .bias = true, .initial = INITIAL_LECUN_UNIFORM_IN};
  GraphConv smooth = same3;
  Value inner[MASK_RCNN_FEATURES];
  char name[NAME_BYTES];
  smooth.initial = INITIAL_LECUN_UNIFORM_IN;
  /* in the order of the state_dict */
  for (int32_t i = 0; i < MASK_RCNN_FEATURES; ++i) {
    (void)snprintf(name, sizeof name, "backbone.fpn.inner_blocks.%d.0", i);
    inner[i] = graph_conv2d(graph, features[i], lateral, name);
  }
  for (int32_t i = MASK_RCNN_FEATURES - 2; i >= 0; --i)
    inner[i] = graph_add(graph, inner[i], graph_upsample_nearest(graph, inner[i + 1]));
  for (int32_t i = 0; i < MASK_RCNN_FEATURES; ++i) {
    (void)snprintf(name, sizeof name, "backbone.fpn.layer_blocks.%d.0", i);
    maps[i] = graph_conv2d(graph, inner[i], smooth, name);
  }
  maps[MASK_RCNN_FEATURES] =
      graph_max_pool2d(graph, maps[MASK_RCNN_FEATURES - 1], (MaxPool2d){.size = 1, .stride = 2});
}

static void rpn(Graph *graph, const Value *maps, Value *outputs)
{
  GraphConv conv = same3;
  GraphConv logits = {
      .out_channels = MASK_RCNN_ANCHORS, .bias = true, .initial = INITIAL_NORMAL_001};
  GraphConv deltas = logits;
  conv.initial = INITIAL_NORMAL_001;
  deltas.out_channels = 4 * MASK_RCNN_ANCHORS;
  Value first[3] = {VALUE_NONE, VALUE_NONE, VALUE_NONE};
  for (int32_t i = 0; i < MASK_RCNN_MAPS; ++i) {
    const Value x = i == 0 ? graph_conv2d(graph, maps[i], conv, "rpn.head.conv.0.0")
                           : graph_conv2d_again(graph, maps[i], first[0]);
    const Value hidden = graph_relu(graph, x);
    outputs[2 * i] = i == 0 ? graph_conv2d(graph, hidden, logits, "rpn.head.cls_logits")
                            : graph_conv2d_again(graph, hidden, first[1]);
    outputs[2 * i + 1] = i == 0 ? graph_conv2d(graph, hidden, deltas, "rpn.head.bbox_pred")
                                : graph_conv2d_again(graph, hidden, first[2]);
    if (i > 0) continue;
    first[0] = x;
    first[1] = outputs[0];
    first[2] = outputs[1];
  }
}

static Status build_trunk(MaskRcnn model, Graph *graph)
{
  const ResnetTraining training = {.trained_layers = model.trained_layers,
                                   .norm_frozen = model.norm_frozen,
                                   .norm_eps = model.norm_eps};
  Value features[RESNET_FEATURES];
  Value maps[MASK_RCNN_MAPS];
  Value outputs[MASK_RCNN_FEATURES + 2 * MASK_RCNN_MAPS];
  resnet_build(graph, model.encoder, training, graph_input(graph), "backbone.body.", features);
  pyramid(graph, features + 1, maps);
  for (int32_t i = 0; i < MASK_RCNN_FEATURES; ++i)
    outputs[i] = maps[i];
  rpn(graph, maps, outputs + MASK_RCNN_FEATURES);
  return graph_finish_many(graph, outputs, MASK_RCNN_FEATURES + 2 * MASK_RCNN_MAPS);
}

static Value linear(Graph *graph, Value x, int32_t kernel, int32_t features, const char *name)
{
  const GraphConv conv = {.out_channels = features,
                          .kernel = kernel,
                          .bias = true,
                          .linear = true,
                          .initial = INITIAL_UNIFORM_IN,
                          .initial_bias = INITIAL_UNIFORM_IN};
  return graph_conv2d(graph, x, conv, name);
}

static Status build_box_head(MaskRcnn model, Graph *graph)
{
  Value x = graph_input(graph);
  x = linear(graph, x, MASK_RCNN_BOX_PX, BOX_FEATURES, "roi_heads.box_head.fc6");
  x = linear(graph, graph_relu(graph, x), 1, BOX_FEATURES, "roi_heads.box_head.fc7");
  x = graph_relu(graph, x);
  const Value outputs[2] = {
      linear(graph, x, 1, model.classes, "roi_heads.box_predictor.cls_score"),
      linear(graph, x, 1, 4 * model.classes, "roi_heads.box_predictor.bbox_pred")};
  return graph_finish_many(graph, outputs, 2);
}

static Status build_mask_head(MaskRcnn model, Graph *graph)
{
  GraphConv conv = same3;
  Value x = graph_input(graph);
  conv.initial = INITIAL_KAIMING_NORMAL_OUT;
  for (int32_t i = 0; i < MASK_CONVOLUTIONS; ++i) {
    char name[NAME_BYTES];
    (void)snprintf(name, sizeof name, "roi_heads.mask_head.%d.0", i);
    x = graph_relu(graph, graph_conv2d(graph, x, conv, name));
  }
  x = graph_conv_transpose2d(graph, x, MASK_RCNN_CHANNELS, INITIAL_KAIMING_NORMAL_OUT,
                             "roi_heads.mask_predictor.conv5_mask");
  const GraphConv logits = {.out_channels = model.classes,
                            .bias = true,
                            .initial = INITIAL_KAIMING_NORMAL_OUT,
                            .initial_bias = INITIAL_UNIFORM_IN};
  return graph_finish(graph, graph_conv2d(graph, graph_relu(graph, x), logits,
                                          "roi_heads.mask_predictor.mask_fcn_logits"));
}

static Status build(MaskRcnn model, int32_t channels, Status (*part)(MaskRcnn, Graph *),
                    Graph **graph)
{
  *graph = NULL;
  Graph *building;
  TRY(graph_open(channels, &building));
  const Status status = part(model, building);
  if (status == STATUS_OK)
    *graph = building;
  else
    graph_close(building);
  return status;
}

Status mask_rcnn_trunk_build(MaskRcnn model, Graph **graph)
{
  return build(model, model.bands, build_trunk, graph);
}

Status mask_rcnn_box_head_build(MaskRcnn model, Graph **graph)
{
  return build(model, MASK_RCNN_CHANNELS, build_box_head, graph);
}

Status mask_rcnn_mask_head_build(MaskRcnn model, Graph **graph)
{
  return build(model, MASK_RCNN_CHANNELS, build_mask_head, graph);
}
