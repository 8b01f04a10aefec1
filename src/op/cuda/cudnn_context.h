#pragma once

#include "conv_graph.h"
#include "device/device.h"
#include "op/backend.h"

/* cuDNN on one GPU: its handle on the compute stream, and the engines chosen so far, one per
 * distinct graph. Lives as long as the device; made by the first call. */

/* From now on new graphs get the engine that is fastest here (or not, again). What was chosen
 * before stays. A failure becomes the device's. */
void cudnn_context_autotune(Device *device, bool autotune);

/* Chosen once per graph. Errors: STATUS_UNSUPPORTED if there is no engine for it; STATUS_DEVICE,
 * STATUS_NO_MEMORY. */
Status cudnn_context_engine(Device *device, const ConvGraph *graph, const ConvEngine **engine);
size_t cudnn_context_workspace_bytes(const ConvEngine *engine);
/* Issues one run; a failure becomes the device's. */
void cudnn_context_run(Device *device, const ConvEngine *engine, ConvOperands operands);
/* Backend.library: "cuDNN 9.8.0". Needs no GPU. */
void library_cuda(char text[BACKEND_LIBRARY_BYTES]);
