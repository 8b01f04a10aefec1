#include "device_counter.h"

#include <string.h>
#include <sys/mman.h>

#include "base/memory.h"

enum { FIRST_CAPACITY = 64 };

static int32_t find_count(DeviceCounter *counter, const char *what, bool host)
{
  for (int32_t i = 0; i < counter->count_count; ++i) {
    const DeviceCount *count = &counter->counts[i];
    if (count->host == host && strcmp(count->what, what) == 0) return i;
  }
  if (counter->count_count == COUNTER_NAMES_MOST) return COUNTER_NAMES_MOST - 1;
  counter->counts[counter->count_count] = (DeviceCount){.what = what, .host = host};
  return counter->count_count++;
}

static Status make_room(DeviceCounter *counter)
{
  void *memory;
  if (counter->reservation_count < counter->reservation_capacity) return STATUS_OK;
  const size_t capacity =
      counter->reservation_capacity == 0 ? FIRST_CAPACITY : 2 * counter->reservation_capacity;
  TRY(memory_allocate(capacity, sizeof *counter->reservations, "counted memory", &memory));
  if (counter->reservation_count > 0)
    memcpy(memory, counter->reservations,
           counter->reservation_count * sizeof *counter->reservations);
  memory_free(counter->reservations);
  counter->reservations = memory;
  counter->reservation_capacity = capacity;
  return STATUS_OK;
}

/* No page stands behind it, and no system counts it against what it may hand out. */
static Status reserve_addresses(size_t bytes, bool host, const char *what, void **at)
{
  *at = mmap(NULL, bytes, host ? PROT_READ | PROT_WRITE : PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (*at != MAP_FAILED) return STATUS_OK;
  *at = NULL;
  return status_set(STATUS_NO_MEMORY, "%s: %.1f MiB are more than a process can address", what,
                    (double)bytes / 1048576.0);
}

Status counter_reserve(DeviceCounter *counter, size_t bytes, size_t footprint_bytes, bool host,
                       const char *what, void **memory)
{
  *memory = NULL;
  const size_t mapped_bytes = bytes == 0 ? 1 : bytes;
  TRY(make_room(counter));
  TRY(reserve_addresses(mapped_bytes, host, what, memory));
  const int32_t count = find_count(counter, what, host);
  counter->counts[count].bytes += footprint_bytes;
  counter->reservations[counter->reservation_count++] =
      (Reservation){*memory, mapped_bytes, count, footprint_bytes};
  return STATUS_OK;
}

void counter_release(DeviceCounter *counter, void *memory)
{
  for (size_t i = counter->reservation_count; i-- > 0;) {
    const Reservation found = counter->reservations[i];
    if (found.at != memory) continue;
    (void)munmap(found.at, found.bytes);
    counter->counts[found.count].bytes -= found.counted_bytes;
    counter->reservations[i] = counter->reservations[--counter->reservation_count];
    return;
  }
}

void counter_close(DeviceCounter *counter)
{
  for (size_t i = 0; i < counter->reservation_count; ++i)
    (void)munmap(counter->reservations[i].at, counter->reservations[i].bytes);
  memory_free(counter->reservations);
}
