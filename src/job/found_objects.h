#pragma once

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
/* The row of the masks that an image's first object has. */
int32_t found_objects_row(const FoundObjects *found, int32_t image);
