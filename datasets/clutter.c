#include <math.h>

#include "surfaces.h"

bool surface_of_heap(const World *world, const Object *object, Local local, Surface *surface)
{
  const double radius_m = object->half_length_m, away_m = hypot(local.a_m, local.b_m);
  if (away_m > 1.2 * radius_m) return false;
  const double share = away_m / (radius_m * tree_outline(object, local.a_m, local.b_m));
  if (share >= 1.0) return false;
  const float stone = noise_fractal(local.a_m / 0.5, local.b_m / 0.5, 3, object->salt + 3U);
  const double slope = object->slope / radius_m;
  surface->height_m = (float)(object->slope * (1.0 - share * share));
  surface->shade = object_shade(world, object, -2.0 * slope * local.a_m + 0.5 * (double)stone,
                                -2.0 * slope * local.b_m - 0.4 * (double)stone);
  surface->colour =
      colour_scale(colour_mix(object->main, object->second, noise_step(0.1F, 0.5F, stone)),
                   1.0F + 0.35F * stone);
  return true;
}

/* Bonnet and boot, panes before and behind the cabin, corners rounded off. */
static bool vehicle(const World *world, const Object *object, Local local, Surface *surface)
{
  const double a = local.a_m / object->half_length_m, b = local.b_m / object->half_width_m;
  if (a * a * a * a * a * a + b * b * b * b * b * b > 1.15) return false;
  const bool lorry = object->half_length_m > 3.0;
  const bool cabin = lorry ? a < 0.62 : a > -0.72 && a < 0.38;
  const bool pane = lorry ? a > 0.62 && a < 0.74 : (a > 0.2 && a < 0.42) || (a < -0.6 && a > -0.78);
  surface->height_m = cabin ? (float)object->eave_m : 0.65F * (float)object->eave_m;
  surface->shade = object_shade(world, object, 0.12 * a, -0.3 * b * b * b);
  surface->colour = lorry && cabin ? object->second : object->main;
  if (pane || (cabin && !lorry && fabs(b) > 0.8))
    surface->colour = colour_mix(surface->colour, colour_from_screen(40, 46, 54), 0.85F);
  return true;
}

/* Rooms of a house not yet built, or a plain floor. */
static void slab(const World *world, const Object *object, Local local, Surface *surface)
{
  surface->height_m = 0.12F;
  surface->colour = material_colour(object, local.a_m, local.b_m + object->half_width_m);
  if (noise_uniform(1, 1, object->salt) < 0.5F) return;
  const double split_a = ((double)noise_uniform(2, 1, object->salt) - 0.5) * object->half_length_m;
  const double rim =
      fmin(object->half_length_m - fabs(local.a_m), object->half_width_m - fabs(local.b_m));
  if (rim > 0.3 && fabs(local.a_m - split_a) > 0.15 && fabs(local.b_m) > 0.15) {
    surface->colour = colour_mix(surface->colour, world->soil, 0.55F);
    return;
  }
  surface->height_m = 0.7F;
  surface->colour = colour_mix(surface->colour, colour_from_screen(156, 104, 82), 0.6F);
}

bool surface_of_clutter(const World *world, const Object *object, Local local, Surface *surface)
{
  surface->height_m = (float)object->eave_m;
  surface->shade = 1.0F;
  switch (object->kind) {
  case OBJECT_VEHICLE: return vehicle(world, object, local, surface);
  case OBJECT_SLAB: slab(world, object, local, surface); return true;
  case OBJECT_SHEET: {
    const float fold = noise_fractal(local.a_m / 0.9, local.b_m / 0.9, 3, object->salt + 31U);
    const double rim =
        fmin(object->half_length_m - fabs(local.a_m), object->half_width_m - fabs(local.b_m));
    if (rim < 0.25 + 0.3 * (double)fold) return false;
    surface->height_m = 0.1F;
    surface->shade = 0.95F + 0.3F * fold;
    surface->colour = material_colour(object, local.a_m, local.b_m);
    return true;
  }
  case OBJECT_STALL:
    surface->colour = material_colour(object, local.a_m, local.b_m);
    if ((int32_t)floor(local.a_m / 0.6) % 2 == 0 && noise_uniform(1, 1, object->salt) < 0.35F)
      surface->colour = object->second;
    return true;
  default: surface->colour = material_colour(object, local.a_m, local.b_m); return true;
  }
}
