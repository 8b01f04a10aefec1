#pragma once

#include "device_counter.h"
#include "device_driver.h"

enum { DEVICE_SENTENCE_BYTES = 512 };

/* Private to device. */
struct Device {
  const DeviceDriver *driver;
  void *handle;
  bool counts_only;
  DeviceCounter counter;
  DeviceNotes notes;
  DeviceWork work;
  Status failure; /* the first since the last synchronize, with its sentence */
  char sentence[DEVICE_SENTENCE_BYTES];
};

/* Whether copies go beside the compute stream. */
static inline bool device_has_streams(const Device *device)
{
  return device->driver->mark_open != NULL;
}

/* Gives up the first failure. */
Status device_take_failure(Device *device);
