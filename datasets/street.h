#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "world.h"

/* Streets lie on a grid of long rows with staggered cross streets, bent by smooth noise. Street
 * coordinates are metres along the bent grid; they differ from the world's by a turn and a bend
 * that stretches by a fifth at most. */
typedef struct StreetPoint {
  double along_m, across_m;
} StreetPoint;

StreetPoint street_from_world(const World *world, Point point);
Point street_to_world(const World *world, StreetPoint street);

typedef enum Road { ROAD_NONE, ROAD_PATH, ROAD_DIRT, ROAD_ASPHALT } Road;

/* One border of a cell: the road's middle line, at a street coordinate. */
typedef struct Side {
  double at_m;
  double half_width_m; /* 0 without a road */
  Road road;
} Side;

typedef enum CellUse { USE_TOWN, USE_VILLAGE, USE_CAMP, USE_FIELD, USE_WOOD } CellUse;

/* The land between two rows and two cross streets; what stands on it never crosses its sides. */
typedef struct Cell {
  int32_t row, column;
  Side top, bottom, left, right;
  CellUse use;
  uint32_t hash;
} Cell;

Cell street_cell(const World *world, int32_t row, int32_t column);
/* The cell that holds a point. */
Cell street_cell_at(const World *world, StreetPoint point);
bool street_cell_holds(const Cell *cell, StreetPoint point);
/* The smallest distance from a point to the sides, less the half width of their roads; negative
 * outside or on a road. */
double street_clearance_m(const Cell *cell, StreetPoint point);

/* Calls visit for each cell that may hold a point within reach_m of the rectangle, rows first, in
 * rising order. */
typedef void StreetVisit(void *context, const Cell *cell);
void street_visit_cells(const World *world, Point least, Point most, double reach_m,
                        StreetVisit *visit, void *context);
