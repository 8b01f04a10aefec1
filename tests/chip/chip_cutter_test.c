#include "chip/chip_cutter.h"

#include <math.h>

#include "geo/geo_fixture.h"

enum { SIDE = 8 };

/* Pixel (x, y) of the 32 x 24 raster holds 1 + x + 40 y, in the second band half of it; the corner
 * (0, 0) … (3, 3) is NoData (0). Polygons of class 2 cover columns 8 … 11, rows 4 … 7, and columns
 * 0 … 1, rows 0 … 1: NoData. */
static ClassEntry classes[2];
static const ChipForm form = {.width_px = SIDE,
                              .height_px = SIDE,
                              .band_count = 2,
                              .pixel = PIXEL_U16,
                              .classes = classes,
                              .class_count = 2};
static Raster *raster;
static LabelSource *labels;

static uint16_t pixel_at(int64_t x, int64_t y)
{
  return x < 4 && y < 4 ? 0 : (uint16_t)(1 + x + 40 * y);
}

static void make_raster(char path[FIXTURE_PATH_BYTES])
{
  static uint16_t pixels[24][32][2];
  for (int y = 0; y < 24; ++y)
    for (int x = 0; x < 32; ++x) {
      pixels[y][x][0] = pixel_at(x, y);
      pixels[y][x][1] = (uint16_t)(pixel_at(x, y) / 2);
    }
  fixture_path("raster.tif", path);
  GDALDatasetH made = fixture_raster(path, &fixture_grid, fixture_crs, GDT_UInt16, 2, pixels, NULL);
  assert_int_equal(GDALSetRasterNoDataValue(GDALGetRasterBand(made, 1), 0), CE_None);
  GDALClose(made);
}

static int start(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  if (fixture_start(state) != 0) return -1;
  classes[0] = class_entry(0, "background");
  classes[1] = class_entry(2, "roof");
  make_raster(path);
  CHECK_OK(raster_open(path, &raster));
  const FixtureFeature roofs[2] = {
      {"POLYGON ((300016 3059992, 300024 3059992, 300024 3059984, 300016 3059984, 300016 3059992))",
       "2"},
      {"POLYGON ((300000 3060000, 300004 3060000, 300004 3059996, 300000 3059996, 300000 3060000))",
       "2"}};
  fixture_path("roof.gpkg", path);
  fixture_features(path, "GPKG", fixture_crs, "class_value", OFTInteger, roofs, 2);
  const LabelOptions options = {.buffer = 0};
  CHECK_OK(label_source_open(path, &options, raster_grid(raster), NULL, &labels));
  return 0;
}

static int end(void **state)
{
  label_source_close(labels);
  raster_close(raster);
  return fixture_end(state);
}

static CutterOptions usual(void)
{
  return (CutterOptions){.form = &form, .raster = raster, .raster_number = 3, .labels = labels};
}

static ChipOutcome outcome_of(CutterOptions options, Window window, double angle)
{
  Cutter *cutter;
  Chip chip;
  ChipOutcome outcome;
  CHECK_OK(cutter_open(&options, &cutter));
  CHECK_OK(cutter_cut(cutter, window, angle, &chip, &outcome));
  cutter_close(cutter);
  return outcome;
}

static void a_chip_has_the_pixels_and_labels_of_its_window(void **state)
{
  const CutterOptions options = usual();
  Cutter *cutter;
  Chip chip;
  ChipOutcome outcome;
  CHECK_OK(cutter_open(&options, &cutter));
  CHECK_OK(cutter_cut(cutter, (Window){6, 2, SIDE, SIDE}, 0, &chip, &outcome));
  assert_int_equal(outcome, CHIP_KEPT);
  const uint16_t *image = chip.image;
  for (int i = 0; i < SIDE * SIDE; ++i) {
    const int x = 6 + i % SIDE, y = 2 + i / SIDE;
    assert_int_equal(chip.valid[i], 1);
    assert_int_equal(image[2 * i], pixel_at(x, y));
    assert_int_equal(image[2 * i + 1], pixel_at(x, y) / 2);
    assert_int_equal(chip.labels[i], x >= 8 && x < 12 && y >= 4 && y < 8 ? 2 : 0);
  }
  assert_int_equal(chip.class_pixels[0], 48);
  assert_int_equal(chip.class_pixels[1], 16);
  assert_true(chip.bands[0].count == 64);
  assert_int_equal(chip.place.raster, 3);
  assert_int_equal(chip.place.x_px, 6);
  assert_int_equal(chip.place.y_px, 2);
  assert_true(chip.grid.pixel_to_map[0] == 300012 && chip.grid.pixel_to_map[3] == 3059996);
  cutter_close(cutter);
}

static void nodata_and_what_lies_outside_have_neither_pixels_nor_labels(void **state)
{
  CutterOptions options = usual();
  options.all_tiles = true;
  Cutter *cutter;
  Chip chip;
  ChipOutcome outcome;
  CHECK_OK(cutter_open(&options, &cutter));
  CHECK_OK(cutter_cut(cutter, (Window){-2, 0, SIDE, SIDE}, 0, &chip, &outcome));
  const uint16_t *image = chip.image;
  for (int i = 0; i < SIDE * SIDE; ++i) {
    const int x = -2 + i % SIDE, y = i / SIDE;
    const bool valid = x >= 0 && !(x < 4 && y < 4);
    assert_int_equal(chip.valid[i], valid);
    assert_int_equal(image[2 * i], valid ? pixel_at(x, y) : 0);
    assert_int_equal(chip.labels[i], 0);
  }
  assert_true(chip.bands[0].count == 64 - 16 - 16);
  cutter_close(cutter);
  options.all_tiles = false;
  assert_int_equal(outcome_of(options, (Window){-2, 0, SIDE, SIDE}, 0), CHIP_UNLABELLED);
}

/* On the map counter-clockwise: what was the right side is then the upper one. */
static void a_quarter_turn_moves_pixels_as_they_are(void **state)
{
  const CutterOptions options = usual();
  Cutter *cutter;
  Chip chip;
  ChipOutcome outcome;
  CHECK_OK(cutter_open(&options, &cutter));
  CHECK_OK(cutter_cut(cutter, (Window){6, 2, SIDE, SIDE}, 90, &chip, &outcome));
  assert_int_equal(outcome, CHIP_KEPT);
  const uint16_t *image = chip.image;
  for (int row = 0; row < SIDE; ++row)
    for (int column = 0; column < SIDE; ++column) {
      /* along a row of the turned chip the map's north grows, down a column its east */
      const int x = 6 + row, y = 2 + SIDE - 1 - column, i = row * SIDE + column;
      assert_int_equal(chip.valid[i], 1);
      assert_int_equal(image[2 * i], pixel_at(x, y));
      assert_int_equal(chip.labels[i], x >= 8 && x < 12 && y >= 4 && y < 8 ? 2 : 0);
    }
  assert_int_equal(chip.place.x_px, 6);
  assert_int_equal(chip.place.width_px, SIDE);
  cutter_close(cutter);
}

/* A trace of a neighbour 2^24 times as large would show. */
static void a_quarter_turn_mixes_nothing_in(void **state)
{
  static const Grid grid = {SIDE, SIDE, {300000.3, 0.1, 0, 3060000.7, 0, -0.1}, fixture_crs};
  static float pixels[SIDE][SIDE];
  char path[FIXTURE_PATH_BYTES];
  Raster *chess;
  CutterOptions options = usual();
  ChipForm one_band = form;
  one_band.pixel = PIXEL_F32;
  one_band.band_count = 1;
  for (int i = 0; i < SIDE * SIDE; ++i)
    pixels[i / SIDE][i % SIDE] = (i / SIDE + i) % 2 == 0 ? 1.0F : 0x1p24F;
  fixture_path("chess.tif", path);
  GDALClose(fixture_raster(path, &grid, fixture_crs, GDT_Float32, 1, pixels, NULL));
  CHECK_OK(raster_open(path, &chess));
  options.form = &one_band;
  options.raster = chess;
  options.all_tiles = true;
  for (int turn = 1; turn < 4; ++turn) {
    Cutter *cutter;
    Chip chip;
    ChipOutcome outcome;
    CHECK_OK(cutter_open(&options, &cutter));
    CHECK_OK(cutter_cut(cutter, (Window){0, 0, SIDE, SIDE}, 90.0 * turn, &chip, &outcome));
    for (int i = 0; i < SIDE * SIDE; ++i)
      assert_true(((const float *)chip.image)[i] ==
                  pixels[i / SIDE][turn == 2 ? i % SIDE : SIDE - 1 - i % SIDE]);
    cutter_close(cutter);
  }
  raster_close(chess);
}

/* The raster rises by 1 per column and 40 per row, so bilinear gives the plane itself. */
static void a_turned_chip_is_bilinear(void **state)
{
  const CutterOptions options = usual();
  Cutter *cutter;
  Chip chip;
  ChipOutcome outcome;
  CHECK_OK(cutter_open(&options, &cutter));
  CHECK_OK(cutter_cut(cutter, (Window){10, 6, SIDE, SIDE}, 30, &chip, &outcome));
  assert_int_equal(outcome, CHIP_KEPT);
  const uint16_t *image = chip.image;
  for (int i = 0; i < SIDE * SIDE; ++i) {
    double x, y, column, row;
    grid_pixel_to_map(&chip.grid, i % SIDE + 0.5, i / SIDE + 0.5, &x, &y);
    grid_map_to_pixel(raster_grid(raster), x, y, &column, &row);
    assert_int_equal(chip.valid[i], 1);
    const double plane = 1 + (column - 0.5) + 40 * (row - 0.5);
    assert_true(fabs(image[2 * i] - plane) <= 0.5 + 1e-6);
  }
  /* the box of a square of 8 turned by 30 degrees: 8 (cos 30 + sin 30) = 10.93 about (14, 10) */
  assert_int_equal(chip.place.x_px, 8);
  assert_int_equal(chip.place.width_px, 12);
  assert_int_equal(chip.place.y_px, 4);
  cutter_close(cutter);
}

static void a_turned_chip_does_not_mix_nodata_in(void **state)
{
  CutterOptions options = usual();
  options.all_tiles = true;
  Cutter *cutter;
  Chip chip;
  ChipOutcome outcome;
  int nodata = 0;
  CHECK_OK(cutter_open(&options, &cutter));
  CHECK_OK(cutter_cut(cutter, (Window){0, 0, SIDE, SIDE}, 20, &chip, &outcome));
  assert_int_equal(outcome, CHIP_KEPT);
  for (int i = 0; i < SIDE * SIDE; ++i) {
    const uint16_t value = ((const uint16_t *)chip.image)[2 * i];
    if (chip.valid[i] == 0) {
      ++nodata;
      assert_int_equal(value, 0);
    } else {
      assert_true(value >= 5); /* the least valid pixel: column 4, row 0 */
    }
  }
  assert_true(nodata > 16); /* the corner, and corners outside */
  cutter_close(cutter);
}

static void only_the_wanted_chips_are_kept(void **state)
{
  const Window far = {20, 12, SIDE, SIDE}, roof = {6, 2, SIDE, SIDE}, corner = {-4, -4, SIDE, SIDE};
  CutterOptions options = usual();
  assert_int_equal(outcome_of(options, roof, 0), CHIP_KEPT);
  assert_int_equal(outcome_of(options, far, 0), CHIP_UNLABELLED);
  options.minimum_label_share = 0.25;
  assert_int_equal(outcome_of(options, roof, 0), CHIP_KEPT);
  options.minimum_label_share = 0.26;
  assert_int_equal(outcome_of(options, roof, 0), CHIP_FEW_LABELS);
  options = usual();
  options.all_tiles = true;
  assert_int_equal(outcome_of(options, far, 0), CHIP_KEPT);
  assert_int_equal(outcome_of(options, corner, 0), CHIP_LITTLE_DATA); /* nothing but NoData */
  options.minimum_valid_share = 0.75;
  assert_int_equal(outcome_of(options, (Window){0, 0, SIDE, SIDE}, 0), CHIP_KEPT);
  options.minimum_valid_share = 0.76;
  assert_int_equal(outcome_of(options, (Window){0, 0, SIDE, SIDE}, 0), CHIP_LITTLE_DATA);
}

static void a_mask_keeps_chips_that_lie_inside_it(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  MaskLayer *mask;
  const FixtureFeature half = {
      "POLYGON ((300000 3060000, 300032 3060000, 300032 3059950, 300000 3059950, 300000 3060000))",
      "1"}; /* columns 0 … 15 */
  fixture_path("mask.gpkg", path);
  fixture_features(path, "GPKG", fixture_crs, "value", OFTInteger, &half, 1);
  CHECK_OK(mask_layer_open(path, NULL, false, raster_grid(raster), &mask));
  CutterOptions options = usual();
  options.mask = mask;
  assert_int_equal(outcome_of(options, (Window){8, 2, SIDE, SIDE}, 0), CHIP_KEPT);
  assert_int_equal(outcome_of(options, (Window){9, 2, SIDE, SIDE}, 0), CHIP_OUTSIDE_MASK);
  assert_int_equal(outcome_of(options, (Window){8, 2, SIDE, SIDE}, 45), CHIP_OUTSIDE_MASK);
  mask_layer_close(mask);
}

static void bands_come_in_the_wanted_order(void **state)
{
  static const int32_t swapped[2] = {1, 0};
  CutterOptions options = usual();
  options.bands = swapped;
  Cutter *cutter;
  Chip chip;
  ChipOutcome outcome;
  for (int turn = 0; turn < 2; ++turn) {
    CHECK_OK(cutter_open(&options, &cutter));
    CHECK_OK(cutter_cut(cutter, (Window){6, 2, SIDE, SIDE}, 180.0 * turn, &chip, &outcome));
    const int last = turn == 0 ? 0 : SIDE * SIDE - 1; /* where pixel (6, 2) is */
    assert_int_equal(((const uint16_t *)chip.image)[2 * last], pixel_at(6, 2) / 2);
    assert_int_equal(((const uint16_t *)chip.image)[2 * last + 1], pixel_at(6, 2));
    cutter_close(cutter);
  }
}

static void a_class_that_the_form_lacks_is_an_error(void **state)
{
  ChipForm short_form = form;
  short_form.class_count = 1;
  CutterOptions options = usual();
  options.form = &short_form;
  Cutter *cutter;
  Chip chip;
  ChipOutcome outcome;
  CHECK_OK(cutter_open(&options, &cutter));
  CHECK_FAILS(STATUS_MISMATCH, "the value 2",
              cutter_cut(cutter, (Window){6, 2, SIDE, SIDE}, 0, &chip, &outcome));
  cutter_close(cutter);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_chip_has_the_pixels_and_labels_of_its_window),
      cmocka_unit_test(nodata_and_what_lies_outside_have_neither_pixels_nor_labels),
      cmocka_unit_test(a_quarter_turn_moves_pixels_as_they_are),
      cmocka_unit_test(a_quarter_turn_mixes_nothing_in),
      cmocka_unit_test(a_turned_chip_is_bilinear),
      cmocka_unit_test(a_turned_chip_does_not_mix_nodata_in),
      cmocka_unit_test(only_the_wanted_chips_are_kept),
      cmocka_unit_test(a_mask_keeps_chips_that_lie_inside_it),
      cmocka_unit_test(bands_come_in_the_wanted_order),
      cmocka_unit_test(a_class_that_the_form_lacks_is_an_error),
  };
  return cmocka_run_group_tests(tests, start, end);
}
