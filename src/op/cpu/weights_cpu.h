#pragma once

#include <stdint.h>

#include "tensor/shape.h"

/* to[i][o][taps - 1 - t] = from[o][first + i][t]: what makes a forward convolution of its own
 * gradient. from holds out_channels x all_channels x taps; to's element is float32 or bfloat16. */
void weights_turn(const float *from, int32_t out_channels, int32_t all_channels, int32_t first,
                  int32_t in_channels, int32_t taps, Element element, void *to);

/* The 4 x 4 weights of the transposed convolution that equals a 3 x 3 one of an image enlarged
 * twice: [w2, w1 + w2, w0 + w1, w0] in each direction. from: the first a_channels of out_channels x
 * all_channels x 3 x 3. */
void weights_enlarge(const float *from, int32_t out_channels, int32_t all_channels,
                     int32_t a_channels, float *to);
/* The gradient of that: adds to dfrom. */
void weights_enlarge_backward(const float *dto, int32_t out_channels, int32_t all_channels,
                              int32_t a_channels, float *dfrom);
