/* The rules of object_merge.h one by one, on two tiles of 32 x 24 px that overlap in columns
 * 24 … 31; the core of the left one ends before column 28. */
#include <math.h>

#include "base/random.h"
#include "object_merge.h"
#include "object_oracle.h"
#include "support/check.h"

static const Window raster = {0, 0, 56, 24};
static const MergeOptions plain = {.agreement = 0.5, .nms_overlap = 0.3, .edge_px = 1};

enum { MOST = 64 };

typedef struct Given {
  WholeObject objects[MOST]; /* their masks are gone */
  Window windows[MOST];
  int64_t areas[MOST];
  int64_t count;
  int32_t unwanted_class; /* -1: none */
} Given;

typedef struct Bench {
  TilePlan plan;
  ObjectMerge *merge;
  Given given;
  MergeCounts counts;
} Bench;

static Status take(void *context, const WholeObject *object, bool *wanted)
{
  Given *given = context;
  assert_true(*wanted);
  assert_true(given->count < MOST);
  given->objects[given->count] = *object;
  given->windows[given->count] = object->mask->window;
  given->areas[given->count++] = object->mask->area_px;
  *wanted = object->class_index != given->unwanted_class;
  return STATUS_OK;
}

/* A raster of another size, tiles of 32 px. */
static void begin_on(Bench *bench, Window area, int32_t padding_px, MergeOptions options)
{
  const TileOptions tiles = {
      .tile_px = 32, .padding_px = padding_px, .batch_size = 1, .size_multiple = 8};
  *bench = (Bench){.given = {.unwanted_class = -1}};
  CHECK_OK(tile_plan_make(area, area, tiles, &bench->plan));
  CHECK_OK(object_merge_open(area, &bench->plan, options, take, &bench->given, &bench->merge));
}

static void begin(Bench *bench, MergeOptions options)
{
  begin_on(bench, raster, 4, options);
  assert_true(window_equal(tile_plan_tile(&bench->plan, 1), (Window){24, 0, 32, 24}));
  assert_true(window_equal(tile_plan_core(&bench->plan, 0), (Window){0, 0, 28, 24}));
}

static void end(Bench *bench)
{
  CHECK_OK(object_merge_finish(bench->merge, &bench->counts));
  object_merge_close(bench->merge);
  assert_int_equal(bench->counts.found,
                   bench->counts.kept + bench->counts.merged + bench->counts.suppressed);
}

/* A rectangle without a mask. */
static FoundThing box(int32_t class_index, double score, double x, double y, double width,
                      double height)
{
  return (FoundThing){
      .class_index = class_index, .score = score, .box = {x, y, x + width, y + height}};
}

static void add(Bench *bench, int64_t tile, const FoundThing *things, int64_t count)
{
  CHECK_OK(object_merge_add(bench->merge, tile, things, count));
}

/* One thing in each tile. */
static void merge_two(Bench *bench, MergeOptions options, FoundThing left, FoundThing right)
{
  begin(bench, options);
  add(bench, 0, &left, 1);
  add(bench, 1, &right, 1);
  end(bench);
}

static void of_two_whole_copies_the_one_at_home_is_the_object(void **state)
{
  Bench bench;
  merge_two(&bench, plain, box(3, 0.5, 25, 4, 5, 6), box(3, 0.9, 25, 4, 5, 7));
  assert_int_equal(bench.given.count, 1);
  const WholeObject *object = bench.given.objects;
  assert_int_equal(object->class_index, 3);
  assert_true(object->score == 0.5);
  assert_int_equal(bench.given.areas[0], 30);
  assert_true(object->box[3] == 10);
  assert_int_equal(object->owner_tile, 0);
  assert_int_equal(object->member_count, 2);
  assert_false(object->is_union);
  assert_int_equal(bench.counts.merged, 1);
  merge_two(&bench, plain, box(3, 0.9, 26, 4, 5, 6), box(3, 0.5, 26, 4, 5, 7));
  assert_int_equal(bench.given.count, 1);
  assert_int_equal(bench.given.areas[0], 35);
  assert_int_equal(bench.given.objects[0].owner_tile, 1);
}

static void a_thing_on_the_border_of_two_cores_belongs_to_one_of_them(void **state)
{
  Bench bench;
  merge_two(&bench, plain, box(0, 0.5, 26, 4, 4, 6), box(0, 0.9, 26, 4, 4, 7)); /* centre 27 */
  assert_int_equal(bench.given.objects[0].owner_tile, 0);
  assert_int_equal(bench.given.areas[0], 24);
  merge_two(&bench, plain, box(0, 0.5, 27, 4, 3, 6), box(0, 0.9, 27, 4, 3, 7)); /* centre 28 */
  assert_int_equal(bench.given.objects[0].owner_tile, 1);
  assert_int_equal(bench.given.areas[0], 21);
}

static void a_whole_thing_that_the_tile_at_home_missed_is_kept(void **state)
{
  Bench bench;
  begin(&bench, plain);
  const FoundThing thing = box(0, 0.4, 25, 4, 2, 5);
  add(&bench, 1, &thing, 1);
  end(&bench);
  assert_int_equal(bench.given.count, 1);
  assert_int_equal(bench.given.objects[0].owner_tile, 0);
  assert_int_equal(bench.given.objects[0].first_tile, 1);
  assert_false(bench.given.objects[0].is_fragment);
}

static void a_whole_copy_wins_over_a_fragment_of_higher_score(void **state)
{
  Bench bench;
  merge_two(&bench, plain, box(0, 0.4, 10, 4, 18, 5), box(0, 0.9, 24, 4, 4, 5));
  assert_int_equal(bench.given.count, 1);
  assert_true(window_equal(bench.given.windows[0], (Window){10, 4, 18, 5}));
  assert_true(bench.given.objects[0].score == 0.4);
  assert_int_equal(bench.counts.cut, 1);
  assert_int_equal(bench.counts.unions, 0);
}

static void halves_become_a_union_and_its_score_is_their_mean_by_area(void **state)
{
  Bench bench;
  merge_two(&bench, plain, box(0, 0.8, 2, 4, 30, 5), box(0, 0.4, 24, 4, 10, 5));
  assert_int_equal(bench.given.count, 1);
  assert_true(window_equal(bench.given.windows[0], (Window){2, 4, 32, 5}));
  assert_true(bench.given.objects[0].is_union);
  assert_true(bench.given.objects[0].box[2] == 34);
  assert_true(fabs(bench.given.objects[0].score - (0.8 * 30 + 0.4 * 10) / 40) < 1e-15);
  assert_int_equal(bench.counts.unions, 1);
  assert_int_equal(bench.counts.cut, 2);
}

static void halves_that_agree_exactly_at_the_threshold_are_joined_and_below_it_are_not(void **state)
{
  Bench bench;
  MergeOptions options = plain;
  options.nms_overlap = 1;
  /* 8 x 6 px of the overlap against 8 x 12: IoU 0.5. */
  merge_two(&bench, options, box(0, 0.8, 2, 4, 30, 6), box(0, 0.4, 24, 4, 30, 12));
  assert_int_equal(bench.given.count, 1);
  merge_two(&bench, options, box(0, 0.8, 2, 4, 30, 6), box(0, 0.4, 24, 4, 30, 13));
  assert_int_equal(bench.given.count, 2);
  assert_true(bench.given.objects[0].is_fragment);
}

static void other_classes_are_never_joined(void **state)
{
  Bench bench;
  merge_two(&bench, plain, box(0, 0.8, 2, 4, 30, 5), box(1, 0.4, 24, 4, 10, 5));
  assert_int_equal(bench.given.count, 2);
  MergeOptions across = plain;
  across.nms_across_classes = true;
  across.nms_overlap = 0;
  merge_two(&bench, across, box(0, 0.8, 2, 4, 30, 5), box(1, 0.4, 24, 4, 10, 5));
  assert_int_equal(bench.given.count, 1);
  assert_int_equal(bench.given.objects[0].class_index, 0);
  assert_int_equal(bench.counts.by_nms, 1);
}

static void things_of_one_tile_are_never_joined(void **state)
{
  const FoundThing things[2] = {box(0, 0.8, 2, 4, 30, 5), box(0, 0.9, 2, 9, 30, 5)};
  Bench bench;
  begin(&bench, plain);
  add(&bench, 0, things, 2);
  end(&bench);
  assert_int_equal(bench.given.count, 2);
}

static void row_houses_that_touch_stay_apart(void **state)
{
  const FoundThing left[3] = {box(0, 0.8, 20, 0, 12, 8), box(0, 0.7, 20, 8, 12, 8),
                              box(0, 0.6, 20, 16, 12, 8)};
  const FoundThing right[3] = {box(0, 0.6, 24, 0, 12, 7), box(0, 0.7, 24, 7, 12, 8),
                               box(0, 0.8, 24, 15, 12, 9)}; /* one row off */
  Bench bench;
  begin(&bench, plain);
  add(&bench, 0, left, 3);
  add(&bench, 1, right, 3);
  end(&bench);
  assert_int_equal(bench.given.count, 3);
  assert_int_equal(bench.counts.unions, 3);
}

/* As add, of pictures that are the whole raster; only what the tile sees counts. */
static void add_drawn(Bench *bench, int64_t tile, const char *const *rows, int32_t row_count,
                      char letter, double score)
{
  uint8_t bytes[24][56] = {{0}};
  ObjectMask *mask;
  for (int32_t y = 0; y < row_count; ++y)
    for (int32_t x = 0; x < 56; ++x)
      bytes[y][x] = rows[y][x] == letter;
  CHECK_OK(object_mask_from_bytes(bytes[0], 56, raster, &mask));
  FoundThing thing = box(0, score, 0, 0, 56, 24);
  thing.mask = mask;
  add(bench, tile, &thing, 1);
  object_mask_close(mask);
}

static void a_stray_blob_upon_a_neighbour_joins_nothing(void **state)
{
  static const char *const rows[] = {
      /*       1         2         3         4         5     */
      "........................................................", //
      "....aaaaaaaa..................ccbbbbbbbb................", //
      "....aaaaaaaa..................ccbbbbbbbb................", //
      "....aaaaaaaa..................ccbbbbbbbb................",
  };
  char left[4][57];
  char right[4][57];
  const char *left_rows[4];
  const char *right_rows[4];
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 57; ++x) {
      left[y][x] = rows[y][x] == 'c' ? 'a' : rows[y][x];
      right[y][x] = rows[y][x] == 'c' ? 'b' : rows[y][x];
    }
    left_rows[y] = left[y];
    right_rows[y] = right[y];
  }
  Bench bench;
  begin(&bench, plain);
  add_drawn(&bench, 0, left_rows, 4, 'a', 0.5);
  add_drawn(&bench, 1, right_rows, 4, 'b', 0.5);
  end(&bench);
  assert_int_equal(bench.given.count, 2);
}

static void a_whole_thing_takes_none_that_does_not_lie_in_it(void **state)
{
  Bench bench;
  begin(&bench, plain);
  const FoundThing left = box(0, 0.5, 2, 4, 30, 6);
  const FoundThing right[2] = {box(0, 0.5, 24, 4, 26, 6), box(0, 0.9, 25, 4, 8, 6)};
  add(&bench, 0, &left, 1);
  add(&bench, 1, right, 2);
  end(&bench);
  assert_int_equal(bench.given.count, 2);
  assert_true(window_equal(bench.given.windows[0], (Window){2, 4, 48, 6}));
  assert_int_equal(bench.given.objects[0].member_count, 2);
  assert_int_equal(bench.given.areas[1], 8 * 6);
}

/* The right one is whole and in half or more of the left one; then a quarter and less as sure. */
static void a_weak_member_adds_only_what_no_stronger_ones_tile_saw(void **state)
{
  Bench bench;
  merge_two(&bench, plain, box(0, 0.8, 2, 4, 30, 5), box(0, 0.2, 24, 4, 12, 7));
  assert_int_equal(bench.given.count, 1);
  assert_int_equal(bench.given.areas[0], 30 * 5 + 8 * 2 + 4 * 7); /* 0.2 is a quarter of 0.8 */
  merge_two(&bench, plain, box(0, 0.8, 2, 4, 30, 5), box(0, 0.1, 24, 4, 12, 7));
  assert_int_equal(bench.given.count, 1);
  assert_int_equal(bench.given.areas[0], 30 * 5 + 4 * 7);
  assert_int_equal(bench.given.objects[0].member_count, 2);
  assert_true(bench.given.objects[0].score == 0.8);
  assert_true(bench.given.objects[0].box[3] == 11);
  /* A whole copy that is weak is not the object, and adds nothing: it is seen by both. */
  merge_two(&bench, plain, box(0, 0.8, 2, 4, 30, 5), box(0, 0.1, 25, 4, 7, 5));
  assert_int_equal(bench.given.areas[0], 30 * 5);
}

/* Two overlap in one tile, by less than half; both have a link to the same. It is the stronger
 * link's, whatever comes first. */
static void rivals_of_one_tile_are_never_of_one_object(void **state)
{
  static const double score_of_left[2] = {0.9, 0.4};
  MergeOptions options = plain;
  options.nms_overlap = 1;
  for (int i = 0; i < 2; ++i) {
    Bench bench;
    begin(&bench, options);
    const FoundThing left = box(0, score_of_left[i], 2, 4, 30, 12);
    const FoundThing right[2] = {box(0, 0.5, 24, 9, 24, 8), box(0, 0.6, 24, 4, 8, 8)};
    add(&bench, 0, &left, 1);
    add(&bench, 1, right, 2);
    end(&bench);
    assert_int_equal(bench.given.count, 2);
    assert_int_equal(bench.given.objects[0].member_count, 2);
    assert_true(window_equal(bench.given.windows[0], (Window){2, 4, 30, 12}));
    assert_int_equal(bench.given.areas[1], 24 * 8);
  }
}

/* A weak blob in each tile would tie two strong things together. */
static void what_a_stronger_one_of_its_tile_holds_links_nothing(void **state)
{
  Bench bench;
  const FoundThing left[2] = {box(0, 0.9, 2, 4, 30, 6), box(0, 0.1, 12, 4, 20, 9)};
  const FoundThing right[2] = {box(0, 0.9, 24, 4, 24, 6), box(0, 0.1, 24, 4, 14, 9)};
  begin(&bench, plain);
  add(&bench, 0, left, 2);
  add(&bench, 1, right, 2);
  end(&bench);
  assert_int_equal(bench.given.count, 1);
  assert_true(window_equal(bench.given.windows[0], (Window){2, 4, 46, 6}));
  assert_true(bench.given.objects[0].score == 0.9);
  assert_int_equal(bench.counts.merged, 3);
}

static ObjectMask *mask_of_two(Window a, Window b)
{
  ObjectMask *parts[2];
  ObjectMask *mask;
  CHECK_OK(object_mask_from_window(a, &parts[0]));
  CHECK_OK(object_mask_from_window(b, &parts[1]));
  CHECK_OK(object_mask_union((const ObjectMask *const *)parts, 2, &mask));
  object_mask_close(parts[0]);
  object_mask_close(parts[1]);
  return mask;
}

static void a_whole_thing_is_not_joined_to_a_cut_one_by_a_piece_of_it(void **state)
{
  Bench bench;
  begin(&bench, plain);
  const FoundThing left = box(0, 0.5, 25, 2, 5, 5);
  FoundThing right = box(0, 0.5, 24, 2, 26, 18);
  ObjectMask *mask = mask_of_two((Window){25, 2, 5, 5}, (Window){24, 12, 26, 8});
  right.mask = mask;
  add(&bench, 0, &left, 1);
  add(&bench, 1, &right, 1);
  end(&bench);
  object_mask_close(mask);
  assert_int_equal(bench.given.count, 2);
}

/* The right one lacks a row in the middle, so that it comes in pieces which by themselves are less
 * than half of the left one. */
static void masks_that_agree_across_the_overlap_are_joined_though_their_pieces_do_not(void **state)
{
  Bench bench;
  begin(&bench, plain);
  const FoundThing left = box(0, 0.5, 2, 4, 30, 9);
  FoundThing right = box(0, 0.5, 24, 4, 32, 9);
  ObjectMask *mask = mask_of_two((Window){24, 4, 32, 4}, (Window){24, 9, 32, 4});
  right.mask = mask;
  add(&bench, 0, &left, 1);
  add(&bench, 1, &right, 1);
  end(&bench);
  object_mask_close(mask);
  assert_int_equal(bench.given.count, 1);
}

static void what_a_mask_has_beyond_its_tile_does_not_count(void **state)
{
  Bench bench;
  begin(&bench, plain);
  FoundThing thing = box(0, 0.5, 20, 4, 30, 9);
  ObjectMask *mask;
  CHECK_OK(object_mask_from_window((Window){20, -4, 30, 12}, &mask));
  thing.mask = mask;
  add(&bench, 0, &thing, 1);
  end(&bench);
  object_mask_close(mask);
  assert_true(window_equal(bench.given.windows[0], (Window){20, 0, 12, 8}));
}

/* Tiles that meet at column 32. */
static int64_t objects_over_a_bare_border(FoundThing left, FoundThing right)
{
  Bench bench;
  begin_on(&bench, (Window){0, 0, 64, 24}, 0, plain);
  assert_true(window_equal(tile_plan_tile(&bench.plan, 1), (Window){32, 0, 32, 24}));
  add(&bench, 0, &left, 1);
  add(&bench, 1, &right, 1);
  end(&bench);
  return bench.given.count;
}

static void over_a_bare_border_what_touches_enough_is_joined(void **state)
{
  const FoundThing left = box(0, 0.5, 20, 4, 12, 6); /* rows 4 … 9 */
  assert_int_equal(objects_over_a_bare_border(left, box(0, 0.5, 32, 4, 5, 6)), 1);
  assert_int_equal(objects_over_a_bare_border(left, box(0, 0.5, 33, 4, 5, 6)), 2);
  assert_int_equal(objects_over_a_bare_border(left, box(1, 0.5, 32, 4, 5, 6)), 2);
  /* Of 6 rows beside 6, diagonal neighbours count: 3 of 6 do, 2 do not. */
  assert_int_equal(objects_over_a_bare_border(left, box(0, 0.5, 32, 8, 5, 6)), 1);
  assert_int_equal(objects_over_a_bare_border(left, box(0, 0.5, 32, 9, 5, 6)), 2);
  /* A corner touches the whole of a single row. */
  assert_int_equal(objects_over_a_bare_border(left, box(0, 0.5, 32, 10, 5, 1)), 1);
  assert_int_equal(objects_over_a_bare_border(left, box(0, 0.5, 32, 11, 5, 1)), 2);
}

static void a_lone_fragment_is_merged_into_an_object_of_its_tile_if_that_outranks_it(void **state)
{
  Bench bench;
  MergeOptions options = plain;
  options.nms_overlap = 1;
  const FoundThing things[2] = {box(0, 0.9, 4, 4, 24, 10), box(0, 0.5, 20, 4, 12, 6)};
  const FoundThing turned[2] = {box(0, 0.5, 4, 4, 24, 10), box(0, 0.9, 20, 4, 12, 6)};
  begin(&bench, options);
  add(&bench, 0, things, 2);
  end(&bench);
  assert_int_equal(bench.given.count, 1);
  assert_int_equal(bench.given.areas[0], 240);
  begin(&bench, options);
  add(&bench, 0, turned, 2);
  end(&bench);
  assert_int_equal(bench.given.count, 2);
}

static void
of_two_lone_fragments_the_smaller_is_merged_into_the_larger_if_that_is_stronger(void **state)
{
  Bench bench;
  MergeOptions options = plain;
  options.exclude_pad_detections = true;
  /* Of the overlap, 8 x 6 against 3 x 6 px: they do not agree. */
  merge_two(&bench, options, box(0, 0.9, 20, 4, 12, 6), box(0, 0.9, 24, 4, 3, 6));
  assert_int_equal(bench.given.count, 1);
  assert_int_equal(bench.given.areas[0], 72);
  assert_int_equal(bench.given.objects[0].member_count, 2);
  assert_false(bench.given.objects[0].is_fragment); /* so it is not excluded */
  merge_two(&bench, options, box(0, 0.5, 29, 4, 3, 6), box(0, 0.9, 24, 4, 12, 6));
  assert_int_equal(bench.given.count, 1);
  assert_int_equal(bench.given.areas[0], 72);
  options.exclude_pad_detections = false;
  merge_two(&bench, options, box(0, 0.5, 20, 4, 12, 6), box(0, 0.9, 24, 4, 3, 6));
  assert_int_equal(bench.given.count, 2);
}

/* What lies over the fragment is open until the next row of tiles has been seen; the object that
 * the fragment lies in could be given out before, but then would not count it. */
static void an_object_waits_for_what_may_yet_be_merged_into_it(void **state)
{
  Bench bench;
  begin_on(&bench, (Window){0, 0, 56, 56}, 4, plain);
  const FoundThing left[2] = {box(0, 0.9, 10, 2, 20, 10), box(0, 0.9, 20, 16, 7, 14)};
  const FoundThing right = box(0, 0.5, 24, 4, 5, 14);
  add(&bench, 0, left, 2);
  add(&bench, 1, &right, 1);
  end(&bench);
  assert_int_equal(bench.given.count, 2);
  assert_int_equal(bench.given.objects[0].first_index, 0);
  assert_int_equal(bench.given.objects[0].member_count, 2);
}

/* The first thing reaches into the next row of tiles, the second does not. */
static void rows_of_tiles_end_one_by_one_also_where_they_are_skipped(void **state)
{
  const FoundThing top[2] = {box(0, 0.9, 2, 2, 6, 28), box(0, 0.9, 12, 2, 6, 6)};
  const FoundThing bottom = box(0, 0.9, 2, 60, 6, 6);
  for (int skip = 0; skip < 2; ++skip) {
    Bench bench;
    begin_on(&bench, (Window){0, 0, 24, 80}, 4, plain);
    assert_int_equal(bench.plan.rows.count, 3);
    add(&bench, 0, top, 2);
    if (skip == 0) add(&bench, 1, NULL, 0);
    add(&bench, 2, &bottom, 1);
    end(&bench);
    assert_int_equal(bench.given.count, 3);
    assert_int_equal(bench.given.objects[0].first_index, 1);
    assert_int_equal(bench.given.objects[1].first_index, 0);
    assert_int_equal(bench.given.objects[2].first_tile, 2);
  }
}

/* Two columns that a row at the top joins, through all tiles; and a thing between them. */
static void a_thing_that_a_long_one_does_not_touch_does_not_wait_for_its_end(void **state)
{
  Bench bench;
  ObjectMask *masks[3];
  begin_on(&bench, (Window){0, 0, 24, 80}, 4, plain);
  masks[1] = mask_of_two((Window){0, 0, 2, 80}, (Window){20, 0, 2, 80});
  CHECK_OK(object_mask_from_window((Window){0, 0, 22, 2}, &masks[0]));
  CHECK_OK(object_mask_union((const ObjectMask *const *)masks, 2, &masks[2]));
  FoundThing things[2] = {box(0, 0.9, 0, 0, 22, 80), box(0, 0.5, 8, 6, 4, 4)};
  things[0].mask = masks[2];
  add(&bench, 0, things, 2);
  add(&bench, 1, things, 1);
  assert_int_equal(bench.given.count, 1);
  assert_int_equal(bench.given.areas[0], 16);
  add(&bench, 2, things, 1);
  end(&bench);
  assert_int_equal(bench.given.count, 2);
  assert_int_equal(bench.given.areas[1], masks[2]->area_px);
  for (int m = 0; m < 3; ++m)
    object_mask_close(masks[m]);
}

/* Two arms that join in the second row of tiles: the left one begins higher, the right one is seen
 * by more tiles, and what they join to goes on into the third. */
static void a_thing_upon_an_arm_waits_for_the_group_that_the_arm_belongs_to(void **state)
{
  Bench bench;
  MergeOptions options = plain;
  options.nms_overlap = 0;
  begin_on(&bench, (Window){0, 0, 56, 80}, 4, options);
  ObjectMask *arms = mask_of_two((Window){2, 24, 4, 20}, (Window){10, 24, 30, 8});
  ObjectMask *joint = mask_of_two((Window){10, 32, 4, 28}, (Window){2, 40, 12, 4});
  ObjectMask *all;
  const ObjectMask *const parts[2] = {arms, joint};
  CHECK_OK(object_mask_union(parts, 2, &all));
  const FoundThing top_left[3] = {box(0, 0.5, 2, 0, 4, 32), box(0, 0.5, 10, 20, 22, 12),
                                  box(0, 0.1, 2, 4, 4, 6)};
  const FoundThing top_right = box(0, 0.5, 24, 20, 16, 12);
  FoundThing below = box(0, 0.5, 2, 24, 38, 36);
  below.mask = all;
  add(&bench, 0, top_left, 3);
  add(&bench, 1, &top_right, 1);
  add(&bench, 2, &below, 1);
  add(&bench, 4, &below, 1);
  end(&bench);
  assert_int_equal(bench.given.count, 1);
  assert_int_equal(bench.given.objects[0].member_count, 5);
  assert_int_equal(bench.counts.by_nms, 1);
  object_mask_close(arms);
  object_mask_close(joint);
  object_mask_close(all);
}

static void a_lone_fragment_inside_a_stronger_object_of_another_tile_is_merged_into_it(void **state)
{
  Bench bench;
  /* Of the overlap, 8 x 6 against 2 x 6 px: they do not agree. */
  MergeOptions options = plain;
  options.nms_overlap = 1;
  merge_two(&bench, options, box(0, 0.9, 10, 4, 21, 6), box(0, 0.5, 24, 4, 2, 6));
  assert_int_equal(bench.given.count, 1);
  assert_int_equal(bench.given.areas[0], 21 * 6);
  assert_int_equal(bench.given.objects[0].member_count, 2);
  assert_int_equal(bench.counts.merged, 1);
}

static void a_lone_fragment_is_kept_and_marked_or_excluded_on_demand(void **state)
{
  Bench bench;
  MergeOptions options = plain;
  const FoundThing thing = box(0, 0.9, 10, 4, 22, 6);
  for (int exclude = 0; exclude < 2; ++exclude) {
    options.exclude_pad_detections = exclude == 1;
    begin(&bench, options);
    add(&bench, 0, &thing, 1);
    end(&bench);
    assert_int_equal(bench.given.count, 1 - exclude);
    assert_int_equal(bench.counts.excluded, exclude);
    assert_int_equal(bench.counts.fragments, 1 - exclude);
  }
  /* With a counterpart it stays. */
  merge_two(&bench, options, thing, box(0, 0.9, 24, 4, 9, 6));
  assert_int_equal(bench.given.count, 1);
}

static void the_edge_of_the_raster_cuts_nothing(void **state)
{
  Bench bench;
  const FoundThing thing = box(0, 0.9, 0, 0, 6, 24);
  begin(&bench, plain);
  add(&bench, 0, &thing, 1);
  end(&bench);
  assert_int_equal(bench.counts.cut, 0);
  assert_false(bench.given.objects[0].is_fragment);
}

static void edge_px_says_how_close_to_a_side_is_cut(void **state)
{
  Bench bench;
  MergeOptions options = plain;
  const FoundThing thing = box(0, 0.9, 20, 4, 10, 6); /* two columns short of the side */
  for (int32_t edge_px = 1; edge_px <= 4; ++edge_px) {
    options.edge_px = edge_px;
    begin(&bench, options);
    add(&bench, 0, &thing, 1);
    end(&bench);
    assert_int_equal(bench.counts.cut, edge_px >= 3);
  }
}

static void a_box_is_the_pixels_whose_centres_it_holds_at_least_one(void **state)
{
  Bench bench;
  const FoundThing things[3] = {box(0, 0.9, 1.5, 2.4, 2.0, 2.2), box(1, 0.9, 10.6, 5.6, 0.1, 0.1),
                                box(2, 0.9, 12, 5, 0, 3)};
  begin(&bench, plain);
  add(&bench, 0, things, 3);
  end(&bench);
  assert_int_equal(bench.given.count, 2);
  assert_true(window_equal(bench.given.windows[0], (Window){1, 2, 2, 3}));
  assert_true(window_equal(bench.given.windows[1], (Window){10, 5, 1, 1}));
  assert_int_equal(bench.counts.empty, 1);
}

static void of_a_pair_above_the_limit_the_lower_score_goes_and_of_equals_the_later(void **state)
{
  Bench bench;
  const FoundThing things[4] = {box(0, 0.5, 2, 2, 10, 10),
                                box(0, 0.9, 2, 4, 10, 10), /* IoU 80 / 120 */
                                box(1, 0.5, 2, 2, 10, 10), box(1, 0.5, 2, 4, 10, 10)};
  begin(&bench, plain);
  add(&bench, 0, things, 4);
  end(&bench);
  assert_int_equal(bench.given.count, 2);
  assert_int_equal(bench.given.objects[0].first_index, 1);
  assert_int_equal(bench.given.objects[1].first_index, 2);
  assert_int_equal(bench.counts.by_nms, 2);
  MergeOptions options = plain;
  options.nms_overlap = 80.0 / 120.0; /* not above */
  begin(&bench, options);
  add(&bench, 0, things, 4);
  end(&bench);
  assert_int_equal(bench.given.count, 4);
}

static void what_was_suppressed_suppresses_nothing(void **state)
{
  Bench bench;
  const FoundThing things[3] = {box(0, 0.9, 2, 2, 10, 10), box(0, 0.8, 2, 6, 10, 10),
                                box(0, 0.7, 2, 10, 10, 10)};
  begin(&bench, plain);
  add(&bench, 0, things, 3);
  end(&bench);
  assert_int_equal(bench.given.count, 2);
  assert_int_equal(bench.given.objects[1].first_index, 2);
}

static void what_lies_outside_of_the_output_is_dropped_and_counted(void **state)
{
  TilePlan plan;
  Given given = {.unwanted_class = -1};
  MergeCounts counts;
  ObjectMerge *merge;
  const TileOptions tiles = {.tile_px = 32, .padding_px = 4, .batch_size = 1, .size_multiple = 8};
  CHECK_OK(tile_plan_make(raster, (Window){8, 8, 10, 8}, tiles, &plan));
  CHECK_OK(object_merge_open(raster, &plan, plain, take, &given, &merge));
  const FoundThing things[2] = {box(0, 0.9, 10, 4, 3, 4), box(0, 0.9, 14, 4, 3, 5)};
  CHECK_OK(object_merge_add(merge, 0, things, 2));
  CHECK_OK(object_merge_finish(merge, &counts));
  object_merge_close(merge);
  assert_int_equal(counts.kept, 1);
  assert_int_equal(counts.outside, 1);
  assert_int_equal(counts.suppressed, 1);
  assert_int_equal(given.areas[0], 15);
}

static void what_the_caller_does_not_want_counts_with_all_its_members(void **state)
{
  Bench bench;
  begin(&bench, plain);
  bench.given.unwanted_class = 4;
  const FoundThing left = box(4, 0.8, 2, 4, 30, 5);
  const FoundThing right = box(4, 0.4, 24, 4, 10, 5);
  add(&bench, 0, &left, 1);
  add(&bench, 1, &right, 1);
  end(&bench);
  assert_int_equal(bench.counts.kept, 0);
  assert_int_equal(bench.counts.unwanted, 2);
}

static Status refuse(void *context, const WholeObject *object, bool *wanted)
{
  return status_set(STATUS_IO, "the disk is full");
}

static void bad_calls_are_refused(void **state)
{
  Bench bench;
  FoundThing thing = box(0, 0.8, 2, 4, 3, 5);
  begin(&bench, plain);
  add(&bench, 1, &thing, 1);
  CHECK_FAILS(STATUS_BAD_INPUT, "tile 1 comes after tile 1 of 2",
              object_merge_add(bench.merge, 1, &thing, 1));
  CHECK_FAILS(STATUS_BAD_INPUT, "tile 2", object_merge_add(bench.merge, 2, &thing, 1));
  object_merge_close(bench.merge);
  begin(&bench, plain);
  thing.score = NAN;
  CHECK_FAILS(STATUS_BAD_INPUT, "thing 0 of tile 0", object_merge_add(bench.merge, 0, &thing, 1));
  object_merge_close(bench.merge);
  begin(&bench, plain);
  thing = box(0, 0.8, 2, 4, INFINITY, 5);
  CHECK_FAILS(STATUS_BAD_INPUT, "thing 0 of tile 0", object_merge_add(bench.merge, 0, &thing, 1));
  object_merge_close(bench.merge);
  const MergeOptions wrong[] = {
      {.agreement = 0, .edge_px = 1},
      {.agreement = 1.01, .edge_px = 1},
      {.agreement = NAN, .edge_px = 1},
      {.agreement = 1, .nms_overlap = -0.1, .edge_px = 1},
      {.agreement = 1, .nms_overlap = 1.1, .edge_px = 1},
      {.agreement = 1, .edge_px = 0},
  };
  for (size_t w = 0; w < sizeof wrong / sizeof *wrong; ++w)
    CHECK_FAILS(STATUS_BAD_OPTION, "it is",
                object_merge_open(raster, &bench.plan, wrong[w], take, NULL, &bench.merge));
}

static void a_failure_of_the_taker_ends_the_merge(void **state)
{
  Bench bench;
  MergeCounts counts;
  const FoundThing thing = box(0, 0.8, 2, 4, 3, 5);
  begin(&bench, plain);
  object_merge_close(bench.merge);
  CHECK_OK(object_merge_open(raster, &bench.plan, plain, refuse, NULL, &bench.merge));
  add(&bench, 0, &thing, 1);
  CHECK_FAILS(STATUS_IO, "disk is full", object_merge_finish(bench.merge, &counts));
  object_merge_close(bench.merge);
}

int main(void)
{
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(of_two_whole_copies_the_one_at_home_is_the_object),
      cmocka_unit_test(a_thing_on_the_border_of_two_cores_belongs_to_one_of_them),
      cmocka_unit_test(a_whole_thing_that_the_tile_at_home_missed_is_kept),
      cmocka_unit_test(a_whole_copy_wins_over_a_fragment_of_higher_score),
      cmocka_unit_test(halves_become_a_union_and_its_score_is_their_mean_by_area),
      cmocka_unit_test(halves_that_agree_exactly_at_the_threshold_are_joined_and_below_it_are_not),
      cmocka_unit_test(other_classes_are_never_joined),
      cmocka_unit_test(things_of_one_tile_are_never_joined),
      cmocka_unit_test(row_houses_that_touch_stay_apart),
      cmocka_unit_test(a_stray_blob_upon_a_neighbour_joins_nothing),
      cmocka_unit_test(a_whole_thing_takes_none_that_does_not_lie_in_it),
      cmocka_unit_test(a_weak_member_adds_only_what_no_stronger_ones_tile_saw),
      cmocka_unit_test(rivals_of_one_tile_are_never_of_one_object),
      cmocka_unit_test(what_a_stronger_one_of_its_tile_holds_links_nothing),
      cmocka_unit_test(a_whole_thing_is_not_joined_to_a_cut_one_by_a_piece_of_it),
      cmocka_unit_test(masks_that_agree_across_the_overlap_are_joined_though_their_pieces_do_not),
      cmocka_unit_test(what_a_mask_has_beyond_its_tile_does_not_count),
      cmocka_unit_test(over_a_bare_border_what_touches_enough_is_joined),
      cmocka_unit_test(a_lone_fragment_is_merged_into_an_object_of_its_tile_if_that_outranks_it),
      cmocka_unit_test(
          of_two_lone_fragments_the_smaller_is_merged_into_the_larger_if_that_is_stronger),
      cmocka_unit_test(an_object_waits_for_what_may_yet_be_merged_into_it),
      cmocka_unit_test(rows_of_tiles_end_one_by_one_also_where_they_are_skipped),
      cmocka_unit_test(a_thing_that_a_long_one_does_not_touch_does_not_wait_for_its_end),
      cmocka_unit_test(a_thing_upon_an_arm_waits_for_the_group_that_the_arm_belongs_to),
      cmocka_unit_test(a_lone_fragment_inside_a_stronger_object_of_another_tile_is_merged_into_it),
      cmocka_unit_test(a_lone_fragment_is_kept_and_marked_or_excluded_on_demand),
      cmocka_unit_test(the_edge_of_the_raster_cuts_nothing),
      cmocka_unit_test(edge_px_says_how_close_to_a_side_is_cut),
      cmocka_unit_test(a_box_is_the_pixels_whose_centres_it_holds_at_least_one),
      cmocka_unit_test(of_a_pair_above_the_limit_the_lower_score_goes_and_of_equals_the_later),
      cmocka_unit_test(what_was_suppressed_suppresses_nothing),
      cmocka_unit_test(what_lies_outside_of_the_output_is_dropped_and_counted),
      cmocka_unit_test(what_the_caller_does_not_want_counts_with_all_its_members),
      cmocka_unit_test(bad_calls_are_refused),
      cmocka_unit_test(a_failure_of_the_taker_ends_the_merge),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
