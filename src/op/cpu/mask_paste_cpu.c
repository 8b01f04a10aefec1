#include <string.h>

#include "cpu_backend.h"
#include "op/mask_head_element.h"
#include "span.h"

/* Some columns of a pasted mask: what each takes of the mask's rows. */
enum { COLUMNS_MOST = 512, PADDED_MOST = MASK_PX_MOST + 2 };

typedef struct Columns {
  int32_t count;
  RoiTap taps[COLUMNS_MOST];
} Columns;

/* A row of the mask with a pixel of 0 on both sides; zeros above and below. */
static void pad_row(const float *mask, int32_t mask_px, int32_t row, float *padded)
{
  memset(padded, 0, (size_t)(mask_px + 2) * sizeof *padded);
  if (row >= 1 && row <= mask_px)
    memcpy(padded + 1, mask + (int64_t)(row - 1) * mask_px, (size_t)mask_px * sizeof *mask);
}

VECTORIZED static void paste_columns(bool small, const float *restrict above,
                                     const float *restrict below, RoiTap row,
                                     const Columns *restrict columns, float *restrict values)
{
  for (int32_t j = 0; j < columns->count; ++j) {
    const RoiTap column = columns->taps[j];
    const float a = above[column.low], b = above[column.high];
    const float c = below[column.low], d = below[column.high];
    values[j] =
        small ? resize_small(a, b, c, d, row, column) : resize_large(a, b, c, d, row, column);
  }
}

VECTORIZED static void threshold_values(const float *restrict values, int32_t count,
                                        float threshold, uint8_t *restrict pixels)
{
  for (int32_t j = 0; j < count; ++j)
    pixels[j] = values[j] > threshold;
}

typedef struct Pasting {
  PasteBox box;
  const int32_t *window; /* x, y, width, height in the image */
  const float *mask;
  int32_t mask_px;
  float threshold;
  uint8_t *pixels; /* of the window */
  float *values;   /* NULL where nobody wants them */
} Pasting;

static void paste_band(const Pasting *p, int32_t first, const Columns *columns)
{
  float above[PADDED_MOST], below[PADDED_MOST], values[COLUMNS_MOST];
  const bool small = paste_is_small(p->box);
  int32_t loaded = -1;
  for (int32_t i = 0; i < p->window[3]; ++i) {
    const RoiTap row =
        resize_tap(p->mask_px + 2, p->box.height, p->window[1] + i - p->box.y, small);
    const int64_t at = (int64_t)i * p->window[2] + first;
    if (row.low != loaded) {
      pad_row(p->mask, p->mask_px, row.low, above);
      pad_row(p->mask, p->mask_px, row.high, below);
      loaded = row.low;
    }
    paste_columns(small, above, below, row, columns, values);
    threshold_values(values, columns->count, p->threshold, p->pixels + at);
    if (p->values != NULL) memcpy(p->values + at, values, (size_t)columns->count * sizeof *values);
  }
}

static void paste_row(const Pasting *p)
{
  const bool small = paste_is_small(p->box);
  const int32_t width = p->window[2];
  for (int32_t first = 0; first < width; first += COLUMNS_MOST) {
    Columns columns = {.count = width - first < COLUMNS_MOST ? width - first : COLUMNS_MOST};
    for (int32_t j = 0; j < columns.count; ++j)
      columns.taps[j] =
          resize_tap(p->mask_px + 2, p->box.width, p->window[0] + first + j - p->box.x, small);
    paste_band(p, first, &columns);
  }
}

/* Windows, and where each begins; rows that find no room any more are left out. */
static void lay_windows(const Regions *regions, int32_t mask_px, const float *image_sizes,
                        PastedMasks *pasted)
{
  int64_t next = 0;
  *pasted->missing = 0;
  for (int32_t row = 0; row < regions->capacity; ++row) {
    int32_t *window = pasted->windows + 4 * (int64_t)row;
    paste_window(regions, image_sizes, row, mask_px, window);
    pasted->offsets[row] = next;
    paste_take_room(window, pasted->pixels_most, &next, pasted->missing);
  }
  pasted->offsets[regions->capacity] = next;
}

void mask_paste_cpu(Device *device, const Regions *regions, const float *masks, int32_t mask_px,
                    const float *image_sizes, float threshold, PastedMasks *pasted)
{
  lay_windows(regions, mask_px, image_sizes, pasted);
#pragma omp parallel for schedule(dynamic)
  for (int32_t row = 0; row < regions->capacity; ++row) {
    const int64_t first = pasted->offsets[row];
    if (pasted->offsets[row + 1] == first) continue;
    const Pasting pasting = {.box = paste_box(regions->boxes + 4 * (int64_t)row, mask_px),
                             .window = pasted->windows + 4 * (int64_t)row,
                             .mask = masks + (int64_t)row * mask_px * mask_px,
                             .mask_px = mask_px,
                             .threshold = threshold,
                             .pixels = pasted->pixels + first,
                             .values = pasted->values == NULL ? NULL : pasted->values + first};
    paste_row(&pasting);
  }
}
