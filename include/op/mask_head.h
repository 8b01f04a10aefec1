#pragma once

#include "op/regions.h"

/* What follows the mask head's output.
 *
 *   Shapes    logits  R x M x M x C, C >= class_count; channel 0 is background and unused
 *
 * mask_targets: for each row of positives the mask of its object (match, in its image's truth),
 * sampled over the region as roi_align does with scale 1 and an adaptive number of samples
 * (ceil(height / M) x ceil(width / M) per bin, each at most 4096), in an image of height x width
 * px; R x M x M float32, 0 … 1, R the capacity; zeros in rows without an image and for a NaN.
 *
 * mask_loss_sums: sums[0] = sum over the rows of the mean, over M x M, of the binary cross-entropy of
 * the logits of the row's class against targets; sums[1] = number of rows. Rows may come in several
 * calls, whose sums the caller adds, as it adds those of ranks.
 *   loss_mask = sums[0] / sums[1]; 0 where sums[1] is 0
 * mask_loss_backward: writes the gradient of scale times the loss, 0 in all other elements. row_count:
 * sums[1] of all calls and ranks, one number in device memory, known from box_loss_sums beforehand.
 * scale: another, or NULL for 1 (loss_scale.h).
 *
 * mask_select: sigmoid of each row's class: R x M x M float32, zeros in rows without an image.
 *
 * mask_paste: each row's M x M mask, padded by one pixel of 0 and stretched over its region enlarged
 * by (M + 2) / M about its centre (corners truncated toward 0, the last pixel included;
 * bilinear, align_corners false, rounded as PyTorch's CPU does), cut to the image.
 *   image_sizes  N x 2, float32: height and width of what is to be written
 *   windows   R x 4 int32: x, y, width, height of what is written of each row, inside of the
 *             image; 0 x 0 where nothing is left, for a NaN, and without an image
 *   offsets   R + 1 int64: where each row's window begins in pixels, row by row; the last is the
 *             end. Rows that pixels_most has no more room for have 0 x 0 windows, and *missing
 *             counts them
 *   pixels    uint8: 1 where the value is above threshold (0.5), else 0; values (may be NULL):
 *             float32 at the same places
 *
 *   Source    He et al., "Mask R-CNN", 2017, section 3; torchvision roi_heads */
enum { MASK_SUMS = 2, MASK_PX_MOST = 256 };

typedef struct MaskHead {
  int32_t class_count;
  Shape logits;
} MaskHead;

typedef struct PastedMasks {
  int32_t *windows;
  int64_t *offsets;
  uint8_t *pixels;
  float *values;
  int64_t pixels_most;
  int32_t *missing; /* one number */
} PastedMasks;

/* Errors: STATUS_BAD_SHAPE, also where logits are not square or above MASK_PX_MOST. */
Status mask_head_plan(int32_t class_count, Shape logits, MaskHead *head);
