/* Labels become objects of chips. */
#include "chip/chip_cutter.h"
#include "geo/geo_fixture.h"

enum { SIDE = 8, WIDTH = 32, HEIGHT = 24 };

/* All pixels are 5, but for NoData (0) in columns 28 … 31. The features, in pixels of 2 m: 1 and 2
 * overlap; 3 has two parts and a hole; 4 crosses itself; 5 lies half on NoData; 6 is smaller than a
 * pixel; 7 is a point; 8 lies on NoData. */
static const FixtureFeature features[] = {
    {"POLYGON ((300004 3059996, 300012 3059996, 300012 3059988, 300004 3059988, 300004 3059996))",
     "2"},
    {"POLYGON ((300008 3059992, 300020 3059992, 300020 3059984, 300008 3059984, 300008 3059992))",
     "1"},
    {"MULTIPOLYGON (((300024 3059998, 300034 3059998, 300034 3059988, 300024 3059988, 300024 "
     "3059998), (300028 3059994, 300030 3059994, 300030 3059992, 300028 3059992, 300028 3059994)), "
     "((300036 3059998, 300038 3059998, 300038 3059996, 300036 3059996, 300036 3059998)))",
     "2"},
    {"POLYGON ((300000 3059980, 300008 3059972, 300008 3059980, 300000 3059972, 300000 3059980))",
     "2"},
    {"POLYGON ((300052 3059998, 300060 3059998, 300060 3059994, 300052 3059994, 300052 3059998))",
     "1"},
    {"POLYGON ((300040.2 3059970.2, 300040.8 3059970.2, 300040.8 3059970.8, 300040.2 3059970.2))",
     "1"},
    {"POINT (300041 3059971)", "2"},
    {"POLYGON ((300058 3059980, 300062 3059980, 300062 3059976, 300058 3059976, 300058 3059980))",
     "1"},
};

static ClassEntry classes[3];
static ChipForm form;
static Raster *raster;
static LabelSource *labels;

static int start(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  static uint8_t pixels[HEIGHT][WIDTH];
  if (fixture_start(state) != 0) return -1;
  for (int y = 0; y < HEIGHT; ++y)
    for (int x = 0; x < WIDTH; ++x)
      pixels[y][x] = x >= 28 ? 0 : 5;
  fixture_path("raster.tif", path);
  GDALDatasetH made = fixture_raster(path, &fixture_grid, fixture_crs, GDT_Byte, 1, pixels, NULL);
  assert_int_equal(GDALSetRasterNoDataValue(GDALGetRasterBand(made, 1), 0), CE_None);
  GDALClose(made);
  CHECK_OK(raster_open(path, &raster));
  fixture_path("labels.gpkg", path);
  fixture_features(path, "GPKG", fixture_crs, "class_value", OFTInteger, features,
                   sizeof features / sizeof *features);
  const LabelOptions options = {.buffer = 0};
  CHECK_OK(label_source_open(path, &options, raster_grid(raster), NULL, &labels));
  for (int i = 0; i < 3; ++i)
    classes[i] = class_entry(i, "c");
  form = (ChipForm){.format = CHIP_FORMAT_INSTANCES,
                    .width_px = SIDE,
                    .height_px = SIDE,
                    .band_count = 1,
                    .pixel = PIXEL_U8,
                    .classes = classes,
                    .class_count = 3};
  return 0;
}

static int end(void **state)
{
  label_source_close(labels);
  raster_close(raster);
  return fixture_end(state);
}

static Cutter *open_cutter(double minimum_overlap, bool all_tiles)
{
  const CutterOptions options = {.form = &form,
                                 .raster = raster,
                                 .labels = labels,
                                 .minimum_overlap = minimum_overlap,
                                 .all_tiles = all_tiles};
  Cutter *cutter;
  CHECK_OK(cutter_open(&options, &cutter));
  return cutter;
}

static ChipOutcome cut(Cutter *cutter, int x, int y, double angle, Chip *chip)
{
  ChipOutcome outcome;
  CHECK_OK(cutter_cut(cutter, (Window){x, y, SIDE, SIDE}, angle, chip, &outcome));
  return outcome;
}

static void check_box(const ChipObject *object, int feature, int value, const int box[4])
{
  assert_int_equal(object->feature, feature);
  assert_int_equal(object->class_value, value);
  for (int i = 0; i < 4; ++i)
    assert_int_equal((int)object->box[i], box[i]);
}

static int mask_pixels(const ChipObjects *objects, int32_t i)
{
  int pixels = 0;
  const ChipObject *object = &objects->items[i];
  for (int p = 0; p < object->width_px * object->height_px; ++p)
    pixels += objects->mask_bytes[object->mask_offset + p];
  return pixels;
}

static void objects_that_overlap_keep_all_of_their_pixels(void **state)
{
  Chip chip;
  Cutter *cutter = open_cutter(0, false);
  assert_int_equal(cut(cutter, 0, 0, 0, &chip), CHIP_KEPT);
  assert_int_equal(chip.objects->count, 2); /* by class, then by number */
  check_box(&chip.objects->items[0], 2, 1, (const int[4]){4, 4, 8, 8});
  check_box(&chip.objects->items[1], 1, 2, (const int[4]){2, 2, 6, 6});
  assert_int_equal(mask_pixels(chip.objects, 0), 16);
  assert_int_equal(mask_pixels(chip.objects, 1), 16);
  assert_true(chip.objects->items[0].area_map == 64); /* 4 of 6 columns */
  assert_true(chip.objects->items[1].area_map == 64);
  assert_int_equal(chip.labels[4 * SIDE + 4], 2); /* the larger value lies above */
  assert_int_equal(chip.labels[7 * SIDE + 7], 1);
  assert_int_equal(chip.class_pixels[1], 12);
  assert_int_equal(chip.class_pixels[2], 16);
  cutter_close(cutter);
}

static void parts_and_holes_belong_to_one_object(void **state)
{
  Chip chip;
  Cutter *cutter = open_cutter(0, false);
  assert_int_equal(cut(cutter, 12, 0, 0, &chip), CHIP_KEPT);
  assert_int_equal(chip.objects->count, 1);
  check_box(&chip.objects->items[0], 3, 2, (const int[4]){0, 1, 7, 6});
  assert_int_equal(mask_pixels(chip.objects, 0), 25 - 1 + 1);
  assert_int_equal(chip.labels[3 * SIDE + 2], 0); /* the hole */
  cutter_close(cutter);
}

static void a_polygon_that_crosses_itself_is_repaired(void **state)
{
  Chip chip;
  Cutter *cutter = open_cutter(0, false);
  assert_int_equal(label_source_counts(labels).repaired, 1);
  assert_int_equal(cut(cutter, 0, 8, 0, &chip), CHIP_KEPT);
  assert_int_equal(chip.objects->count, 1);
  assert_int_equal(chip.objects->items[0].feature, 4);
  assert_true(chip.objects->items[0].area_map == 32);
  cutter_close(cutter);
}

static void a_small_share_in_the_chip_is_left_out(void **state)
{
  Chip chip;
  Cutter *cutter = open_cutter(0.75, false);
  assert_int_equal(cut(cutter, 0, 0, 0, &chip), CHIP_KEPT); /* 2/3 of feature 2 */
  assert_int_equal(chip.objects->count, 1);
  assert_int_equal(chip.objects->items[0].feature, 1);
  assert_int_equal(chip.object_outcomes[OBJECT_SMALL_SHARE], 1);
  assert_int_equal(chip.class_pixels[1], 0); /* nor has it labels */
  cutter_close(cutter);
  cutter = open_cutter(0.66, false);
  assert_int_equal(cut(cutter, 0, 0, 0, &chip), CHIP_KEPT);
  assert_int_equal(chip.objects->count, 2);
  cutter_close(cutter);
}

static void nodata_is_no_part_of_an_object(void **state)
{
  Chip chip;
  Cutter *cutter = open_cutter(0, false);
  assert_int_equal(cut(cutter, 24, 0, 0, &chip), CHIP_KEPT);
  assert_int_equal(chip.objects->count, 1);
  check_box(&chip.objects->items[0], 5, 1, (const int[4]){2, 1, 4, 3});
  assert_int_equal(chip.object_outcomes[OBJECT_NO_PIXEL], 0);
  assert_int_equal(cut(cutter, 24, 8, 0, &chip), CHIP_UNLABELLED); /* feature 8 */
  assert_int_equal(chip.object_outcomes[OBJECT_NO_PIXEL], 1);
  cutter_close(cutter);
}

static void what_no_box_can_hold_is_counted(void **state)
{
  Chip chip;
  Cutter *cutter = open_cutter(0, true);
  assert_int_equal(cut(cutter, 16, 12, 0, &chip), CHIP_KEPT); /* all_tiles */
  assert_int_equal(chip.objects->count, 0);
  assert_int_equal(chip.object_outcomes[OBJECT_NO_PIXEL], 1); /* feature 6 */
  assert_int_equal(chip.object_outcomes[OBJECT_NO_AREA], 1);  /* 7 */
  assert_int_equal(cut(cutter, 8, 12, 0, &chip), CHIP_KEPT);
  assert_int_equal(chip.object_outcomes[OBJECT_NO_AREA], 0); /* of this chip, not of that */
  cutter_close(cutter);
}

/* A neighbour that shares an edge with the chip is none of its labels. */
static void what_only_touches_the_chip_is_not_counted(void **state)
{
  Chip chip;
  Cutter *cutter = open_cutter(0.5, true);
  assert_int_equal(cut(cutter, 10, 2, 0, &chip), CHIP_KEPT); /* feature 2 ends at column 10 */
  assert_int_equal(chip.objects->count, 1);
  assert_int_equal(chip.objects->items[0].feature, 3);
  assert_int_equal(chip.object_outcomes[OBJECT_SMALL_SHARE], 0);
  assert_int_equal(chip.object_outcomes[OBJECT_NO_PIXEL], 0);
  assert_int_equal(chip.object_outcomes[OBJECT_NO_AREA], 0);
  cutter_close(cutter);
}

static void a_quarter_turn_turns_boxes_and_masks(void **state)
{
  Chip chip;
  Cutter *cutter = open_cutter(0, false);
  assert_int_equal(cut(cutter, 0, 0, 90, &chip), CHIP_KEPT);
  assert_int_equal(chip.objects->count, 2);
  /* The chip's axes turn counter-clockwise: its columns run up the map, from the bottom. */
  check_box(&chip.objects->items[0], 2, 1, (const int[4]){0, 4, 4, 8});
  check_box(&chip.objects->items[1], 1, 2, (const int[4]){2, 2, 6, 6});
  cutter_close(cutter);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(objects_that_overlap_keep_all_of_their_pixels),
      cmocka_unit_test(parts_and_holes_belong_to_one_object),
      cmocka_unit_test(a_polygon_that_crosses_itself_is_repaired),
      cmocka_unit_test(a_small_share_in_the_chip_is_left_out),
      cmocka_unit_test(nodata_is_no_part_of_an_object),
      cmocka_unit_test(what_no_box_can_hold_is_counted),
      cmocka_unit_test(what_only_touches_the_chip_is_not_counted),
      cmocka_unit_test(a_quarter_turn_turns_boxes_and_masks),
  };
  return cmocka_run_group_tests(tests, start, end);
}
