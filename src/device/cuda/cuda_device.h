#pragma once

#include <cuda_runtime_api.h>
#include <stdbool.h>

#include "base/status.h"
#include "device/device.h"

/* What the plug-in's parts share about one GPU: device_driver() of a GPU's Device is one of these.
 * Read by both compilers. */
#ifdef __cplusplus
extern "C" {
#endif

typedef struct CudaDevice {
  int gpu;
  int compute_capability; /* 90 for sm_90 */
  char name[96];
  cudaStream_t stream; /* all compute, in order */
  bool checks;         /* every piece of work is waited for, so that a failure names it */
  cudaStream_t copies_in, copies_out;
  /* What the ops keep per device (cuDNN's handle and engines); made by the first that wants it. */
  void *ops;
  void (*close_ops)(void *ops);
  /* Asked while synchronize waits, so that a lost rank does not hang the others; NULL: nothing. */
  Status (*watch)(void *watched);
  void *watched;
} CudaDevice;

/* STATUS_OK, STATUS_NO_MEMORY, or STATUS_DEVICE with CUDA's name and words for the code. */
Status cuda_status(cudaError_t code, const char *what);
/* Behind each piece of work that was issued: whether it was refused and, where the device checks,
 * whether it ran to its end. */
cudaError_t cuda_outcome(const Device *device);
CudaDevice *cuda_device_of(const Device *device);
/* The compute stream; makes its GPU the calling thread's current one. */
cudaStream_t cuda_stream_of(const Device *device);

/* Makes the GPU the calling thread's current one. */
Status cuda_choose(const CudaDevice *device);
/* Polls until ready says other than cudaErrorNotReady; asks the watch meanwhile. */
Status cuda_wait(const CudaDevice *device, cudaError_t (*ready)(void *what), void *what);

#ifdef __cplusplus
}
#endif
