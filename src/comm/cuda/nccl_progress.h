#pragma once

#include <cuda_runtime_api.h>
#include <stdint.h>

/* Private to the plug-in's NCCL. Adds one to a counter in pinned host memory in the order of the
 * stream, so that any thread of the host sees how far it is without asking CUDA, in a replayed
 * graph as well. */
#ifdef __cplusplus
extern "C" {
#endif

cudaError_t nccl_progress_count(cudaStream_t stream, uint32_t *ended);

#ifdef __cplusplus
}
#endif
