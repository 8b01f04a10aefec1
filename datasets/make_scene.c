/* make_scene: an orthophoto of a place that does not exist, and its labels. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/bundle.h"
#include "base/option.h"
#include "scene.h"

typedef struct Arguments {
  const char *out, *name, *size;
  int64_t seed, left, top, epsg;
  double cell;
  int32_t labels;
  bool big;
} Arguments;

static const Option options[] = {
    {"out", OPTION_TEXT, offsetof(Arguments, out), NULL, NULL, 0, 0, NULL,
     "Folder to write to; made if it is missing."},
    {"name", OPTION_TEXT, offsetof(Arguments, name), "scene", NULL, 0, 0, NULL,
     "Files are called NAME.tif and NAME.gpkg or NAME.geojson."},
    {"seed", OPTION_INT, offsetof(Arguments, seed), "7", NULL, 0, 1e15, NULL,
     "Each seed is another world."},
    {"size", OPTION_TEXT, offsetof(Arguments, size), "2048", "px", 0, 0, NULL,
     "Width and height, 2048 or 3000x2000."},
    {"left", OPTION_INT, offsetof(Arguments, left), "0", "px", -1e7, 1e7, NULL,
     "Where the window starts in the world, from west; a multiple of 8."},
    {"top", OPTION_INT, offsetof(Arguments, top), "0", "px", -1e7, 1e7, NULL,
     "Where the window starts in the world, from north; a multiple of 8."},
    {"cell", OPTION_REAL, offsetof(Arguments, cell), "0.2", "m", 0.05, 0.5, NULL,
     "Size of a pixel on the ground."},
    {"epsg", OPTION_INT, offsetof(Arguments, epsg), "32645", NULL, 1024, 32767, NULL,
     "Reference system of the raster, in metres."},
    {"labels", OPTION_CHOICE, offsetof(Arguments, labels), "gpkg", NULL, 0, 0, "gpkg|geojson",
     "gpkg: in the raster's reference system; geojson: in EPSG:4326."},
    {"big", OPTION_FLAG, offsetof(Arguments, big), "no", NULL, 0, 0, NULL,
     "Repeat one block of 4096 x 4096 px, mirrored: fast, for tests of scale."},
};

static const OptionTable table = {"make_scene", "seed -> orthophoto with labels",
                                  "make_scene --out=/tmp/scene --seed=7 --size=2048", options,
                                  sizeof options / sizeof options[0]};

static Status read_size(const char *text, SceneOptions *scene)
{
  static const long least_px = 64, most_px = 200000;
  char *end = NULL;
  const long width_px = strtol(text, &end, 10);
  long height_px = width_px;
  if (end != text && *end == 'x') {
    const char *rest = end + 1;
    height_px = strtol(rest, &end, 10);
    if (end == rest) height_px = 0;
  }
  if (end == text || *end != '\0' || width_px < least_px || height_px < least_px ||
      width_px > most_px || height_px > most_px)
    return status_set(STATUS_BAD_OPTION,
                      "--size=%s: give pixels, 2048 or 3000x2000, each from %ld to %ld", text,
                      least_px, most_px);
  scene->width_px = width_px;
  scene->height_px = height_px;
  return STATUS_OK;
}

static Status run(int argument_count, char *const *arguments, Arena *arena)
{
  Arguments given = {0};
  SceneSummary summary;
  TRY(options_parse(&table, NULL, argument_count, arguments, arena, &given));
  SceneOptions scene = {.folder = given.out,
                        .name = given.name,
                        .seed = (uint64_t)given.seed,
                        .left_px = given.left,
                        .top_px = given.top,
                        .cell_m = given.cell,
                        .epsg = (int32_t)given.epsg,
                        .labels = (SceneLabels)given.labels,
                        .big = given.big};
  TRY(read_size(given.size, &scene));
  TRY(scene_make(&scene, &summary));
  const double pixels = (double)scene.width_px * (double)scene.height_px;
  const double valid_m2 = (pixels - (double)summary.nodata_px) * scene.cell_m * scene.cell_m;
  printf("%s: %lld x %lld px of %g m, %.1f %% NoData\n", summary.raster_path,
         (long long)scene.width_px, (long long)scene.height_px, scene.cell_m,
         100.0 * (double)summary.nodata_px / pixels);
  printf("%s: %lld buildings on %.1f %% of the ground, %lld tents on %.1f %%\n", summary.label_path,
         (long long)summary.building_count, 100.0 * summary.building_m2 / valid_m2,
         (long long)summary.tent_count, 100.0 * summary.tent_m2 / valid_m2);
  return STATUS_OK;
}

int main(int argument_count, char **arguments)
{
  Arena *arena = NULL;
  for (int i = 1; i < argument_count; ++i)
    if (strcmp(arguments[i], "--help") == 0) {
      options_print_help(&table, "", stdout);
      return 0;
    }
  Status status = bundle_enter();
  if (status == STATUS_OK) status = arena_open(&arena);
  if (status == STATUS_OK) status = run(argument_count - 1, arguments + 1, arena);
  if (status != STATUS_OK) fprintf(stderr, "make_scene: %s\n", status_message());
  arena_close(arena);
  return status_exit_code(status);
}
