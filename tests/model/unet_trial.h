#pragma once

#include "model/unet.h"
#include "nn/network.h"
#include "op/segmentation_loss.h"
#include "support/backends.h"

/* A U-Net on one backend with the weights, the batch and the labels of a formula. Any failure fails
 * the test. */
typedef struct UnetTrial {
  const TestBackend *on;
  Room *room;
  Graph *graph;
  Network *network;
  Unet unet;
  Shape batch; /* N x H x W x bands; its element is what the network computes in */
  SegmentationLoss loss;
  int64_t logit_count;
  float *trained, *statistics; /* host */
  uint8_t *labels;             /* device */
  float *class_weights;        /* device */
  float *sums;                 /* device */
  void *loss_scratch;          /* device */
} UnetTrial;

/* Fills one parameter, as formula_fill does. */
typedef void UnetFill(const char *name, int rank, const int64_t *dims, float *values);

/* class_weights: as many as classes. The network is allocated, but has no weights on the device. */
UnetTrial *unet_trial_open(const TestBackend *on, Unet unet, Shape batch, bool training,
                           UnetFill *fill, const double *class_weights);
void unet_trial_close(UnetTrial *trial);

/* Puts a batch, N x H x W x bands, and its labels on the device; the formula's of that name. */
void unet_trial_put(UnetTrial *trial, const float *x, const uint8_t *labels);
void unet_trial_feed(UnetTrial *trial, const char *name);
/* The logits after a forward pass, as PyTorch lays them out: N x classes x H x W. */
float *unet_trial_logits(UnetTrial *trial);
double unet_trial_loss(UnetTrial *trial);
/* The gradient of the loss, into the network's output gradient; after unet_trial_loss. */
void unet_trial_loss_backward(UnetTrial *trial);
