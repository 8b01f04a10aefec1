#include <math.h>

#include "surfaces.h"

static double turn(Point o, Point a, Point b)
{
  return (a.x_m - o.x_m) * (b.y_m - o.y_m) - (a.y_m - o.y_m) * (b.x_m - o.x_m);
}

static void sort_by_x(Point *points, int count)
{
  for (int i = 1; i < count; ++i) {
    const Point point = points[i];
    int j = i;
    for (; j > 0 && (points[j - 1].x_m > point.x_m ||
                     (points[j - 1].x_m == point.x_m && points[j - 1].y_m > point.y_m));
         --j)
      points[j] = points[j - 1];
    points[j] = point;
  }
}

/* Andrew's monotone chain. */
static int hull(Point *points, int count, Point corners[12])
{
  Point chain[24];
  int kept = 0;
  sort_by_x(points, count);
  for (int i = 0; i < count; ++i) {
    while (kept >= 2 && turn(chain[kept - 2], chain[kept - 1], points[i]) <= 0.0)
      --kept;
    chain[kept++] = points[i];
  }
  const int lower = kept + 1;
  for (int i = count - 2; i >= 0; --i) {
    while (kept >= lower && turn(chain[kept - 2], chain[kept - 1], points[i]) <= 0.0)
      --kept;
    chain[kept++] = points[i];
  }
  --kept; /* the last is the first */
  for (int i = 0; i < kept; ++i)
    corners[i] = chain[i];
  return kept;
}

static void bound(Shadow *shadow)
{
  shadow->least = shadow->most = shadow->corners[0];
  for (int i = 1; i < shadow->count; ++i) {
    const Point corner = shadow->corners[i];
    shadow->least =
        (Point){fmin(shadow->least.x_m, corner.x_m), fmin(shadow->least.y_m, corner.y_m)};
    shadow->most = (Point){fmax(shadow->most.x_m, corner.x_m), fmax(shadow->most.y_m, corner.y_m)};
  }
}

/* A solid of four corners, its eaves and its ridge, as the sun throws it on the ground. */
static Shadow thrown(const World *world, const Object *object, RoofShape roof, Local least,
                     Local most, bool ridge_along_b)
{
  Point points[12];
  int count = 0;
  const double run_m = 0.5 * (ridge_along_b ? most.a_m - least.a_m : most.b_m - least.b_m);
  for (int corner = 0; corner < 4; ++corner) {
    const double a = (corner & 1) != 0 ? most.a_m : least.a_m;
    const double b = (corner & 2) != 0 ? most.b_m : least.b_m;
    const Point foot = object_point(object, a, b);
    const double rise_m =
        roof == ROOF_SHED && (corner & 2) != 0 ? 2.0 * run_m * object->slope : 0.0;
    points[count++] = foot;
    points[count++] = point_add(foot, world->shadow, object->eave_m + rise_m);
  }
  if (roof != ROOF_FLAT && roof != ROOF_SHED) {
    const double inset_m = roof == ROOF_HIPPED ? run_m : 0.0;
    const double ridge_m = object->eave_m + run_m * object->slope;
    const double a = 0.5 * (least.a_m + most.a_m), b = 0.5 * (least.b_m + most.b_m);
    const Point first = ridge_along_b ? object_point(object, a, least.b_m)
                                      : object_point(object, least.a_m + inset_m, b);
    const Point last = ridge_along_b ? object_point(object, a, most.b_m)
                                     : object_point(object, most.a_m - inset_m, b);
    points[count++] = point_add(first, world->shadow, ridge_m);
    points[count++] = point_add(last, world->shadow, ridge_m);
  }
  Shadow shadow = {.density = 1.0F};
  shadow.count = hull(points, count, shadow.corners);
  bound(&shadow);
  return shadow;
}

/* The middle of a crown. */
static double crown_m(const Object *object)
{
  return object->eave_m + 0.35 * object->half_length_m;
}

static Shadow crown(const World *world, const Object *object)
{
  const Point middle = point_add(object->centre, world->shadow, crown_m(object));
  const double reach_m =
      1.25 * object->half_length_m * hypot(1.0, hypot(world->shadow.x_m, world->shadow.y_m));
  return (Shadow){.count = -1,
                  .least = {middle.x_m - reach_m, middle.y_m - reach_m},
                  .most = {middle.x_m + reach_m, middle.y_m + reach_m},
                  .density = 0.92F};
}

int object_shadows(const World *world, const Object *object, Shadow shadows[2])
{
  const Local least = {-object->half_length_m, -object->half_width_m};
  const Local most = {object->half_length_m, object->half_width_m - object->wing_m};
  if (object->kind == OBJECT_SLAB || object->kind == OBJECT_SHEET || object->kind == OBJECT_HEAP)
    return 0;
  if (object->kind == OBJECT_TREE) {
    shadows[0] = crown(world, object);
    return 1;
  }
  shadows[0] = thrown(world, object, object->roof, least, most, false);
  if (object->wing_m <= 0.0) return 1;
  const RoofShape roof = object->roof == ROOF_FLAT ? ROOF_FLAT : ROOF_GABLED;
  shadows[1] = thrown(world, object, roof, (Local){object->wing_left_m, -object->wing_m},
                      (Local){object->wing_right_m, object->half_width_m}, true);
  return 2;
}

/* A ball's shadow is an ellipse, stretched away from the sun. */
static float crown_shadow(const World *world, const Object *object, Point ground)
{
  const Point middle = point_add(object->centre, world->shadow, crown_m(object));
  const double length = hypot(world->shadow.x_m, world->shadow.y_m);
  const double ux = world->shadow.x_m / length, uy = world->shadow.y_m / length;
  const double x = ground.x_m - middle.x_m, y = ground.y_m - middle.y_m;
  const double along = (x * ux + y * uy) * world->sun_z, across = y * ux - x * uy;
  const double share =
      hypot(along, across) / (object->half_length_m * tree_outline(object, along, across));
  if (share > 1.15) return 0.0F;
  const float leaf = noise_fractal(ground.x_m / 0.8, ground.y_m / 0.8, 2, object->salt + 7U);
  return 1.0F - noise_step(0.88F, 1.08F, (float)share + 0.14F * leaf);
}

float object_shadow_at(const World *world, const Object *object, const Shadow *shadow, Point ground)
{
  if (ground.x_m < shadow->least.x_m || ground.x_m > shadow->most.x_m ||
      ground.y_m < shadow->least.y_m || ground.y_m > shadow->most.y_m)
    return 0.0F;
  if (shadow->count < 0) return shadow->density * crown_shadow(world, object, ground);
  double outside_m = -1e9; /* the hull turns from x to y: what lies right of an edge is out */
  for (int i = 0; i < shadow->count; ++i) {
    const Point from = shadow->corners[i], to = shadow->corners[(i + 1) % shadow->count];
    const double length = hypot(to.x_m - from.x_m, to.y_m - from.y_m);
    if (length < 1e-9) continue;
    outside_m = fmax(outside_m, -turn(from, to, ground) / length);
  }
  return shadow->density * (1.0F - noise_step(-0.18F, 0.04F, (float)outside_m));
}
