#pragma once

#include <stdint.h>

/* The 4 x 4 weights of the transposed convolution that equals a 3 x 3 one of an image enlarged
 * twice: [w2, w1 + w2, w0 + w1, w0] in each direction. from: the first a_channels of out_channels x
 * all_channels x 3 x 3. */
void weights_enlarge(const float *from, int32_t out_channels, int32_t all_channels,
                     int32_t a_channels, float *to);
/* The gradient of that: adds to dfrom. */
void weights_enlarge_backward(const float *dto, int32_t out_channels, int32_t all_channels,
                              int32_t a_channels, float *dfrom);
