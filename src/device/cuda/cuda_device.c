#include "cuda_device.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "cuda_order.h"
#include "device_driver.h"

/* Left to the driver, cuDNN's lazily loaded kernels and NCCL. */
static const size_t reserve_bytes = (size_t)768 << 20;

Status cuda_status(cudaError_t code, const char *what)
{
  if (code == cudaSuccess) return STATUS_OK;
  (void)cudaGetLastError(); /* else the next launch would report it again */
  return status_set(code == cudaErrorMemoryAllocation ? STATUS_NO_MEMORY : STATUS_DEVICE,
                    "CUDA, %s: %s (%s)", what, cudaGetErrorString(code), cudaGetErrorName(code));
}

CudaDevice *cuda_device_of(const Device *device)
{
  return (CudaDevice *)device_driver(device);
}

cudaError_t cuda_outcome(const Device *device)
{
  const CudaDevice *cuda = cuda_device_of(device);
  const cudaError_t code = cudaGetLastError();
  return code == cudaSuccess && cuda->checks ? cudaStreamSynchronize(cuda->stream) : code;
}

cudaStream_t cuda_stream_of(const Device *device)
{
  const CudaDevice *cuda = cuda_device_of(device);
  (void)cudaSetDevice(cuda->gpu); /* it was set before; a failure shows at the next launch */
  return cuda->stream;
}

static int gpu_count_cuda(const char **why)
{
  int count = 0;
  const cudaError_t code = cudaGetDeviceCount(&count);
  *why = "the CUDA plug-in sees GPUs";
  if (code == cudaSuccess && count > 0) return count;
  (void)cudaGetLastError();
  *why = code == cudaErrorInsufficientDriver
             ? "there is no NVIDIA driver, or it is older than the plug-in's CUDA"
         : code == cudaSuccess || code == cudaErrorNoDevice
             ? "there is no GPU (or CUDA_VISIBLE_DEVICES hides it)"
             : cudaGetErrorString(code);
  return 0;
}

/* The release of the kernel's module, "570.86.15 "; "" where the system does not say. */
static void read_driver_release(char text[32])
{
  char line[256];
  text[0] = '\0';
  FILE *file = fopen("/proc/driver/nvidia/version", "re");
  if (file == NULL) return;
  if (fgets(line, sizeof line, file) != NULL)
    for (char *rest = NULL, *word = strtok_r(line, " \n", &rest); word != NULL && text[0] == '\0';
         word = strtok_r(NULL, " \n", &rest))
      if (word[0] >= '0' && word[0] <= '9' && strchr(word, '.') != NULL)
        (void)snprintf(text, 32, "%.30s ", word);
  (void)fclose(file);
}

static void versions_cuda(char text[DEVICE_VERSIONS_BYTES])
{
  int driver = 0;
  int runtime = 0;
  char release[32];
  (void)cudaDriverGetVersion(&driver);
  (void)cudaRuntimeGetVersion(&runtime);
  read_driver_release(release);
  if (driver == 0)
    (void)snprintf(text, DEVICE_VERSIONS_BYTES, "no driver, runtime CUDA %d.%d", runtime / 1000,
                   runtime % 1000 / 10);
  else
    (void)snprintf(text, DEVICE_VERSIONS_BYTES, "driver %sfor CUDA %d.%d, runtime CUDA %d.%d",
                   release, driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
}

static Status fill(CudaDevice *device, int gpu)
{
  struct cudaDeviceProp properties;
  int least = 0;
  int greatest = 0;
  const char *check = getenv("QUADRAT_CUDA_CHECK");
  device->gpu = gpu;
  device->checks = check != NULL && strcmp(check, "1") == 0;
  TRY(cuda_status(cudaSetDevice(gpu), "choose the GPU"));
  TRY(cuda_status(cudaGetDeviceProperties(&properties, gpu), "read the GPU's properties"));
  (void)snprintf(device->name, sizeof device->name, "%.95s", properties.name);
  device->compute_capability = properties.major * 10 + properties.minor;
  TRY(cuda_status(cudaDeviceGetStreamPriorityRange(&least, &greatest), "stream priorities"));
  /* Not the default stream, and of the lowest priority: sums of gradients go before. */
  TRY(cuda_status(cudaStreamCreateWithPriority(&device->stream, cudaStreamNonBlocking, least),
                  "create the compute stream"));
  TRY(cuda_status(cudaStreamCreateWithPriority(&device->copies_in, cudaStreamNonBlocking, least),
                  "create a stream of copies"));
  return cuda_status(
      cudaStreamCreateWithPriority(&device->copies_out, cudaStreamNonBlocking, least),
      "create a stream of copies");
}

static void close_cuda(void *handle)
{
  CudaDevice *device = handle;
  if (device == NULL) return;
  (void)cudaSetDevice(device->gpu);
  if (device->stream != NULL) (void)cudaStreamSynchronize(device->stream);
  if (device->close_ops != NULL) device->close_ops(device->ops);
  if (device->stream != NULL) (void)cudaStreamDestroy(device->stream);
  if (device->copies_in != NULL) (void)cudaStreamDestroy(device->copies_in);
  if (device->copies_out != NULL) (void)cudaStreamDestroy(device->copies_out);
  memory_free(device);
}

static Status open_cuda(int gpu, void **handle)
{
  void *memory = NULL;
  *handle = NULL;
  TRY(memory_allocate(1, sizeof(CudaDevice), "a GPU", &memory));
  const Status status = fill(memory, gpu);
  if (status == STATUS_OK)
    *handle = memory;
  else
    close_cuda(memory);
  return status;
}

static const char *name_cuda(const void *handle)
{
  return ((const CudaDevice *)handle)->name;
}

/* The calling thread's current GPU is set in each call, because any thread may make it. */
Status cuda_choose(const CudaDevice *device)
{
  return cuda_status(cudaSetDevice(device->gpu), "choose the GPU");
}

static size_t free_bytes_cuda(const void *handle)
{
  size_t free = 0;
  size_t total = 0;
  if (cuda_choose(handle) != STATUS_OK || cudaMemGetInfo(&free, &total) != cudaSuccess) return 0;
  return free > reserve_bytes ? free - reserve_bytes : 0;
}

static Status allocate_cuda(void *handle, size_t bytes, const char *what, void **memory)
{
  *memory = NULL;
  TRY(cuda_choose(handle));
  if (cuda_status(cudaMalloc(memory, bytes > 0 ? bytes : 256), what) == STATUS_OK) return STATUS_OK;
  size_t free = 0;
  size_t total = 0;
  (void)cudaMemGetInfo(&free, &total);
  return status_set(STATUS_NO_MEMORY,
                    "%s: %.1f MiB of GPU memory wanted, %.1f of %.1f MiB free; "
                    "use smaller batches or tiles",
                    what, (double)bytes / 0x1p20, (double)free / 0x1p20, (double)total / 0x1p20);
}

static void release_cuda(void *handle, void *memory)
{
  if (cuda_choose(handle) == STATUS_OK) (void)cudaFree(memory);
}

static Status allocate_host_cuda(void *handle, size_t bytes, const char *what, void **memory)
{
  *memory = NULL;
  TRY(cuda_choose(handle));
  return cuda_status(cudaMallocHost(memory, bytes > 0 ? bytes : 256), what);
}

static void release_host_cuda(void *handle, void *memory)
{
  if (cuda_choose(handle) == STATUS_OK) (void)cudaFreeHost(memory);
}

static Status upload_cuda(void *handle, DeviceStream stream, void *to, const void *from_host,
                          size_t bytes)
{
  TRY(cuda_choose(handle));
  return cuda_status(
      cudaMemcpyAsync(to, from_host, bytes, cudaMemcpyHostToDevice, cuda_stream(handle, stream)),
      "upload");
}

static Status download_cuda(void *handle, DeviceStream stream, void *to_host, const void *from,
                            size_t bytes)
{
  TRY(cuda_choose(handle));
  return cuda_status(
      cudaMemcpyAsync(to_host, from, bytes, cudaMemcpyDeviceToHost, cuda_stream(handle, stream)),
      "download");
}

static Status copy_cuda(void *handle, void *to, const void *from, size_t bytes)
{
  const CudaDevice *device = handle;
  TRY(cuda_choose(device));
  return cuda_status(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, device->stream),
                     "copy");
}

static Status clear_cuda(void *handle, void *memory, size_t bytes)
{
  const CudaDevice *device = handle;
  TRY(cuda_choose(device));
  return cuda_status(cudaMemsetAsync(memory, 0, bytes, device->stream), "clear");
}

/* Work that went wrong after it was issued, no one knows where. */
static Status lost(const CudaDevice *device, cudaError_t code)
{
  return cuda_status(code, device->checks ? "wait for the GPU"
                                          : "wait for the GPU; QUADRAT_CUDA_CHECK=1 in the "
                                            "environment names what goes wrong");
}

/* Polls instead of blocking in CUDA: a collective that a lost rank never joins would not end. */
Status cuda_wait(const CudaDevice *device, cudaError_t (*ready)(void *what), void *what)
{
  enum { SPINS = 2000, NAP_NS = 20000 };
  TRY(cuda_choose(device));
  for (int64_t turn = 0;; ++turn) {
    const cudaError_t code = ready(what);
    if (code == cudaSuccess) return STATUS_OK;
    if (code != cudaErrorNotReady) return lost(device, code);
    (void)cudaGetLastError();
    if (turn < SPINS) continue;
    if (device->watch != NULL) TRY(device->watch(device->watched));
    (void)nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
  }
}

static cudaError_t stream_is_done(void *stream)
{
  return cudaStreamQuery(stream);
}

static Status synchronize_cuda(void *handle)
{
  const CudaDevice *device = handle;
  TRY(cuda_wait(device, stream_is_done, device->copies_in));
  TRY(cuda_wait(device, stream_is_done, device->stream));
  return cuda_wait(device, stream_is_done, device->copies_out);
}

const DeviceDriver quadrat_cuda_device __attribute__((visibility("default"))) = {
    .kind = DEVICE_CUDA,
    .gpu_count = gpu_count_cuda,
    .versions = versions_cuda,
    .open = open_cuda,
    .close = close_cuda,
    .name = name_cuda,
    .free_bytes = free_bytes_cuda,
    .allocate = allocate_cuda,
    .release = release_cuda,
    .allocate_host = allocate_host_cuda,
    .release_host = release_host_cuda,
    .upload = upload_cuda,
    .download = download_cuda,
    .copy = copy_cuda,
    .clear = clear_cuda,
    .synchronize = synchronize_cuda,
    .mark_open = mark_open_cuda,
    .mark_close = mark_close_cuda,
    .mark_set = mark_set_cuda,
    .mark_await = mark_await_cuda,
    .mark_meet = mark_meet_cuda,
    .record_begin = record_begin_cuda,
    .record_end = record_end_cuda,
    .play = play_cuda,
    .recording_close = recording_close_cuda,
};
