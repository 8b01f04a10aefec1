/* How long merging takes, and how that grows: discs of 12 to 28 px, one in each cell of 32 px at
 * most, seen by tiles of 1024 px with a padding of 24 px, so that a tenth of all things are found
 * more than once.
 *
 *   object_bench [COUNT …]     things, about; 100000 1000000 if none are given
 *
 * For each count one line: things found, objects, seconds in the merge by the wall and by the
 * processor (what draws the things does not count), microseconds of the processor per thing, growth
 * of its seconds against the line before, peak memory of the process so far. Fails if not every
 * disc became one object. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/clock.h"
#include "base/random.h"
#include "object_merge.h"

enum { CELL_PX = 32, DISC_MOST_PX = 28, DISC_LEAST_PX = 12, TILE_PX = 1024, PADDING_PX = 24 };
enum { THINGS_MOST = (TILE_PX / CELL_PX + 3) * (TILE_PX / CELL_PX + 3) };

typedef struct Run {
  Window raster;
  TilePlan plan;
  ObjectMerge *merge;
  FoundThing things[THINGS_MOST];
  int64_t count;
  double wall_s;
  double processor_s;
  int64_t given;
  MergeCounts counts;
} Run;

static Status take(void *context, const WholeObject *object, bool *wanted)
{
  Run *run = context;
  ++run->given;
  return STATUS_OK;
}

/* The disc of a cell; what a tile sees of it is left to the merge. */
static Status draw(Run *run, int64_t column, int64_t row, uint64_t tile)
{
  static uint8_t bytes[DISC_MOST_PX][DISC_MOST_PX];
  Random disc = random_stream((uint64_t)row, (uint64_t)column);
  Random score = random_stream(tile, (uint64_t)(row << 32 | column));
  const int32_t size =
      DISC_LEAST_PX + (int32_t)random_below(&disc, DISC_MOST_PX - DISC_LEAST_PX + 1);
  const Window window = {column * CELL_PX + random_below(&disc, (uint32_t)(CELL_PX - size)),
                         row * CELL_PX + random_below(&disc, (uint32_t)(CELL_PX - size)), size,
                         size};
  for (int32_t y = 0; y < size; ++y)
    for (int32_t x = 0; x < size; ++x) {
      const int32_t u = 2 * x - size + 1;
      const int32_t v = 2 * y - size + 1;
      bytes[y][x] = u * u + v * v <= size * size;
    }
  if (!window_overlaps(window, tile_plan_tile(&run->plan, (int64_t)tile))) return STATUS_OK;
  ObjectMask *mask;
  TRY(object_mask_from_bytes(bytes[0], DISC_MOST_PX, window, &mask));
  run->things[run->count++] =
      (FoundThing){.class_index = 1,
                   .score = random_uniform(&score),
                   .box = {(double)window.x_px, (double)window.y_px, (double)(window.x_px + size),
                           (double)(window.y_px + size)},
                   .mask = mask};
  return STATUS_OK;
}

static Status draw_tile(Run *run, int64_t tile)
{
  const Window seen = window_intersect(run->raster, tile_plan_tile(&run->plan, tile));
  const int64_t right = (seen.x_px + seen.width_px - 1) / CELL_PX;
  const int64_t bottom = (seen.y_px + seen.height_px - 1) / CELL_PX;
  for (int64_t row = seen.y_px / CELL_PX; row <= bottom; ++row)
    for (int64_t column = seen.x_px / CELL_PX; column <= right; ++column)
      TRY(draw(run, column, row, (uint64_t)tile));
  return STATUS_OK;
}

static double processor_seconds(void)
{
  struct timespec now;
  (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Called before and after, with -1 and 1. */
static void count_time(Run *run, int sign)
{
  run->wall_s += sign * clock_seconds();
  run->processor_s += sign * processor_seconds();
}

static Status merge_tile(Run *run, int64_t tile)
{
  run->count = 0;
  Status status = draw_tile(run, tile);
  count_time(run, -1);
  if (status == STATUS_OK) status = object_merge_add(run->merge, tile, run->things, run->count);
  count_time(run, 1);
  for (int64_t t = 0; t < run->count; ++t)
    object_mask_close((ObjectMask *)(uintptr_t)run->things[t].mask);
  return status;
}

static Status merge_all(Run *run)
{
  for (int64_t tile = 0; tile < run->plan.tile_count; ++tile)
    TRY(merge_tile(run, tile));
  count_time(run, -1);
  const Status status = object_merge_finish(run->merge, &run->counts);
  count_time(run, 1);
  return status;
}

static Status measure(int64_t count, Run *run)
{
  const int64_t cells = (int64_t)sqrt((double)count / 1.1);
  const TileOptions tiles = {
      .tile_px = TILE_PX, .padding_px = PADDING_PX, .batch_size = 1, .size_multiple = 8};
  const MergeOptions options = {.agreement = 0.5, .nms_overlap = 0.1, .edge_px = 2};
  run->raster = (Window){0, 0, cells * CELL_PX, cells * CELL_PX};
  TRY(tile_plan_make(run->raster, run->raster, tiles, &run->plan));
  TRY(object_merge_open(run->raster, &run->plan, options, take, run, &run->merge));
  const Status status = merge_all(run);
  object_merge_close(run->merge);
  TRY(status);
  if (run->given != cells * cells)
    return status_set(STATUS_BAD_INPUT, "%lld objects of %lld discs", (long long)run->given,
                      (long long)(cells * cells));
  return STATUS_OK;
}

static Status report(int64_t count, double *last_s)
{
  struct rusage usage;
  Run *run = calloc(1, sizeof *run);
  if (run == NULL) return status_set(STATUS_NO_MEMORY, "no memory for the things of a tile");
  const Status status = measure(count, run);
  if (status == STATUS_OK) {
    (void)getrusage(RUSAGE_SELF, &usage);
    printf("%10lld %10lld %9.3f %9.3f %9.3f", (long long)run->counts.found, (long long)run->given,
           run->wall_s, run->processor_s, 1e6 * run->processor_s / (double)run->counts.found);
    if (*last_s > 0)
      printf(" %8.2f", run->processor_s / *last_s);
    else
      printf(" %8s", "-");
    printf(" %9.1f\n", (double)usage.ru_maxrss / 1024);
    *last_s = run->processor_s;
  }
  free(run);
  return status;
}

int main(int argument_count, char **arguments)
{
  static const int64_t usual[] = {100000, 1000000};
  const int count = argument_count > 1 ? argument_count - 1 : 2;
  double last_s = 0;
  printf("%10s %10s %9s %9s %9s %8s %9s\n", "things", "objects", "wall s", "cpu s", "us/thing",
         "growth", "peak MiB");
  for (int c = 0; c < count; ++c) {
    const int64_t things = argument_count > 1 ? strtoll(arguments[c + 1], NULL, 10) : usual[c];
    const Status status =
        things > 0 ? report(things, &last_s) : status_set(STATUS_BAD_OPTION, "count above 0");
    if (status == STATUS_OK) continue;
    fprintf(stderr, "object_bench: %s\n", status_message());
    return status_exit_code(status);
  }
  return 0;
}
