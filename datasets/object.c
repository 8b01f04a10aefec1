#include "object.h"

#include <math.h>

#include "surfaces.h"

Local object_local(const Object *object, Point point)
{
  return object_direction(object, point.x_m - object->centre.x_m, point.y_m - object->centre.y_m);
}

Local object_direction(const Object *object, double x, double y)
{
  return (Local){x * object->cos + y * object->sin, y * object->cos - x * object->sin};
}

Point object_point(const Object *object, double a_m, double b_m)
{
  return (Point){object->centre.x_m + a_m * object->cos - b_m * object->sin,
                 object->centre.y_m + a_m * object->sin + b_m * object->cos};
}

double object_radius_m(const Object *object)
{
  return hypot(object->half_length_m, object->half_width_m);
}

double object_top_m(const Object *object)
{
  const double run_m = object->half_width_m - 0.5 * object->wing_m;
  switch (object->roof) {
  case ROOF_FLAT: return object->eave_m;
  case ROOF_SHED: return object->eave_m + object->slope * 2.0 * run_m;
  default: return object->eave_m + object->slope * run_m;
  }
}

/* Whether the line across along (x, y) parts the boxes. */
static bool parted(const Object *first, const Object *second, double margin_m, double x, double y)
{
  const double apart_m = fabs((second->centre.x_m - first->centre.x_m) * x +
                              (second->centre.y_m - first->centre.y_m) * y);
  const Local one = object_direction(first, x, y), other = object_direction(second, x, y);
  const double reach_m =
      first->half_length_m * fabs(one.a_m) + first->half_width_m * fabs(one.b_m) +
      second->half_length_m * fabs(other.a_m) + second->half_width_m * fabs(other.b_m);
  return apart_m > reach_m + margin_m;
}

bool object_boxes_meet(const Object *first, const Object *second, double margin_m)
{
  return !parted(first, second, margin_m, first->cos, first->sin) &&
         !parted(first, second, margin_m, -first->sin, first->cos) &&
         !parted(first, second, margin_m, second->cos, second->sin) &&
         !parted(first, second, margin_m, -second->sin, second->cos);
}

int object_outline(const Object *object, Point corners[OBJECT_OUTLINE_MAX])
{
  const double a = object->half_length_m, b = object->half_width_m;
  int count = 0;
  corners[count++] = object_point(object, -a, -b);
  corners[count++] = object_point(object, a, -b);
  if (object->wing_m <= 0.0) {
    corners[count++] = object_point(object, a, b);
    corners[count++] = object_point(object, -a, b);
    return count;
  }
  const double edge = b - object->wing_m;
  if (object->wing_right_m < a) {
    corners[count++] = object_point(object, a, edge);
    corners[count++] = object_point(object, object->wing_right_m, edge);
  }
  corners[count++] = object_point(object, object->wing_right_m, b);
  corners[count++] = object_point(object, object->wing_left_m, b);
  if (object->wing_left_m > -a) {
    corners[count++] = object_point(object, object->wing_left_m, edge);
    corners[count++] = object_point(object, -a, edge);
  }
  return count;
}

float object_shade(const World *world, const Object *object, double slope_a, double slope_b)
{
  const Local sun = object_direction(object, world->sun_x, world->sun_y);
  const double lit = (world->sun_z - slope_a * sun.a_m - slope_b * sun.b_m) /
                     sqrt(1.0 + slope_a * slope_a + slope_b * slope_b);
  return (float)(fmax(lit, 0.0) / world->sun_z);
}

bool object_surface(const World *world, const Object *object, Point point, Surface *surface)
{
  const Local local = object_local(object, point);
  if (object->kind == OBJECT_TREE) return surface_of_tree(world, object, local, surface);
  if (object->kind == OBJECT_HEAP) return surface_of_heap(world, object, local, surface);
  if (fabs(local.a_m) > object->half_length_m || fabs(local.b_m) > object->half_width_m)
    return false;
  switch (object->kind) {
  case OBJECT_BUILDING: return surface_of_building(world, object, local, surface);
  case OBJECT_TENT: return surface_of_tent(world, object, local, surface);
  default: return surface_of_clutter(world, object, local, surface);
  }
}
