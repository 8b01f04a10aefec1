#pragma once

#include <stdint.h>

#include "world.h"

/* From light to numbers: the lens's blur, exposure that drifts from photo to photo, the sensor's
 * noise, JPEG's rounding. */
enum {
  CAMERA_BLOCK_PX = 256,
  CAMERA_RIM_PX = 2,
  CAMERA_SIDE = 2 * (CAMERA_BLOCK_PX + 2 * CAMERA_RIM_PX)
};

typedef struct CameraView {
  const World *world;
  double cell_m;
  int64_t column, row; /* of the first pixel, from the world's origin; multiples of 8 */
  const Colour *light; /* CAMERA_SIDE x CAMERA_SIDE samples, two a pixel each way, with the rim */
} CameraView;

/* rgb: CAMERA_BLOCK_PX x CAMERA_BLOCK_PX x 3; 1 at least. */
void camera_expose(const CameraView *view, uint8_t *rgb);
