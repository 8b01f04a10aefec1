#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_runtime_api.h"

enum { ALIGNMENT_BYTES = 256 };

const char *cudaGetErrorString(cudaError_t code)
{
  return code == cudaErrorMemoryAllocation ? "out of memory" : "emulated";
}

const char *cudaGetErrorName(cudaError_t code)
{
  return code == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation" : "emulated";
}

cudaError_t cudaGetLastError(void)
{
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version)
{
  *version = 12080;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
  *version = 12080;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int gpu)
{
  return gpu == 0 ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int gpu)
{
  snprintf(properties->name, sizeof properties->name, "emulated GPU");
  properties->major = 9;
  properties->minor = 0;
  return cudaSetDevice(gpu);
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest)
{
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes)
{
  *free_bytes = *total_bytes = (size_t)4 << 30;
  return cudaSuccess;
}

/* Filled with NaN: fresh memory of a GPU holds anything. Like the driver's, allocation and release
 * are no part of any stream. */
cudaError_t cudaMalloc(void **memory, size_t bytes)
{
  const cudaError_t code = emulated_finish_all();
  if (code != cudaSuccess) return code;
  const size_t rounded = (bytes + ALIGNMENT_BYTES - 1) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
  *memory = aligned_alloc(ALIGNMENT_BYTES, rounded);
  if (*memory == NULL) return cudaErrorMemoryAllocation;
  memset(*memory, 0xFF, rounded);
  return cudaSuccess;
}

cudaError_t cudaFree(void *memory)
{
  const cudaError_t code = emulated_finish_all();
  free(memory);
  return code;
}

cudaError_t cudaMallocHost(void **memory, size_t bytes)
{
  return cudaMalloc(memory, bytes);
}

cudaError_t cudaFreeHost(void *memory)
{
  return cudaFree(memory);
}
