/* Objects follow their pixels: the same pose, nearest pixels. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "chip/augment.h"

/* A rectangle of sample pixels; right and bottom: last + 1. */
typedef struct Span {
  int32_t left, top, right, bottom;
} Span;

/* Chip pixels that one sample pixel spans along a side. */
static double step_of(const Pose *pose)
{
  return fabs(pose->xx) + fabs(pose->xy);
}

/* An edge between chip pixels, along an axis, as an edge between sample pixels. */
static double edge_in_sample(double edge, double start, double step)
{
  return (edge - 0.5 - start) / step + 0.5;
}

typedef struct Edges {
  double left, top, right, bottom;
} Edges;

static Edges box_in_sample(const Pose *pose, const float box[4])
{
  const bool transposed = pose->xx == 0;
  const double x_step = transposed ? pose->xy : pose->xx;
  const double y_step = transposed ? pose->yx : pose->yy;
  const double xa = edge_in_sample((double)box[0], pose->x0, x_step);
  const double xb = edge_in_sample((double)box[2], pose->x0, x_step);
  const double ya = edge_in_sample((double)box[1], pose->y0, y_step);
  const double yb = edge_in_sample((double)box[3], pose->y0, y_step);
  const Edges edges = {fmin(xa, xb), fmin(ya, yb), fmax(xa, xb), fmax(ya, yb)};
  return transposed ? (Edges){edges.top, edges.left, edges.bottom, edges.right} : edges;
}

static double within(double value, double most)
{
  return value < 0 ? 0 : fmin(value, most);
}

static Edges cut(Edges edges, double size)
{
  return (Edges){within(edges.left, size), within(edges.top, size), within(edges.right, size),
                 within(edges.bottom, size)};
}

static double area_of(Edges edges)
{
  return (edges.right - edges.left) * (edges.bottom - edges.top);
}

/* The mask's value at the chip pixel nearest to a sample pixel: the same sum as for its labels. */
static uint8_t mask_at(const ChipObject *object, const uint8_t *mask, const Pose *pose,
                       int32_t column, int32_t row)
{
  const int64_t x = (int64_t)floor(pose->x0 + pose->xx * column + pose->xy * row + 0.5);
  const int64_t y = (int64_t)floor(pose->y0 + pose->yx * column + pose->yy * row + 0.5);
  const int64_t in_x = x - object->x_px;
  const int64_t in_y = y - object->y_px;
  if (in_x < 0 || in_y < 0 || in_x >= object->width_px || in_y >= object->height_px) return 0;
  return mask[in_y * object->width_px + in_x];
}

/* Sample pixels that may show the object, with one more on each side for rounding. */
static Span search_span(const ChipObject *object, const Pose *pose, int32_t size)
{
  const Edges edges = cut(box_in_sample(pose, object->box), size);
  const Span span = {(int32_t)floor(edges.left) - 1, (int32_t)floor(edges.top) - 1,
                     (int32_t)ceil(edges.right) + 1, (int32_t)ceil(edges.bottom) + 1};
  return (Span){span.left < 0 ? 0 : span.left, span.top < 0 ? 0 : span.top,
                span.right > size ? size : span.right, span.bottom > size ? size : span.bottom};
}

/* The smallest span that shows all of the mask that the sample has, and how many pixels. */
static int64_t visible_span(const ChipObject *object, const uint8_t *mask, const Pose *pose,
                            int32_t size, Span *visible)
{
  const Span search = search_span(object, pose, size);
  int64_t pixels = 0;
  *visible = (Span){size, size, 0, 0};
  for (int32_t row = search.top; row < search.bottom; ++row)
    for (int32_t column = search.left; column < search.right; ++column) {
      if (mask_at(object, mask, pose, column, row) == 0) continue;
      ++pixels;
      if (column < visible->left) visible->left = column;
      if (column + 1 > visible->right) visible->right = column + 1;
      if (row < visible->top) visible->top = row;
      visible->bottom = row + 1;
    }
  return pixels;
}

static int64_t count_set(const uint8_t *mask, int64_t pixels)
{
  int64_t count = 0;
  for (int64_t i = 0; i < pixels; ++i)
    count += mask[i];
  return count;
}

static Status no_room_for_object(const ChipObjects *objects, const SampleObjects *sample)
{
  return status_set(STATUS_BAD_SHAPE,
                    "its %d objects are more than the %d that a sample has room for",
                    objects->count, sample->capacity);
}

static Status put_object(const ChipObjects *objects, const float box[4], int32_t class_index,
                         SampleObjects *sample)
{
  if (sample->count == sample->capacity) return no_room_for_object(objects, sample);
  memcpy(sample->boxes + (ptrdiff_t)4 * sample->count, box, 4 * sizeof *box);
  sample->classes[sample->count++] = class_index;
  return STATUS_OK;
}

static Status put_mask(const ChipObject *object, const uint8_t *mask, const Pose *pose, Span span,
                       SampleObjects *sample)
{
  const int32_t width = span.right - span.left;
  const int32_t height = span.bottom - span.top;
  const int32_t place = sample->count - 1;
  const int32_t window[4] = {span.left, span.top, width, height};
  if (sample->mask_capacity == 0) return STATUS_OK;
  if (sample->mask_byte_count + (int64_t)width * height > sample->mask_capacity)
    return status_set(STATUS_BAD_SHAPE,
                      "the masks of its objects take more than the %" PRId64
                      " bytes that a sample has room for",
                      sample->mask_capacity);
  memcpy(sample->mask_windows + (ptrdiff_t)4 * place, window, sizeof window);
  sample->mask_offsets[place] = sample->mask_byte_count;
  for (int32_t row = span.top; row < span.bottom; ++row)
    for (int32_t column = span.left; column < span.right; ++column)
      sample->mask_bytes[sample->mask_byte_count++] = mask_at(object, mask, pose, column, row);
  return STATUS_OK;
}

static Status take_mask(const ChipObjects *objects, const ChipObject *object, const Pose *pose,
                        const ObjectRule *rule, int32_t size, SampleObjects *sample)
{
  Span span;
  const uint8_t *mask = objects->mask_bytes + object->mask_offset;
  const double step = step_of(pose);
  const int64_t all = count_set(mask, (int64_t)object->width_px * object->height_px);
  const int64_t seen = visible_span(object, mask, pose, size, &span);
  if (seen == 0 || (double)seen * step * step < rule->least_share * (double)all ||
      span.right - span.left < rule->least_px || span.bottom - span.top < rule->least_px)
    return STATUS_OK;
  const float box[4] = {(float)span.left, (float)span.top, (float)span.right, (float)span.bottom};
  TRY(put_object(objects, box, rule->class_of_value[object->class_value], sample));
  return put_mask(object, mask, pose, span, sample);
}

static Status take_box(const ChipObjects *objects, const ChipObject *object, const Pose *pose,
                       const ObjectRule *rule, int32_t size, SampleObjects *sample)
{
  const Edges whole = box_in_sample(pose, object->box);
  const Edges seen = cut(whole, size);
  if (!(area_of(seen) > 0) || area_of(seen) < rule->least_share * area_of(whole) ||
      seen.right - seen.left < rule->least_px || seen.bottom - seen.top < rule->least_px)
    return STATUS_OK;
  const float box[4] = {(float)seen.left, (float)seen.top, (float)seen.right, (float)seen.bottom};
  return put_object(objects, box, rule->class_of_value[object->class_value], sample);
}

static void clear(SampleObjects *sample)
{
  const size_t rows = (size_t)sample->capacity;
  sample->count = 0;
  sample->mask_byte_count = 0;
  memset(sample->boxes, 0, 4 * rows * sizeof *sample->boxes);
  memset(sample->classes, 0, rows * sizeof *sample->classes);
  memset(sample->mask_windows, 0, 4 * rows * sizeof *sample->mask_windows);
  memset(sample->mask_offsets, 0, rows * sizeof *sample->mask_offsets);
}

Status augment_objects(const ChipObjects *objects, const Pose *pose, const ObjectRule *rule,
                       int32_t size_px, SampleObjects *sample)
{
  clear(sample);
  for (int32_t i = 0; i < objects->count; ++i) {
    const ChipObject *object = &objects->items[i];
    if (rule->class_of_value[object->class_value] == 0) continue;
    if (object->has_mask)
      TRY(take_mask(objects, object, pose, rule, size_px, sample));
    else
      TRY(take_box(objects, object, pose, rule, size_px, sample));
  }
  return STATUS_OK;
}

/* An interval of w chip pixels holds at most w * scale + 1 centres of sample pixels, and a window of
 * w x h has w + h <= w * h + 1. */
int64_t augment_mask_bytes_most(int32_t objects_most, int64_t mask_bytes_most, int32_t size_px,
                                const Augmentation *augmentation)
{
  const double n = objects_most;
  const double m = (double)mask_bytes_most;
  const bool is_scaled =
      augmentation != NULL && (augmentation->scale_least != 1 || augmentation->scale_most != 1);
  const double s = is_scaled ? fmax(1, augmentation->scale_most) : 1;
  const double grown = is_scaled ? ceil(s * s * m + s * (m + n) + n) : m;
  return (int64_t)fmin(grown, n * size_px * size_px);
}
