#include "device/device.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "cuda_libraries.h"
#include "device_cpu.h"
#include "device_private.h"

/* The plug-in is one per process, like the library that it is; it is looked for once. */
static struct {
  pthread_once_t once;
  void *library;
  const DeviceDriver *driver;
  char why[DEVICE_SENTENCE_BYTES];
} plugin = {.once = PTHREAD_ONCE_INIT};

/* As it was built, else with what the site has. */
static void *open_plugin(const char *path)
{
  cuda_libraries_open_named();
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    cuda_libraries_open_usual();
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  }
  const char *reason = library == NULL ? dlerror() : "";
  if (library == NULL)
    (void)snprintf(plugin.why, sizeof plugin.why,
                   "the CUDA plug-in cannot be loaded: %s (QUADRAT_CUDA_LIBRARIES may name the "
                   "folders of cuDNN and NCCL)",
                   reason == NULL ? "no reason given" : reason);
  return library;
}

/* Beside the program, then where "cmake --install" puts it. */
static void *open_library(void)
{
  static const char *const places[] = {"/quadrat_cuda.so", "/../lib/quadrat/quadrat_cuda.so"};
  char program[4096];
  const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 64);
  if (length <= 0) return NULL;
  program[length] = '\0';
  char *slash = strrchr(program, '/');
  for (size_t i = 0; slash != NULL && i < sizeof places / sizeof *places; ++i) {
    (void)snprintf(slash, 64, "%s", places[i]);
    if (access(program, R_OK) == 0) return open_plugin(program);
  }
  (void)snprintf(plugin.why, sizeof plugin.why,
                 "there is no CUDA plug-in (quadrat_cuda.so) beside the program");
  return NULL;
}

static void look_for_plugin(void)
{
  plugin.library = open_library();
  if (plugin.library == NULL) return;
  plugin.driver = dlsym(plugin.library, DEVICE_CUDA_SYMBOL);
  if (plugin.driver == NULL)
    (void)snprintf(plugin.why, sizeof plugin.why,
                   "quadrat_cuda.so is not a plug-in of this program");
}

static const DeviceDriver *cuda_driver(void)
{
  (void)pthread_once(&plugin.once, look_for_plugin);
  return plugin.driver;
}

int device_gpu_count(const char **why)
{
  const char *reason = plugin.why;
  const DeviceDriver *driver = cuda_driver();
  const int count = driver == NULL ? 0 : driver->gpu_count(&reason);
  if (why != NULL) *why = reason;
  return count;
}

void device_gpu_versions(char text[DEVICE_VERSIONS_BYTES])
{
  const DeviceDriver *driver = cuda_driver();
  text[0] = '\0';
  if (driver != NULL) driver->versions(text);
}

static Status choose(int gpu, const DeviceDriver **driver)
{
  *driver = &device_cpu;
  if (gpu < 0) return STATUS_OK;
  const char *why;
  const int count = device_gpu_count(&why);
  if (count == 0) return status_set(STATUS_UNSUPPORTED, "no GPU can be used: %s", why);
  if (gpu >= count)
    return status_set(STATUS_UNSUPPORTED, "GPU %d was asked for, but there are only %d", gpu,
                      count);
  *driver = cuda_driver();
  return STATUS_OK;
}

Status device_open(int gpu, Device **device)
{
  *device = NULL;
  const DeviceDriver *driver;
  TRY(choose(gpu, &driver));
  void *memory;
  TRY(memory_allocate(1, sizeof **device, "device", &memory));
  Device *opening = memory;
  opening->driver = driver;
  const Status status = driver->open(gpu, &opening->handle);
  if (status == STATUS_OK)
    *device = opening;
  else
    memory_free(opening);
  return status;
}

void device_close(Device *device)
{
  if (device == NULL) return;
  counter_close(&device->counter);
  device->driver->close(device->handle);
  memory_free(device);
}

DeviceKind device_kind(const Device *device)
{
  return device->driver->kind;
}

bool device_works_beside(const Device *device)
{
  return device_has_streams(device);
}

const char *device_name(const Device *device)
{
  return device->driver->name(device->handle);
}

size_t device_free_bytes(const Device *device)
{
  return device->driver->free_bytes(device->handle);
}

void device_count_only(Device *device)
{
  device->counts_only = true;
}

void device_take_notes(Device *device, DeviceNotes notes)
{
  device->counts_only = true;
  device->notes = notes;
}

DeviceNotes device_notes(const Device *device)
{
  return device->notes;
}

/* Whether a move is only to be counted. */
static bool note_move(const Device *device, DeviceMove move, size_t bytes)
{
  if (device->notes.context != NULL) device->notes.move(device->notes.context, move, bytes);
  return device->counts_only;
}

bool device_counts_only(const Device *device)
{
  return device->counts_only;
}

const DeviceCount *device_counts(const Device *device, int32_t *count)
{
  *count = device->counter.count_count;
  return device->counter.counts;
}

static size_t footprint(const Device *device, size_t bytes)
{
  return device->driver->footprint == NULL ? bytes : device->driver->footprint(bytes);
}

Status device_allocate(Device *device, size_t bytes, const char *what, void **memory)
{
  if (device->counts_only)
    return counter_reserve(&device->counter, bytes, footprint(device, bytes), false, what, memory);
  return device->driver->allocate(device->handle, bytes, what, memory);
}

void device_release(Device *device, void *memory)
{
  if (memory == NULL) return;
  if (device->counts_only)
    counter_release(&device->counter, memory);
  else
    device->driver->release(device->handle, memory);
}

Status device_allocate_host(Device *device, size_t bytes, const char *what, void **memory)
{
  if (device->counts_only)
    return counter_reserve(&device->counter, bytes, footprint(device, bytes), true, what, memory);
  return device->driver->allocate_host(device->handle, bytes, what, memory);
}

void device_release_host(Device *device, void *memory)
{
  if (memory == NULL) return;
  if (device->counts_only)
    counter_release(&device->counter, memory);
  else
    device->driver->release_host(device->handle, memory);
}

void device_upload(Device *device, void *to, const void *from_host, size_t bytes)
{
  if (note_move(device, DEVICE_UPLOAD, bytes)) return;
  device_fail(device, device->driver->upload(device->handle, STREAM_COMPUTE, to, from_host, bytes));
}

void device_download(Device *device, void *to_host, const void *from, size_t bytes)
{
  if (note_move(device, DEVICE_DOWNLOAD, bytes)) return;
  device_fail(device,
              device->driver->download(device->handle, STREAM_COMPUTE, to_host, from, bytes));
}

void device_copy(Device *device, void *to, const void *from, size_t bytes)
{
  if (note_move(device, DEVICE_COPY, bytes)) return;
  device_fail(device, device->driver->copy(device->handle, to, from, bytes));
}

void device_clear(Device *device, void *memory, size_t bytes)
{
  if (note_move(device, DEVICE_CLEAR, bytes)) return;
  device_fail(device, device->driver->clear(device->handle, memory, bytes));
}

int32_t device_known_count(const Device *device, const int32_t *count, int32_t most)
{
  const bool is_known = device_kind(device) == DEVICE_CPU && device->notes.context == NULL;
  return is_known ? *count : most;
}

Status device_synchronize(Device *device)
{
  device_fail(device, device->driver->synchronize(device->handle));
  return device_take_failure(device);
}

Status device_take_failure(Device *device)
{
  const Status failure = device->failure;
  device->failure = STATUS_OK;
  return failure == STATUS_OK ? STATUS_OK : status_set(failure, "%s", device->sentence);
}

void *device_driver(const Device *device)
{
  return device->driver->kind == DEVICE_CPU ? NULL : device->handle;
}

void *device_plugin_symbol(const char *name)
{
  (void)cuda_driver();
  return plugin.library == NULL ? NULL : dlsym(plugin.library, name);
}

void device_fail(Device *device, Status status)
{
  if (status == STATUS_OK || device->failure != STATUS_OK) return;
  const DeviceWork *work = &device->work;
  const int32_t *sides = work->sides;
  device->failure = status;
  if (work->pass == NULL)
    (void)snprintf(device->sentence, sizeof device->sentence, "%s", status_message());
  else
    (void)snprintf(device->sentence, sizeof device->sentence,
                   "%s of %s %d%s%s%s, %d x %d x %d x %d: %s", work->pass, work->op, work->number,
                   work->tensor == NULL ? "" : " (", work->tensor == NULL ? "" : work->tensor,
                   work->tensor == NULL ? "" : ")", sides[0], sides[1], sides[2], sides[3],
                   status_message());
}

void device_issue(Device *device, DeviceWork work)
{
  device->work = work;
}
