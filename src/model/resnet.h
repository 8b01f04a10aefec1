#pragma once

#include "model/unet.h"

/* The body of a ResNet without its classifier: features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the
 * input. Names as torchvision's, behind a prefix. */
enum { RESNET_FEATURES = 5 };

void resnet_build(Graph *graph, Encoder encoder, Value input, const char *prefix,
                  Value features[RESNET_FEATURES]);
