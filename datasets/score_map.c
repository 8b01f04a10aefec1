/* score_map: how well a class map shows what is on the ground, pixel by pixel. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/memory.h"
#include "base/option.h"
#include "geo/geo.h"
#include "geo/label_source.h"
#include "geo/raster.h"

typedef struct Arguments {
  const char *map, *labels, *class_field;
} Arguments;

static const Option options[] = {
    {"map", OPTION_TEXT, offsetof(Arguments, map), NULL, NULL, 0, 0, NULL,
     "The class map that quadrat classify wrote."},
    {"labels", OPTION_TEXT, offsetof(Arguments, labels), NULL, NULL, 0, 0, NULL,
     "What there is in truth: features, or a raster of class values."},
    {"class_field", OPTION_TEXT, offsetof(Arguments, class_field), "", NULL, 0, 0, NULL,
     "Field that holds the class, as for quadrat export."},
};

static const OptionTable table = {"score_map", "class map + labels -> precision, recall, F1, IoU",
                                  "score_map --map=map.tif --labels=truth.gpkg", options,
                                  sizeof options / sizeof options[0]};

enum { CLASSES_MOST = 256, BLOCK_PX = 512 };

/* Of labels (first index) and map (second), in pixels; what the map has as NoData is not counted.
 */
typedef struct Score {
  int64_t counts[CLASSES_MOST][CLASSES_MOST];
} Score;

typedef struct Scene {
  Raster *map;
  LabelSource *labels;
  uint8_t *classes, *truth, *valid; /* of a block */
  Score *score;
} Scene;

static Status allocate(size_t bytes, uint8_t **piece)
{
  void *memory;
  TRY(memory_allocate(bytes, 1, "score", &memory));
  *piece = memory;
  return STATUS_OK;
}

static Status open_scene(const Arguments *given, Scene *scene)
{
  const size_t block_px = (size_t)BLOCK_PX * BLOCK_PX;
  void *score;
  TRY(memory_allocate(1, sizeof *scene->score, "score", &score));
  scene->score = score;
  TRY(allocate(block_px, &scene->classes));
  TRY(allocate(block_px, &scene->truth));
  TRY(allocate(block_px, &scene->valid));
  TRY(raster_open(given->map, &scene->map));
  if (raster_type(scene->map) != PIXEL_U8)
    return status_set(STATUS_UNSUPPORTED, "%s: only maps of uint8 can be scored", given->map);
  const LabelOptions labels = {.class_field = given->class_field};
  return label_source_open(given->labels, &labels, raster_grid(scene->map), NULL, &scene->labels);
}

static void close_scene(Scene *scene)
{
  label_source_close(scene->labels);
  raster_close(scene->map);
  memory_free(scene->valid);
  memory_free(scene->truth);
  memory_free(scene->classes);
  memory_free(scene->score);
}

static Status count_block(const Scene *scene, Window block)
{
  const Grid grid = grid_subgrid(raster_grid(scene->map), block);
  TRY(raster_read(scene->map, block, NULL, 1, scene->classes, scene->valid));
  TRY(label_source_burn(scene->labels, &grid, PIXEL_U8, scene->truth));
  for (int64_t i = 0; i < window_pixels(block); ++i)
    if (scene->valid[i] != 0) ++scene->score->counts[scene->truth[i]][scene->classes[i]];
  return STATUS_OK;
}

static Status count_all(const Scene *scene)
{
  const Window whole = grid_window(raster_grid(scene->map));
  for (int64_t y = 0; y < whole.height_px; y += BLOCK_PX)
    for (int64_t x = 0; x < whole.width_px; x += BLOCK_PX)
      TRY(count_block(scene, window_intersect(whole, (Window){x, y, BLOCK_PX, BLOCK_PX})));
  return STATUS_OK;
}

static double ratio(int64_t part, int64_t whole)
{
  return whole == 0 ? 0 : (double)part / (double)whole;
}

/* A line per class that is in the labels or in the map. */
static void print_class(const Score *score, int class_value, const char *name)
{
  int64_t there = 0, found = 0;
  const int64_t right = score->counts[class_value][class_value];
  for (int c = 0; c < CLASSES_MOST; ++c) {
    there += score->counts[class_value][c];
    found += score->counts[c][class_value];
  }
  if (there + found == 0) return;
  printf("%6d  %-16s %12" PRId64 " %12" PRId64 " %10.3f %10.3f %10.3f %10.3f\n", class_value, name,
         there, found, ratio(right, found), ratio(right, there), ratio(2 * right, there + found),
         ratio(right, there + found - right));
}

static void print_score(const Scene *scene)
{
  int32_t class_count;
  int64_t right = 0, all = 0;
  const ClassEntry *classes = label_source_classes(scene->labels, &class_count);
  printf("%6s  %-16s %12s %12s %10s %10s %10s %10s\n", "value", "class", "label px", "map px",
         "precision", "recall", "F1", "IoU");
  for (int value = 0; value < CLASSES_MOST; ++value) {
    const ClassEntry *entry = class_find(classes, class_count, value);
    print_class(scene->score, value, entry != NULL ? entry->name : value == 0 ? "background" : "");
    right += scene->score->counts[value][value];
    for (int c = 0; c < CLASSES_MOST; ++c)
      all += scene->score->counts[value][c];
  }
  printf("%.2f %% of %" PRId64 " pixels are right\n", 100 * ratio(right, all), all);
}

static Status run(int argument_count, char *const *arguments, Arena *arena)
{
  Arguments given = {0};
  Scene scene = {0};
  TRY(options_parse(&table, NULL, argument_count, arguments, arena, &given));
  geo_start(0);
  Status status = open_scene(&given, &scene);
  if (status == STATUS_OK) status = count_all(&scene);
  if (status == STATUS_OK) print_score(&scene);
  close_scene(&scene);
  geo_stop();
  return status;
}

int main(int argument_count, char **arguments)
{
  Arena *arena = NULL;
  for (int i = 1; i < argument_count; ++i)
    if (strcmp(arguments[i], "--help") == 0) {
      options_print_help(&table, stdout);
      return 0;
    }
  Status status = arena_open(&arena);
  if (status == STATUS_OK) status = run(argument_count - 1, arguments + 1, arena);
  if (status != STATUS_OK) (void)fprintf(stderr, "score_map: %s\n", status_message());
  arena_close(arena);
  return status_exit_code(status);
}
