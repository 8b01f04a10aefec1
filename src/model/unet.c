#include "model/unet.h"

#include <stdio.h>

#include "resnet.h"

static const int32_t decoder_channels[5] = {256, 128, 64, 32, 16};

static Value decoder_block(Graph *graph, Value x, Value skip, int32_t index)
{
  const int32_t channels = decoder_channels[index];
  char name[64];
  (void)snprintf(name, sizeof name, "decoder.blocks.%d.conv1.0", index);
  x = graph_decoder_conv2d(graph, x, skip, channels, name);
  (void)snprintf(name, sizeof name, "decoder.blocks.%d.conv1.1", index);
  x = graph_batch_norm2d(graph, x, VALUE_NONE, true, name);
  (void)snprintf(name, sizeof name, "decoder.blocks.%d.conv2.0", index);
  x = graph_conv2d(
      graph, x,
      (GraphConv){
          .out_channels = channels, .kernel = 3, .pad = 1, .initial = INITIAL_KAIMING_UNIFORM_IN},
      name);
  (void)snprintf(name, sizeof name, "decoder.blocks.%d.conv2.1", index);
  return graph_batch_norm2d(graph, x, VALUE_NONE, true, name);
}

static Status build(Unet unet, Graph *graph)
{
  Value features[RESNET_FEATURES];
  const ResnetTraining training = {.trained_layers = 5 - unet.frozen_layers, .norm_eps = 1e-5F};
  resnet_build(graph, unet.encoder, training, graph_input(graph), "encoder.", features);
  Value x = features[4];
  for (int32_t i = 0; i < 5; ++i)
    x = decoder_block(graph, x, i < 4 ? features[3 - i] : VALUE_NONE, i);
  const GraphConv head = {.out_channels = unet.classes,
                          .kernel = 3,
                          .pad = 1,
                          .bias = true,
                          .initial = INITIAL_XAVIER_UNIFORM};
  return graph_finish(graph, graph_conv2d(graph, x, head, "segmentation_head.0"));
}

Status unet_build(Unet unet, Graph **graph)
{
  *graph = NULL;
  Graph *building;
  TRY(graph_open(unet.bands, &building));
  const Status status = build(unet, building);
  if (status == STATUS_OK)
    *graph = building;
  else
    graph_close(building);
  return status;
}
