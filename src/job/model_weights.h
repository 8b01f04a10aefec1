#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "nn/parameter.h"
#include "store/weights.h"

/* Weights of a network from a file of another program or another run, by PyTorch's names; of
 * torchvision's detectors also those before version 0.13, in which its published weights are. */
typedef enum ModelStart {
  MODEL_START_WHOLE,  /* all of it: bands, encoder and classes must be those of the network */
  MODEL_START_BODY,   /* all but what tells classes apart */
  MODEL_START_ENCODER /* the ResNet alone: torchvision's names, or those behind "encoder.",
                         "backbone." or "backbone.body." */
} ModelStart;

typedef struct ModelStartReport {
  int32_t loaded;     /* parameters and statistics of the network that were read */
  int32_t left;       /* those that keep their values */
  int32_t ignored;    /* tensors of the file that the network has no use for */
  int32_t file_bands; /* that the file's first convolution reads */
} ModelStartReport;

/* Local. Overwrites what the file holds in the two flat blocks (host memory) and leaves the rest.
 * Without MODEL_START_WHOLE the file may hold more (fc, decoder, head), and if the first convolution
 * reads another number of bands, n instead of m: n = 1 takes the sum over the m; else band i takes
 * the file's band i mod m, times m / n (segmentation_models_pytorch, encoders/_utils.py).
 *
 * path: .safetensors, .pth, or a model package. report may be NULL. Errors: STATUS_IO,
 * STATUS_BAD_INPUT (also weights that are no finite numbers, or variances below 0),
 * STATUS_UNSUPPORTED; STATUS_MISMATCH where a tensor is missing, of another shape, or, with
 * MODEL_START_WHOLE, one too many. After an error the blocks hold anything. */
Status model_load_weights(const ParameterList *parameters, const char *path, ModelStart start,
                          float *trained, float *statistics, ModelStartReport *report);

/* The same from a file that is open. */
Status model_take_weights(const ParameterList *parameters, const WeightFile *file, ModelStart start,
                          float *trained, float *statistics, ModelStartReport *report);

/* The same weights in the blocks of another list: every parameter of that name. */
void model_copy_weights(const ParameterList *from, const float *trained, const float *statistics,
                        const ParameterList *to, float *to_trained, float *to_statistics);
