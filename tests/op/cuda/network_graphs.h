#pragma once

#include "conv_graph.h"
#include "model/mask_rcnn.h"
#include "model/unet.h"

/* The graphs that the program's own networks ask cuDNN for. The networks are opened as on a GPU, on
 * a backend that computes nothing and notes the convolutions that it is asked for; so a layer that
 * changes cannot be forgotten. */
enum { GRAPHS_MOST = 4096 };

typedef struct GraphList {
  ConvGraph items[GRAPHS_MOST]; /* each once */
  int32_t count;
} GraphList;

/* How a network is opened. */
typedef struct NetworkCase {
  bool training;
  Element element;
  int32_t images;
  int32_t height_px, width_px;
} NetworkCase;

void unet_graphs(Unet unet, NetworkCase opened, GraphList *list);
/* Trunk and heads, with torchvision's counts of regions. */
void mask_rcnn_graphs(MaskRcnn model, NetworkCase opened, GraphList *list);
