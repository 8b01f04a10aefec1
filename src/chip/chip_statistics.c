#include "chip/chip_statistics.h"

#include <math.h>
#include <stdbool.h>

/* Two passes over a chip that lies in the cache: the mean first, so that squares lose nothing. */
static double mean_of(PixelType type, const void *image, const uint8_t *valid, int64_t pixel_count,
                      int32_t band_count, int32_t band, BandSum *sum)
{
  double total = 0;
  for (int64_t i = 0; i < pixel_count; ++i) {
    if (valid[i] == 0) continue;
    const double value = pixel_value(type, image, (size_t)(i * band_count + band));
    if (sum->count == 0 || value < sum->least) sum->least = value;
    if (sum->count == 0 || value > sum->most) sum->most = value;
    sum->count += 1;
    total += value;
  }
  return sum->count == 0 ? 0 : total / sum->count;
}

void band_sum_of_chip(PixelType type, const void *image, const uint8_t *valid, int64_t pixel_count,
                      int32_t band_count, BandSum *sums)
{
  for (int32_t band = 0; band < band_count; ++band) {
    BandSum *sum = &sums[band];
    *sum = (BandSum){.count = 0};
    sum->mean = mean_of(type, image, valid, pixel_count, band_count, band, sum);
    for (int64_t i = 0; i < pixel_count; ++i) {
      if (valid[i] == 0) continue;
      const double off = pixel_value(type, image, (size_t)(i * band_count + band)) - sum->mean;
      sum->squares += off * off;
    }
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
  void *bands, *classes;
  *sum =
      (SetSum){.band_count = band_count, .class_count = class_count, .content = checksum_start(0)};
  TRY(arena_allocate(arena, (size_t)band_count * sizeof(BandSum), &bands));
  TRY(arena_allocate(arena, (size_t)class_count * sizeof(ClassSum), &classes));
  sum->bands = bands;
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

int64_t set_sum_labelled(const SetSum *sum)
{
  int64_t pixels = 0;
  for (int32_t i = 1; i < sum->class_count; ++i)
    pixels += sum->classes[i].pixel_count;
  return pixels;
}
