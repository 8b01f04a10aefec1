#include "world.h"

#include <math.h>

#include "base/random.h"

static const double degree = 0.017453292519943295;

Point point_add(Point a, Point b, double factor)
{
  return (Point){a.x_m + factor * b.x_m, a.y_m + factor * b.y_m};
}

/* A gamma of 2 is near enough to a screen's, and costs one product. */
Colour colour_from_screen(float red, float green, float blue)
{
  const float r = red / 255.0F, g = green / 255.0F, b = blue / 255.0F;
  return (Colour){r * r, g * g, b * b};
}

Colour colour_mix(Colour a, Colour b, float share_of_b)
{
  return (Colour){a.red + share_of_b * (b.red - a.red), a.green + share_of_b * (b.green - a.green),
                  a.blue + share_of_b * (b.blue - a.blue)};
}

Colour colour_scale(Colour colour, float factor)
{
  return (Colour){colour.red * factor, colour.green * factor, colour.blue * factor};
}

uint32_t world_salt(const World *world, Salt salt)
{
  return world->salt + (uint32_t)salt;
}

static void choose_palette(World *world, Random *random)
{
  const float dryness = (float)random_uniform(random);
  world->soil =
      colour_mix(colour_from_screen(126, 112, 97), colour_from_screen(134, 114, 92), dryness);
  world->dust =
      colour_mix(colour_from_screen(172, 163, 149), colour_from_screen(178, 164, 141), dryness);
  world->grass =
      colour_mix(colour_from_screen(76, 92, 56), colour_from_screen(92, 102, 62), dryness);
  world->straw =
      colour_mix(colour_from_screen(124, 124, 88), colour_from_screen(140, 133, 100), dryness);
}

World world_from_seed(uint64_t seed)
{
  Random random = random_stream(seed, 0x776F726C64U);
  World world = {.seed = seed, .salt = random_bits(&random)};
  const double heading = random_between(&random, 0.0, 90.0) * degree;
  world.heading_cos = cos(heading);
  world.heading_sin = sin(heading);

  const double azimuth =
      random_between(&random, 110.0, 165.0) * degree; /* a flight in the morning */
  const double elevation = random_between(&random, 40.0, 56.0) * degree;
  world.sun_x = sin(azimuth) * cos(elevation);
  world.sun_y = -cos(azimuth) * cos(elevation);
  world.sun_z = sin(elevation);
  world.shadow = (Point){-world.sun_x / world.sun_z, -world.sun_y / world.sun_z};
  choose_palette(&world, &random);
  return world;
}
