#pragma once

#include "device/outbox.h"
#include "model/detector.h"
#include "object_scores.h"

/* What a detector found in a batch, in host memory: lists of a capacity, copied from the device. */
typedef struct FoundObjects {
  Device *device;
  int32_t images, capacity;
  int64_t mask_pixels;
  void *memory; /* all of it, of the device's own host memory */
  float *boxes; /* as Detections and PastedMasks */
  float *scores;
  int32_t *classes;
  int32_t *counts;
  int32_t *dropped;
  int32_t *windows;
  int64_t *offsets;
  uint8_t *pixels;
  int32_t *missing;
} FoundObjects;

Status found_objects_open(Device *device, const DetectorBuffers *buffers, FoundObjects *found);
void found_objects_close(FoundObjects *found);
/* Issues the copies, waits, and then those of the pixels that are there. */
Status found_objects_download(FoundObjects *found, const DetectorBuffers *buffers);
/* The same without waiting: by an outbox with room for it, in one of its lanes. Where the device works
 * beside the host all the room for pixels comes, since nobody knows yet how many there are. */
void found_objects_reserve(const FoundObjects *found, const DetectorBuffers *buffers,
                           Outbox *outbox);
void found_objects_send(FoundObjects *found, const DetectorBuffers *buffers, Outbox *outbox,
                        int32_t lane);
/* The row of the masks that an image's first object has. */
int32_t found_objects_row(const FoundObjects *found, int32_t image);
