#include "count_backend.h"
#include "note.h"

/* Instructions of a thread, counted in the kernel's source: for each of four taps of a sample a
 * load's share of eight, a conversion and a product; for each region that a pixel asks whether it
 * reaches it; for the shares of a bin in a pixel. */
static const double instructions_per_tap = 3.5;
static const double instructions_per_question = 12;
static const double instructions_per_share = 60;
enum { VECTOR = 8, TAPS = 4 };

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

/* Every pixel of every map asks every region. */
void roi_align_backward_count(Device *device, const RoiAlign *align, const Regions *regions,
                              Shape y_shape, const void *dy, void *const *dmaps, Write write,
                              void *scratch)
{
  const double maps = all_maps(align, bytes_of);
  const double threads = all_maps(align, elements_of) / VECTOR;
  OpWork work = moved(OP_REGIONS, bytes_of(y_shape) + added_bytes(write, maps), maps);
  work.launches = 1 + align->map_count;
  work.instructions =
      threads * y_shape.images * instructions_per_question +
      taps(align, y_shape) / VECTOR * (instructions_per_share + VECTOR * instructions_per_tap);
  note(device, work);
}
