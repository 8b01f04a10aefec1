#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Where numbers are computed: the host's cores, or one GPU of the plug-in. Memory of a device is
 * reached by its ops only; on the CPU it is plain memory and all calls are complete, so no caller
 * asks which one it has.
 *
 * Work is issued in order on the device's compute stream. Calls that issue work do not wait; the
 * first failure is kept and given up by device_synchronize. */
typedef struct Device Device;

typedef enum DeviceKind { DEVICE_CPU, DEVICE_CUDA } DeviceKind;

/* GPUs that the plug-in sees; 0 if there is none or no plug-in. why (may be NULL) says what was
 * found, in one sentence. */
int device_gpu_count(const char **why);

/* What the plug-in computes with: "driver 570.86 for CUDA 12.8, runtime CUDA 12.8"; "" where there
 * is no plug-in. */
enum { DEVICE_VERSIONS_BYTES = 128 };
void device_gpu_versions(char text[DEVICE_VERSIONS_BYTES]);

/* gpu: the index of a GPU, or -1 for the CPU. Errors: STATUS_UNSUPPORTED (no plug-in, no such GPU),
 * STATUS_DEVICE. */
Status device_open(int gpu, Device **device);
void device_close(Device *device); /* accepts NULL */

DeviceKind device_kind(const Device *device);
/* Whether issued work goes on while the host does something else, as on GPUs; on the CPU it is done
 * when the call returns. */
bool device_works_beside(const Device *device);
/* "AMD EPYC, 2 threads", "NVIDIA H200"; lives as long as the device. */
const char *device_name(const Device *device);
/* Bytes that may still be allocated: free memory of the GPU, or of the host. */
size_t device_free_bytes(const Device *device);

/* Memory of the device, aligned to 256 bytes, not cleared. */
Status device_allocate(Device *device, size_t bytes, const char *what, void **memory);
void device_release(Device *device, void *memory);
/* Host memory that the device copies from and to without a stop (pinned); plain memory on the CPU.
 */
Status device_allocate_host(Device *device, size_t bytes, const char *what, void **memory);
void device_release_host(Device *device, void *memory);

/* To plan what would not fit: from here on memory is counted and not taken, until the device is
 * closed. What device_allocate gives is an address that nobody may read or write;
 * device_allocate_host gives memory that costs nothing until it is touched; copies and clears do
 * nothing, and no op may be issued without device_take_notes. Before the first allocation. */
void device_count_only(Device *device);
bool device_counts_only(const Device *device);

/* Copies and clears that a device which counts only is asked for. */
typedef enum DeviceMove { DEVICE_UPLOAD, DEVICE_DOWNLOAD, DEVICE_COPY, DEVICE_CLEAR } DeviceMove;

/* Who is told of them; the ops' own notes hang on it too (op/op_work.h). */
typedef struct DeviceNotes {
  void (*move)(void *context, DeviceMove move, size_t bytes);
  void *context;
} DeviceNotes;

/* Makes the device count only; ops may be issued then, and are noted instead of computed. */
void device_take_notes(Device *device, DeviceNotes notes);
/* context is NULL where none are taken. */
DeviceNotes device_notes(const Device *device);

/* What is allocated now under one name. */
typedef struct DeviceCount {
  const char *what; /* lives as long as the caller's text */
  bool host;        /* by device_allocate_host */
  size_t bytes;     /* with what the driver rounds up */
} DeviceCount;

/* In the order of their first allocation; lives until the next. */
const DeviceCount *device_counts(const Device *device, int32_t *count);

/* In order with the ops, not waited for: the host's memory must stay as it is until the next
 * device_synchronize. */
void device_upload(Device *device, void *to, const void *from_host, size_t bytes);
void device_download(Device *device, void *to_host, const void *from, size_t bytes);
void device_copy(Device *device, void *to, const void *from, size_t bytes);
void device_clear(Device *device, void *memory, size_t bytes);

/* A count in device memory, as far as the host may know it without waiting: the count itself on the
 * CPU, most (its capacity) on a GPU and where memory is only counted and ops are noted. */
int32_t device_known_count(const Device *device, const int32_t *count, int32_t most);

/* Waits for all work issued so far. Errors: the first failure since the last call. */
Status device_synchronize(Device *device);

/* For the ops and NCCL, which lie in the same plug-in: the driver's own handle (CudaDevice *); NULL
 * on the CPU. */
void *device_driver(const Device *device);

/* A symbol of the plug-in, for the floors above that have a part in it; NULL where it is not
 * loaded. */
void *device_plugin_symbol(const char *name);

/* Keeps the first failure of issued work; what device_synchronize will return. */
void device_fail(Device *device, Status status);

/* What is issued from here on, for the sentence of a failure: "forward of conv2d 12
 * (layer1.0.conv1.weight), 8 x 56 x 56 x 64: CUDA, …". */
typedef struct DeviceWork {
  const char *pass; /* these texts live until the next call; NULL: nothing in particular */
  const char *op;
  int32_t number;     /* of the op in its network */
  const char *tensor; /* may be NULL */
  int32_t sides[4];   /* of what it gives: images, height, width, channels */
} DeviceWork;

void device_issue(Device *device, DeviceWork work);
