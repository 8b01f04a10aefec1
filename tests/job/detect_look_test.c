#include "detect_look.h"

#include <math.h>

#include "base/memory.h"
#include "detect_record.h"
#include "support/check.h"

/* An engine that finds single pixels of uint8 above 0, row by row, of the class of their value; no
 * more than it may. */
enum { SIDE = 256, BATCH = 2, PIXELS = SIDE * SIDE, THINGS_MOST = 4096 };

typedef struct Finder {
  float shift_px; /* of all boxes */
  int32_t limit;
  int32_t runs;
  DetectThing things[BATCH * THINGS_MOST];
} Finder;

static const uint8_t one = 1;

static Status end(void *engine, int32_t lane, const void *pixels, const uint8_t *valid,
                  DetectTile *tiles)
{
  Finder *finder = engine;
  int32_t all = 0;
  ++finder->runs;
  for (int32_t image = 0; image < BATCH; ++image) {
    tiles[image] = (DetectTile){.things = finder->things + all};
    for (int32_t i = 0; i < PIXELS; ++i) {
      const uint8_t value = ((const uint8_t *)pixels)[image * PIXELS + i];
      const int32_t x = i % SIDE, y = i / SIDE;
      assert_true(value == 0 || valid[image * PIXELS + i] == 1);
      if (value == 0) continue;
      tiles[image].full = tiles[image].count == finder->limit;
      if (tiles[image].full) break;
      finder->things[all++] = (DetectThing){.class_index = value,
                                            .score = 0.5F,
                                            .x1 = (float)x,
                                            .y1 = (float)y,
                                            .x2 = (float)(x + 1) + finder->shift_px,
                                            .y2 = (float)(y + 1),
                                            .mask_x_px = x,
                                            .mask_y_px = y,
                                            .mask_width_px = 1,
                                            .mask_height_px = 1,
                                            .mask = &one};
      ++tiles[image].count;
    }
  }
  return STATUS_OK;
}

static const DetectEngine table = {.end = end};

typedef struct Fixture {
  Device *device;
  Finder *finder;
  uint8_t *pixels;
  uint8_t *valid;
  DetectSeen seen[BATCH];
} Fixture;

static int open_fixture(void **state)
{
  Fixture *f = calloc(1, sizeof *f);
  *state = f;
  if (f == NULL || device_open(-1, &f->device) != STATUS_OK) return -1;
  f->finder = calloc(1, sizeof *f->finder);
  f->pixels = calloc(BATCH, PIXELS);
  f->valid = calloc(BATCH, PIXELS);
  if (f->finder == NULL || f->pixels == NULL || f->valid == NULL) return -1;
  memset(f->valid, 1, (size_t)BATCH * PIXELS);
  return 0;
}

static int close_fixture(void **state)
{
  Fixture *f = *state;
  for (int32_t i = 0; i < BATCH; ++i)
    detect_list_free(&f->seen[i].things);
  device_close(f->device);
  free(f->finder);
  free(f->pixels);
  free(f->valid);
  free(f);
  return 0;
}

static void look(Fixture *f, int32_t limit, bool augments)
{
  DetectLook *looker;
  const DetectLookOptions options = {.pixel = PIXEL_U8,
                                     .band_count = 1,
                                     .batch_size = BATCH,
                                     .tile_width_px = SIDE,
                                     .tile_height_px = SIDE,
                                     .tile_multiple_px = 16,
                                     .has_masks = true,
                                     .augments = augments,
                                     .policy = DETECT_MEAN,
                                     .merge = {.agreement = 0.5, .nms_overlap = 0.5, .edge_px = 1}};
  f->finder->limit = limit;
  f->finder->runs = 0;
  CHECK_OK(detect_look_open(&table, f->finder, f->device, &options, &looker));
  CHECK_OK(detect_look_end(looker, 0, f->pixels, f->valid, f->seen));
  detect_look_close(looker);
}

/* Every eighth pixel of every eighth row of the second tile. */
static void draw(Fixture *f)
{
  for (int32_t y = 3; y < SIDE; y += 8)
    for (int32_t x = 5; x < SIDE; x += 8)
      f->pixels[PIXELS + y * SIDE + x] = (uint8_t)(1 + x % 3);
}

enum { DRAWN = (SIDE / 8) * (SIDE / 8) };

static void check_all_found(const Fixture *f)
{
  static uint8_t found_at[PIXELS];
  const DetectList *list = &f->seen[1].things;
  memset(found_at, 0, sizeof found_at);
  assert_int_equal(list->count, DRAWN);
  for (int64_t i = 0; i < list->count; ++i) {
    const DetectFound *found = &list->items[i];
    const int32_t place = found->mask_y_px * SIDE + found->mask_x_px;
    assert_int_equal(found->mask_width_px * found->mask_height_px, 1);
    assert_int_equal(detect_list_mask(list, found)[0], 1);
    assert_true(found->x1 == (float)found->mask_x_px && found->y2 == (float)found->mask_y_px + 1);
    assert_int_equal(found->class_index, f->pixels[PIXELS + place]);
    assert_int_equal(found_at[place], 0);
    found_at[place] = 1;
  }
}

static void a_tile_that_is_not_full_is_looked_at_once(void **state)
{
  Fixture *f = *state;
  draw(f);
  look(f, DRAWN, false);
  check_all_found(f);
  assert_int_equal(f->finder->runs, 1);
  assert_false(f->seen[1].was_full);
  assert_int_equal(f->seen[1].part_count, 0);
  assert_int_equal(f->seen[0].things.count, 0);
}

/* Parts of 160 px hold 20 x 20 of the 32 x 32. */
static void a_full_tile_is_looked_at_in_four_parts(void **state)
{
  Fixture *f = *state;
  draw(f);
  look(f, 400, false);
  check_all_found(f);
  assert_true(f->seen[1].was_full && !f->seen[1].is_still_full);
  assert_int_equal(f->seen[1].part_count, 4);
  assert_int_equal(f->finder->runs, 3); /* two parts at a time */
  assert_false(f->seen[0].was_full);
}

/* Parts of parts have 112 px (five eighths of 160, rounded up to 16): 14 x 14. */
static void parts_that_are_full_are_looked_at_in_parts_once_more(void **state)
{
  Fixture *f = *state;
  draw(f);
  look(f, 196, false);
  check_all_found(f);
  assert_false(f->seen[1].is_still_full);
  assert_int_equal(f->seen[1].part_count, 20);
}

static void what_is_still_full_then_says_so(void **state)
{
  Fixture *f = *state;
  draw(f);
  look(f, 195, false);
  assert_true(f->seen[1].is_still_full);
  assert_int_equal(f->seen[1].part_count, 20);
  assert_true(f->seen[1].things.count < DRAWN && f->seen[1].things.count > 195);
}

static void views_find_the_same_and_are_full_as_one(void **state)
{
  Fixture *f = *state;
  draw(f);
  look(f, DRAWN, true);
  check_all_found(f);
  assert_int_equal(f->finder->runs, 8);
  look(f, 400, true);
  check_all_found(f);
  assert_int_equal(f->seen[1].part_count, 4);
  assert_int_equal(f->finder->runs, 24);
}

static void an_object_outside_of_its_tile_is_an_error(void **state)
{
  static const float shifts_px[] = {SIDE, NAN, -2};
  Fixture *f = *state;
  DetectLook *looker;
  const DetectLookOptions options = {.pixel = PIXEL_U8,
                                     .band_count = 1,
                                     .batch_size = BATCH,
                                     .tile_width_px = SIDE,
                                     .tile_height_px = SIDE,
                                     .tile_multiple_px = 16};
  draw(f);
  f->finder->limit = DRAWN;
  CHECK_OK(detect_look_open(&table, f->finder, f->device, &options, &looker));
  for (size_t i = 0; i < sizeof shifts_px / sizeof *shifts_px; ++i) {
    f->finder->shift_px = shifts_px[i];
    CHECK_FAILS(STATUS_BAD_INPUT, "outside of its tile",
                detect_look_end(looker, 0, f->pixels, f->valid, f->seen));
  }
  detect_look_close(looker);
}

/* Records. */

static void what_was_found_comes_back_from_its_bytes(void **state)
{
  Fixture *f = *state;
  DetectRecord record = {0};
  DetectTileNote note;
  DetectThings things;
  int64_t at = DETECT_RECORD_HEAD_BYTES;
  draw(f);
  look(f, DRAWN, false);
  const DetectFound box = {.class_index = 9, .score = 0.25F, .x1 = 1.5F, .x2 = 2, .y2 = 3};
  CHECK_OK(detect_list_copy(&f->seen[0].things, &box, NULL));
  detect_record_clear(&record);
  for (int32_t i = 0; i < BATCH; ++i)
    CHECK_OK(detect_record_add(&record, (DetectTileNote){.without_data = 3 + i, .part_count = 4},
                               &f->seen[i].things, 1000 * i, -50));
  detect_record_finish(&record);
  assert_int_equal(detect_record_bytes(record.bytes), record.count);

  CHECK_OK(detect_record_next(&record, &at, &note, &things));
  assert_int_equal(note.count, 1);
  assert_int_equal(note.without_data, 3);
  assert_null(things.items[0].mask);
  assert_true(things.items[0].box[0] == 1.5 && things.items[0].box[3] == -47);
  assert_true(things.items[0].score == 0.25 && things.items[0].class_index == 9);
  detect_things_free(&things);
  CHECK_OK(detect_record_next(&record, &at, &note, &things));
  assert_int_equal(note.count, DRAWN);
  assert_int_equal(note.part_count, 4);
  assert_int_equal(things.items[0].mask->window.x_px, 1005);
  assert_int_equal(things.items[0].mask->window.y_px, -47);
  assert_int_equal(things.items[0].mask->area_px, 1);
  detect_things_free(&things);
  assert_int_equal(at, record.count);
  CHECK_FAILS(STATUS_BAD_INPUT, "breaks off", detect_record_next(&record, &at, &note, &things));
  detect_things_free(&things);
  detect_record_free(&record);
}

static void bytes_that_break_off_are_refused(void **state)
{
  Fixture *f = *state;
  DetectRecord record = {0};
  DetectTileNote note;
  DetectThings things;
  draw(f);
  look(f, DRAWN, false);
  detect_record_clear(&record);
  CHECK_OK(detect_record_add(&record, (DetectTileNote){0}, &f->seen[1].things, 0, 0));
  const int64_t whole = record.count;
  for (int64_t count = DETECT_RECORD_HEAD_BYTES; count < whole; count += 37) {
    int64_t at = DETECT_RECORD_HEAD_BYTES;
    record.count = count;
    assert_int_equal(detect_record_next(&record, &at, &note, &things), STATUS_BAD_INPUT);
    detect_things_free(&things);
  }
  detect_record_free(&record);
}

#define LOOK_TEST(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

int main(void)
{
  const struct CMUnitTest tests[] = {
      LOOK_TEST(a_tile_that_is_not_full_is_looked_at_once),
      LOOK_TEST(a_full_tile_is_looked_at_in_four_parts),
      LOOK_TEST(parts_that_are_full_are_looked_at_in_parts_once_more),
      LOOK_TEST(what_is_still_full_then_says_so),
      LOOK_TEST(views_find_the_same_and_are_full_as_one),
      LOOK_TEST(an_object_outside_of_its_tile_is_an_error),
      LOOK_TEST(what_was_found_comes_back_from_its_bytes),
      LOOK_TEST(bytes_that_break_off_are_refused),
  };
  return cmocka_run_group_tests_name("detect_look", tests, NULL, NULL);
}
