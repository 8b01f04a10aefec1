#include "noise.h"

#include <math.h>

uint32_t noise_hash(int32_t column, int32_t row, uint32_t salt)
{
  uint32_t h = (uint32_t)column * 0x8DA6B343U ^ (uint32_t)row * 0xD8163841U ^ salt * 0xCB1AB31FU;
  h ^= h >> 16;
  h *= 0x7FEB352DU;
  h ^= h >> 15;
  h *= 0x846CA68BU;
  h ^= h >> 16;
  return h;
}

float noise_uniform(int32_t column, int32_t row, uint32_t salt)
{
  return (float)(noise_hash(column, row, salt) >> 8) * 0x1p-24F;
}

float noise_bell(uint32_t hash)
{
  const uint32_t sum =
      (hash & 0xFFU) + (hash >> 8 & 0xFFU) + (hash >> 16 & 0xFFU) + (hash >> 24 & 0xFFU);
  return ((float)sum - 510.0F) / 147.8F;
}

static float slope_towards(int32_t column, int32_t row, uint32_t salt, float x, float y)
{
  const uint32_t h = noise_hash(column, row, salt);
  const float gx = (float)(h & 0xFFFFU) * (2.0F / 65535.0F) - 1.0F;
  const float gy = (float)(h >> 16) * (2.0F / 65535.0F) - 1.0F;
  return gx * x + gy * y;
}

static float fade(float t)
{
  return t * t * t * (t * (t * 6.0F - 15.0F) + 10.0F);
}

float noise_at(double x, double y, uint32_t salt)
{
  const double left = floor(x), top = floor(y);
  const int32_t column = (int32_t)left, row = (int32_t)top;
  const float fx = (float)(x - left), fy = (float)(y - top);
  const float a = slope_towards(column, row, salt, fx, fy);
  const float b = slope_towards(column + 1, row, salt, fx - 1.0F, fy);
  const float c = slope_towards(column, row + 1, salt, fx, fy - 1.0F);
  const float d = slope_towards(column + 1, row + 1, salt, fx - 1.0F, fy - 1.0F);
  const float u = fade(fx);
  const float upper = a + u * (b - a), lower = c + u * (d - c);
  return 1.6F * (upper + fade(fy) * (lower - upper));
}

float noise_fractal(double x, double y, int octave_count, uint32_t salt)
{
  float sum = 0.0F, height = 0.6F;
  for (int octave = 0; octave < octave_count; ++octave) {
    sum += height * noise_at(x, y, salt + (uint32_t)octave);
    x = 2.0 * x + 17.3;
    y = 2.0 * y + 5.9;
    height *= 0.5F;
  }
  return sum;
}

float noise_step(float low, float high, float value)
{
  const float t = fminf(fmaxf((value - low) / (high - low), 0.0F), 1.0F);
  return t * t * (3.0F - 2.0F * t);
}
