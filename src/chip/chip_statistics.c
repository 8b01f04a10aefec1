#include "chip/chip_statistics.h"

#include <math.h>
#include <stdbool.h>

/* pixel_value, where the compiler sees it: with a constant type the switch is gone. */
static inline double number_at(PixelType type, const void *image, int64_t index)
{
  switch (type) {
  case PIXEL_U8: return ((const uint8_t *)image)[index];
  case PIXEL_U16: return ((const uint16_t *)image)[index];
  case PIXEL_I16: return ((const int16_t *)image)[index];
  case PIXEL_F32: break;
  }
  return (double)((const float *)image)[index];
}

/* One band: every stride-th number from the first. Two passes over a chip that lies in the cache:
 * the mean first, so that squares lose nothing. */
static inline __attribute__((always_inline)) BandSum sum_band(PixelType type, const void *image,
                                                              const uint8_t *valid,
                                                              int64_t pixel_count, int64_t first,
                                                              int64_t stride)
{
  double count = 0, total = 0, least = INFINITY, most = -INFINITY, squares = 0;
  for (int64_t i = 0; i < pixel_count; ++i) {
    if (valid[i] == 0) continue;
    const double value = number_at(type, image, i * stride + first);
    least = value < least ? value : least;
    most = value > most ? value : most;
    total += value;
    count += 1;
  }
  if (count == 0) return (BandSum){.count = 0};
  const double mean = total / count;
  for (int64_t i = 0; i < pixel_count; ++i) {
    if (valid[i] == 0) continue;
    const double off = number_at(type, image, i * stride + first) - mean;
    squares += off * off;
  }
  return (BandSum){.count = count, .least = least, .most = most, .mean = mean, .squares = squares};
}

void band_sum_of_chip(PixelType type, const void *image, const uint8_t *valid, int64_t pixel_count,
                      int32_t band_count, BandSum *sums)
{
  for (int32_t i = 0; i < band_count; ++i)
    switch (type) {
    case PIXEL_U8: sums[i] = sum_band(PIXEL_U8, image, valid, pixel_count, i, band_count); break;
    case PIXEL_U16: sums[i] = sum_band(PIXEL_U16, image, valid, pixel_count, i, band_count); break;
    case PIXEL_I16: sums[i] = sum_band(PIXEL_I16, image, valid, pixel_count, i, band_count); break;
    case PIXEL_F32: sums[i] = sum_band(PIXEL_F32, image, valid, pixel_count, i, band_count); break;
    }
}

void band_sum_merge(BandSum *into, const BandSum *more)
{
  if (more->count == 0) return;
  if (into->count == 0) {
    *into = *more;
    return;
  }
  const double count = into->count + more->count;
  const double off = more->mean - into->mean;
  into->squares += more->squares + off * off * (into->count * more->count / count);
  into->mean += off * (more->count / count);
  into->count = count;
  if (more->least < into->least) into->least = more->least;
  if (more->most > into->most) into->most = more->most;
}

double band_sum_standard_deviation(const BandSum *sum)
{
  return sum->count == 0 ? 0 : sqrt(sum->squares / sum->count);
}

Status set_sum_open(Arena *arena, int32_t band_count, int32_t class_count, SetSum *sum)
{
  void *bands, *classes, *objects;
  *sum =
      (SetSum){.band_count = band_count, .class_count = class_count, .content = checksum_start(0)};
  TRY(arena_allocate(arena, (size_t)band_count * sizeof(BandSum), &bands));
  TRY(arena_allocate(arena, (size_t)class_count * sizeof(ClassSum), &classes));
  TRY(arena_allocate(arena, (size_t)class_count * sizeof(ObjectSum), &objects));
  sum->bands = bands;
  sum->objects = objects;
  sum->classes = classes;
  return STATUS_OK;
}

static void add_class(ClassSum *sum, int64_t pixels, bool first)
{
  sum->pixel_count += pixels;
  sum->chip_count += pixels > 0;
  if (first || pixels < sum->least) sum->least = pixels;
  if (first || pixels > sum->most) sum->most = pixels;
}

void set_sum_add(SetSum *sum, const BandSum *bands, const int64_t *class_pixels)
{
  const bool first = sum->chip_count == 0;
  int64_t held = 0;
  for (int32_t i = 0; i < sum->band_count; ++i)
    band_sum_merge(&sum->bands[i], &bands[i]);
  for (int32_t i = 0; i < sum->class_count; ++i) {
    add_class(&sum->classes[i], class_pixels[i], first);
    held += i > 0 && class_pixels[i] > 0;
  }
  if (first || held < sum->classes_per_chip_least) sum->classes_per_chip_least = held;
  if (first || held > sum->classes_per_chip_most) sum->classes_per_chip_most = held;
  sum->classes_per_chip_sum += held;
  ++sum->chip_count;
}

void set_sum_add_object(SetSum *sum, int32_t class_index, double area_map)
{
  ObjectSum *one = &sum->objects[class_index];
  const bool first = one->count == 0;
  one->chip_count += one->last_chip != sum->chip_count;
  one->last_chip = sum->chip_count;
  if (first || area_map < one->area_least) one->area_least = area_map;
  if (first || area_map > one->area_most) one->area_most = area_map;
  one->area_sum += area_map;
  ++one->count;
}

void set_sum_end_objects(SetSum *sum, int64_t object_count, int64_t mask_bytes)
{
  const bool first = sum->chip_count == 1;
  if (first || object_count < sum->objects_least) sum->objects_least = object_count;
  if (first || object_count > sum->objects_most) sum->objects_most = object_count;
  if (first || mask_bytes > sum->mask_bytes_most) sum->mask_bytes_most = mask_bytes;
  sum->object_count += object_count;
}

int64_t set_sum_labelled(const SetSum *sum)
{
  int64_t pixels = 0;
  for (int32_t i = 1; i < sum->class_count; ++i)
    pixels += sum->classes[i].pixel_count;
  return pixels;
}
