/* COCO as others write it, its masks, and what is wrong with it. */
#include <stdio.h>

#include "base/output.h"
#include "base/path.h"
#include "base/random.h"
#include "chip/chip_set.h"
#include "chip/object_fixture.h"
#include "coco_mask.h"
#include "geo/tiff_chip.h"

enum { SIDE = 10 };

/* Two pictures of 10 x 10, in images/ and beside it, and these annotations. */
static void write_set(const char *name, const char *json, char folder[FIXTURE_PATH_BYTES])
{
  char path[FIXTURE_PATH_BYTES];
  uint8_t pixels[SIDE * SIDE];
  const Grid grid = grid_subgrid(&fixture_grid, (Window){0, 0, SIDE, SIDE});
  const ChipImage image = {PIXEL_U8, SIDE, SIDE, 1, pixels};
  memset(pixels, 9, sizeof pixels);
  fixture_path(name, folder);
  CHECK_OK(path_join(folder, "images/sub", sizeof path, path));
  CHECK_OK(output_make_folder(path));
  CHECK_OK(path_join(folder, "images/sub/a.tif", sizeof path, path));
  CHECK_OK(tiff_chip_write(path, &grid, &image));
  CHECK_OK(path_join(folder, "b.tif", sizeof path, path));
  CHECK_OK(tiff_chip_write(path, &grid, &image));
  object_fixture_text(folder, "annotations.json", json);
}

#define IMAGES                                                                                     \
  "\"images\":[{\"id\":70,\"file_name\":\"sub/a.tif\",\"width\":10,\"height\":10},"                \
  "{\"id\":-3,\"file_name\":\"b.tif\"}],"
#define CATEGORIES "\"categories\":[{\"id\":5,\"name\":\"cat\"},{\"id\":2}],"
#define HEAD "{" IMAGES CATEGORIES "\"annotations\":["

static void check_window(const ChipObject *object, int x, int y, int width, int height)
{
  assert_int_equal(object->x_px, x);
  assert_int_equal(object->y_px, y);
  assert_int_equal(object->width_px, width);
  assert_int_equal(object->height_px, height);
}

static void masks_of_every_kind_are_read(void **state)
{
  char folder[FIXTURE_PATH_BYTES];
  ChipSet *set;
  ChipObjects objects = {0};
  write_set("kinds",
            HEAD
            /* runs, in numbers: 12 down the columns, then 3 set */
            "{\"image_id\":-3,\"category_id\":2,\"iscrowd\":0,\"segmentation\":{\"size\":[10,10],"
            "\"counts\":[12,3,85]}},"
            /* a triangle and, apart from it, a square */
            "{\"image_id\":70,\"category_id\":5,\"segmentation\":[[0,0,4,0,0,4],[6.4,6.4,8.6,6.4,8."
            "6,8.6,6.4,8.6]]},"
            /* the same runs, compressed: 12, 3, 85 */
            "{\"image_id\":70,\"category_id\":2,\"segmentation\":{\"size\":[10,10],\"counts\":"
            "\"<3e2\"}},"
            "{\"image_id\":70,\"category_id\":2,\"iscrowd\":1,\"segmentation\":{\"size\":[10,10],"
            "\"counts\":[0,100]}},"
            "{\"image_id\":70,\"category_id\":2,\"segmentation\":[[1,1,2,2]],\"bbox\":[1,1,1,1]},"
            "{\"image_id\":70,\"category_id\":2,\"segmentation\":[[30,30,40,30,40,40]]}"
            "]}",
            folder);
  CHECK_OK(chip_set_open(folder, &set));
  const ChipSetInfo *info = chip_set_info(set);
  assert_int_equal(info->kind, CHIP_SET_INSTANCES);
  assert_int_equal(info->crowd_count, 1);
  assert_int_equal(info->degenerate_count, 2);
  assert_int_equal(info->object_count, 3);
  assert_int_equal(info->class_count, 3);
  assert_string_equal(info->classes[1].entry.name, "2");
  assert_string_equal(info->classes[2].entry.name, "cat");
  CHECK_OK(chip_set_read_objects(set, 0, &objects));
  assert_int_equal(objects.count, 2);
  check_window(&objects.items[0], 0, 0, 9, 9);
  const uint8_t *mask = objects.mask_bytes + objects.items[0].mask_offset;
  int pixels = 0;
  for (int i = 0; i < 81; ++i)
    pixels += mask[i];
  assert_int_equal(pixels, 6 + 9); /* centres above the diagonal: 3 + 2 + 1; on it: none */
  assert_int_equal(mask[0] + mask[1] + mask[2] + mask[3], 3);
  check_window(&objects.items[1], 1, 2, 1, 3);
  CHECK_OK(chip_set_read_objects(set, 1, &objects));
  assert_int_equal(objects.count, 1);
  check_window(&objects.items[0], 1, 2, 1, 3);
  chip_objects_free(&objects);
  chip_set_close(set);
}

static void a_category_of_0_makes_all_one_more(void **state)
{
  char folder[FIXTURE_PATH_BYTES];
  ChipSet *set;
  ChipObjects objects = {0};
  write_set("zero",
            "{" IMAGES "\"categories\":[{\"id\":0,\"name\":\"a\"},{\"id\":1,\"name\":\"b\"}],"
            "\"annotations\":[{\"image_id\":70,\"category_id\":0,\"bbox\":[1,2,30,4.5]}]}",
            folder);
  CHECK_OK(chip_set_open(folder, &set));
  assert_int_equal(chip_set_info(set)->kind, CHIP_SET_BOXES);
  assert_string_equal(chip_set_info(set)->classes[1].entry.name, "a");
  CHECK_OK(chip_set_read_objects(set, 0, &objects));
  assert_int_equal(objects.items[0].class_value, 1);
  assert_true(objects.items[0].box[2] == 10 && objects.items[0].box[3] == 6.5F);
  chip_objects_free(&objects);
  chip_set_close(set);
}

static void the_larger_class_lies_above_in_any_order(void **state)
{
  char folder[FIXTURE_PATH_BYTES];
  ChipSet *set;
  uint8_t image[SIDE * SIDE], valid[SIDE * SIDE];
  uint16_t labels[SIDE * SIDE];
  write_set("above",
            HEAD "{\"image_id\":70,\"category_id\":5,\"segmentation\":[[1,1,4,1,4,4,1,4]]},"
                 "{\"image_id\":70,\"category_id\":2,\"segmentation\":[[0,0,3,0,3,3,0,3]]}]}",
            folder);
  CHECK_OK(chip_set_open(folder, &set));
  CHECK_OK(chip_set_read(set, 0, image, valid, labels));
  assert_int_equal(labels[0], 2);
  assert_int_equal(labels[SIDE + 1], 5);
  assert_int_equal(labels[3 * SIDE + 3], 5);
  assert_int_equal(labels[4 * SIDE + 4], 0);
  assert_int_equal(chip_set_info(set)->classes[1].pixel_count, 5);
  assert_int_equal(chip_set_info(set)->classes[2].pixel_count, 9);
  chip_set_close(set);
}

static void what_is_wrong_is_said(void **state)
{
  static const struct {
    Status status;
    const char *words, *json;
  } cases[] = {
      {STATUS_BAD_INPUT, "not valid JSON", HEAD "{\"image_id\":70"},
      {STATUS_BAD_INPUT, "images", "{" CATEGORIES "\"annotations\":[]}"},
      {STATUS_BAD_INPUT, "annotations", "{" IMAGES CATEGORIES "\"x\":1}"},
      {STATUS_BAD_INPUT, "holds no chip", "{\"images\":[]," CATEGORIES "\"annotations\":[]}"},
      {STATUS_BAD_INPUT, "leads out",
       "{\"images\":[{\"id\":1,\"file_name\":\"../b.tif\"}]," CATEGORIES "\"annotations\":[]}"},
      {STATUS_BAD_INPUT, "leads out",
       "{\"images\":[{\"id\":1,\"file_name\":\"/etc/x.tif\"}]," CATEGORIES "\"annotations\":[]}"},
      {STATUS_IO, "neither in images",
       "{\"images\":[{\"id\":1,\"file_name\":\"c.tif\"}]," CATEGORIES "\"annotations\":[]}"},
      {STATUS_UNSUPPORTED, "image 1 is 11 x 10",
       "{\"images\":[{\"id\":1,\"file_name\":\"b.tif\",\"width\":11}]," CATEGORIES
       "\"annotations\":[]}"},
      {STATUS_BAD_INPUT, "the id 4 stands twice",
       "{\"images\":[{\"id\":4,\"file_name\":\"b.tif\"},{\"id\":4,\"file_name\":\"b.tif\"}]"
       "," CATEGORIES "\"annotations\":[]}"},
      {STATUS_BAD_INPUT, "id 70000",
       "{" IMAGES "\"categories\":[{\"id\":70000}],\"annotations\":[]}"},
      {STATUS_BAD_INPUT, "annotation 1: is of the image 9",
       HEAD "{\"image_id\":9,\"category_id\":2}]}"},
      {STATUS_BAD_INPUT, "annotation 1: is of the category 9",
       HEAD "{\"image_id\":70,\"category_id\":9}]}"},
      {STATUS_BAD_INPUT, "bbox", HEAD "{\"image_id\":70,\"category_id\":2}]}"},
      {STATUS_BAD_INPUT, "3 numbers",
       HEAD "{\"image_id\":70,\"category_id\":2,\"bbox\":[1,2,3]}]}"},
      {STATUS_BAD_INPUT, "7 numbers",
       HEAD "{\"image_id\":70,\"category_id\":2,\"segmentation\":[[1,2,3,4,5,6,7]]}]}"},
      {STATUS_BAD_INPUT, "no list of corners",
       HEAD "{\"image_id\":70,\"category_id\":2,\"segmentation\":[1,2,3,4,5,6]}]}"},
      {STATUS_BAD_INPUT, "10 x 9 px",
       HEAD "{\"image_id\":70,\"category_id\":2,\"segmentation\":{\"size\":[9,10],\"counts\":[90]}}"
            "]}"},
      {STATUS_BAD_INPUT, "do not fill",
       HEAD
       "{\"image_id\":70,\"category_id\":2,\"segmentation\":{\"size\":[10,10],\"counts\":[1,2]}"
       "}]}"},
      {STATUS_BAD_INPUT, "go beyond",
       HEAD
       "{\"image_id\":70,\"category_id\":2,\"segmentation\":{\"size\":[10,10],\"counts\":[99,2]"
       "}}]}"},
      {STATUS_BAD_INPUT, "a run of -1",
       HEAD
       "{\"image_id\":70,\"category_id\":2,\"segmentation\":{\"size\":[10,10],\"counts\":[-1]}}"
       "]}"},
      {STATUS_BAD_INPUT, "character that none has",
       HEAD
       "{\"image_id\":70,\"category_id\":2,\"segmentation\":{\"size\":[10,10],\"counts\":\"!\"}"
       "}]}"},
      {STATUS_BAD_INPUT, "without an end",
       HEAD "{\"image_id\":70,\"category_id\":2,\"segmentation\":{\"size\":[10,10],\"counts\":"
            "\"oooooooooooo\"}}]}"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    char folder[FIXTURE_PATH_BYTES], name[32];
    ChipSet *set;
    (void)snprintf(name, sizeof name, "wrong%zu", i);
    write_set(name, cases[i].json, folder);
    CHECK_FAILS(cases[i].status, cases[i].words, chip_set_open(folder, &set));
  }
}

static void fill_random(Random *random, int share, uint8_t *mask)
{
  for (int i = 0; i < SIDE * SIDE; ++i)
    mask[i] = random_below(random, 10) < (uint32_t)share;
}

/* Outlines of masks without a hole, filled again. A hole: a part of what is not set, touching by
 * sides or corners, that does not reach the edge. */
static bool has_hole(const uint8_t *mask)
{
  bool outside[SIDE * SIDE] = {false};
  for (bool changed = true; changed;) {
    changed = false;
    for (int i = 0; i < SIDE * SIDE; ++i) {
      const int x = i % SIDE, y = i / SIDE;
      bool reached = x == 0 || y == 0 || x == SIDE - 1 || y == SIDE - 1;
      for (int k = 0; k < 9 && !reached; ++k)
        reached = outside[(y + k / 3 - 1) * SIDE + x + k % 3 - 1];
      if (mask[i] != 0 || outside[i] || !reached) continue;
      outside[i] = changed = true;
    }
  }
  for (int i = 0; i < SIDE * SIDE; ++i)
    if (mask[i] == 0 && !outside[i]) return true;
  return false;
}

static void outlines_give_their_mask_again(void **state)
{
  Random random = random_stream(8, 1);
  int without_holes = 0;
  for (int trial = 0; trial < 400; ++trial) {
    uint8_t mask[SIDE * SIDE], again[SIDE * SIDE] = {0}, parity[SIDE * (SIDE + 1)];
    CocoRings rings;
    fill_random(&random, 1 + trial % 9, mask);
    CHECK_OK(coco_rings_trace(mask, SIDE, SIDE, &rings));
    assert_int_equal(rings.has_hole, has_hole(mask));
    int32_t first = 0;
    for (int32_t r = 0; r < rings.ring_count && !rings.has_hole; ++r) {
      double corners[4 * SIDE * SIDE];
      const int32_t count = rings.ends[r] - first;
      for (int32_t i = 0; i < 2 * count; ++i)
        corners[i] = rings.corners[2 * first + i];
      coco_fill_ring(corners, (size_t)count, SIDE, SIDE, parity, again);
      first = rings.ends[r];
    }
    if (!rings.has_hole) assert_memory_equal(mask, again, sizeof mask);
    without_holes += !rings.has_hole;
    coco_rings_free(&rings);
  }
  assert_in_range(without_holes, 50, 350);
}

static void runs_give_their_mask_again(void **state)
{
  Random random = random_stream(9, 1);
  for (int trial = 0; trial < 200; ++trial) {
    uint8_t mask[SIDE * SIDE], again[3 * SIDE * 2 * SIDE];
    uint32_t runs[3 * SIDE * 2 * SIDE + 1], back[3 * SIDE * 2 * SIDE + 1];
    char text[7 * (3 * SIDE * 2 * SIDE + 1) + 1];
    size_t back_count;
    fill_random(&random, trial % 11, mask);
    const size_t count = coco_runs_of_mask(mask, 7, 4, SIDE, SIDE, 3 * SIDE, 2 * SIDE, runs);
    coco_runs_write(runs, count, text);
    CHECK_OK(coco_runs_read(text, sizeof back / sizeof *back, back, &back_count));
    assert_int_equal(back_count, count);
    assert_memory_equal(back, runs, count * sizeof *runs);
    CHECK_OK(coco_runs_fill(back, count, 3 * SIDE, 2 * SIDE, again));
    for (int i = 0; i < 3 * SIDE * 2 * SIDE; ++i) {
      const int x = i % (3 * SIDE) - 7, y = i / (3 * SIDE) - 4;
      const bool inside = x >= 0 && y >= 0 && x < SIDE && y < SIDE;
      assert_int_equal(again[i], inside ? mask[y * SIDE + x] : 0);
    }
  }
}

/* What pycocotools makes of these runs: differences to the run two before, five bits a character. */
static void compressed_runs_are_those_of_pycocotools(void **state)
{
  static const uint32_t runs[6] = {12, 3, 1000, 3, 40, 100000};
  char text[64];
  coco_runs_write(runs, 6, text);
  assert_string_equal(text, "<3Xo00PROmdQ3");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(masks_of_every_kind_are_read),
      cmocka_unit_test(a_category_of_0_makes_all_one_more),
      cmocka_unit_test(the_larger_class_lies_above_in_any_order),
      cmocka_unit_test(what_is_wrong_is_said),
      cmocka_unit_test(outlines_give_their_mask_again),
      cmocka_unit_test(runs_give_their_mask_again),
      cmocka_unit_test(compressed_runs_are_those_of_pycocotools),
  };
  return cmocka_run_group_tests(tests, fixture_start, fixture_end);
}
