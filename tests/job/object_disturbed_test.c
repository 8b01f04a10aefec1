/* The oracle disturbed: extents, things overlooked, outlines that differ, duplicates; and that none
 * of it depends on how the work is cut into rows. */
#include "object_trial.h"
#include "support/check.h"

static const MergeOptions plain = {.agreement = 0.5, .nms_overlap = 0, .edge_px = 1};
static const MergeOptions usual = {.agreement = 0.5, .nms_overlap = 0.3, .edge_px = 2};

/* The rows and columns of the raster between these are cleared. */
static void clear_bands(Oracle *oracle)
{
  for (int32_t y = 0; y < oracle->height_px; ++y)
    for (int32_t x = 0; x < oracle->width_px; ++x)
      if ((y > 100 && y < 210) || (x > 130 && x < 280))
        oracle->labels[y * oracle->width_px + x] = 0;
}

static void the_order_of_objects_does_not_depend_on_empty_tiles(void **state)
{
  const OracleDetector detector = {.noise_seed = 3, .duplicate_share = 0.1};
  Oracle oracle;
  TilePlan plan;
  oracle_draw(6, 400, 420, 150, &oracle);
  clear_bands(&oracle);
  const Window raster = trial_raster(&oracle);
  CHECK_OK(tile_plan_make(raster, raster, (TileOptions){48, 8, 1, 8}, &plan));
  Trial once = trial_run(&oracle, &detector, &plan, usual, false);
  Trial again = trial_run(&oracle, &detector, &plan, usual, true);
  assert_true(once.given > 100);
  assert_int_equal(once.sequence, again.sequence);
  assert_memory_equal(&once.counts, &again.counts, sizeof once.counts);
  trial_close(&once);
  trial_close(&again);
  oracle_close(&oracle);
}

/* A blanket over everything keeps all objects waiting to the end, since it might suppress them. In
 * the end it does not, so they must be the same as those that are given out as soon as they can. */
static void what_is_given_out_early_is_what_waiting_to_the_end_gives(void **state)
{
  for (uint64_t seed = 11; seed < 15; ++seed) {
    OracleDetector detector = {.mode = seed % 2 == 0 ? ORACLE_SHAPES : ORACLE_PIECES_4,
                               .noise_seed = seed,
                               .duplicate_share = 0.2,
                               .outline_share = 0.4};
    MergeOptions options = usual;
    options.exclude_pad_detections = seed % 4 < 2;
    options.nms_across_classes = true;
    Oracle oracle;
    TilePlan plan;
    oracle_draw(seed, 400, 420, 60, &oracle);
    const Window raster = trial_raster(&oracle);
    CHECK_OK(tile_plan_make(raster, raster, (TileOptions){32, 6, 1, 1}, &plan));
    Trial early = trial_run(&oracle, &detector, &plan, options, false);
    detector.blanket = true;
    Trial late = trial_run(&oracle, &detector, &plan, options, false);
    assert_true(early.counts.by_nms > 100);
    assert_int_equal(late.counts.kept, early.counts.kept + 1);
    assert_int_equal(late.counts.suppressed, early.counts.suppressed);
    assert_int_equal(early.set, late.set);
    trial_close(&early);
    trial_close(&late);
    oracle_close(&oracle);
  }
}

static Window *shape_windows(const Oracle *oracle)
{
  Window *windows = calloc((size_t)oracle->shape_count + 1, sizeof *windows);
  assert_non_null(windows);
  for (int32_t y = 0; y < oracle->height_px; ++y)
    for (int32_t x = 0; x < oracle->width_px; ++x) {
      Window *window = windows + oracle->labels[y * oracle->width_px + x];
      *window = window_cover(*window, (Window){x, y, 1, 1});
    }
  return windows;
}

static bool *shapes_within(const Oracle *oracle, Window window)
{
  bool *is_within = calloc((size_t)oracle->shape_count + 1, sizeof *is_within);
  assert_non_null(is_within);
  for (int64_t y = window.y_px; y < window.y_px + window.height_px; ++y)
    for (int64_t x = window.x_px; x < window.x_px + window.width_px; ++x)
      is_within[oracle->labels[y * oracle->width_px + x]] = true;
  return is_within;
}

/* A shape that the extent's tiles see all of is one object if the extent has a pixel of it, and
 * none otherwise. */
static void check_extent(const Oracle *oracle, const Window *windows, Window output)
{
  TilePlan plan;
  CHECK_OK(tile_plan_make(trial_raster(oracle), output, (TileOptions){64, 8, 1, 8}, &plan));
  const Window hull =
      window_cover(tile_plan_tile(&plan, 0), tile_plan_tile(&plan, plan.tile_count - 1));
  const OracleDetector detector = {.mode = ORACLE_SHAPES};
  Trial trial = trial_run(oracle, &detector, &plan, plain, false);
  bool *is_within = shapes_within(oracle, output);
  for (int32_t shape = 1; shape <= oracle->shape_count; ++shape) {
    if (!is_within[shape]) assert_int_equal(trial.objects[shape], 0);
    if (!is_within[shape] || !window_contains(hull, windows[shape])) continue;
    assert_int_equal(trial.objects[shape], 1);
    assert_int_equal(trial.complete[shape], 1);
  }
  assert_true(trial.counts.outside > 0);
  assert_int_equal(trial.counts.suppressed, trial.counts.outside);
  free(is_within);
  trial_close(&trial);
}

static void an_extent_gives_what_it_has_a_pixel_of_and_nothing_else(void **state)
{
  Oracle oracle;
  oracle_draw(8, 400, 420, 120, &oracle);
  Window *windows = shape_windows(&oracle);
  for (int64_t shift = 0; shift < 90; shift += 11)
    check_extent(&oracle, windows, (Window){30 + shift, 120 - shift, 140 + shift, 150});
  free(windows);
  oracle_close(&oracle);
}

static bool some_tile_holds(const TilePlan *plan, Window window)
{
  for (int64_t tile = 0; tile < plan->tile_count; ++tile)
    if (window_contains(tile_plan_tile(plan, tile), window)) return true;
  return false;
}

/* Fragments below a fifth of their shape are overlooked. What some tile saw all of is one object
 * all the same; of the rest, objects may lack something, but none mixes two shapes. */
static void overlooked_fragments_cost_no_shape_that_a_tile_saw_all_of(void **state)
{
  const OracleDetector detector = {.noise_seed = 4, .missed_share = 0.2};
  Oracle oracle;
  TilePlan plan;
  oracle_draw(9, 400, 420, 200, &oracle);
  Window *windows = shape_windows(&oracle);
  const Window raster = trial_raster(&oracle);
  CHECK_OK(tile_plan_make(raster, raster, (TileOptions){64, 12, 1, 8}, &plan));
  Trial trial = trial_run(&oracle, &detector, &plan, plain, false);
  assert_int_equal(trial.mixed, 0);
  assert_true(trial.partial > 0);
  for (int32_t shape = 1; shape <= oracle.shape_count; ++shape) {
    if (!some_tile_holds(&plan, windows[shape])) continue;
    assert_int_equal(trial.objects[shape], 1);
    assert_int_equal(trial.complete[shape], 1);
  }
  trial_close(&trial);
  free(windows);
  oracle_close(&oracle);
}

/* As a network sees them: in each tile a fifth of the pixels along the outline is lost, and of
 * those beside it gained, another lot in each, and slivers are not found. Shapes of 100 px and more
 * are one object each, with an IoU of at least 0.6. */
static void outlines_that_differ_from_tile_to_tile_do_not_split_objects(void **state)
{
  const OracleDetector detector = {
      .noise_seed = 2, .outline_share = 0.2, .missed_share = 0.1, .use_apart_class = true};
  Oracle oracle;
  TilePlan plan;
  int64_t large = 0;
  oracle_draw(10, 400, 420, 100, &oracle);
  const Window raster = trial_raster(&oracle);
  CHECK_OK(tile_plan_make(raster, raster, (TileOptions){128, 32, 1, 8}, &plan));
  Trial trial = trial_run(&oracle, &detector, &plan, usual, false);
  for (int32_t shape = 1; shape <= oracle.shape_count; ++shape) {
    if (oracle.shapes[shape].area_px < 100) continue;
    ++large;
    assert_int_equal(trial.objects[shape], 1);
    assert_true(trial.best_iou[shape] >= 0.6);
  }
  assert_true(large > 80);
  trial_close(&trial);
  oracle_close(&oracle);
}

int main(void)
{
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_order_of_objects_does_not_depend_on_empty_tiles),
      cmocka_unit_test(what_is_given_out_early_is_what_waiting_to_the_end_gives),
      cmocka_unit_test(an_extent_gives_what_it_has_a_pixel_of_and_nothing_else),
      cmocka_unit_test(overlooked_fragments_cost_no_shape_that_a_tile_saw_all_of),
      cmocka_unit_test(outlines_that_differ_from_tile_to_tile_do_not_split_objects),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
