#pragma once

#include <stddef.h>

#include "base/status.h"
#include "device/device.h"

/* What drives one kind of device: the host's table (CPU) and the plug-in's, which exports it as
 * DEVICE_CUDA_SYMBOL. device.c fills a Device with a table and its handle, forwards to it, and
 * keeps the first failure of issued work.
 *
 * The plug-in is opened with dlopen(RTLD_NOW | RTLD_LOCAL) and takes status_set, status_message,
 * memory_allocate, memory_free, require_failed, device_fail and device_driver from the program, so
 * every program that opens a GPU is linked with -rdynamic. */
#define DEVICE_CUDA_SYMBOL "quadrat_cuda_device"

/* The streams of a device; each does its work in order. */
typedef enum DeviceStream {
  STREAM_COMPUTE,
  STREAM_IN, /* copies only, as is the next */
  STREAM_OUT
} DeviceStream;

typedef struct DeviceDriver {
  DeviceKind kind;
  /* why is never NULL here: one sentence, alive as long as the process. */
  int (*gpu_count)(const char **why);
  /* As device_gpu_versions. */
  void (*versions)(char text[DEVICE_VERSIONS_BYTES]);
  Status (*open)(int gpu, void **handle);
  void (*close)(void *handle);
  const char *(*name)(const void *handle);
  size_t (*free_bytes)(const void *handle);
  Status (*allocate)(void *handle, size_t bytes, const char *what, void **memory);
  void (*release)(void *handle, void *memory);
  Status (*allocate_host)(void *handle, size_t bytes, const char *what, void **memory);
  void (*release_host)(void *handle, void *memory);
  /* Optional: what an allocation of so many bytes takes; NULL: as many. */
  size_t (*footprint)(size_t bytes);
  /* Issued in order; a failure goes to device_fail by the caller. */
  Status (*upload)(void *handle, DeviceStream stream, void *to, const void *from_host,
                   size_t bytes);
  Status (*download)(void *handle, DeviceStream stream, void *to_host, const void *from,
                     size_t bytes);
  Status (*copy)(void *handle, void *to, const void *from, size_t bytes);
  Status (*clear)(void *handle, void *memory, size_t bytes);
  /* Waits, for all streams. */
  Status (*synchronize)(void *handle);

  /* Marks and recordings: all NULL where there is nothing beside the compute stream (CPU). A mark
   * stands behind what a stream has been given so far, and can be set again. */
  Status (*mark_open)(void *handle, void **mark);
  void (*mark_close)(void *handle, void *mark);
  Status (*mark_set)(void *handle, void *mark, DeviceStream stream);
  /* The stream's next work waits; a mark that was never set is behind nothing. */
  Status (*mark_await)(void *handle, void *mark, DeviceStream stream);
  /* The host waits, as synchronize does. */
  Status (*mark_meet)(void *handle, void *mark);

  /* Between begin and end the compute stream's work, and what waits for it, is kept and not done.
   * end gives what can be played, or a status if anything in between could not be kept; either way
   * the recording is over. */
  Status (*record_begin)(void *handle);
  Status (*record_end)(void *handle, void **recording);
  Status (*play)(void *handle, void *recording);
  void (*recording_close)(void *handle, void *recording);
} DeviceDriver;
