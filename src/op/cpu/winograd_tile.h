#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tensor/shape.h"

/* The transforms of Winograd's minimal filtering F(m x m, 3 x 3), pixel by pixel channels last: m x
 * m outputs of a 3 x 3 filter from (m + 2)² points instead of 9 m² products.
 *
 * m = 4 saves three quarters of the products; its constants cost about half a decimal digit, which
 * float32 has to spare and bfloat16 has not. m = 2 saves 5/9, with constants of 1 and 1/2.
 *   Source  Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016, 4.1 */
enum {
  WINOGRAD_SIDE_MOST = 6,
  WINOGRAD_POINTS_MOST = 36,
  WINOGRAD_LANES = 16, /* channels are transformed in groups of so many */
  WINOGRAD_CHANNELS_MOST = 2048
};

typedef struct WinogradScheme {
  int outputs; /* m: 4 for float32, 2 for bfloat16 */
  int side;    /* m + 2 */
  int points;  /* side² */
} WinogradScheme;

WinogradScheme winograd_scheme(Element element);

/* G g Gᵀ of as many filters of 3 x 3 as there are lanes. taps: 9 x lanes; to: point p of lane l at p
 * * stride + l. */
void winograd_filter(WinogradScheme scheme, const float *taps, float *to, int64_t stride);

/* Bᵀ d B of a tile. pixels: where each of its points pixels begins, row by row; to: points x
 * channels. Elements of both are element. */
void winograd_input(Element element, const void *const *pixels, int32_t channels, void *to);
/* What a pixel beyond the image looks like. */
const void *winograd_zeros(void);

typedef struct WinogradFinish {
  const float *bias; /* NULL: none */
  bool add;
  bool relu;
} WinogradFinish;

/* Aᵀ m A of a tile and what comes after it: relu(tile + bias + residuals) to pixels. from: points x
 * channels, float32. residuals: where finish.add is set; may be pixels.
 * A NULL pixel is not written. */
void winograd_output(Element element, const float *from, int32_t channels, WinogradFinish finish,
                     const void *const *residuals, void *const *pixels);
