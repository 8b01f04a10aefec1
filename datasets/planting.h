#pragma once

#include "base/random.h"
#include "object.h"
#include "street.h"

/* Fills one cell with objects by its own stream of random numbers: nothing beside the cell is
 * looked at. */
typedef struct Planting {
  const World *world;
  const Cell *cell;
  Random random;
  Object *objects; /* room for LAYOUT_CELL_MAX */
  size_t count;
} Planting;

Planting planting_start(const World *world, const Cell *cell, Object *objects);
void planting_run(Planting *planting);

/* Keeps an object if its box lies clear_m inside the cell's sides and margin_m from what stands
 * there already; trees do not count. false: there was no room. */
bool planting_place(Planting *planting, const Object *object, double clear_m, double margin_m);
/* Keeps an object that is known to be in no one's way. */
void planting_add(Planting *planting, const Object *object);
/* A random place of the cell. */
Point planting_place_in_cell(Planting *planting);
/* Turns an object along (0) or across (1) the streets at its place, a little off. */
void planting_align(Planting *planting, Object *object, bool across, double off_deg);

/* What may be planted; each drawn from the planting's stream. */
Object make_house(Planting *planting);
Object make_hall(Planting *planting);
Object make_tent(Planting *planting);
Object make_tree(Planting *planting, double least_m, double most_m);
Object make_vehicle(Planting *planting);
Object make_stall(Planting *planting);
Object make_slab(Planting *planting);
Object make_sheet(Planting *planting);
Object make_heap(Planting *planting);
