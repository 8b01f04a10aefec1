#include "count_backend.h"
#include "note.h"

/* Instructions of a thread, counted in the kernels' source: for each of four taps of a sample a
 * load's share of eight, a conversion and a product. Backward a block has a tile of a map, asks all
 * regions of its image whether they reach it, and for those that do lays a table and gathers. A
 * region, which lies on the map where it is about 20 px wide, is assumed to reach 21 tiles, and a
 * pixel of them to have a part in three of its bins. */
static const double instructions_per_tap = 3.5;
static const double instructions_per_question = 130;
static const double instructions_per_table = 100;
static const double instructions_per_bin = 25;
static const double tiles_per_region = 21;
static const double bins_per_pixel = 3;
enum { VECTOR = 8, TAPS = 4, TILE_ROWS = 4, TILE_COLUMNS = 8, BLOCK = 256 };

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

static double tiles_of(Shape map)
{
  const int32_t down = (map.height + TILE_ROWS - 1) / TILE_ROWS;
  const int32_t across = (map.width + TILE_COLUMNS - 1) / TILE_COLUMNS;
  return (double)map.images * down * across;
}

static double backward_instructions(const RoiAlign *align, Shape y)
{
  const double eighths = (double)y.channels / VECTOR;
  const double across = eighths < 32 ? 1 : eighths / 32; /* blocks of a tile */
  const double of_image = (double)y.images / align->maps[0].images;
  const double rounds = of_image < BLOCK ? 1 : of_image / BLOCK;
  const double asking = all_maps(align, tiles_of) * across * BLOCK * rounds;
  const double tiles = y.images * tiles_per_region;
  const double gathered = TILE_ROWS * TILE_COLUMNS * eighths * bins_per_pixel;
  return asking * instructions_per_question +
         tiles * (across * BLOCK * instructions_per_table + gathered * instructions_per_bin);
}

void roi_align_backward_count(Device *device, const RoiAlign *align, const Regions *regions,
                              Shape y_shape, const void *dy, void *const *dmaps, Write write,
                              void *scratch)
{
  const double maps = all_maps(align, bytes_of);
  OpWork work = moved(OP_REGIONS, bytes_of(y_shape) + added_bytes(write, maps), maps);
  work.launches = 1 + align->map_count;
  work.instructions = backward_instructions(align, y_shape);
  note(device, work);
}
