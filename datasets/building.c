#include <math.h>

#include "surfaces.h"

/* One rectangle of a building and the roof over it; a and b from its own centre, a along its ridge.
 */
typedef struct Facet {
  double height_m;
  double slope_a, slope_b; /* rise per metre */
  double along_m, down_m;  /* on the roof */
  double crest_m;          /* how far the nearest ridge or hip is */
} Facet;

static Facet facet_of(const Object *object, RoofShape roof, double half_a, double half_b, double a,
                      double b)
{
  const double to_side = half_b - fabs(b), to_end = half_a - fabs(a);
  const double side = b < 0.0 ? -1.0 : 1.0, end = a < 0.0 ? -1.0 : 1.0;
  if (roof == ROOF_SHED)
    return (Facet){
        object->eave_m + object->slope * (b + half_b), 0, object->slope, a, half_b - b, 9};
  if (roof == ROOF_FLAT) return (Facet){object->eave_m, 0, 0, a, b + half_b, 9};
  if (roof == ROOF_HIPPED && to_end < to_side)
    return (Facet){object->eave_m + object->slope * to_end,
                   -end * object->slope,
                   0,
                   b,
                   half_b - to_end,
                   to_side - to_end};
  const double crest = roof == ROOF_HIPPED ? fmin(fabs(b), to_end - to_side) : fabs(b);
  return (Facet){
      object->eave_m + object->slope * to_side, 0, -side * object->slope, a, fabs(b), crest};
}

static Facet swapped(Facet facet)
{
  const double slope = facet.slope_a;
  facet.slope_a = facet.slope_b;
  facet.slope_b = slope;
  return facet;
}

/* The roof over the body, the wing, or the higher of both. */
static bool roof_at(const Object *object, Local local, Facet *facet)
{
  const double body_half_m = object->half_width_m - 0.5 * object->wing_m;
  const double body_b = local.b_m + 0.5 * object->wing_m;
  const bool on_body = body_b <= body_half_m;
  const bool on_wing =
      object->wing_m > 0.0 && local.a_m >= object->wing_left_m && local.a_m <= object->wing_right_m;
  if (!on_body && !on_wing) return false;
  if (on_body)
    *facet = facet_of(object, object->roof, object->half_length_m, body_half_m, local.a_m, body_b);
  if (!on_wing) return true;

  const double half_m = 0.5 * (object->wing_right_m - object->wing_left_m);
  const double wing_a = local.a_m - object->wing_left_m - half_m;
  const RoofShape roof = object->roof == ROOF_FLAT ? ROOF_FLAT : ROOF_GABLED;
  const Facet wing = swapped(facet_of(object, roof, 99.0, half_m, local.b_m, wing_a));
  if (!on_body || (local.b_m > -0.5 * object->wing_m && wing.height_m > facet->height_m))
    *facet = wing;
  return true;
}

static double to_edge_m(const Object *object, Local local)
{
  const double ends = object->half_length_m - fabs(local.a_m);
  if (object->wing_m <= 0.0) return fmin(ends, object->half_width_m - fabs(local.b_m));
  const double edge = object->half_width_m - object->wing_m;
  const double low = fmin(ends, local.b_m + object->half_width_m);
  const double wing = fmin(fmin(local.a_m - object->wing_left_m, object->wing_right_m - local.a_m),
                           object->half_width_m - local.b_m);
  return fmax(fmin(low, edge - local.b_m), fmin(wing, fmin(low, 99.0)));
}

static bool inside(Local local, double a, double b, double half_a, double half_b)
{
  return fabs(local.a_m - a) <= half_a && fabs(local.b_m - b) <= half_b;
}

static float chance(const Object *object, int32_t what)
{
  return noise_uniform(what, 1, object->salt);
}

/* What stands on a flat roof, as far as its outline and height go. */
typedef struct Fixture {
  double a, b, half_a, half_b, height_m;
  bool round;
  Colour colour;
} Fixture;

enum { FIXTURES_MAX = 5 };

static Fixture fixture_of(const Object *object, int32_t which, double length, double width)
{
  static const float colours[5][3] = {
      {36, 36, 40}, {50, 84, 140}, {190, 188, 180}, {52, 62, 84}, {150, 84, 66}};
  const int32_t seat = 10 * which + 10;
  const double a = (2.0 * (double)chance(object, seat) - 1.0) * (length - 1.6);
  const double b = (2.0 * (double)chance(object, seat + 1) - 1.0) * (width - 1.5);
  const float kind = chance(object, seat + 2);
  const uint32_t look = (uint32_t)(chance(object, seat + 3) * 4.99F);
  const Colour colour = colour_from_screen(colours[look][0], colours[look][1], colours[look][2]);
  if (which == 0) return (Fixture){a, b, 1.5, 1.3, 2.2, false, colour_scale(object->main, 1.15F)};
  if (kind < 0.45F) return (Fixture){a, b, 0.62, 0.62, 1.2, true, colour};
  if (kind < 0.65F)
    return (Fixture){a, b, 1.1, 0.8, 0.3, false, colour_from_screen(44, 54, 84)}; /* solar */
  return (Fixture){a,
                   b,
                   0.5 + (double)chance(object, seat + 4),
                   0.4 + (double)chance(object, seat + 5),
                   0.6,
                   false,
                   colour};
}

static bool fixture_holds(const Fixture *fixture, Local local)
{
  if (!inside(local, fixture->a, fixture->b, fixture->half_a, fixture->half_b)) return false;
  return !fixture->round ||
         hypot(local.a_m - fixture->a, local.b_m - fixture->b) <= fixture->half_a;
}

/* Draws the fixtures and what they and the parapet keep from the sun. */
static void furnish(const World *world, const Object *object, Local local, Surface *surface)
{
  const Local shadow = object_direction(object, world->shadow.x_m, world->shadow.y_m);
  const double body_half_m = object->half_width_m - 0.5 * object->wing_m;
  const Local on_body = {local.a_m, local.b_m + 0.5 * object->wing_m};
  const int count = (int)(chance(object, 2) * (FIXTURES_MAX + 0.99F));
  for (int which = 0; which < count; ++which) {
    const Fixture fixture =
        fixture_of(object, which, object->half_length_m - 0.3, body_half_m - 0.3);
    if (fixture_holds(&fixture, on_body)) {
      surface->colour = fixture.colour;
      surface->height_m += (float)fixture.height_m;
      surface->shade = 1.0F;
      return;
    }
    for (int step = 1; step <= 4; ++step) {
      const double back_m = 0.25 * step * fixture.height_m;
      const Local sunward = {on_body.a_m - back_m * shadow.a_m, on_body.b_m - back_m * shadow.b_m};
      if (fixture_holds(&fixture, sunward)) surface->shade = 0.0F;
    }
  }
  const double parapet_m = chance(object, 3) < 0.7F ? 0.8 : 0.1;
  const Local sunward = {local.a_m - parapet_m * shadow.a_m, local.b_m - parapet_m * shadow.b_m};
  if (to_edge_m(object, local) < 0.28)
    surface->colour = colour_mix(surface->colour, object->second, 0.7F);
  else if (to_edge_m(object, sunward) < 0.28)
    surface->shade = 0.0F;
}

bool surface_of_building(const World *world, const Object *object, Local local, Surface *surface)
{
  Facet facet = {0};
  if (!roof_at(object, local, &facet)) return false;
  surface->height_m = (float)facet.height_m;
  surface->colour = material_colour(object, facet.along_m, facet.down_m);
  if (object->roof == ROOF_VAULT) { /* an arch: steep at the eaves, level at the crest */
    const double rise = 2.0 * facet.down_m / (object->half_width_m + 0.01);
    facet.slope_b *= rise;
  }
  surface->shade = object_shade(world, object, facet.slope_a, facet.slope_b);
  if (object->roof == ROOF_FLAT) {
    furnish(world, object, local, surface);
    return true;
  }
  if (facet.crest_m < 0.16) surface->colour = colour_mix(surface->colour, object->second, 0.6F);
  if (to_edge_m(object, local) < 0.14) surface->colour = colour_scale(surface->colour, 0.8F);
  return true;
}
