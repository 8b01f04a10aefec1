#pragma once

#include <stdint.h>

#include "noise.h"

/* The world of a seed: an endless plane whose content is a function of place alone, so that any
 * window of it, rendered in any blocks, shows the same. Metres east (x) and south (y) of the
 * world's origin. */
typedef struct Point {
  double x_m, y_m;
} Point;

/* Reflectance, linear, 0 … 1. */
typedef struct Colour {
  float red, green, blue;
} Colour;

/* Each field of noise has its own salt. */
typedef enum Salt {
  SALT_WARP_X,
  SALT_WARP_Y = SALT_WARP_X + 4,
  SALT_ROAD = SALT_WARP_Y + 4,
  SALT_USE,
  SALT_PATCH,
  SALT_SOIL = SALT_PATCH + 4,
  SALT_GRASS = SALT_SOIL + 4,
  SALT_FINE = SALT_GRASS + 4,
  SALT_GRAIN = SALT_FINE + 4,
  SALT_EDGE = SALT_GRAIN + 4,
  SALT_PATH = SALT_EDGE + 4,
  SALT_FIELD = SALT_PATH + 4,
  SALT_STAIN = SALT_FIELD + 4,
  SALT_EXPOSURE = SALT_STAIN + 4,
  SALT_SENSOR = SALT_EXPOSURE + 4,
  SALT_LITTER = SALT_SENSOR + 4
} Salt;

typedef struct World {
  uint64_t seed;
  uint32_t salt;                   /* added to each Salt */
  double heading_cos, heading_sin; /* of the streets against east */
  double sun_x, sun_y, sun_z;      /* unit vector towards the sun; z up */
  Point shadow;                    /* where the shadow of a point 1 m high falls */
  Colour soil, dust, grass, straw; /* the ground's palette */
} World;

World world_from_seed(uint64_t seed);
uint32_t world_salt(const World *world, Salt salt);

Point point_add(Point a, Point b, double factor); /* a + factor b */
/* As a screen shows it, 0 … 255 a channel. */
Colour colour_from_screen(float red, float green, float blue);
Colour colour_mix(Colour a, Colour b, float share_of_b);
Colour colour_scale(Colour colour, float factor);
