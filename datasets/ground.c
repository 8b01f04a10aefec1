#include "ground.h"

#include <math.h>

/* Noise that several layers share; computed once a place. */
typedef struct Texture {
  float patch;  /* tens of metres */
  float blotch; /* metres */
  float fine;   /* decimetres */
  float grain;  /* pixels */
} Texture;

static Texture texture_at(const World *world, Point point)
{
  const double x = point.x_m, y = point.y_m;
  return (Texture){noise_fractal(x / 38.0, y / 38.0, 3, world_salt(world, SALT_PATCH)),
                   noise_fractal(x / 7.0, y / 7.0, 3, world_salt(world, SALT_SOIL)),
                   noise_fractal(x / 1.1, y / 1.1, 3, world_salt(world, SALT_FINE)),
                   noise_at(x / 0.27, y / 0.27, world_salt(world, SALT_GRAIN))};
}

static Colour soil(const World *world, Texture texture)
{
  const Colour colour = colour_mix(
      world->soil, world->dust, noise_step(-0.55F, 0.65F, texture.blotch + 0.5F * texture.patch));
  return colour_scale(colour, 1.0F + 0.34F * texture.fine + 0.26F * texture.grain);
}

static Colour meadow(const World *world, Texture texture)
{
  const Colour colour = colour_mix(world->grass, world->straw,
                                   noise_step(-0.4F, 0.8F, texture.patch + 0.6F * texture.fine));
  return colour_scale(colour,
                      1.0F + 0.55F * texture.fine + 0.5F * texture.grain + 0.2F * texture.blotch);
}

/* How green a place is for its use, from trodden camps to woods. */
static float greenness(const Cell *cell, double clearance_m, Texture texture)
{
  static const float by_use[5] = {[USE_TOWN] = -0.22F,
                                  [USE_VILLAGE] = 0.12F,
                                  [USE_CAMP] = -0.42F,
                                  [USE_FIELD] = 0.3F,
                                  [USE_WOOD] = 0.4F};
  const float trodden = clearance_m < 4.0 ? 0.3F * (float)(1.0 - clearance_m / 4.0) : 0.0F;
  return by_use[cell->use] + 0.75F * texture.patch + 0.55F * texture.blotch + 0.3F * texture.fine -
         trodden;
}

typedef struct Crop {
  float red, green, blue;
  double row_m; /* between rows; 0: sown broadcast */
  float relief;
} Crop;

static Colour field(const World *world, const Cell *cell, StreetPoint street, Texture texture)
{
  static const Crop crops[7] = {{94, 108, 64, 0.9, 0.25F},   {76, 92, 54, 0.75, 0.3F},
                                {160, 149, 114, 0.7, 0.12F}, {122, 104, 86, 1.1, 0.22F},
                                {144, 126, 105, 0.0, 0.1F},  {112, 121, 76, 0.0, 0.12F},
                                {104, 86, 68, 0.8, 0.28F}};
  const bool lengthwise = (cell->hash & 1U) != 0;
  const double from_m =
      lengthwise ? street.across_m - cell->top.at_m : street.along_m - cell->left.at_m;
  const double width_m = 11.0 + 9.0 * (double)(cell->hash >> 8 & 0xFFU) / 255.0;
  const int32_t strip = (int32_t)floor(from_m / width_m);
  const uint32_t hash = noise_hash(strip, 0, cell->hash);
  const Crop *crop = &crops[hash % 7U];

  const double along_m = lengthwise ? street.along_m : street.across_m;
  const float growth = noise_fractal(from_m / 9.0, along_m / 14.0, 3, hash);
  float relief = 0.0F;
  if (crop->row_m > 0.0) relief = crop->relief * (float)sin(from_m * (6.2831853 / crop->row_m));
  Colour colour = colour_from_screen(crop->red, crop->green, crop->blue);
  colour =
      colour_mix(colour, world->soil, 0.8F * noise_step(0.15F, 0.7F, growth + 0.4F * texture.fine));
  colour = colour_scale(colour, 1.0F + relief + 0.2F * growth + 0.42F * texture.fine +
                                    0.36F * texture.grain);

  const double to_bund_m = fabs(from_m / width_m - round(from_m / width_m)) * width_m;
  const float bund = 1.0F - noise_step(0.25F, 0.75F, (float)to_bund_m + 0.3F * texture.fine);
  return colour_mix(colour, meadow(world, texture), bund);
}

static Colour asphalt(const World *world, double from_middle_m, double half_width_m,
                      Texture texture)
{
  Colour colour = colour_from_screen(112, 110, 106);
  colour = colour_scale(colour, 1.0F + 0.2F * texture.blotch + 0.14F * texture.fine +
                                    0.14F * texture.grain);
  const double lane = fabs(from_middle_m) / half_width_m;
  colour = colour_scale(colour, lane > 0.32 && lane < 0.62 ? 1.06F : 0.98F);
  const float dusty = noise_step(0.45F, 1.1F, (float)lane + 0.5F * texture.blotch);
  colour = colour_mix(colour, world->dust, 0.7F * dusty);
  const float patched = noise_step(0.55F, 0.6F, texture.patch + 0.35F * texture.blotch);
  return colour_mix(colour, colour_from_screen(78, 77, 76), 0.8F * patched);
}

static Colour track(const World *world, double from_middle_m, double half_width_m, Texture texture)
{
  const float worn = 0.5F + 0.5F * texture.blotch;
  Colour colour = colour_mix(world->dust, world->soil, 0.15F + 0.4F * worn);
  colour = colour_scale(colour, 1.0F + 0.26F * texture.fine + 0.22F * texture.grain);
  const double rut = fabs(fabs(from_middle_m) - 0.42 * half_width_m);
  colour = colour_scale(colour, 1.0F + 0.14F * (1.0F - noise_step(0.0F, 0.5F, (float)rut)));
  const float middle =
      1.0F - noise_step(0.1F, 0.4F, (float)fabs(from_middle_m) + 0.3F * texture.fine);
  return colour_mix(colour, meadow(world, texture),
                    0.5F * middle * noise_step(-0.1F, 0.5F, texture.patch));
}

static Colour with_road(const World *world, Colour below, Side side, double from_middle_m,
                        float fray, Texture texture)
{
  if (side.road == ROAD_NONE) return below;
  const double soft_m = side.road == ROAD_ASPHALT ? 0.25 : 0.55;
  const double edge_m =
      side.half_width_m - fabs(from_middle_m) + (double)fray * (side.road == ROAD_PATH ? 0.5 : 1.0);
  const float shoulder = noise_step(-2.0F, 0.4F, (float)edge_m);
  below = colour_mix(below, soil(world, texture), 0.75F * shoulder);
  const float covered = noise_step((float)-soft_m, (float)soft_m, (float)edge_m);
  if (covered <= 0.0F) return below;
  const Colour road = side.road == ROAD_ASPHALT
                          ? asphalt(world, from_middle_m, side.half_width_m, texture)
                          : track(world, from_middle_m, side.half_width_m, texture);
  return colour_mix(below, road, covered);
}

/* Trodden ways follow the zero lines of slow noise. */
static Colour with_trail(const World *world, Colour below, Point point, Texture texture)
{
  const float level = noise_at(point.x_m / 47.0, point.y_m / 47.0, world_salt(world, SALT_PATH));
  const float away = fabsf(level) * 47.0F / 2.6F + 0.35F * texture.fine + 0.25F * texture.blotch;
  return colour_mix(below, soil(world, texture), 0.8F * (1.0F - noise_step(0.45F, 1.1F, away)));
}

/* Stones, rubbish, tufts: in some squares of a lattice one speck with a dark side. */
static Colour with_litter(const World *world, const Cell *cell, Colour below, Point point,
                          Texture texture)
{
  static const float shares[5] = {[USE_TOWN] = 0.13F,
                                  [USE_VILLAGE] = 0.07F,
                                  [USE_CAMP] = 0.1F,
                                  [USE_FIELD] = 0.03F,
                                  [USE_WOOD] = 0.05F};
  static const float colours[6][3] = {{206, 204, 198}, {112, 104, 96}, {64, 60, 54},
                                      {92, 104, 132},  {70, 84, 46},   {176, 160, 136}};
  const double x = point.x_m / 1.3, y = point.y_m / 1.3;
  const int32_t column = (int32_t)floor(x), row = (int32_t)floor(y);
  const uint32_t hash = noise_hash(column, row, world_salt(world, SALT_LITTER));
  const float crowded = shares[cell->use] * (1.0F + 3.0F * texture.blotch + 1.5F * texture.patch);
  if ((float)(hash & 0xFFU) / 255.0F >= crowded) return below;
  const double radius_m = 0.1 + 0.2 * (double)(hash >> 24) / 255.0;
  const double dx = (x - column - 0.32 - 0.36 * (double)(hash >> 8 & 0xFFU) / 255.0) * 1.3;
  const double dy = (y - row - 0.32 - 0.36 * (double)(hash >> 16 & 0xFFU) / 255.0) * 1.3;
  const double shade =
      hypot(dx - 0.8 * radius_m * world->shadow.x_m, dy - 0.8 * radius_m * world->shadow.y_m);
  const float *screen = colours[hash % 6U];
  below = colour_scale(below, 0.45F + 0.55F * noise_step((float)radius_m - 0.1F,
                                                         (float)radius_m + 0.1F, (float)shade));
  const float covered =
      1.0F - noise_step((float)radius_m - 0.08F, (float)radius_m + 0.08F, (float)hypot(dx, dy));
  return colour_mix(below, colour_from_screen(screen[0], screen[1], screen[2]), covered);
}

Colour ground_colour(const World *world, const Cell *cell, StreetPoint street, Point point)
{
  const Texture texture = texture_at(world, point);
  const double clearance_m = street_clearance_m(cell, street);
  const float green = noise_step(-0.12F, 0.22F, greenness(cell, clearance_m, texture));
  Colour colour = colour_mix(soil(world, texture), meadow(world, texture), green);
  if (cell->use == USE_FIELD) {
    const float sown = noise_step(1.0F, 2.0F, (float)clearance_m + 0.7F * texture.fine);
    colour = colour_mix(colour, field(world, cell, street, texture), sown);
  }
  colour = with_trail(world, colour, point, texture);
  colour = with_litter(world, cell, colour, point, texture);

  const float fray =
      0.5F * noise_at(point.x_m / 3.1, point.y_m / 3.1, world_salt(world, SALT_EDGE)) +
      0.3F * texture.fine;
  colour = with_road(world, colour, cell->left, street.along_m - cell->left.at_m, fray, texture);
  colour = with_road(world, colour, cell->right, cell->right.at_m - street.along_m, fray, texture);
  colour = with_road(world, colour, cell->top, street.across_m - cell->top.at_m, fray, texture);
  return with_road(world, colour, cell->bottom, cell->bottom.at_m - street.across_m, fray, texture);
}
