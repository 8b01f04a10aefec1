/* What works row by row, in bounded memory, against what looks at everything at once. */
#include "base/random.h"
#include "object_index.h"
#include "object_merge.h"
#include "support/check.h"

enum { SIDE_PX = 400, THINGS_MOST = 4000 };

static const Window raster = {0, 0, SIDE_PX, SIDE_PX};

typedef struct Scene {
  TilePlan plan;
  FoundThing things[THINGS_MOST]; /* by tile */
  int64_t first_of_tile[512];
  int64_t count;
  bool kept[THINGS_MOST];  /* by suppression of everything at once */
  bool given[THINGS_MOST]; /* by the merge */
  int64_t given_count;
  int64_t given_before_last_tile;
  int64_t order_key; /* of the last one given */
  int64_t order_breaks;
} Scene;

/* Boxes that their tile holds whole, at home: so that nothing is joined. Scores repeat. */
static void draw_tile(Scene *scene, int64_t tile, int64_t count, Random *random)
{
  const Window core = tile_plan_core(&scene->plan, tile);
  const Window window = window_intersect(raster, tile_plan_tile(&scene->plan, tile));
  scene->first_of_tile[tile] = scene->count;
  while (count > 0) {
    const int64_t width = 2 + random_below(random, 30);
    const int64_t height = 2 + random_below(random, 30);
    const int64_t column = core.x_px + random_below(random, (uint32_t)core.width_px);
    const int64_t row = core.y_px + random_below(random, (uint32_t)core.height_px);
    const Window box = {column - (width - 1) / 2, row - (height - 1) / 2, width, height};
    if (!window_contains(window_grow(window, -1), box)) continue;
    scene->things[scene->count++] =
        (FoundThing){.class_index = (int32_t)random_below(random, 2),
                     .score = random_below(random, 20) / 20.0,
                     .box = {(double)box.x_px, (double)box.y_px, (double)(box.x_px + box.width_px),
                             (double)(box.y_px + box.height_px)}};
    --count;
  }
  scene->first_of_tile[tile + 1] = scene->count;
}

static double box_overlap(const FoundThing *a, const FoundThing *b)
{
  const double left = a->box[0] > b->box[0] ? a->box[0] : b->box[0];
  const double top = a->box[1] > b->box[1] ? a->box[1] : b->box[1];
  const double right = a->box[2] < b->box[2] ? a->box[2] : b->box[2];
  const double bottom = a->box[3] < b->box[3] ? a->box[3] : b->box[3];
  if (left >= right || top >= bottom) return 0;
  const double shared = (right - left) * (bottom - top);
  return shared / ((a->box[2] - a->box[0]) * (a->box[3] - a->box[1]) +
                   (b->box[2] - b->box[0]) * (b->box[3] - b->box[1]) - shared);
}

static void suppress_all_at_once(Scene *scene, MergeOptions options)
{
  bool *done = calloc((size_t)scene->count, sizeof *done);
  assert_non_null(done);
  for (int64_t round = 0; round < scene->count; ++round) {
    int64_t best = -1;
    for (int64_t t = 0; t < scene->count; ++t)
      if (!done[t] && (best < 0 || scene->things[t].score > scene->things[best].score)) best = t;
    done[best] = true;
    scene->kept[best] = true;
    for (int64_t t = 0; t < scene->count && scene->kept[best]; ++t)
      if (t != best && scene->kept[t] &&
          (options.nms_across_classes ||
           scene->things[t].class_index == scene->things[best].class_index) &&
          box_overlap(scene->things + t, scene->things + best) > options.nms_overlap)
        scene->kept[best] = false;
  }
  free(done);
}

static Status take(void *context, const WholeObject *object, bool *wanted)
{
  Scene *scene = context;
  const int64_t thing = scene->first_of_tile[object->first_tile] + object->first_index;
  assert_int_equal(object->member_count, 1);
  assert_false(scene->given[thing]);
  scene->given[thing] = true;
  scene->order_breaks += thing < scene->order_key;
  scene->order_key = thing;
  ++scene->given_count;
  return STATUS_OK;
}

static void merge_scene(Scene *scene, MergeOptions options)
{
  ObjectMerge *merge;
  MergeCounts counts;
  CHECK_OK(object_merge_open(raster, &scene->plan, options, take, scene, &merge));
  for (int64_t tile = 0; tile < scene->plan.tile_count; ++tile) {
    const int64_t first = scene->first_of_tile[tile];
    scene->given_before_last_tile = scene->given_count;
    CHECK_OK(object_merge_add(merge, tile, scene->things + first,
                              scene->first_of_tile[tile + 1] - first));
  }
  CHECK_OK(object_merge_finish(merge, &counts));
  object_merge_close(merge);
  assert_int_equal(counts.kept + counts.by_nms, scene->count);
}

static void suppression_by_rows_is_that_of_everything_at_once(void **state)
{
  static const double overlaps[] = {0, 0.05, 0.3, 0.6, 1};
  for (uint64_t seed = 0; seed < 10; ++seed) {
    Scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    Random random = random_stream(seed, 5);
    const TileOptions tiles = {
        .tile_px = 64, .padding_px = 16, .batch_size = 1, .size_multiple = 1};
    const MergeOptions options = {.agreement = 1,
                                  .nms_overlap = overlaps[seed % 5],
                                  .nms_across_classes = seed % 2 == 0,
                                  .edge_px = 1};
    CHECK_OK(tile_plan_make(raster, raster, tiles, &scene->plan));
    for (int64_t tile = 0; tile < scene->plan.tile_count; ++tile)
      draw_tile(scene, tile, (int64_t)seed + random_below(&random, 5), &random);
    suppress_all_at_once(scene, options);
    merge_scene(scene, options);
    assert_memory_equal(scene->kept, scene->given, sizeof scene->kept);
    assert_true(scene->given_before_last_tile > scene->given_count * 2 / 3); /* not at the end */
    assert_true(scene->order_breaks < scene->plan.rows.count); /* rows of tiles, each in order */
    free(scene);
  }
}

static void the_index_finds_each_window_that_overlaps_once(void **state)
{
  enum { ITEMS = 300 };
  Random random = random_stream(21, 0);
  Window windows[ITEMS];
  bool is_in[ITEMS] = {false};
  ObjectIndex *index;
  CHECK_OK(object_index_open(&index));
  for (int round = 0; round < 20000; ++round) {
    const int32_t item = (int32_t)random_below(&random, ITEMS);
    const int64_t size = (int64_t)1 << random_below(&random, 12);
    const Window window = {random_below(&random, 3000), random_below(&random, 3000),
                           1 + random_below(&random, (uint32_t)size),
                           1 + random_below(&random, (uint32_t)size)};
    if (is_in[item]) {
      object_index_remove(index, item);
    } else {
      windows[item] = window;
      CHECK_OK(object_index_add(index, item, window));
    }
    is_in[item] = !is_in[item];
    if (round % 10 != 0) continue;
    const int32_t *items;
    int64_t count;
    int32_t times[ITEMS] = {0};
    bool holds;
    const Window wish = {window.y_px - 20, window.x_px - 20, window.height_px, window.width_px};
    CHECK_OK(object_index_find(index, wish, &items, &count));
    for (int64_t i = 0; i < count; ++i)
      ++times[items[i]];
    for (int32_t i = 0; i < ITEMS; ++i)
      assert_int_equal(times[i], is_in[i] && window_overlaps(windows[i], wish));
    CHECK_OK(object_index_holds(index, wish, &holds));
    assert_int_equal(holds, count > 0);
  }
  object_index_close(index);
}

int main(void)
{
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(suppression_by_rows_is_that_of_everything_at_once),
      cmocka_unit_test(the_index_finds_each_window_that_overlaps_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
