/* Objects of an oracle's raster, cut into tiles of many sizes and put together again. The seeds are
 * in the tests; with QUADRAT_LONG_TESTS=1 in the environment there are more of them, and larger
 * rasters. */
#include "object_merge.h"

#include <stdio.h>

#include "object_trial.h"
#include "support/check.h"

static const MergeOptions plain = {.agreement = 0.5, .nms_overlap = 0, .edge_px = 1};

static void check_whole(const Trial *trial, const char *where)
{
  const Oracle *oracle = trial->oracle;
  const MergeCounts *counts = &trial->counts;
  int64_t missing = 0;
  int64_t repeated = 0;
  for (int32_t shape = 1; shape <= oracle->shape_count; ++shape) {
    missing += trial->objects[shape] == 0;
    repeated += trial->objects[shape] > 1;
  }
  if (trial->given != oracle->shape_count || missing != 0 || repeated != 0 || trial->mixed != 0 ||
      trial->partial != 0)
    fail_msg("%s: %d shapes, %lld objects: %lld shapes missing, %lld repeated, %lld objects mixed, "
             "%lld partial; %lld found, %lld kept, %lld merged, %lld suppressed (%lld empty, %lld "
             "outside)",
             where, (int)oracle->shape_count, (long long)trial->given, (long long)missing,
             (long long)repeated, (long long)trial->mixed, (long long)trial->partial,
             (long long)counts->found, (long long)counts->kept, (long long)counts->merged,
             (long long)counts->suppressed, (long long)counts->empty, (long long)counts->outside);
  assert_int_equal(counts->found, trial->found);
  assert_int_equal(counts->kept, oracle->shape_count);
  assert_int_equal(counts->found, counts->kept + counts->merged + counts->suppressed);
}

/* Whether somewhere two neighbouring tiles have no pixel in common. */
static bool has_bare_borders(const TilePlan *plan)
{
  bool is_bare = false;
  for (int64_t tile = 1; tile < plan->tile_count; ++tile) {
    const Window own = tile_plan_tile(plan, tile);
    const int64_t left = tile % plan->columns.count == 0 ? tile : tile - 1;
    const int64_t above = tile < plan->columns.count ? tile : tile - plan->columns.count;
    is_bare = is_bare || !window_overlaps(own, tile_plan_tile(plan, left)) ||
              !window_overlaps(own, tile_plan_tile(plan, above));
  }
  return is_bare;
}

static void check_plan(const Oracle *oracle, TileOptions tiles, OracleDetector detector)
{
  static const char *const modes[] = {"shapes", "pieces (4)", "pieces (8)"};
  const Window raster = trial_raster(oracle);
  char where[128];
  TilePlan plan;
  CHECK_OK(tile_plan_make(raster, raster, tiles, &plan));
  detector.use_apart_class = has_bare_borders(&plan);
  MergeOptions options = plain;
  if (detector.duplicate_share > 0) options.nms_overlap = 0.5;
  Trial trial = trial_run(oracle, &detector, &plan, options, false);
  snprintf(where, sizeof where, "tiles of %d px, padding %d px, %s", tiles.tile_px,
           tiles.padding_px, modes[detector.mode]);
  check_whole(&trial, where);
  if (detector.duplicate_share == 0) assert_int_equal(trial.counts.suppressed, 0);
  trial_close(&trial);
}

static bool is_long_run(void)
{
  const char *wish = getenv("QUADRAT_LONG_TESTS");
  return wish != NULL && strcmp(wish, "0") != 0;
}

/* All sizes of tiles with all paddings that they allow. */
static void check_sizes(const Oracle *oracle, OracleDetector detector)
{
  static const int32_t tile_px[] = {32, 48, 64, 96, 128, 256};
  static const int32_t padding_px[] = {0, 1, 2, 4, 8, 13, 16, 24, 32, 64, 128};
  for (size_t t = 0; t < sizeof tile_px / sizeof *tile_px; ++t)
    for (size_t p = 0; p < sizeof padding_px / sizeof *padding_px; ++p) {
      const TileOptions tiles = {.tile_px = tile_px[t],
                                 .padding_px = padding_px[p],
                                 .batch_size = 4,
                                 .size_multiple = p % 2 == 0 ? 8 : 1};
      if (2 * tiles.padding_px <= tiles.tile_px - tiles.size_multiple)
        check_plan(oracle, tiles, detector);
    }
}

/* Shapes are up to 330 px long, the smallest tiles 32 px. */
static void check_seeds(OracleDetector detector, uint64_t first_seed, uint64_t count)
{
  Oracle oracle;
  for (uint64_t seed = first_seed; seed < first_seed + (is_long_run() ? 20 : count); ++seed) {
    oracle_draw(seed, 400, 420, 330, &oracle);
    assert_true(oracle.shape_count > 400);
    check_sizes(&oracle, detector);
    oracle_close(&oracle);
  }
}

static void shapes_of_the_oracle_are_connected(void **state)
{
  Oracle oracle;
  TilePlan plan;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    oracle_draw(seed, 400, 420, 330, &oracle);
    const Window raster = trial_raster(&oracle);
    CHECK_OK(tile_plan_make(raster, raster, (TileOptions){1024, 0, 1, 1}, &plan));
    assert_int_equal(plan.tile_count, 1);
    const OracleDetector detector = {.mode = ORACLE_PIECES_4};
    Trial trial = trial_run(&oracle, &detector, &plan, plain, false);
    assert_int_equal(trial.found, oracle.shape_count);
    trial_close(&trial);
    oracle_close(&oracle);
  }
}

static void every_shape_becomes_one_object_if_each_is_one_thing_per_tile(void **state)
{
  check_seeds((OracleDetector){.mode = ORACLE_SHAPES}, 1, 1);
}

static void every_shape_becomes_one_object_if_each_piece_is_a_thing(void **state)
{
  check_seeds((OracleDetector){.mode = ORACLE_PIECES_4}, 3, 1);
  check_seeds((OracleDetector){.mode = ORACLE_PIECES_8}, 4, 1);
}

static void scores_and_duplicates_change_nothing(void **state)
{
  const OracleDetector detector = {.noise_seed = 7, .duplicate_share = 0.2};
  check_seeds(detector, 5, 1);
}

/* With weak things over those that are right, the objects of these stay as they are, to
 * the last bit. */
static void check_junk(const Oracle *oracle, TileOptions tiles, OracleDetector detector)
{
  const Window raster = trial_raster(oracle);
  MergeOptions options = plain;
  uint64_t shapes = 0;
  TilePlan plan;
  CHECK_OK(tile_plan_make(raster, raster, tiles, &plan));
  options.nms_overlap = 0.3;
  detector.use_apart_class = has_bare_borders(&plan);
  for (int32_t junk = 0; junk < 2; ++junk) {
    detector.junk_count = 2 * junk;
    Trial trial = trial_run(oracle, &detector, &plan, options, false);
    const MergeCounts *counts = &trial.counts;
    assert_int_equal(trial.given, oracle->shape_count);
    assert_int_equal(trial.mixed + trial.partial, 0);
    assert_int_equal(counts->kept, trial.given + trial.junk);
    assert_int_equal(counts->found, counts->kept + counts->merged + counts->suppressed);
    assert_true((trial.junk > 0) == (junk > 0));
    if (junk == 0) shapes = trial.shapes;
    assert_int_equal(trial.shapes, shapes);
    trial_close(&trial);
  }
}

static void weak_things_over_strong_ones_change_no_object_of_these(void **state)
{
  Oracle oracle;
  for (uint64_t seed = 40; seed < (is_long_run() ? 60U : 41U); ++seed) {
    oracle_draw(seed, 300, 320, 200, &oracle);
    for (OracleMode mode = ORACLE_SHAPES; mode <= ORACLE_PIECES_8; ++mode)
      for (int32_t padding_px = 8; padding_px <= 24; padding_px += 16)
        check_junk(&oracle, (TileOptions){64, padding_px, 4, 8},
                   (OracleDetector){.mode = mode, .noise_seed = seed, .least_score = 0.5});
    oracle_close(&oracle);
  }
}

/* Shapes five tiles long in both directions, over thousands of smaller ones. */
static void a_large_raster_is_as_exact(void **state)
{
  const TileOptions tiles = {
      .tile_px = 256, .padding_px = 32, .batch_size = 4, .size_multiple = 32};
  Oracle oracle;
  if (!is_long_run()) skip();
  oracle_draw(30, 2000, 1900, 1280, &oracle);
  for (OracleMode mode = ORACLE_SHAPES; mode <= ORACLE_PIECES_8; ++mode)
    check_plan(&oracle, tiles, (OracleDetector){.mode = mode});
  oracle_close(&oracle);
}

typedef struct Drawn {
  const char *name;
  const char *rows[12];
  int32_t row_count;
  int32_t shape_count;
} Drawn;

/* Each a trap for a rule that is not quite right. */
static const Drawn drawings[] = {
    {"two combs in one another",
     {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", //
      "a..a..a..a..a..a..a..a..a..a..a.", //
      "a..a..a..a..a..a..a..a..a..a..a.", //
      "a..a..a..a..a..a..a..a..a..a..a.", //
      "a.ba.ba.ba.ba.ba.ba.ba.ba.ba.ba.", //
      "a.ba.ba.ba.ba.ba.ba.ba.ba.ba.ba.", //
      "a.ba.ba.ba.ba.ba.ba.ba.ba.ba.ba.", //
      "..b..b..b..b..b..b..b..b..b..b..", //
      "..bbbbbbbbbbbbbbbbbbbbbbbbbbbbb."},
     9,
     2},
    {"a meander, and things in its bays",
     {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", //
      "...............................a", //
      ".bbb.......ccccccccccccccccccc.a", //
      "...............................a", //
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", //
      "a...............................", //
      "a.ddddddddddddddddddddd.....eee.", //
      "a...............................", //
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
     9,
     5},
    {"rings around rings",
     {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", //
      "a..............................a", //
      "a.bbbbbbbbbbbbbbbbbbbbbbbbbbbb.a", //
      "a.b..........................b.a", //
      "a.b.cccccccccccccccccccccccc.b.a", //
      "a.b..........................b.a", //
      "a.bbbbbbbbbbbbbbbbbbbbbbbbbbbb.a", //
      "a..............................a", //
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
     9,
     3},
    {"touching houses",
     {"aaabbbcccdddeeefffggghhhiiijjjkk", //
      "aaabbbcccdddeeefffggghhhiiijjjkk", //
      "aaabbbcccdddeeefffggghhhiiijjjkk", //
      "lllmmmnnnooopppqqqrrrssstttuuuvv", //
      "lllmmmnnnooopppqqqrrrssstttuuuvv", //
      "lllmmmnnnooopppqqqrrrssstttuuuvv"},
     6,
     22},
};

/* At every place of the grid: the drawing is moved about under it. */
static void check_drawing(const Drawn *drawn, int32_t right_px, int32_t down_px)
{
  char text[40][64];
  const char *rows[40];
  Oracle oracle;
  for (int32_t y = 0; y < 40; ++y) {
    memset(text[y], '.', 63);
    text[y][63] = '\0';
    rows[y] = text[y];
  }
  for (int32_t y = 0; y < drawn->row_count; ++y)
    memcpy(text[down_px + y] + right_px, drawn->rows[y], strlen(drawn->rows[y]));
  oracle_from_text(rows, 40, &oracle);
  assert_int_equal(oracle.shape_count, drawn->shape_count);
  for (int32_t tile_px = 8; tile_px <= 16; tile_px += 4)
    for (int32_t padding_px = 0; padding_px <= 3; ++padding_px)
      for (OracleMode mode = ORACLE_SHAPES; mode <= ORACLE_PIECES_8; ++mode)
        check_plan(
            &oracle,
            (TileOptions){
                .tile_px = tile_px, .padding_px = padding_px, .batch_size = 1, .size_multiple = 1},
            (OracleDetector){.mode = mode});
  oracle_close(&oracle);
}

static void traps_are_avoided_wherever_the_tiles_fall(void **state)
{
  for (size_t d = 0; d < sizeof drawings / sizeof *drawings; ++d)
    for (int32_t shift = 0; shift < (is_long_run() ? 28 : 7); ++shift)
      check_drawing(drawings + d, shift, shift * 3 % 28);
}

int main(void)
{
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(shapes_of_the_oracle_are_connected),
      cmocka_unit_test(every_shape_becomes_one_object_if_each_is_one_thing_per_tile),
      cmocka_unit_test(every_shape_becomes_one_object_if_each_piece_is_a_thing),
      cmocka_unit_test(scores_and_duplicates_change_nothing),
      cmocka_unit_test(weak_things_over_strong_ones_change_no_object_of_these),
      cmocka_unit_test(a_large_raster_is_as_exact),
      cmocka_unit_test(traps_are_avoided_wherever_the_tiles_fall),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
