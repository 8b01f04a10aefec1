#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "world.h"

/* What stands on the ground. Drawn in this order, the higher surface winning. */
typedef enum ObjectKind {
  OBJECT_SLAB,  /* concrete on the ground: looks like a flat roof, casts no shadow */
  OBJECT_SHEET, /* a tarpaulin on the ground: looks like a tent without ridge and shadow */
  OBJECT_HEAP,  /* rubble, sand */
  OBJECT_WALL,
  OBJECT_VEHICLE,
  OBJECT_STALL, /* a market stall under a flat cloth */
  OBJECT_BUILDING,
  OBJECT_TENT,
  OBJECT_TREE
} ObjectKind;

typedef enum RoofShape { ROOF_FLAT, ROOF_GABLED, ROOF_HIPPED, ROOF_SHED, ROOF_VAULT } RoofShape;
typedef enum Material {
  MATERIAL_METAL,
  MATERIAL_TILE,
  MATERIAL_CONCRETE,
  MATERIAL_THATCH,
  MATERIAL_CLOTH
} Material;

/* A box on the ground, turned by (cos, sin): a runs along its length, b across, both from its
 * centre in metres. */
typedef struct Object {
  ObjectKind kind;
  Point centre;
  double cos, sin;
  double half_length_m, half_width_m;
  /* An L or T: the body ends wing_m short of +b, but between wing_left_m and wing_right_m. 0: no
   * wing. */
  double wing_m, wing_left_m, wing_right_m;
  double eave_m;
  double slope; /* of the roof, rise over run */
  RoofShape roof;
  Material material;
  Colour main, second;
  uint32_t salt;
} Object;

typedef struct Local {
  double a_m, b_m;
} Local;

Local object_local(const Object *object, Point point);
Point object_point(const Object *object, double a_m, double b_m);
/* A world direction in the object's own axes. */
Local object_direction(const Object *object, double x, double y);
double object_radius_m(const Object *object);
double object_top_m(const Object *object);
/* Whether two boxes, each grown by margin_m / 2, share a point. */
bool object_boxes_meet(const Object *first, const Object *second, double margin_m);

/* Corners of the outline seen from above, in order; what a label shows. Returns their count. */
enum { OBJECT_OUTLINE_MAX = 8 };
int object_outline(const Object *object, Point corners[OBJECT_OUTLINE_MAX]);

/* What a camera above sees of an object at one place. */
typedef struct Surface {
  Colour colour;
  float height_m;
  float shade; /* sunlight against that on flat ground; 0: turned away */
} Surface;

/* false where the object is not. */
bool object_surface(const World *world, const Object *object, Point point, Surface *surface);

/* The ground that an object keeps from the sun. */
typedef struct Shadow {
  int count; /* of corners of a convex hull; 0: none; -1: a crown */
  Point corners[12];
  Point least, most;
  float density;
} Shadow;

/* At most two: the body's and the wing's. Returns their count. */
int object_shadows(const World *world, const Object *object, Shadow shadows[2]);
/* 0 in the sun … density in the shadow's heart; ground is the place where a sunbeam through the
 * viewed point would land. */
float object_shadow_at(const World *world, const Object *object, const Shadow *shadow,
                       Point ground);

/* Sunlight on a plane with the normal (x, y, z), against that on flat ground. */
float object_shade(const World *world, const Object *object, double slope_a, double slope_b);
