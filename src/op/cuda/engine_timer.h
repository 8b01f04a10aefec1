#pragma once

#include "conv_engine.h"
#include "cuda_device.h"

/* Times engines on a GPU: on memory of its own, taken for one engine and given back. Lies where the
 * timer's context points to. */
typedef struct EngineTiming {
  const CudaDevice *device;
  cudnnHandle_t handle; /* on the device's stream */
} EngineTiming;

/* For EngineTimer. context: EngineTiming. Seconds: the median of several runs, each between two
 * events, after two for warming up. Errors: STATUS_NO_MEMORY, STATUS_DEVICE. */
Status engine_timing_run(void *context, const ConvGraph *graph, const ConvEngine *engine,
                         double *seconds);
