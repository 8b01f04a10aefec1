#include <math.h>

#include "naive_parts.h"

/* The mask of an object at a pixel of its image. */
static double mask_at(const Truth *truth, int64_t object, int32_t row, int32_t column)
{
  const int32_t *window = truth->mask_windows + 4 * object;
  const int32_t i = row - window[1];
  const int32_t j = column - window[0];
  if (i < 0 || i >= window[3] || j < 0 || j >= window[2]) return 0.0;
  return truth->mask_bytes[truth->mask_offsets[object] + (int64_t)i * window[2] + j];
}

static double sample_at(const Truth *truth, int64_t object, double y, double x, int32_t height_px,
                        int32_t width_px)
{
  double sum = 0.0;
  if (y < -1.0 || y > height_px || x < -1.0 || x > width_px) return 0.0;
  y = fmin(fmax(y, 0.0), height_px - 1);
  x = fmin(fmax(x, 0.0), width_px - 1);
  for (int32_t i = (int32_t)y; i <= (int32_t)y + 1 && i < height_px; ++i)
    for (int32_t j = (int32_t)x; j <= (int32_t)x + 1 && j < width_px; ++j)
      sum += (1.0 - fabs(y - i)) * (1.0 - fabs(x - j)) * mask_at(truth, object, i, j);
  return sum;
}

static double target_of(const Truth *truth, int64_t object, const float *box, int32_t height_px,
                        int32_t width_px, int32_t mask_px, int32_t p, int32_t q)
{
  const double bin_width = fmax((double)box[2] - (double)box[0], 1.0) / mask_px;
  const double bin_height = fmax((double)box[3] - (double)box[1], 1.0) / mask_px;
  const int32_t down = (int32_t)ceil(bin_height);
  const int32_t across = (int32_t)ceil(bin_width);
  double sum = 0.0;
  for (int32_t i = 0; i < down; ++i)
    for (int32_t j = 0; j < across; ++j)
      sum += sample_at(truth, object, (double)box[1] + (p + (i + 0.5) / down) * bin_height,
                       (double)box[0] + (q + (j + 0.5) / across) * bin_width, height_px, width_px);
  return sum / (down * across);
}

void naive_mask_targets(Device *device, const Regions *positives, const int32_t *matches,
                        const Truth *truth, int32_t height_px, int32_t width_px, int32_t mask_px,
                        float *targets)
{
  for (int32_t row = 0; row < positives->capacity; ++row) {
    const float *box = positives->boxes + 4 * (int64_t)row;
    const int64_t object = (int64_t)positives->images[row] * truth->capacity + matches[row];
    const bool empty = positives->images[row] < 0 ||
                       isnan((double)box[0] + (double)box[1] + (double)box[2] + (double)box[3]);
    for (int32_t p = 0; p < mask_px; ++p)
      for (int32_t q = 0; q < mask_px; ++q)
        *targets++ =
            empty ? 0.0F : (float)target_of(truth, object, box, height_px, width_px, mask_px, p, q);
  }
}

size_t naive_mask_loss_scratch_bytes(const MaskHead *head)
{
  return 0;
}

static int64_t place_of(const MaskHead *head, const int32_t *classes, int64_t pixel)
{
  const int64_t row = pixel / ((int64_t)head->logits.height * head->logits.width);
  return pixel * head->logits.channels + classes[row];
}

void naive_mask_loss_sums(Device *device, const MaskHead *head, const void *logits,
                          const Regions *positives, const int32_t *classes, const float *targets,
                          float *sums, void *scratch)
{
  const int64_t pixels = (int64_t)head->logits.height * head->logits.width;
  double total = 0.0;
  int32_t rows = 0;
  for (int32_t row = 0; row < head->logits.images; ++row) {
    if (positives->images[row] < 0) continue;
    ++rows;
    for (int64_t pixel = row * pixels; pixel < (row + 1) * pixels; ++pixel) {
      const double p =
          1.0 /
          (1.0 + exp(-naive_get(logits, head->logits.element, place_of(head, classes, pixel))));
      const double target = (double)targets[pixel];
      total -= (target * log(p) + (1.0 - target) * log(1.0 - p)) / (double)pixels;
    }
  }
  sums[0] = (float)total;
  sums[1] = (float)rows;
}

void naive_mask_loss_backward(Device *device, const MaskHead *head, const void *logits,
                              const Regions *positives, const int32_t *classes,
                              const float *targets, const float *row_count, const float *scale,
                              void *dlogits)
{
  const int64_t pixels = (int64_t)head->logits.height * head->logits.width;
  for (int64_t i = 0; i < shape_elements(head->logits); ++i)
    naive_set(dlogits, head->logits.element, i, 0.0);
  for (int64_t pixel = 0; pixel < shape_pixels(head->logits); ++pixel) {
    if (positives->images[pixel / pixels] < 0) continue;
    const int64_t place = place_of(head, classes, pixel);
    const double p = 1.0 / (1.0 + exp(-naive_get(logits, head->logits.element, place)));
    naive_set(dlogits, head->logits.element, place,
              (scale == NULL ? 1.0 : (double)*scale) * (p - (double)targets[pixel]) /
                  ((double)*row_count * (double)pixels));
  }
}

void naive_mask_select(Device *device, const MaskHead *head, const void *logits,
                       const Regions *regions, const int32_t *classes, float *masks)
{
  const int64_t pixels = (int64_t)head->logits.height * head->logits.width;
  for (int64_t pixel = 0; pixel < shape_pixels(head->logits); ++pixel)
    masks[pixel] = regions->images[pixel / pixels] < 0
                       ? 0.0F
                       : (float)(1.0 / (1.0 + exp(-naive_get(logits, head->logits.element,
                                                             place_of(head, classes, pixel)))));
}

/* Corners are cut off at whole pixels: float32 decides which, as it does in torchvision. */
static void paste_corners(const float *box, int32_t mask_px, int32_t corners[4])
{
  const float scale = (float)(mask_px + 2) / (float)mask_px;
  for (int axis = 0; axis < 2; ++axis) {
    const float half = (box[axis + 2] - box[axis]) * 0.5F * scale;
    const float centre = (box[axis + 2] + box[axis]) * 0.5F;
    corners[axis] = (int32_t)truncf(centre - half);
    corners[axis + 2] = (int32_t)truncf(centre + half);
  }
}

/* Pixel i of a mask of mask_px + 2 stretched to out: which of its pixels, and how far to the next.
 */
static double stretched(int32_t mask_px, int32_t out, int32_t i)
{
  return fmax((mask_px + 2.0) / out * (i + 0.5) - 0.5, 0.0);
}

static double pasted_value(const float *mask, int32_t mask_px, double y, double x)
{
  double value = 0.0;
  for (int32_t i = (int32_t)y; i <= (int32_t)y + 1; ++i)
    for (int32_t j = (int32_t)x; j <= (int32_t)x + 1; ++j)
      if (i >= 1 && i <= mask_px && j >= 1 && j <= mask_px)
        value += (1.0 - fabs(y - i)) * (1.0 - fabs(x - j)) *
                 (double)mask[(int64_t)(i - 1) * mask_px + j - 1];
  return value;
}

static int32_t side_of(int32_t first, int32_t last)
{
  return last < first ? 1 : last - first + 1;
}

/* Writes one row's window from pixel next on; returns where the following one begins. */
static int64_t paste_row(const float *box, const float *mask, int32_t mask_px,
                         const float *image_size, float threshold, int64_t next, int32_t *window,
                         PastedMasks *pasted)
{
  int32_t corners[4];
  paste_corners(box, mask_px, corners);
  const int32_t width = side_of(corners[0], corners[2]);
  const int32_t height = side_of(corners[1], corners[3]);
  const int32_t left = (int32_t)fmax(corners[0], 0), top = (int32_t)fmax(corners[1], 0);
  const int32_t right = (int32_t)fmin(corners[0] + width, (double)image_size[1]);
  const int32_t bottom = (int32_t)fmin(corners[1] + height, (double)image_size[0]);
  if (right <= left || bottom <= top) return next;
  if ((int64_t)(right - left) * (bottom - top) > pasted->pixels_most - next) {
    *pasted->missing += 1;
    return next;
  }
  memcpy(window, (int32_t[]){left, top, right - left, bottom - top}, 4 * sizeof *window);
  for (int32_t i = top; i < bottom; ++i)
    for (int32_t j = left; j < right; ++j, ++next) {
      const double value = pasted_value(mask, mask_px, stretched(mask_px, height, i - corners[1]),
                                        stretched(mask_px, width, j - corners[0]));
      pasted->pixels[next] = value > (double)threshold;
      if (pasted->values != NULL) pasted->values[next] = (float)value;
    }
  return next;
}

void naive_mask_paste(Device *device, const Regions *regions, const float *masks, int32_t mask_px,
                      const float *image_sizes, float threshold, PastedMasks *pasted)
{
  int64_t next = 0;
  *pasted->missing = 0;
  for (int32_t row = 0; row < regions->capacity; ++row) {
    const float *box = regions->boxes + 4 * (int64_t)row;
    int32_t *window = pasted->windows + 4 * (int64_t)row;
    memset(window, 0, 4 * sizeof *window);
    pasted->offsets[row] = next;
    if (regions->images[row] < 0 || isnan(box[0] + box[1] + box[2] + box[3])) continue;
    next =
        paste_row(box, masks + (int64_t)row * mask_px * mask_px, mask_px,
                  image_sizes + 2 * (int64_t)regions->images[row], threshold, next, window, pasted);
  }
  pasted->offsets[regions->capacity] = next;
}
