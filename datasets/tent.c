#include <math.h>

#include "surfaces.h"

/* Cloth over a ridge: sagging sides, ends that lean in, a patch of another cloth now and then. */
bool surface_of_tent(const World *world, const Object *object, Local local, Surface *surface)
{
  const double a = fabs(local.a_m), b = fabs(local.b_m);
  const double side = b / object->half_width_m, to_end = object->half_length_m - a;
  const bool on_end = to_end < 0.35 * object->half_width_m * (1.0 - side);
  const double rise_m = object->slope * object->half_width_m;
  const double sag = object->roof == ROOF_VAULT ? 2.0 * side : 1.25 - 0.5 * side;
  const double wrinkle =
      0.12 * (double)noise_fractal(local.a_m / 0.7, local.b_m / 1.4, 2, object->salt + 21U);

  surface->height_m = (float)(object->eave_m + rise_m * (1.0 - side));
  surface->colour = material_colour(object, local.a_m, b);
  const double slope_b = (local.b_m < 0.0 ? 1.0 : -1.0) * object->slope * sag;
  const double slope_a = (local.a_m < 0.0 ? 1.0 : -1.0) * 1.6 * object->slope;
  surface->shade = object_shade(world, object, on_end ? slope_a + wrinkle : wrinkle,
                                on_end ? wrinkle : slope_b + wrinkle);

  const float patched = noise_uniform(4, 1, object->salt);
  const double patch_a = (double)noise_uniform(5, 1, object->salt) * object->half_length_m;
  if (patched < 0.3F && local.a_m > patch_a - 0.9 && local.a_m < patch_a + 0.7 && local.b_m > 0.15)
    surface->colour = colour_mix(surface->colour, object->second, 0.85F);
  if (object->roof == ROOF_GABLED && b < 0.12)
    surface->colour = colour_scale(surface->colour, 1.12F);
  if (object->half_width_m - b < 0.15 || to_end < 0.15)
    surface->colour = colour_mix(surface->colour, colour_from_screen(120, 108, 92), 0.45F);
  return true;
}
