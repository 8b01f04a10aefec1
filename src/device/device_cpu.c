#include "device_cpu.h"

#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/memory.h"

enum { ALIGNMENT_BYTES = 4096, HUGE_PAGE_BYTES = 2 << 20 };

typedef struct Host {
  char name[128];
} Host;

static int gpu_count(const char **why)
{
  *why = "the host is no GPU";
  return 0;
}

static void versions(char text[DEVICE_VERSIONS_BYTES])
{
  text[0] = '\0';
}

static void read_processor(char name[96])
{
  (void)snprintf(name, 96, "CPU");
  FILE *file = fopen("/proc/cpuinfo", "re");
  if (file == NULL) return;
  char line[256];
  while (fgets(line, sizeof line, file) != NULL) {
    const char *value = strstr(line, ": ");
    if (strncmp(line, "model name", 10) != 0 || value == NULL) continue;
    (void)snprintf(name, 96, "%.*s",
                   (int)strcspn(value + 2, "\n") > 90 ? 90 : (int)strcspn(value + 2, "\n"),
                   value + 2);
    break;
  }
  (void)fclose(file);
}

static Status open_host(int gpu, void **handle)
{
  TRY(memory_allocate(1, sizeof(Host), "device", handle));
  Host *host = *handle;
  char processor[96];
  read_processor(processor);
  const int threads = omp_get_max_threads();
  (void)snprintf(host->name, sizeof host->name, "%s, %d thread%s", processor, threads,
                 threads == 1 ? "" : "s");
  return STATUS_OK;
}

static const char *host_name(const void *handle)
{
  return ((const Host *)handle)->name;
}

static size_t host_free_bytes(const void *handle)
{
  return memory_available_bytes();
}

static size_t alignment_of(size_t bytes)
{
  return bytes >= HUGE_PAGE_BYTES ? HUGE_PAGE_BYTES : ALIGNMENT_BYTES;
}

static size_t footprint(size_t bytes)
{
  const size_t alignment = alignment_of(bytes);
  const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  return rounded == 0 ? alignment : rounded;
}

/* Large blocks ask for huge pages: activations are walked through once per op, and each small page
 * costs a fault and a TLB entry. */
static Status allocate(void *handle, size_t bytes, const char *what, void **memory)
{
  const size_t alignment = alignment_of(bytes);
  *memory = NULL;
  if (bytes > SIZE_MAX - alignment)
    return status_set(STATUS_NO_MEMORY, "%s: %zu bytes are too many", what, bytes);
  const size_t rounded = footprint(bytes);
  void *piece = aligned_alloc(alignment, rounded);
  if (piece == NULL)
    return status_set(STATUS_NO_MEMORY, "%s: the host has no %.1f MiB left", what,
                      (double)bytes / 1048576.0);
  if (bytes >= HUGE_PAGE_BYTES) (void)madvise(piece, rounded, MADV_HUGEPAGE);
  *memory = piece;
  return STATUS_OK;
}

static void release(void *handle, void *memory)
{
  free(memory);
}

static Status copy(void *handle, void *to, const void *from, size_t bytes)
{
  if (bytes > 0) memmove(to, from, bytes);
  return STATUS_OK;
}

static Status copy_on(void *handle, DeviceStream stream, void *to, const void *from, size_t bytes)
{
  return copy(handle, to, from, bytes);
}

static Status clear(void *handle, void *memory, size_t bytes)
{
  if (bytes > 0) memset(memory, 0, bytes);
  return STATUS_OK;
}

static Status synchronize(void *handle)
{
  return STATUS_OK;
}

const DeviceDriver device_cpu = {
    .kind = DEVICE_CPU,
    .gpu_count = gpu_count,
    .versions = versions,
    .open = open_host,
    .close = memory_free,
    .name = host_name,
    .free_bytes = host_free_bytes,
    .allocate = allocate,
    .release = release,
    .allocate_host = allocate,
    .release_host = release,
    .footprint = footprint,
    .upload = copy_on,
    .download = copy_on,
    .copy = copy,
    .clear = clear,
    .synchronize = synchronize,
};
