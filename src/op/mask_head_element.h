#pragma once

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "detection_loss_element.h"
#include "op/mask_head.h"
#include "resize_element.h"

/* Whether a row has an image, and a class that the logits know. */
SHARED_INLINE bool mask_row_counts(const MaskHead *head, const Regions *regions,
                                   const int32_t *classes, int32_t row)
{
  return regions->images[row] >= 0 && classes[row] >= 0 && classes[row] < head->class_count;
}

/* The mask of an object: bytes of its window, 0 everywhere else. */
typedef struct MaskWindow {
  int32_t x, y, width, height;
  const uint8_t *bytes;
} MaskWindow;

SHARED_INLINE MaskWindow mask_window(const Truth *truth, int32_t image, int32_t object)
{
  const int64_t at = (int64_t)image * truth->capacity + object;
  const int32_t *window = truth->mask_windows + 4 * at;
  MaskWindow mask;
  mask.x = window[0];
  mask.y = window[1];
  mask.width = window[2];
  mask.height = window[3];
  mask.bytes = truth->mask_bytes + truth->mask_offsets[at];
  return mask;
}

SHARED_INLINE bool mask_window_has_row(const MaskWindow *mask, int32_t row)
{
  return row >= mask->y && row - mask->y < mask->height;
}

SHARED_INLINE float mask_window_value(const MaskWindow *mask, int32_t row, int32_t column)
{
  const int32_t j = column - mask->x;
  if (!mask_window_has_row(mask, row) || j < 0 || j >= mask->width) return 0.0F;
  return (float)mask->bytes[(int64_t)(row - mask->y) * mask->width + j];
}

/* One sample of a target, in torchvision's order of products and sums. */
SHARED_INLINE float mask_sample(const MaskWindow *mask, RoiTap row, RoiTap column)
{
  return row.low_weight * column.low_weight * mask_window_value(mask, row.low, column.low) +
         row.low_weight * column.high_weight * mask_window_value(mask, row.low, column.high) +
         row.high_weight * column.low_weight * mask_window_value(mask, row.high, column.low) +
         row.high_weight * column.high_weight * mask_window_value(mask, row.high, column.high);
}

/* How many samples a bin of this size has along one axis. */
enum { MASK_SAMPLES_MOST = 4096 };

SHARED_INLINE int32_t mask_samples(float bin_size)
{
  const float samples = ceilf(bin_size);
  if (!(samples > 1.0F)) return 1;
  return samples < (float)MASK_SAMPLES_MOST ? (int32_t)samples : MASK_SAMPLES_MOST;
}

/* Where a mask is pasted: the box that it is stretched over, in whole pixels of the image. */
typedef struct PasteBox {
  int32_t x, y;
  int32_t width, height; /* at least 1 */
} PasteBox;

/* Truncated toward 0, and far enough from what an int32_t holds that sums of them fit too; a NaN
 * lies far outside of the image. */
SHARED_INLINE int32_t paste_corner(float at)
{
  const float most = 1e9F;
  return (int32_t)(!(at > -most) ? -most : at < most ? at : most);
}

SHARED_INLINE int32_t paste_side(int32_t first, int32_t last)
{
  return last - first + 1 < 1 ? 1 : last - first + 1;
}

/* In float32, as torchvision does. */
SHARED_INLINE PasteBox paste_box(const float *box, int32_t mask_px)
{
  const float scale = (float)((double)(mask_px + 2) / (double)mask_px);
  const float half_width = (box[2] - box[0]) * 0.5F * scale;
  const float half_height = (box[3] - box[1]) * 0.5F * scale;
  const float x = (box[2] + box[0]) * 0.5F;
  const float y = (box[3] + box[1]) * 0.5F;
  PasteBox paste;
  paste.x = paste_corner(x - half_width);
  paste.y = paste_corner(y - half_height);
  paste.width = paste_side(paste.x, paste_corner(x + half_width));
  paste.height = paste_side(paste.y, paste_corner(y + half_height));
  return paste;
}

/* The part of a row's box inside of its image, as x, y, width, height; zeros where nothing is. */
SHARED_INLINE void paste_window(const Regions *regions, const float *image_sizes, int32_t row,
                                int32_t mask_px, int32_t window[4])
{
  const float *box = regions->boxes + 4 * (int64_t)row;
  const int32_t image = regions->images[row];
  window[0] = window[1] = window[2] = window[3] = 0;
  if (image < 0) return;
  const PasteBox paste = paste_box(box, mask_px);
  const int32_t image_height = (int32_t)image_sizes[2 * (int64_t)image];
  const int32_t image_width = (int32_t)image_sizes[2 * (int64_t)image + 1];
  const int32_t left = paste.x < 0 ? 0 : paste.x;
  const int32_t top = paste.y < 0 ? 0 : paste.y;
  const int32_t right = paste.x + paste.width < image_width ? paste.x + paste.width : image_width;
  const int32_t bottom =
      paste.y + paste.height < image_height ? paste.y + paste.height : image_height;
  if (right <= left || bottom <= top) return;
  window[0] = left;
  window[1] = top;
  window[2] = right - left;
  window[3] = bottom - top;
}

/* A window takes its room, or is left out. */
SHARED_INLINE void paste_take_room(int32_t window[4], int64_t pixels_most, int64_t *next,
                                   int32_t *missing)
{
  const int64_t wanted = (int64_t)window[2] * window[3];
  if (wanted <= pixels_most - *next) {
    *next += wanted;
    return;
  }
  window[0] = window[1] = window[2] = window[3] = 0;
  ++*missing;
}

SHARED_INLINE bool paste_is_small(PasteBox paste)
{
  return resize_is_small(paste.height, paste.width);
}
