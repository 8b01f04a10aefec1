#include <math.h>

#include "planting.h"

/* What is built and grown here, with its sizes and paints. No two numbers are drawn within one
 * call's arguments, since the order of those is the compiler's to choose. */

static double between(Planting *planting, double low, double high)
{
  return random_between(&planting->random, low, high);
}

static double uniform(Planting *planting)
{
  return random_uniform(&planting->random);
}

static Colour pick(Planting *planting, const float (*colours)[3], uint32_t count)
{
  const float *chosen = colours[random_below(&planting->random, count)];
  const float light = (float)between(planting, 0.88, 1.1);
  const float tint = (float)between(planting, -7.0, 7.0);
  return colour_scale(colour_from_screen(chosen[0] + tint, chosen[1], chosen[2] - tint), light);
}

static Object make(Planting *planting, ObjectKind kind, double length_m, double width_m,
                   double height_m)
{
  return (Object){.kind = kind,
                  .cos = 1.0,
                  .half_length_m = 0.5 * length_m,
                  .half_width_m = 0.5 * width_m,
                  .eave_m = height_m,
                  .salt = random_bits(&planting->random)};
}

static const float metals[][3] = {{166, 168, 168}, {150, 152, 154}, {134, 122, 110},
                                  {70, 100, 140},  {88, 124, 160},  {138, 82, 72},
                                  {96, 124, 96},   {186, 184, 178}};
static const float tiles[][3] = {{150, 98, 80}, {136, 86, 70}, {160, 112, 92}, {122, 92, 78}};
static const float concretes[][3] = {
    {164, 158, 146}, {148, 142, 132}, {178, 168, 150}, {134, 130, 124}, {160, 134, 116}};
static const float straws[][3] = {{134, 116, 84}, {116, 102, 78}, {150, 132, 96}};
static const float cloths[][3] = {{214, 212, 204}, {206, 204, 196}, {198, 190, 172},
                                  {84, 120, 172},  {70, 102, 160},  {186, 166, 132}};
static const float paints[][3] = {{206, 206, 204}, {188, 190, 192}, {48, 50, 54},  {120, 124, 130},
                                  {148, 50, 46},   {58, 82, 132},   {182, 160, 92}};

static void roof_with_metal(Planting *planting, Object *house)
{
  house->material = MATERIAL_METAL;
  house->main = pick(planting, metals, 8);
  house->second = colour_mix(pick(planting, metals, 8), house->main, 0.4F);
}

static void roof_with_concrete(Planting *planting, Object *house)
{
  house->roof = ROOF_FLAT;
  house->material = MATERIAL_CONCRETE;
  house->main = pick(planting, concretes, 5);
  house->second = colour_scale(house->main, (float)between(planting, 0.85, 1.3));
}

static void choose_roof(Planting *planting, Object *house)
{
  const double kind = uniform(planting);
  house->slope = between(planting, 0.28, 0.62);
  house->roof = uniform(planting) < 0.35 ? ROOF_HIPPED : ROOF_GABLED;
  if (kind < 0.36) {
    roof_with_concrete(planting, house);
    house->eave_m += between(planting, 0.0, 4.0);
  } else if (kind < 0.7) {
    roof_with_metal(planting, house);
    if (uniform(planting) < 0.3) {
      house->roof = ROOF_SHED;
      house->slope = between(planting, 0.08, 0.2);
    }
  } else if (kind < 0.9) {
    house->material = MATERIAL_TILE;
    house->main = pick(planting, tiles, 4);
    house->second = colour_scale(house->main, 0.75F);
  } else {
    house->material = MATERIAL_THATCH;
    house->main = pick(planting, straws, 3);
    house->second = colour_scale(house->main, 0.75F);
  }
}

/* A wing where the house is wide enough to carry one. */
static void add_wing(Planting *planting, Object *house)
{
  if (house->roof == ROOF_SHED || house->half_length_m < 4.2 || uniform(planting) > 0.4) return;
  const double depth_m = between(planting, 2.2, 4.0);
  const double width_m = fmin(between(planting, 3.5, 5.5), 1.2 * house->half_length_m);
  const double start = uniform(planting);
  const double free_m = 2.0 * house->half_length_m - width_m;
  const double left = start < 0.35 ? 0.0 : start > 0.65 ? free_m : 0.5 * free_m;
  house->half_width_m += 0.5 * depth_m;
  house->wing_m = depth_m;
  house->wing_left_m = left - house->half_length_m;
  house->wing_right_m = house->wing_left_m + width_m;
}

Object make_house(Planting *planting)
{
  const double length_m = between(planting, 5.5, 16.0);
  const double width_m = fmin(between(planting, 4.6, 10.5), length_m);
  Object house = make(planting, OBJECT_BUILDING, length_m, width_m, between(planting, 2.6, 5.2));
  choose_roof(planting, &house);
  add_wing(planting, &house);
  return house;
}

/* A school, a market hall, a store. */
Object make_hall(Planting *planting)
{
  const double length_m = between(planting, 16.0, 28.0);
  const double width_m = between(planting, 7.0, 12.0);
  Object hall = make(planting, OBJECT_BUILDING, length_m, width_m, between(planting, 3.5, 5.5));
  hall.slope = between(planting, 0.18, 0.4);
  const double kind = uniform(planting);
  hall.roof = kind < 0.25 ? ROOF_VAULT : ROOF_GABLED;
  roof_with_metal(planting, &hall);
  if (kind > 0.75) roof_with_concrete(planting, &hall);
  return hall;
}

static void drape(Planting *planting, Object *object)
{
  object->material = MATERIAL_CLOTH;
  object->main = pick(planting, cloths, 6);
  object->second = pick(planting, cloths, 6);
}

Object make_tent(Planting *planting)
{
  const double kind = uniform(planting);
  const double length_m = kind < 0.2 ? between(planting, 5.6, 6.8) : between(planting, 3.8, 5.4);
  const double width_m = between(planting, 2.9, 4.2);
  Object tent =
      make(planting, OBJECT_TENT, fmax(length_m, width_m), width_m, between(planting, 0.5, 1.5));
  tent.roof = kind > 0.8 ? ROOF_VAULT : ROOF_GABLED;
  tent.slope = between(planting, 0.4, 0.8);
  drape(planting, &tent);
  return tent;
}

Object make_tree(Planting *planting, double least_m, double most_m)
{
  static const float leaves[][3] = {{62, 82, 40},  {76, 94, 48}, {54, 72, 44},
                                    {92, 104, 56}, {70, 90, 38}, {108, 104, 62}};
  const double radius_m = least_m + (most_m - least_m) * uniform(planting) * uniform(planting);
  Object tree = make(planting, OBJECT_TREE, 2.0 * radius_m, 2.0 * radius_m,
                     0.7 * radius_m + between(planting, 0.2, 1.6));
  tree.slope = 1.0;
  tree.roof = ROOF_VAULT;
  tree.main = pick(planting, leaves, 6);
  tree.second = colour_scale(tree.main, (float)between(planting, 1.4, 2.0));
  return tree;
}

Object make_vehicle(Planting *planting)
{
  const bool lorry = uniform(planting) < 0.2;
  const double length_m = lorry ? between(planting, 6.4, 9.5) : between(planting, 3.7, 4.8);
  Object vehicle = make(planting, OBJECT_VEHICLE, length_m, lorry ? 2.4 : 1.8, lorry ? 2.7 : 1.45);
  vehicle.main = pick(planting, paints, 7);
  vehicle.second = uniform(planting) < 0.5 ? pick(planting, cloths, 6) : pick(planting, paints, 7);
  return vehicle;
}

Object make_stall(Planting *planting)
{
  const double length_m = between(planting, 2.0, 3.2);
  Object stall = make(planting, OBJECT_STALL, length_m, between(planting, 1.7, 2.4), 2.1);
  drape(planting, &stall);
  return stall;
}

Object make_slab(Planting *planting)
{
  const double length_m = between(planting, 4.0, 12.0);
  Object slab = make(planting, OBJECT_SLAB, length_m, between(planting, 3.5, 8.0), 0.1);
  roof_with_concrete(planting, &slab);
  return slab;
}

Object make_sheet(Planting *planting)
{
  const double length_m = between(planting, 2.2, 5.5);
  Object sheet = make(planting, OBJECT_SHEET, length_m, between(planting, 2.0, 4.0), 0.05);
  drape(planting, &sheet);
  return sheet;
}

Object make_heap(Planting *planting)
{
  static const float stuff[][3] = {
      {150, 140, 126}, {128, 116, 102}, {172, 160, 138}, {146, 112, 92}};
  const double radius_m = between(planting, 0.8, 2.4);
  Object heap = make(planting, OBJECT_HEAP, 2.0 * radius_m, 2.0 * radius_m, 0.0);
  heap.slope = 0.5 * radius_m; /* its height, m */
  heap.main = pick(planting, stuff, 4);
  heap.second = pick(planting, paints, 7);
  return heap;
}
