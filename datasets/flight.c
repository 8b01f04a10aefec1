#include "flight.h"

#include <math.h>

#include "base/random.h"

enum { STEPS = 11 };

static void add_corner(Flight *flight, double x_px, double y_px)
{
  flight->x_px[flight->count] = x_px;
  flight->y_px[flight->count++] = y_px;
}

/* From one corner to the next in steps, each pushed inwards by its own depth. */
static void add_side(Flight *flight, Random *random, const double from[2], const double to[2],
                     double depth_px)
{
  const double x = to[0] - from[0], y = to[1] - from[1];
  const double size = depth_px / (x * x + y * y > 0.0 ? sqrt(x * x + y * y) : 1.0);
  double share = 0.0, inwards = 0.0;
  add_corner(flight, from[0], from[1]);
  for (int step = 1; step < STEPS; ++step) {
    const double next = (step + random_between(random, -0.25, 0.25)) / STEPS;
    add_corner(flight, from[0] + next * x - inwards * y, from[1] + next * y + inwards * x);
    share = next + random_between(random, -0.01, 0.01);
    inwards = step == STEPS - 1 ? 0.0 : size * random_uniform(random);
    add_corner(flight, from[0] + share * x - inwards * y, from[1] + share * y + inwards * x);
  }
}

Flight flight_over(const World *world, int64_t width_px, int64_t height_px)
{
  static const double least = 0.004, most = 0.03;
  Random random = random_stream(world->seed, 0x666C79U);
  const double width = (double)width_px, height = (double)height_px;
  double corners[4][2] = {{0, 0}, {width, 0}, {width, height}, {0, height}};
  for (int corner = 0; corner < 4; ++corner) {
    const double inset_x = random_between(&random, least, most) * width;
    const double inset_y = random_between(&random, least, most) * height;
    corners[corner][0] += corner == 0 || corner == 3 ? inset_x : -inset_x;
    corners[corner][1] += corner < 2 ? inset_y : -inset_y;
  }
  Flight flight = {0};
  const double depth_px = 0.012 * (width < height ? width : height);
  for (int corner = 0; corner < 4; ++corner)
    add_side(&flight, &random, corners[corner], corners[(corner + 1) % 4], depth_px);
  return flight;
}

/* Where the row's line crosses the outline, in rising order. */
static int crossings(const Flight *flight, double y_px, double x_px[FLIGHT_CORNERS_MAX])
{
  int count = 0;
  for (int i = 0; i < flight->count; ++i) {
    const int j = (i + 1) % flight->count;
    const double upper = flight->y_px[i], lower = flight->y_px[j];
    if ((upper <= y_px) == (lower <= y_px)) continue;
    const double x =
        flight->x_px[i] + (y_px - upper) / (lower - upper) * (flight->x_px[j] - flight->x_px[i]);
    int place = count++;
    for (; place > 0 && x_px[place - 1] > x; --place)
      x_px[place] = x_px[place - 1];
    x_px[place] = x;
  }
  return count;
}

int64_t flight_clear(const Flight *flight, int64_t column, int64_t row, int32_t width_px,
                     int32_t height_px, uint8_t *rgb)
{
  int64_t cleared = 0;
  for (int32_t r = 0; r < height_px; ++r) {
    double x_px[FLIGHT_CORNERS_MAX];
    const int count = crossings(flight, (double)(row + r) + 0.5, x_px);
    int passed = 0;
    for (int32_t c = 0; c < width_px; ++c) {
      while (passed < count && x_px[passed] <= (double)(column + c) + 0.5)
        ++passed;
      if (passed % 2 == 1) continue;
      uint8_t *pixel = &rgb[3 * ((int64_t)r * width_px + c)];
      pixel[0] = pixel[1] = pixel[2] = 0;
      ++cleared;
    }
  }
  return cleared;
}

bool flight_covers(const Flight *flight, double x_px, double y_px)
{
  double crossed[FLIGHT_CORNERS_MAX];
  const int count = crossings(flight, y_px, crossed);
  int passed = 0;
  while (passed < count && crossed[passed] <= x_px)
    ++passed;
  return passed % 2 == 1;
}
