/* Masks as bytes. */
#include <stdbool.h>

#include "object_mask_parts.h"

enum { NUMBER_BYTES_MOST = 10 };

/* Writes where bytes is not NULL; how many bytes. */
static int64_t put_number(uint8_t *bytes, uint64_t number)
{
  int64_t count = 0;
  do {
    const uint8_t low = (uint8_t)(number & 0x7f);
    number >>= 7;
    if (bytes != NULL) bytes[count] = number != 0 ? (uint8_t)(low | 0x80) : low;
    ++count;
  } while (number != 0);
  return count;
}

static int64_t put_signed(uint8_t *bytes, int64_t number)
{
  const uint64_t twice = (uint64_t)number << 1;
  return put_number(bytes, number < 0 ? ~twice : twice);
}

static uint8_t *behind(uint8_t *bytes, int64_t count)
{
  return bytes == NULL ? NULL : bytes + count;
}

static int64_t put_mask(const ObjectMask *mask, uint8_t *bytes)
{
  int64_t count = put_signed(bytes, mask->window.x_px);
  count += put_signed(behind(bytes, count), mask->window.y_px);
  count += put_number(behind(bytes, count), (uint64_t)mask->window.width_px);
  count += put_number(behind(bytes, count), (uint64_t)mask->window.height_px);
  for (int64_t row = 0; row < mask->window.height_px; ++row) {
    int32_t x_px = 0;
    count += put_number(behind(bytes, count),
                        (uint64_t)(mask->row_start[row + 1] - mask->row_start[row]));
    for (int64_t r = mask->row_start[row]; r < mask->row_start[row + 1]; ++r) {
      const RowRun run = mask->runs[r];
      count += put_number(behind(bytes, count), (uint64_t)(run.first_px - x_px));
      count += put_number(behind(bytes, count), (uint64_t)(run.end_px - run.first_px));
      x_px = run.end_px;
    }
  }
  return count;
}

int64_t object_mask_packed_bytes(const ObjectMask *mask)
{
  return put_mask(mask, NULL);
}

void object_mask_pack(const ObjectMask *mask, uint8_t *bytes)
{
  put_mask(mask, bytes);
}

typedef struct Packed {
  const uint8_t *bytes;
  int64_t size;
  int64_t used;
} Packed;

static Status no_mask(void)
{
  return status_set(STATUS_BAD_INPUT, "these bytes are no mask of an object");
}

static Status take_number(Packed *packed, uint64_t most, uint64_t *number)
{
  *number = 0;
  for (int32_t n = 0; n < NUMBER_BYTES_MOST && packed->used < packed->size; ++n) {
    const uint8_t byte = packed->bytes[packed->used++];
    if (n == NUMBER_BYTES_MOST - 1 && byte > 1) break;
    *number |= (uint64_t)(byte & 0x7f) << (7 * n);
    if ((byte & 0x80) != 0) continue;
    if (*number > most || (byte == 0 && n > 0)) break;
    return STATUS_OK;
  }
  return no_mask();
}

static Status take_place(Packed *packed, int64_t *place_px)
{
  uint64_t folded;
  TRY(take_number(packed, UINT32_MAX, &folded));
  *place_px = (folded & 1) != 0 ? -(int64_t)(folded >> 1) - 1 : (int64_t)(folded >> 1);
  return STATUS_OK;
}

static Status take_window(Packed *packed, Window *window)
{
  uint64_t width;
  uint64_t height;
  TRY(take_place(packed, &window->x_px));
  TRY(take_place(packed, &window->y_px));
  TRY(take_number(packed, INT32_MAX, &width));
  TRY(take_number(packed, INT32_MAX, &height));
  window->width_px = (int64_t)width;
  window->height_px = (int64_t)height;
  if (window_is_empty(*window) && !window_equal(*window, (Window){0})) return no_mask();
  return STATUS_OK;
}

static Status take_run(Packed *packed, int64_t width_px, bool is_first, int64_t *x_px, RowRun *run)
{
  uint64_t gap;
  uint64_t length;
  TRY(take_number(packed, (uint64_t)(width_px - *x_px), &gap));
  TRY(take_number(packed, (uint64_t)(width_px - *x_px) - gap, &length));
  if (length == 0 || (gap == 0 && !is_first)) return no_mask();
  *run = (RowRun){(int32_t)(*x_px + (int64_t)gap), (int32_t)(*x_px + (int64_t)(gap + length))};
  *x_px = run->end_px;
  return STATUS_OK;
}

/* Reads all rows; writes into the mask where one is given, else checks that the window is no larger
 * than its runs need. */
static Status take_rows(Packed *packed, Window window, ObjectMaskParts *parts, int64_t *run_count)
{
  int64_t left_px = window.width_px;
  int64_t right_px = 0;
  *run_count = 0;
  for (int64_t row = 0; row < window.height_px; ++row) {
    uint64_t count;
    int64_t x_px = 0;
    TRY(take_number(packed, INT32_MAX, &count));
    if (count == 0 && (row == 0 || row == window.height_px - 1)) return no_mask();
    if (parts != NULL) parts->row_start[row] = *run_count;
    for (uint64_t r = 0; r < count; ++r) {
      RowRun run;
      TRY(take_run(packed, window.width_px, r == 0, &x_px, &run));
      if (r == 0 && run.first_px < left_px) left_px = run.first_px;
      if (run.end_px > right_px) right_px = run.end_px;
      if (parts != NULL) {
        parts->runs[*run_count] = run;
        parts->mask->area_px += run.end_px - run.first_px;
      }
      ++*run_count;
    }
  }
  if (parts != NULL) parts->row_start[window.height_px] = *run_count;
  return window.height_px > 0 && (left_px != 0 || right_px != window.width_px) ? no_mask()
                                                                               : STATUS_OK;
}

Status object_mask_unpack(const uint8_t *bytes, int64_t size, int64_t *used, ObjectMask **mask)
{
  Packed packed = {.bytes = bytes, .size = size};
  Window window;
  ObjectMaskParts parts;
  int64_t run_count;
  *mask = NULL;
  TRY(take_window(&packed, &window));
  const int64_t rows = packed.used;
  TRY(take_rows(&packed, window, NULL, &run_count));
  TRY(object_mask_allocate(window, run_count, &parts));
  packed.used = rows;
  const Status status = take_rows(&packed, window, &parts, &run_count);
  if (status == STATUS_OK)
    *mask = parts.mask;
  else
    object_mask_close(parts.mask);
  *used = packed.used;
  return status;
}
