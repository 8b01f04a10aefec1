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

/* Those of Mask R-CNN behind a ResNet's four stages (models.md 1.3, 1.5, 1.10, 1.11): pyramid, RPN,
 * box head over 500 regions per image and mask head over 100. depth and bands do not matter. */
void head_graphs(UnetCase network, GraphList *list);
