#pragma once

#include "conv_graph.h"

/* The graphs of convolutions that a U-Net of the segmentation_models_pytorch form needs on a GPU
 * (models.md 2.3 gives the layers), each once. */
enum { GRAPHS_MOST = 512 };

typedef struct GraphList {
  ConvGraph items[GRAPHS_MOST];
  int count;
} GraphList;

typedef struct UnetCase {
  int32_t depth; /* of the ResNet: 18, 34 or 50 */
  int32_t images;
  int32_t size_px;
  int32_t bands;
  int32_t classes;
  Element element;
  bool training; /* else inference: batch norm folded, bias, add and relu fused */
} UnetCase;

void unet_graphs(UnetCase network, GraphList *list);
