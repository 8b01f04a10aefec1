#pragma once

#include "tensor/shape.h"

/* The network's input from an image as it was read: y = (x - mean) / std per band, NoData becomes
 * 0, padded channels 0.
 *
 *   Shapes    x      N x H x W x bands; uint8, uint16, int16 or float32
 *             valid  N x H x W, one byte, 0 for NoData; NULL: all is valid
 *             mean, inverse_std  bands, float32
 *             y      N x H x W x C, C >= bands; the network's element type; at most 2048
 *   NaN       counts as NoData
 *   Errors    in plan only: STATUS_BAD_SHAPE */
enum { NORMALIZE_CHANNELS_MOST = 2048 };

Status normalize_plan(Shape x, int32_t bands, Shape y);
