#pragma once

#include "object.h"

/* The looks of each kind of object; local lies within the object's box, but for trees and heaps. */
bool surface_of_building(const World *world, const Object *object, Local local, Surface *surface);
bool surface_of_tent(const World *world, const Object *object, Local local, Surface *surface);
bool surface_of_tree(const World *world, const Object *object, Local local, Surface *surface);
bool surface_of_heap(const World *world, const Object *object, Local local, Surface *surface);
bool surface_of_clutter(const World *world, const Object *object, Local local, Surface *surface);

/* A crown's radius towards a direction, as a share of its mean. */
double tree_outline(const Object *object, double a, double b);

/* A material's colour at a place of a roof: along_m runs with the ridge, down_m from the ridge to
 * the eave. */
Colour material_colour(const Object *object, double along_m, double down_m);
