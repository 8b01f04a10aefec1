#pragma once

#include "gpu_model.h"
#include "model/detector.h"
#include "nn/network.h"
#include "op/segmentation_loss.h"

/* The ops of a step of training, or of a batch of tiles, counted as they would go to a GPU
 * (op_work.h): networks are opened and run on a device that counts. No GPU is needed and nothing is
 * computed. */
enum { GPU_READY_MOST = 1024 };

typedef struct GpuWork {
  Device *device;
  OpWorkList *list;
  const OpWork *items; /* the list's */
  int32_t count;
  int32_t backward_first, backward_end; /* ops of the backward pass; equal where there is none */
  GpuReady ready[GPU_READY_MOST];
  int32_t ready_count;
  int64_t gradients;   /* elements */
  size_t device_bytes; /* that are allocated while it runs, scratch as the CPU's twins want it */
} GpuWork;

/* Local, as are all. Images of so many bands, in float32 for training and uint8 for inference, are
 * uploaded and normalised first; the classes of all pixels are downloaded. On failure nothing is
 * left to close. */
Status gpu_work_unet(const Graph *graph, NetworkOptions options, int32_t bands, int32_t classes,
                     GpuWork *work);
/* Inference with options.pasted_pixels_most > 0 downloads the masks as well. */
Status gpu_work_detector(const DetectorParts *parts, DetectorOptions options, GpuWork *work);
/* A graph alone, forward, and where it trains backward; nothing before and nothing behind. */
Status gpu_work_graph(const Graph *graph, NetworkOptions options, GpuWork *work);
void gpu_work_close(GpuWork *work); /* accepts an empty (zeroed) one */
