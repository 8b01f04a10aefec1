#pragma once

#include "device_driver.h"

/* Memory that is counted and not taken: addresses without pages behind them, and how many bytes each
 * name has. Private to device. */
typedef struct Reservation {
  void *at;
  size_t bytes;
  int32_t count; /* its name's */
  size_t counted_bytes;
} Reservation;

enum { COUNTER_NAMES_MOST = 64 };

typedef struct DeviceCounter {
  DeviceCount counts[COUNTER_NAMES_MOST]; /* the last takes all names past it */
  int32_t count_count;
  Reservation *reservations;
  size_t reservation_count, reservation_capacity;
} DeviceCounter;

void counter_close(DeviceCounter *counter);

/* footprint_bytes: what the driver would take for bytes. host: memory that can be touched. */
Status counter_reserve(DeviceCounter *counter, size_t bytes, size_t footprint_bytes, bool host,
                       const char *what, void **memory);
void counter_release(DeviceCounter *counter, void *memory);
