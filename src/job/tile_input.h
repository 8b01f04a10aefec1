#pragma once

#include "device/inbox.h"
#include "model_package.h"
#include "op/backend.h"

/* A batch of tiles on its way from the raster to a network: pixels as they were read, normalised on
 * the device by the model's statistics. */
typedef struct TileInput {
  Device *device;
  Shape image;  /* of a batch as it was read */
  void *pixels; /* device memory, as are these */
  uint8_t *valid;
  float *mean;
  float *inverse_std;
  Inbox *inbox;
} TileInput;

Shape tile_input_shape(const Model *model, int32_t batch_size, int32_t height_px, int32_t width_px);
/* Of device memory. */
size_t tile_input_bytes(const Device *device, Shape image);

/* Local. network: the shape of the network's input. The model is not needed afterwards. Whatever the
 * outcome, tile_input_close ends it. */
Status tile_input_open(Device *device, const Model *model, Shape image, Shape network,
                       TileInput *input);
void tile_input_close(TileInput *input); /* accepts an empty (zeroed) one */

/* Local. Does not wait. pixels: batch x height x width x bands of the model's pixel type; valid:
 * batch x height x width; both in host memory of the device, and left alone until something that
 * was computed from them has come back. */
void tile_input_run(TileInput *input, const void *pixels, const uint8_t *valid, Shape network,
                    void *to);
