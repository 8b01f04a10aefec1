#pragma once

#include "model/encoder.h"
#include "nn/graph.h"

/* The body of a ResNet without its classifier: features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the
 * input. Names as torchvision's, behind a prefix. */
enum { RESNET_FEATURES = 5 };

typedef struct ResnetTraining {
  int32_t trained_layers; /* 0 … 5, from the end: layer4 … layer1, then conv1 and bn1; the others
                             are frozen (torchvision's trainable_layers, but conv1 and bn1 as one) */
  bool norm_frozen;
  float norm_eps;
} ResnetTraining;

/* The graph's training is the default on return. */
void resnet_build(Graph *graph, Encoder encoder, ResnetTraining training, Value input,
                  const char *prefix, Value features[RESNET_FEATURES]);
int32_t resnet_feature_channels(Encoder encoder, int32_t feature);
