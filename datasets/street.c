#include "street.h"

#include <math.h>

enum { CELL_LENGTH_M = 74, CELL_DEPTH_M = 62, BEND_M = 13, BEND_WAVE_M = 170 };

static Point bend(const World *world, double x_m, double y_m)
{
  const double x = x_m / BEND_WAVE_M, y = y_m / BEND_WAVE_M;
  return (Point){BEND_M * (double)noise_fractal(x, y, 2, world_salt(world, SALT_WARP_X)),
                 BEND_M * (double)noise_fractal(x, y, 2, world_salt(world, SALT_WARP_Y))};
}

StreetPoint street_from_world(const World *world, Point point)
{
  const Point bent = bend(world, point.x_m, point.y_m);
  return (StreetPoint){point.x_m * world->heading_cos + point.y_m * world->heading_sin + bent.x_m,
                       point.y_m * world->heading_cos - point.x_m * world->heading_sin + bent.y_m};
}

/* The bend is a contraction, so that what it adds can be taken away step by step. */
Point street_to_world(const World *world, StreetPoint street)
{
  Point point = {0, 0}, bent = {0, 0};
  for (int step = 0; step < 9; ++step) {
    const double along_m = street.along_m - bent.x_m, across_m = street.across_m - bent.y_m;
    point.x_m = along_m * world->heading_cos - across_m * world->heading_sin;
    point.y_m = along_m * world->heading_sin + across_m * world->heading_cos;
    bent = bend(world, point.x_m, point.y_m);
  }
  return point;
}

static float chance(const World *world, int32_t row, int32_t column, uint32_t what)
{
  return noise_uniform(column, row, world_salt(world, SALT_ROAD) ^ what * 0x9E3779B9U);
}

static Side side_with(double at_m, Road road, float width)
{
  static const double narrowest_m[4] = {0, 0.45, 1.7, 3.1};
  static const double widest_m[4] = {0, 0.9, 2.7, 4.2};
  const double half_m = narrowest_m[road] + (double)width * (widest_m[road] - narrowest_m[road]);
  return (Side){at_m, half_m, road};
}

static Side row_side(const World *world, int32_t row)
{
  const double at_m = CELL_DEPTH_M * (row + 0.3 * ((double)chance(world, row, 0, 1) - 0.5));
  const float kind = chance(world, row, 0, 2);
  const Road road = kind < 0.35F ? ROAD_ASPHALT : kind < 0.85F ? ROAD_DIRT : ROAD_PATH;
  return side_with(at_m, road, chance(world, row, 0, 3));
}

/* Rows are staggered by half a cell, so that cross streets end in T-junctions. */
static Side cross_side(const World *world, int32_t row, int32_t column)
{
  const double stagger = row % 2 == 0 ? 0.0 : 0.5;
  const double shift = 0.34 * ((double)chance(world, row, column, 4) - 0.5);
  const float kind = chance(world, row, column, 5);
  const Road road = kind < 0.15F   ? ROAD_ASPHALT
                    : kind < 0.55F ? ROAD_DIRT
                    : kind < 0.8F  ? ROAD_PATH
                                   : ROAD_NONE;
  return side_with(CELL_LENGTH_M * (column + stagger + shift), road, chance(world, row, column, 6));
}

static int32_t third_of(int32_t number)
{
  return (number - ((number % 3) + 3) % 3) / 3;
}

/* Nine cells form a ward: one path through all of them, along which uses follow each other, so that
 * each use is near anywhere and yet keeps to itself. */
static CellUse use_of(const World *world, int32_t row, int32_t column)
{
  static const CellUse uses[9] = {USE_TOWN, USE_TOWN,    USE_TOWN,  USE_VILLAGE, USE_CAMP,
                                  USE_CAMP, USE_VILLAGE, USE_FIELD, USE_WOOD};
  const int32_t ward_row = third_of(row), ward_column = third_of(column);
  const uint32_t hash = noise_hash(ward_column, ward_row, world_salt(world, SALT_USE));
  int32_t r = row - 3 * ward_row, c = column - 3 * ward_column;
  if ((hash & 1U) != 0) {
    const int32_t swap = r;
    r = c;
    c = swap;
  }
  if ((hash & 2U) != 0) r = 2 - r;
  if ((hash & 4U) != 0) c = 2 - c;
  const int32_t place = 3 * r + (r % 2 == 0 ? c : 2 - c);
  return uses[((uint32_t)place + (hash >> 8)) % 9U];
}

Cell street_cell(const World *world, int32_t row, int32_t column)
{
  return (Cell){.row = row,
                .column = column,
                .top = row_side(world, row),
                .bottom = row_side(world, row + 1),
                .left = cross_side(world, row, column),
                .right = cross_side(world, row, column + 1),
                .use = use_of(world, row, column),
                .hash = noise_hash(column, row, world_salt(world, SALT_USE) + 77U)};
}

bool street_cell_holds(const Cell *cell, StreetPoint point)
{
  return point.across_m >= cell->top.at_m && point.across_m < cell->bottom.at_m &&
         point.along_m >= cell->left.at_m && point.along_m < cell->right.at_m;
}

Cell street_cell_at(const World *world, StreetPoint point)
{
  int32_t row = (int32_t)floor(point.across_m / CELL_DEPTH_M);
  if (point.across_m < row_side(world, row).at_m) --row;
  if (point.across_m >= row_side(world, row + 1).at_m) ++row;

  int32_t column = (int32_t)floor(point.along_m / CELL_LENGTH_M - (row % 2 == 0 ? 0.0 : 0.5));
  if (point.along_m < cross_side(world, row, column).at_m) --column;
  if (point.along_m >= cross_side(world, row, column + 1).at_m) ++column;
  return street_cell(world, row, column);
}

double street_clearance_m(const Cell *cell, StreetPoint point)
{
  const double above = point.across_m - cell->top.at_m - cell->top.half_width_m;
  const double below = cell->bottom.at_m - cell->bottom.half_width_m - point.across_m;
  const double before = point.along_m - cell->left.at_m - cell->left.half_width_m;
  const double after = cell->right.at_m - cell->right.half_width_m - point.along_m;
  return fmin(fmin(above, below), fmin(before, after));
}

static double outside_m(double value, double least, double most)
{
  return fmax(fmax(least - value, value - most), 0.0);
}

void street_visit_cells(const World *world, Point least, Point most, double reach_m,
                        StreetVisit *visit, void *context)
{
  const Point middle = {0.5 * (least.x_m + most.x_m), 0.5 * (least.y_m + most.y_m)};
  const StreetPoint centre = street_from_world(world, middle);
  const double radius_m = 1.3 * (hypot(most.x_m - middle.x_m, most.y_m - middle.y_m) + reach_m);
  const int32_t first_row = (int32_t)floor((centre.across_m - radius_m) / CELL_DEPTH_M) - 1;
  const int32_t last_row = (int32_t)floor((centre.across_m + radius_m) / CELL_DEPTH_M) + 1;
  const int32_t first_column = (int32_t)floor((centre.along_m - radius_m) / CELL_LENGTH_M) - 2;
  const int32_t last_column = (int32_t)floor((centre.along_m + radius_m) / CELL_LENGTH_M) + 1;

  for (int32_t row = first_row; row <= last_row; ++row)
    for (int32_t column = first_column; column <= last_column; ++column) {
      const Cell cell = street_cell(world, row, column);
      const StreetPoint heart = {0.5 * (cell.left.at_m + cell.right.at_m),
                                 0.5 * (cell.top.at_m + cell.bottom.at_m)};
      const double half_m =
          0.5 * hypot(cell.right.at_m - cell.left.at_m, cell.bottom.at_m - cell.top.at_m);
      const Point place = street_to_world(world, heart);
      const double away_m = hypot(outside_m(place.x_m, least.x_m, most.x_m),
                                  outside_m(place.y_m, least.y_m, most.y_m));
      if (away_m < 1.3 * half_m + reach_m) visit(context, &cell);
    }
}
