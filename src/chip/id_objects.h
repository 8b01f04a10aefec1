#pragma once

/* Objects from a picture whose values tell them apart. */

#include "chip/chip_objects.h"

/* Adds an object for each value but 0, in the order of the values. ids: height x width. */
Status id_objects_add(const uint32_t *ids, int32_t width_px, int32_t height_px,
                      uint16_t class_value, ChipObjects *objects);
