#pragma once

#include "conv_engine.h"
#include "device/device.h"

/* cuDNN on one GPU: the handle on the compute stream, and the engines chosen so far, one per
 * distinct graph. Lives as long as the device. */
typedef struct CudnnContext CudnnContext;

/* The device's own, made by the first call. Errors: STATUS_DEVICE, STATUS_NO_MEMORY. */
Status cudnn_context_of(Device *device, CudnnContext **context);

/* Chosen once per graph. Errors as conv_engine_choose. */
Status cudnn_context_engine(CudnnContext *context, const ConvGraph *graph,
                            const ConvEngine **engine);

/* Issues one run; a failure becomes the device's. */
void cudnn_context_run(Device *device, const ConvEngine *engine, ConvOperands operands);
