#include "object_merge.h"

#include <stdio.h>

#include "object_oracle.h"
#include "support/check.h"

static const MergeOptions plain = {.agreement = 0.5, .nms_overlap = 0, .edge_px = 1};

/* What the objects given out are, held against the oracle. */
typedef struct Verdict {
  const Oracle *oracle;
  int32_t *times_seen; /* of each shape */
  int64_t objects;
  int64_t mixed;   /* objects with pixels of another shape or of none */
  int64_t partial; /* objects that lack pixels of their shape */
  uint64_t order;  /* of what came: a hash */
} Verdict;

static uint64_t mix(uint64_t hash, int64_t value)
{
  hash = (hash ^ (uint64_t)value) * 0x9E3779B97F4A7C15U;
  return hash ^ (hash >> 31);
}

static int32_t label_of(const Oracle *oracle, int64_t x, int64_t y)
{
  return oracle->labels[y * oracle->width_px + x];
}

static Status judge(void *context, const WholeObject *object, bool *wanted)
{
  Verdict *verdict = context;
  const ObjectMask *mask = object->mask;
  const Window window = mask->window;
  const int32_t shape =
      label_of(verdict->oracle, window.x_px + mask->runs[0].first_px, window.y_px);
  bool is_mixed = shape == 0;
  for (int64_t row = 0; row < window.height_px; ++row)
    for (int64_t r = mask->row_start[row]; r < mask->row_start[row + 1]; ++r)
      for (int64_t x = mask->runs[r].first_px; x < mask->runs[r].end_px; ++x)
        is_mixed =
            is_mixed || label_of(verdict->oracle, window.x_px + x, window.y_px + row) != shape;
  ++verdict->objects;
  ++verdict->times_seen[shape];
  verdict->mixed += is_mixed;
  verdict->partial += mask->area_px != verdict->oracle->shapes[shape].area_px;
  verdict->order = mix(mix(verdict->order, object->first_tile), object->first_index);
  verdict->order = mix(mix(verdict->order, mask->area_px), object->owner_tile);
  verdict->order = mix(verdict->order, (int64_t)(object->score * 0x1p40));
  return STATUS_OK;
}

typedef struct Outcome {
  Verdict verdict;
  MergeCounts counts;
  int64_t found;
  int64_t missing;  /* shapes without an object */
  int64_t repeated; /* shapes with several */
} Outcome;

static Outcome run(const Oracle *oracle, const OracleDetector *detector, const TilePlan *plan,
                   MergeOptions options, bool pass_empty)
{
  Outcome outcome = {.verdict = {.oracle = oracle}};
  ObjectMerge *merge;
  outcome.verdict.times_seen =
      calloc((size_t)oracle->shape_count + 1, sizeof *outcome.verdict.times_seen);
  assert_non_null(outcome.verdict.times_seen);
  const Window raster = {0, 0, oracle->width_px, oracle->height_px};
  CHECK_OK(object_merge_open(raster, plan, options, judge, &outcome.verdict, &merge));
  outcome.found = oracle_detect(oracle, detector, plan, pass_empty, merge);
  CHECK_OK(object_merge_finish(merge, &outcome.counts));
  object_merge_close(merge);
  for (int32_t shape = 1; shape <= oracle->shape_count; ++shape) {
    outcome.missing += outcome.verdict.times_seen[shape] == 0;
    outcome.repeated += outcome.verdict.times_seen[shape] > 1;
  }
  free(outcome.verdict.times_seen);
  return outcome;
}

static void check_whole(const Oracle *oracle, const Outcome *outcome, const char *where)
{
  const MergeCounts *counts = &outcome->counts;
  if (outcome->verdict.objects != oracle->shape_count || outcome->missing != 0 ||
      outcome->repeated != 0 || outcome->verdict.mixed != 0 || outcome->verdict.partial != 0)
    fail_msg("%s: %d shapes, %lld objects: %lld shapes missing, %lld repeated, %lld objects mixed, "
             "%lld partial; %lld found, %lld kept, %lld merged, %lld suppressed (%lld empty, %lld "
             "outside)",
             where, (int)oracle->shape_count, (long long)outcome->verdict.objects,
             (long long)outcome->missing, (long long)outcome->repeated,
             (long long)outcome->verdict.mixed, (long long)outcome->verdict.partial,
             (long long)counts->found, (long long)counts->kept, (long long)counts->merged,
             (long long)counts->suppressed, (long long)counts->empty, (long long)counts->outside);
  assert_int_equal(counts->found, outcome->found);
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
  const Window raster = {0, 0, oracle->width_px, oracle->height_px};
  char where[128];
  TilePlan plan;
  CHECK_OK(tile_plan_make(raster, raster, tiles, &plan));
  detector.use_apart_class = has_bare_borders(&plan);
  MergeOptions options = plain;
  if (detector.duplicate_share > 0) options.nms_overlap = 0.5;
  const Outcome outcome = run(oracle, &detector, &plan, options, false);
  snprintf(where, sizeof where, "%d shapes, tiles of %d px, padding %d px, %s", oracle->shape_count,
           tiles.tile_px, tiles.padding_px, modes[detector.mode]);
  check_whole(oracle, &outcome, where);
  if (detector.duplicate_share == 0) assert_int_equal(outcome.counts.suppressed, 0);
}

static void check_sizes(const Oracle *oracle, OracleDetector detector)
{
  static const int32_t tile_px[] = {32, 48, 64, 96, 128, 256, 1024};
  static const int32_t padding_px[] = {0, 1, 2, 4, 8, 13, 16, 24, 32, 64};
  for (size_t t = 0; t < sizeof tile_px / sizeof *tile_px; ++t)
    for (size_t p = 0; p < sizeof padding_px / sizeof *padding_px; ++p) {
      const TileOptions tiles = {
          .tile_px = tile_px[t], .padding_px = padding_px[p], .batch_size = 4, .size_multiple = 8};
      if (2 * tiles.padding_px <= tiles.tile_px - tiles.size_multiple)
        check_plan(oracle, tiles, detector);
    }
}

static void every_shape_becomes_one_object_if_each_is_one_thing_per_tile(void **state)
{
  Oracle oracle;
  oracle_draw(1, 400, 420, 330, &oracle);
  check_sizes(&oracle, (OracleDetector){.mode = ORACLE_SHAPES});
  oracle_close(&oracle);
}

static void every_shape_becomes_one_object_if_each_piece_is_a_thing(void **state)
{
  Oracle oracle;
  oracle_draw(2, 400, 420, 330, &oracle);
  check_sizes(&oracle, (OracleDetector){.mode = ORACLE_PIECES_4});
  check_sizes(&oracle, (OracleDetector){.mode = ORACLE_PIECES_8});
  oracle_close(&oracle);
}

int main(void)
{
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_shape_becomes_one_object_if_each_is_one_thing_per_tile),
      cmocka_unit_test(every_shape_becomes_one_object_if_each_piece_is_a_thing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
