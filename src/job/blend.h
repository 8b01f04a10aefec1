#pragma once

#include <stdint.h>

#include "base/status.h"
#include "geo/window.h"

/* Class probabilities as bytes, and their mean over overlapping tiles. A byte is the probability
 * times 250; in the first class 255 marks a pixel without data and 254 one whose prediction is no
 * number. Sums are integers, so the order of tiles does not matter. */
enum { BLEND_ONE = 250, BLEND_FAILED = 254, BLEND_NODATA = 255, BLEND_RAMP_MOST_PX = 128 };

/* probabilities: pixels x classes, float32; valid: pixels, 0 for NoData; bytes: pixels x classes;
 * a marked pixel has its mark in all classes. */
void blend_bytes(const float *probabilities, const uint8_t *valid, int64_t pixel_count,
                 int32_t class_count, uint8_t *bytes);

/* The weighted mean over the tiles that cover a core. A tile has its full weight margin_px +
 * ramp_px from its edges; from there it falls linearly, over ramp_px, to as good as nothing, since
 * a network sees worst where its tile ends: the window is (ramp in x) * (ramp in y). */
typedef struct Blend {
  int32_t class_count;
  int32_t margin_px;
  int32_t ramp_px;
  Window core;
  uint32_t *sums;    /* core pixels x classes */
  uint32_t *weights; /* core pixels */
  uint8_t *marks;    /* core pixels: 0 or a mark */
} Blend;

/* core_px_most: pixels of the largest core. ramp_px: 1 to BLEND_RAMP_MOST_PX. At most 1000 tiles
 * may cover a pixel. */
Status blend_open(int64_t core_px_most, int32_t class_count, int32_t margin_px, int32_t ramp_px,
                  Blend *blend);
void blend_close(Blend *blend);
void blend_begin(Blend *blend, Window core);
/* bytes: the tile's pixels x classes. */
void blend_add(Blend *blend, Window tile, const uint8_t *bytes);
/* classes: core pixels, the class of the largest mean (ties: the first), or a mark; bytes: core
 * pixels x classes, or NULL. */
void blend_finish(const Blend *blend, uint8_t *classes, uint8_t *bytes);
