#include <math.h>

#include "surfaces.h"

double tree_outline(const Object *object, double a, double b)
{
  const double length = hypot(a, b) + 1e-9;
  return 0.84 + 0.26 * (double)noise_fractal(1.5 * a / length, 1.5 * b / length, 3, object->salt);
}

/* A dome of leaves in lumps: each lump has a bright and a dark side, gaps show what is below. */
bool surface_of_tree(const World *world, const Object *object, Local local, Surface *surface)
{
  const double radius_m = object->half_length_m, away_m = hypot(local.a_m, local.b_m);
  if (away_m > 1.25 * radius_m) return false;
  const double share = away_m / (radius_m * tree_outline(object, local.a_m, local.b_m));
  if (share >= 1.0) return false;

  const Local sun = object_direction(object, world->sun_x, world->sun_y);
  const double lump_m = 0.55 + 0.12 * radius_m;
  const double ahead = 0.16;
  const double x = local.a_m / lump_m, y = local.b_m / lump_m;
  const float lump = noise_fractal(x, y, 3, object->salt + 3U);
  const float lump_sunward =
      noise_fractal(x + ahead * sun.a_m, y + ahead * sun.b_m, 3, object->salt + 3U);
  if (share > 0.78 && (double)lump < 3.0 * (share - 0.95)) return false;

  const double dome = sqrt(1.0 - share * share);
  surface->height_m = (float)(object->eave_m + (0.8 + 0.35 * (double)lump) * dome * radius_m);
  const double facing = 0.75 * dome + 0.65 * (local.a_m * sun.a_m + local.b_m * sun.b_m) / radius_m;
  const float lit = (float)facing + 2.2F * (lump - lump_sunward) / (float)ahead * 0.32F;
  surface->shade = fminf(fmaxf(lit, 0.04F), 1.5F);
  surface->colour = colour_mix(object->main, object->second, noise_step(-0.6F, 0.8F, lump));
  surface->colour = colour_scale(surface->colour, 0.6F + 0.45F * noise_step(-0.7F, 0.5F, lump));
  return true;
}
