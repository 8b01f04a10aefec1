#include "chip/augment.h"

#include <math.h>
#include <string.h>

enum { NO_LABEL = 255 };

/* The eight ways to lay a square: two flips and a quarter turn span them. */
static void lay(Pose *pose, bool flip_x, bool flip_y, bool transpose, double side, int32_t size)
{
  const double step = side / size;
  const double last = side - step;
  const double xs = flip_x ? -step : step;
  const double ys = flip_y ? -step : step;
  pose->x0 += flip_x ? last : 0;
  pose->y0 += flip_y ? last : 0;
  pose->xx = transpose ? 0 : xs;
  pose->xy = transpose ? xs : 0;
  pose->yx = transpose ? ys : 0;
  pose->yy = transpose ? 0 : ys;
}

/* Where a crop of this side begins: anywhere inside the chip, or centred on one that is smaller.
 * Whole pixels when nothing is resized, so that nothing is blurred. */
static double crop_start(double chip_side, double crop_side, bool whole, Random *random)
{
  const double room = chip_side - crop_side;
  const double u = random_uniform(random);
  if (room <= 0) return whole ? floor(room / 2) : room / 2;
  return whole ? floor(u * (room + 1)) : u * room;
}

static Pose draw_pose(const ChipPixels *chip, const Augmentation *a, int32_t size, Random *random)
{
  const double scale = exp(random_between(random, log(a->scale_least), log(a->scale_most)));
  const bool whole = a->scale_least == 1 && a->scale_most == 1;
  const double side = size / scale;
  Pose pose = {0};
  pose.x0 = crop_start(chip->width_px, side, whole, random) + side / size / 2 - 0.5;
  pose.y0 = crop_start(chip->height_px, side, whole, random) + side / size / 2 - 0.5;
  const uint32_t way = random_below(random, 8);
  bool flip_x = (way & 1U) != 0;
  bool flip_y = (way & 2U) != 0;
  const bool transpose = a->turns && (way & 4U) != 0;
  if (!a->flips) flip_y = transpose ? !flip_x : flip_x; /* turns alone: never a mirror image */
  if (!a->flips && !a->turns) flip_x = flip_y = false;
  lay(&pose, flip_x, flip_y, transpose, side, size);
  pose.factor = random_between(random, 1 - a->contrast, 1 + a->contrast);
  pose.offset = random_between(random, -a->brightness, a->brightness);
  return pose;
}

static bool inside(const ChipPixels *chip, int64_t column, int64_t row)
{
  return column >= 0 && column < chip->width_px && row >= 0 && row < chip->height_px;
}

/* The four pixels about a place, and what each weighs: nothing, if it is NoData or beyond the chip.
 */
typedef struct Corners {
  int64_t pixels[4];
  float weights[4];
  int count;
} Corners;

static Corners corners_at(const ChipPixels *chip, double x, double y)
{
  const int64_t column = (int64_t)floor(x);
  const int64_t row = (int64_t)floor(y);
  const double fx = x - (double)column;
  const double fy = y - (double)row;
  const double weights[4] = {(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy};
  Corners corners = {.count = 0};
  float total = 0;
  for (int i = 0; i < 4; ++i) {
    const int64_t c = column + (i & 1);
    const int64_t r = row + (i >> 1);
    if (weights[i] == 0 || !inside(chip, c, r) || chip->valid[r * chip->width_px + c] == 0)
      continue;
    corners.pixels[corners.count] = r * chip->width_px + c;
    corners.weights[corners.count++] = (float)weights[i];
    total += (float)weights[i];
  }
  for (int i = 0; i < corners.count; ++i)
    corners.weights[i] /= total;
  return corners;
}

static float pixel_as_float(PixelType type, const void *image, int64_t index)
{
  switch (type) {
  case PIXEL_U8: return (float)((const uint8_t *)image)[index];
  case PIXEL_U16: return (float)((const uint16_t *)image)[index];
  case PIXEL_I16: return (float)((const int16_t *)image)[index];
  case PIXEL_F32: break;
  }
  return ((const float *)image)[index];
}

static void take_pixel(const ChipPixels *chip, double x, double y, int64_t to, Sample *sample)
{
  const int32_t bands = chip->band_count;
  const int64_t column = (int64_t)floor(x + 0.5);
  const int64_t row = (int64_t)floor(y + 0.5);
  const int64_t nearest = row * chip->width_px + column;
  const bool known = inside(chip, column, row) && chip->valid[nearest] != 0;
  float *values = sample->image + to * bands;
  memset(values, 0, (size_t)bands * sizeof *values);
  sample->valid[to] = known;
  sample->labels[to] = known ? chip->labels[nearest] : (uint8_t)NO_LABEL;
  if (!known) return;
  const Corners corners = corners_at(chip, x, y);
  for (int i = 0; i < corners.count; ++i)
    for (int32_t b = 0; b < bands; ++b)
      values[b] += corners.weights[i] *
                   pixel_as_float(chip->pixel, chip->image, corners.pixels[i] * bands + b);
}

static void take_all(const ChipPixels *chip, const Pose *pose, Sample *sample)
{
  for (int32_t row = 0; row < sample->size_px; ++row)
    for (int32_t column = 0; column < sample->size_px; ++column)
      take_pixel(chip, pose->x0 + pose->xx * column + pose->xy * row,
                 pose->y0 + pose->yx * column + pose->yy * row,
                 (int64_t)row * sample->size_px + column, sample);
}

static void change_light(const Pose *pose, const double *means, const double *standard_deviations,
                         int32_t bands, Sample *sample)
{
  const int64_t pixels = (int64_t)sample->size_px * sample->size_px;
  for (int32_t b = 0; b < bands; ++b) {
    const float factor = (float)pose->factor;
    const float shift =
        (float)(means[b] * (1 - pose->factor) + pose->offset * standard_deviations[b]);
    for (int64_t p = 0; p < pixels; ++p)
      sample->image[p * bands + b] = sample->image[p * bands + b] * factor + shift;
  }
}

Pose augment_sample(const ChipPixels *chip, const Augmentation *augmentation, const double *means,
                    const double *standard_deviations, Random *random, Sample *sample)
{
  const Pose pose = draw_pose(chip, augmentation, sample->size_px, random);
  take_all(chip, &pose, sample);
  if (augmentation->brightness > 0 || augmentation->contrast > 0)
    change_light(&pose, means, standard_deviations, chip->band_count, sample);
  return pose;
}

Pose augment_centre(const ChipPixels *chip, Sample *sample)
{
  const Pose pose = {.x0 = floor((chip->width_px - sample->size_px) / 2.0),
                     .xx = 1,
                     .y0 = floor((chip->height_px - sample->size_px) / 2.0),
                     .yy = 1};
  take_all(chip, &pose, sample);
  return pose;
}
