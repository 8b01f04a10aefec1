#pragma once

#include <stdint.h>

#include "base/status.h"

/* Writes a picture of 8-bit red, green, blue, opacity; aside, then renamed. Without opacity below
 * 255 the file has three bands. */
Status png_write(const char *path, int32_t width_px, int32_t height_px, const uint8_t *rgba);
