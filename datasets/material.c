#include <math.h>

#include "surfaces.h"

/* Where a value lies within its period, 0 … 1. */
static float within(double value, double period)
{
  const double turns = value / period;
  return (float)(turns - floor(turns));
}

static float object_chance(const Object *object, uint32_t what)
{
  return noise_uniform((int32_t)what, 0, object->salt);
}

/* Sheets of corrugated iron: each weathered for itself, seams between them, rust that runs down. */
static Colour metal(const Object *object, double along_m, double down_m)
{
  const int32_t sheet = (int32_t)floor(along_m / 0.86), lap = (int32_t)floor(down_m / 2.7);
  const float weather = noise_uniform(sheet, lap, object->salt + 1U) - 0.5F;
  const float seam = within(along_m, 0.86) < 0.12F ? 0.9F : 1.0F;
  const float rib = 1.0F + 0.08F * (float)sin(along_m * (6.2831853 / 0.43));
  const float joint = within(down_m, 2.7) < 0.05F ? 0.86F : 1.0F;
  Colour colour = colour_scale(object->main, (1.0F + 0.3F * weather) * seam * rib * joint);

  const float age = object_chance(object, 3);
  const float streak = noise_fractal(along_m / 0.5, down_m / 3.0, 3, object->salt + 5U) +
                       noise_fractal(along_m / 2.5, down_m / 2.5, 2, object->salt + 9U);
  const float rust =
      0.85F * noise_step(0.75F - 0.75F * age, 1.35F - 0.75F * age, streak + 0.7F * weather + 0.25F);
  colour = colour_mix(colour, colour_from_screen(118, 90, 72), rust);
  if (noise_uniform(sheet, lap, object->salt + 2U) < 0.05F)
    colour = colour_mix(colour, object->second, 0.8F);
  return colour;
}

static Colour tile(const Object *object, double along_m, double down_m)
{
  const int32_t column = (int32_t)floor(along_m / 0.3), row = (int32_t)floor(down_m / 0.38);
  const float own = noise_uniform(column, row, object->salt + 1U) - 0.5F;
  const float course = within(down_m, 0.38) < 0.25F ? 0.86F : 1.04F;
  const float weather = noise_fractal(along_m / 2.2, down_m / 2.2, 4, object->salt + 5U);
  Colour colour = colour_scale(object->main, course * (1.0F + 0.26F * own + 0.22F * weather));
  const float moss = noise_step(0.15F, 0.7F, weather + 0.5F * object_chance(object, 3) - 0.2F);
  return colour_mix(colour, colour_from_screen(84, 78, 62), 0.6F * moss);
}

static Colour concrete(const Object *object, double along_m, double down_m)
{
  const float stain = noise_fractal(along_m / 2.6, down_m / 2.6, 4, object->salt + 5U);
  const float fine = noise_fractal(along_m / 0.5, down_m / 0.5, 2, object->salt + 11U);
  const float dirt = noise_step(0.0F, 0.75F, stain + 0.25F * fine);
  Colour colour = colour_scale(object->main, 1.0F + 0.2F * stain + 0.26F * fine);
  colour = colour_mix(colour, colour_from_screen(96, 90, 80), 0.55F * dirt);
  const float joint = fminf(fabsf(within(along_m, 3.4) - 0.5F), fabsf(within(down_m, 3.4) - 0.5F));
  return joint > 0.48F ? colour_scale(colour, 0.9F) : colour;
}

static Colour thatch(const Object *object, double along_m, double down_m)
{
  const float straw = noise_fractal(along_m / 0.22, down_m / 1.3, 3, object->salt + 5U);
  const float patch = noise_fractal(along_m / 2.4, down_m / 2.4, 3, object->salt + 9U);
  const float layer = within(down_m, 1.1) < 0.12F ? 0.84F : 1.0F;
  const Colour colour = colour_mix(object->main, object->second, noise_step(-0.2F, 0.6F, patch));
  return colour_scale(colour, layer * (1.0F + 0.4F * straw));
}

static Colour cloth(const Object *object, double along_m, double down_m)
{
  const float wrinkle = noise_fractal(along_m / 1.1, down_m / 0.6, 3, object->salt + 5U);
  const float stain = noise_fractal(along_m / 1.6, down_m / 1.6, 3, object->salt + 9U);
  const float worn = noise_step(0.1F, 0.8F, stain + 0.5F * object_chance(object, 3) - 0.2F);
  const Colour colour = colour_scale(object->main, 1.0F + 0.2F * wrinkle);
  return colour_mix(colour, colour_from_screen(150, 132, 108), 0.55F * worn);
}

Colour material_colour(const Object *object, double along_m, double down_m)
{
  switch (object->material) {
  case MATERIAL_METAL: return metal(object, along_m, down_m);
  case MATERIAL_TILE: return tile(object, along_m, down_m);
  case MATERIAL_CONCRETE: return concrete(object, along_m, down_m);
  case MATERIAL_THATCH: return thatch(object, along_m, down_m);
  default: return cloth(object, along_m, down_m);
  }
}
