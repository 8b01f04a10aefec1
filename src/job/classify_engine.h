#pragma once

#include <stdint.h>

#include "device/outbox.h"
#include "model_package.h"
#include "nn/network.h"
#include "op/backend.h"
#include "tile_input.h"

/* The network on this rank's device, for batches of one size: pixels as they were read in, classes
 * and probabilities out. */
typedef struct ClassifyEngine {
  Device *device;
  const Backend *backend;
  Network *network;
  TileInput input;
  int32_t class_count;
  uint8_t *classes; /* device memory, as are these */
  float *probabilities;
  Outbox *outbox;
} ClassifyEngine;

typedef struct ClassifyEngineOptions {
  Element element;
  int32_t batch_size;
  int32_t tile_width_px;
  int32_t tile_height_px;
  bool wants_classes;
  bool wants_probabilities;
} ClassifyEngineOptions;

/* Local. Bytes of device memory that an engine of these options takes. */
Status classify_engine_bytes(Device *device, const Model *model, ClassifyEngineOptions options,
                             size_t *bytes);

/* Local. Takes the weights; the model is not needed afterwards. On failure nothing is left to
 * close. */
Status classify_engine_open(Device *device, const Model *model, ClassifyEngineOptions options,
                            ClassifyEngine *engine);
void classify_engine_close(ClassifyEngine *engine);

/* Local. Does not wait. pixels: batch x height x width x bands of the model's pixel type; valid:
 * batch x height x width; both in host memory of the device, as are the results: classes (batch x
 * height x width indices, 255 where the network gave no number) and probabilities (batch x height x
 * width x classes), each only if it was wanted. All are left alone until classify_engine_end of the
 * same lane (device/outbox.h). */
void classify_engine_begin(ClassifyEngine *engine, int32_t lane, const void *pixels,
                           const uint8_t *valid, uint8_t *classes, float *probabilities);
/* Local. Waits until the lane's results are there. */
Status classify_engine_end(ClassifyEngine *engine, int32_t lane);
