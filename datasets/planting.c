#include "planting.h"

#include <math.h>

#include "layout.h"

static const double degree = 0.017453292519943295;

Planting planting_start(const World *world, const Cell *cell, Object *objects)
{
  const uint64_t stream = (uint64_t)(uint32_t)cell->row << 32 | (uint32_t)cell->column;
  return (Planting){.world = world,
                    .cell = cell,
                    .random = random_stream(world->seed, stream),
                    .objects = objects};
}

void planting_add(Planting *planting, const Object *object)
{
  if (planting->count < LAYOUT_CELL_MAX) planting->objects[planting->count++] = *object;
}

/* Sides bend less than a box is long, so corners and middles of its edges speak for the box. */
static bool clear_of_sides(const Planting *planting, const Object *object, double clear_m)
{
  for (int i = -1; i <= 1; ++i)
    for (int j = -1; j <= 1; ++j) {
      const Point point = object_point(object, i * object->half_length_m, j * object->half_width_m);
      const StreetPoint street = street_from_world(planting->world, point);
      if (street_clearance_m(planting->cell, street) < clear_m) return false;
    }
  return true;
}

bool planting_place(Planting *planting, const Object *object, double clear_m, double margin_m)
{
  if (planting->count >= LAYOUT_CELL_MAX) return false;
  for (size_t i = 0; i < planting->count; ++i) {
    const Object *other = &planting->objects[i];
    if (other->kind != OBJECT_TREE && object_boxes_meet(object, other, margin_m)) return false;
  }
  if (!clear_of_sides(planting, object, clear_m)) return false;
  planting_add(planting, object);
  return true;
}

static StreetPoint random_street_point(Planting *planting)
{
  const Cell *cell = planting->cell;
  const double along_m = random_between(&planting->random, cell->left.at_m, cell->right.at_m);
  const double across_m = random_between(&planting->random, cell->top.at_m, cell->bottom.at_m);
  return (StreetPoint){along_m, across_m};
}

Point planting_place_in_cell(Planting *planting)
{
  return street_to_world(planting->world, random_street_point(planting));
}

static void face(Object *object, double x, double y)
{
  const double length = hypot(x, y);
  object->cos = x / length;
  object->sin = y / length;
}

void planting_align(Planting *planting, Object *object, bool across, double off_deg)
{
  const StreetPoint here = street_from_world(planting->world, object->centre);
  const Point ahead =
      street_to_world(planting->world, (StreetPoint){here.along_m + (across ? 0.0 : 4.0),
                                                     here.across_m + (across ? 4.0 : 0.0)});
  const double x = ahead.x_m - object->centre.x_m, y = ahead.y_m - object->centre.y_m;
  const double off = off_deg * degree * random_normal(&planting->random);
  face(object, x * cos(off) - y * sin(off), x * sin(off) + y * cos(off));
  if (random_below(&planting->random, 2) == 0) {
    object->cos = -object->cos;
    object->sin = -object->sin;
  }
}

/* Four walls around a house, each kept where there is room. */
static void wall_in(Planting *planting, const Object *house)
{
  const double gap_m = random_between(&planting->random, 1.3, 3.2);
  const Colour colour = random_below(&planting->random, 2) == 0 ? colour_from_screen(168, 160, 148)
                                                                : colour_from_screen(150, 104, 84);
  for (int side = 0; side < 4; ++side) {
    const bool end = side >= 2;
    const double sign = side % 2 == 0 ? -1.0 : 1.0;
    const double a = end ? sign * (house->half_length_m + gap_m) : 0.0;
    const double b = end ? 0.0 : sign * (house->half_width_m + gap_m);
    Object wall = {.kind = OBJECT_WALL,
                   .centre = object_point(house, a, b),
                   .cos = end ? -house->sin : house->cos,
                   .sin = end ? house->cos : house->sin,
                   .half_length_m =
                       (end ? house->half_width_m : house->half_length_m) + gap_m - 0.35,
                   .half_width_m = 0.16,
                   .eave_m = 1.9,
                   .material = MATERIAL_CONCRETE,
                   .main = colour,
                   .second = colour,
                   .salt = house->salt + (uint32_t)side};
    (void)planting_place(planting, &wall, 0.2, 0.1);
  }
}

/* Houses first along the sides, fronts to the road, then wherever there is room. */
static void plant_houses(Planting *planting, int tries, double off_deg, double walled)
{
  for (int attempt = 0; attempt < tries; ++attempt) {
    Object house = attempt % 12 == 0 && tries > 60 ? make_hall(planting) : make_house(planting);
    StreetPoint place = random_street_point(planting);
    const bool front = attempt < tries / 2;
    const bool across = random_below(&planting->random, 2) == 0;
    if (front) {
      const Cell *cell = planting->cell;
      const double back_m = house.half_width_m + random_between(&planting->random, 1.2, 3.5);
      const bool far_side = random_below(&planting->random, 2) == 0;
      if (across)
        place.along_m = far_side ? cell->right.at_m - cell->right.half_width_m - back_m
                                 : cell->left.at_m + cell->left.half_width_m + back_m;
      else
        place.across_m = far_side ? cell->bottom.at_m - cell->bottom.half_width_m - back_m
                                  : cell->top.at_m + cell->top.half_width_m + back_m;
    }
    house.centre = street_to_world(planting->world, place);
    planting_align(planting, &house, across, off_deg);
    if (!planting_place(planting, &house, 0.7, 0.7)) continue;
    if (random_uniform(&planting->random) < walled) wall_in(planting, &house);
  }
}

static void plant_tents(Planting *planting)
{
  const Cell *cell = planting->cell;
  const double step_m = random_between(&planting->random, 7.2, 9.0);
  const double lane_m = random_between(&planting->random, 8.0, 10.5);
  const bool across = random_below(&planting->random, 2) == 0;
  const double loose_m = random_between(&planting->random, 0.2, 1.2);
  const double off_deg = random_between(&planting->random, 2.0, 14.0);
  for (double y = cell->top.at_m + 5.0; y < cell->bottom.at_m; y += across ? step_m : lane_m)
    for (double x = cell->left.at_m + 5.0; x < cell->right.at_m; x += across ? lane_m : step_m) {
      Object tent = make_tent(planting);
      const double dx = loose_m * random_normal(&planting->random);
      const double dy = loose_m * random_normal(&planting->random);
      tent.centre = street_to_world(planting->world, (StreetPoint){x + dx, y + dy});
      planting_align(planting, &tent, across, off_deg);
      if (random_uniform(&planting->random) < 0.12) continue;
      (void)planting_place(planting, &tent, 0.8, 0.7);
    }
}

typedef Object Maker(Planting *planting);

static void scatter(Planting *planting, Maker *make, int tries, double off_deg, double clear_m)
{
  for (int attempt = 0; attempt < tries; ++attempt) {
    Object object = make(planting);
    object.centre = planting_place_in_cell(planting);
    planting_align(planting, &object, random_below(&planting->random, 2) == 0, off_deg);
    (void)planting_place(planting, &object, clear_m, 0.6);
  }
}

/* Crowns may lean over a roof's edge, but never hide its middle. */
static void plant_trees(Planting *planting, int tries, double least_m, double most_m)
{
  for (int attempt = 0; attempt < tries; ++attempt) {
    Object tree = make_tree(planting, least_m, most_m);
    tree.centre = planting_place_in_cell(planting);
    Object trunk = tree;
    trunk.half_length_m = trunk.half_width_m = 0.42 * tree.half_length_m;
    bool free =
        street_clearance_m(planting->cell, street_from_world(planting->world, tree.centre)) > 0.3;
    for (size_t i = 0; free && i < planting->count; ++i)
      free = !object_boxes_meet(
          planting->objects[i].kind == OBJECT_TREE ? &tree : &trunk, &planting->objects[i],
          planting->objects[i].kind == OBJECT_TREE ? -0.6 * tree.half_length_m : 0.0);
    if (free) planting_add(planting, &tree);
  }
}

/* On the cell's own two roads, the upper and the left one, in the right-hand lane. */
static void plant_traffic(Planting *planting)
{
  const Cell *cell = planting->cell;
  for (int which = 0; which < 6; ++which) {
    Object vehicle = make_vehicle(planting);
    const bool across = which >= 4;
    const Side side = across ? cell->left : cell->top;
    const double share =
        (which % 4 + random_between(&planting->random, 0.25, 0.75)) / (across ? 2.0 : 4.0);
    const double lane_m =
        (random_below(&planting->random, 2) == 0 ? -0.5 : 0.5) * side.half_width_m;
    StreetPoint place = {cell->left.at_m + share * (cell->right.at_m - cell->left.at_m),
                         side.at_m + lane_m};
    if (across)
      place = (StreetPoint){side.at_m + lane_m,
                            cell->top.at_m + share * (cell->bottom.at_m - cell->top.at_m)};
    vehicle.centre = street_to_world(planting->world, place);
    planting_align(planting, &vehicle, across, 4.0);
    const double rate = side.road == ROAD_ASPHALT ? 0.5 : side.road == ROAD_DIRT ? 0.2 : 0.0;
    if (random_uniform(&planting->random) < rate) planting_add(planting, &vehicle);
  }
}

static void plant_clutter(Planting *planting, int stalls, int slabs, int sheets, int heaps,
                          int vehicles)
{
  scatter(planting, make_slab, slabs, 8.0, 1.0);
  scatter(planting, make_stall, stalls, 10.0, 0.2);
  scatter(planting, make_sheet, sheets, 60.0, 0.2);
  scatter(planting, make_heap, heaps, 60.0, 0.2);
  scatter(planting, make_vehicle, vehicles, 20.0, 0.2);
}

void planting_run(Planting *planting)
{
  plant_traffic(planting);
  switch (planting->cell->use) {
  case USE_TOWN:
    plant_houses(planting, 320, 2.5, 0.15);
    plant_clutter(planting, 8, 3, 6, 6, 14);
    plant_trees(planting, 60, 1.0, 4.6);
    break;
  case USE_VILLAGE:
    plant_houses(planting, 20, 30.0, 0.3);
    plant_clutter(planting, 3, 2, 4, 5, 4);
    plant_trees(planting, 60, 1.2, 5.6);
    break;
  case USE_CAMP:
    if (random_below(&planting->random, 2) == 0) plant_houses(planting, 3, 6.0, 0.0);
    scatter(planting, make_slab, 2, 8.0, 1.0);
    plant_tents(planting);
    plant_clutter(planting, 6, 2, 14, 4, 8);
    plant_trees(planting, 8, 0.8, 2.4);
    break;
  case USE_FIELD:
    plant_houses(planting, 2, 30.0, 0.2);
    plant_clutter(planting, 0, 0, 2, 2, 1);
    plant_trees(planting, 10, 0.8, 3.0);
    break;
  case USE_WOOD:
    plant_houses(planting, 2, 40.0, 0.0);
    plant_clutter(planting, 0, 1, 2, 1, 1);
    plant_trees(planting, 170, 1.5, 5.8);
    break;
  }
}
