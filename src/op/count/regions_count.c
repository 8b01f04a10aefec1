#include "count_backend.h"
#include "note.h"

/* Instructions of a thread, counted in the kernel's source: for each of four taps of a sample a
 * load's share of eight, a conversion and a product with its sum; for each region that a tile of a map asks
 * whether it reaches it; for each region the tables of the tiles that it reaches, about 26 by a block
 * of 256 threads; for a bin in a pixel. */
static const double instructions_per_tap = 2.75;
static const double instructions_per_question = 20;
static const double instructions_per_region = 26 * 256 * 150.0;
static const double instructions_per_share = 15;
enum { VECTOR = 8, TAPS = 4, TILE_PIXELS = 32 };

static double all_maps(const RoiAlign *align, double (*measure)(Shape shape))
{
  double sum = 0;
  for (int32_t i = 0; i < align->map_count; ++i)
    sum += measure(align->maps[i]);
  return sum;
}

static double elements_of(Shape shape)
{
  return (double)shape_elements(shape);
}

static double pixels_of(Shape shape)
{
  return (double)shape_pixels(shape);
}

static double taps(const RoiAlign *align, Shape y)
{
  return elements_of(y) * align->sampling * align->sampling * TAPS;
}

/* Of the maps what the regions cover, but not more than all. */
static double map_bytes(const RoiAlign *align, Shape y)
{
  const double maps = all_maps(align, bytes_of);
  const double taken = taps(align, y) * (double)element_bytes(y.element);
  return taken < maps ? taken : maps;
}

void roi_align_forward_count(Device *device, const RoiAlign *align, const void *const *maps,
                             const Regions *regions, Shape y_shape, void *y)
{
  OpWork work = moved(OP_REGIONS, map_bytes(align, y_shape), bytes_of(y_shape));
  work.instructions = taps(align, y_shape) * instructions_per_tap;
  note(device, work);
}

/* Every tile of a map asks all regions of its image. */
void roi_align_backward_count(Device *device, const RoiAlign *align, const Regions *regions,
                              Shape y_shape, const void *dy, void *const *dmaps, Write write,
                              void *scratch)
{
  const double maps = all_maps(align, bytes_of);
  const double tiles = all_maps(align, pixels_of) / TILE_PIXELS;
  OpWork work = moved(OP_REGIONS, bytes_of(y_shape) + added_bytes(write, maps), maps);
  work.launches = 1 + align->map_count;
  work.instructions =
      tiles * y_shape.images / align->maps[0].images * instructions_per_question +
      y_shape.images * instructions_per_region +
      taps(align, y_shape) / VECTOR * (instructions_per_share + VECTOR * instructions_per_tap);
  note(device, work);
}
