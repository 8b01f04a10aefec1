#pragma once

#include "model/encoder.h"
#include "nn/graph.h"

/* U-Net with a ResNet encoder, as segmentation_models_pytorch builds it: names, order and sizes of
 * the parameters are the same, so its state_dicts load here and ours load there.
 *
 *   Input     N x H x W x bands; sides are multiples of 32
 *   Output    N x H x W x classes, logits
 *   Source    Ronneberger, Fischer and Brox, "U-Net", 2015; He et al., "Deep residual learning",
 * 2016, table 1; segmentation_models_pytorch, Unet(encoder, decoder_channels (256, 128, 64, 32,
 * 16)) */
typedef struct Unet {
  Encoder encoder;
  int32_t bands;
  int32_t classes;
  int32_t frozen_layers; /* of the encoder, from its start, 0 … 5, are not trained */
} Unet;

Status unet_build(Unet unet, Graph **graph);
