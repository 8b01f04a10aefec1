#include "geo/label_source.h"

#include <math.h>
#include <stdio.h>

#include <cpl_conv.h>
#include <gdal_alg.h>

#include "geo/geo_fixture.h"
#include "geo/mask_layer.h"

enum { WIDTH = 32, HEIGHT = 24, PIXELS = WIDTH * HEIGHT };

static const LabelOptions plain = {.layer = ""};

/* A rectangle of the fixture's pixels: columns and rows from and to (excluded), as WKT. */
static void rectangle(double left, double top, double right, double bottom, char wkt[256])
{
  double x[2], y[2];
  grid_pixel_to_map(&fixture_grid, left, top, &x[0], &y[0]);
  grid_pixel_to_map(&fixture_grid, right, bottom, &x[1], &y[1]);
  (void)snprintf(wkt, 256, "POLYGON((%.9f %.9f,%.9f %.9f,%.9f %.9f,%.9f %.9f,%.9f %.9f))", x[0],
                 y[0], x[1], y[0], x[1], y[1], x[0], y[1], x[0], y[0]);
}

static int64_t count_of(const uint8_t *classes, uint8_t value)
{
  int64_t count = 0;
  for (int i = 0; i < PIXELS; ++i)
    count += classes[i] == value;
  return count;
}

static void burn_all(const char *path, const LabelOptions *options, uint8_t classes[PIXELS])
{
  LabelSource *source;
  CHECK_OK(label_source_open(path, options, &fixture_grid, NULL, &source));
  CHECK_OK(label_source_burn(source, &fixture_grid, PIXEL_U8, classes));
  label_source_close(source);
}

static void a_polygon_owns_the_pixels_whose_centre_it_holds(void **state)
{
  char path[FIXTURE_PATH_BYTES], wkt[256];
  uint8_t classes[PIXELS];
  rectangle(4.4, 2.6, 9.6, 6.4, wkt); /* centres 4.5 … 9.5, but 2.5 and 6.5 are out */
  const FixtureFeature features[] = {{wkt, "3"}};
  fixture_path("centre.gpkg", path);
  fixture_features(path, "GPKG", fixture_crs, "value", OFTInteger, features, 1);
  burn_all(path, &plain, classes);
  for (int row = 0; row < HEIGHT; ++row)
    for (int column = 0; column < WIDTH; ++column)
      assert_int_equal(classes[row * WIDTH + column],
                       column >= 4 && column <= 9 && row >= 3 && row <= 5 ? 3 : 0);
}

static void the_larger_value_wins_whatever_the_order(void **state)
{
  char path[FIXTURE_PATH_BYTES], small[256], large[256];
  uint8_t classes[PIXELS];
  rectangle(0, 0, 10, 10, large);
  rectangle(5, 5, 12, 12, small);
  const FixtureFeature features[] = {{small, "9"}, {large, "2"}};
  fixture_path("order.gpkg", path);
  fixture_features(path, "GPKG", fixture_crs, "classvalue", OFTInteger, features, 2);
  burn_all(path, &plain, classes);
  assert_int_equal(count_of(classes, 9), 49);
  assert_int_equal(count_of(classes, 2), 75);
}

/* What gdal_rasterize makes of a layer in the raster's own system. */
static void rasterize_with_gdal(const char *path, uint8_t classes[PIXELS])
{
  GDALDatasetH vector = GDALOpenEx(path, GDAL_OF_VECTOR, NULL, NULL, NULL);
  GDALDatasetH raster =
      GDALCreate(GDALGetDriverByName("MEM"), "", WIDTH, HEIGHT, 1, GDT_Byte, NULL);
  OGRSpatialReferenceH crs = OSRNewSpatialReference(NULL);
  assert_int_equal(OSRSetFromUserInput(crs, fixture_crs), OGRERR_NONE);
  double pixel_to_map[6];
  memcpy(pixel_to_map, fixture_grid.pixel_to_map, sizeof pixel_to_map);
  assert_int_equal(GDALSetGeoTransform(raster, pixel_to_map), CE_None);
  assert_int_equal(GDALSetSpatialRef(raster, crs), CE_None);
  OGRLayerH layer = GDALDatasetGetLayer(vector, 0);
  char *options[] = {(char[]){"ATTRIBUTE=value"}, NULL};
  int band = 1;
  assert_int_equal(
      GDALRasterizeLayers(raster, 1, &band, 1, &layer, NULL, NULL, NULL, options, NULL, NULL),
      CE_None);
  assert_int_equal(GDALRasterIO(GDALGetRasterBand(raster, 1), GF_Read, 0, 0, WIDTH, HEIGHT, classes,
                                WIDTH, HEIGHT, GDT_Byte, 0, 0),
                   CE_None);
  OSRRelease(crs);
  GDALClose(raster);
  GDALClose(vector);
}

static void labels_in_degrees_burn_as_gdal_rasterize_burns_them(void **state)
{
  /* A star with slanting edges, in longitude and latitude; its GeoJSON is read as such. */
  static const FixtureFeature features[] = {
      {"POLYGON((84.97268 27.64925,84.97325 27.64895,84.97308 27.64912,84.97330 27.64931,"
       "84.97294 27.64921,84.97268 27.64925))",
       "5"}};
  char degrees[FIXTURE_PATH_BYTES], metres[FIXTURE_PATH_BYTES];
  uint8_t ours[PIXELS], gdals[PIXELS];
  fixture_path("star.geojson", degrees);
  fixture_features(degrees, "GeoJSON", "EPSG:4326", "value", OFTInteger, features, 1);
  burn_all(degrees, &plain, ours);

  fixture_path("star.gpkg", metres);
  GDALDatasetH from = GDALOpenEx(degrees, GDAL_OF_VECTOR, NULL, NULL, NULL);
  OGRFeatureH star = OGR_L_GetNextFeature(GDALDatasetGetLayer(from, 0));
  OGRSpatialReferenceH crs = OSRNewSpatialReference(NULL);
  assert_int_equal(OSRSetFromUserInput(crs, fixture_crs), OGRERR_NONE);
  assert_int_equal(OGR_G_TransformTo(OGR_F_GetGeometryRef(star), crs), OGRERR_NONE);
  char *wkt;
  assert_int_equal(OGR_G_ExportToWkt(OGR_F_GetGeometryRef(star), &wkt), OGRERR_NONE);
  const FixtureFeature moved[] = {{wkt, "5"}};
  fixture_features(metres, "GPKG", fixture_crs, "value", OFTInteger, moved, 1);
  CPLFree(wkt);
  OSRRelease(crs);
  OGR_F_Destroy(star);
  GDALClose(from);
  rasterize_with_gdal(metres, gdals);
  assert_true(count_of(gdals, 5) > 100);
  assert_memory_equal(ours, gdals, PIXELS);
}

static void a_chip_burns_as_its_part_of_the_whole_raster(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  static const FixtureFeature features[] = {
      {"POLYGON((300003.3 3059999,300047 3059981.2,300021.7 3059955.1,300003.3 3059999))", "1"},
      {"POLYGON((300040.1 3059990,300062 3059970,300050.7 3059960.3,300040.1 3059990))", "2"}};
  uint8_t whole[PIXELS], chip[10 * 7];
  fixture_path("part.gpkg", path);
  fixture_features(path, "GPKG", fixture_crs, "value", OFTInteger, features, 2);
  burn_all(path, &plain, whole);
  LabelSource *source;
  CHECK_OK(label_source_open(path, &plain, &fixture_grid, NULL, &source));
  for (int y = 0; y + 7 <= HEIGHT; y += 5)
    for (int x = 0; x + 10 <= WIDTH; x += 5) {
      const Grid grid = grid_subgrid(&fixture_grid, (Window){x, y, 10, 7});
      CHECK_OK(label_source_burn(source, &grid, PIXEL_U8, chip));
      for (int row = 0; row < 7; ++row)
        assert_memory_equal(chip + row * 10, whole + (y + row) * WIDTH + x, 10);
    }
  label_source_close(source);
}

static void a_chip_turned_by_a_quarter_burns_turned(void **state)
{
  char path[FIXTURE_PATH_BYTES], wkt[256];
  uint8_t upright[16 * 16];
  uint16_t turned[16 * 16];
  rectangle(6, 5, 9, 14, wkt);
  const FixtureFeature features[] = {{wkt, "7"}};
  fixture_path("turned.gpkg", path);
  fixture_features(path, "GPKG", fixture_crs, "value", OFTInteger, features, 1);
  const Window window = {4, 4, 16, 16};
  const Grid grid = grid_subgrid(&fixture_grid, window);
  const Grid quarter = grid_turned(&fixture_grid, window, 90);
  LabelSource *source;
  CHECK_OK(label_source_open(path, &plain, &fixture_grid, NULL, &source));
  CHECK_OK(label_source_burn(source, &grid, PIXEL_U8, upright));
  CHECK_OK(label_source_burn(source, &quarter, PIXEL_U16, turned));
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 16; ++column) /* rows of the chip run to the right on the map */
      assert_int_equal(turned[row * 16 + column], upright[(15 - column) * 16 + row]);
  label_source_close(source);
}

static void texts_are_numbered_in_their_order(void **state)
{
  char path[FIXTURE_PATH_BYTES], a[256], b[256], c[256];
  uint8_t classes[PIXELS];
  rectangle(0, 0, 2, 2, a);
  rectangle(3, 0, 6, 2, b);
  rectangle(7, 0, 8, 2, c);
  const FixtureFeature features[] = {{a, "tent"}, {b, "house"}, {c, "tent"}, {c, NULL}};
  fixture_path("texts.geojson", path);
  fixture_features(path, "GPKG", fixture_crs, "class", OFTString, features, 4);
  LabelSource *source;
  CHECK_OK(label_source_open(path, &plain, &fixture_grid, NULL, &source));
  int32_t count;
  const ClassEntry *table = label_source_classes(source, &count);
  assert_int_equal(count, 2);
  assert_string_equal(table[0].name, "house");
  assert_int_equal(table[0].value, 1);
  assert_int_equal(table[0].feature_count, 1);
  assert_string_equal(table[1].name, "tent");
  assert_int_equal(table[1].value, 2);
  assert_int_equal(table[1].feature_count, 2);
  assert_int_equal(label_source_counts(source).classless, 1);
  assert_string_equal(label_source_class_field(source), "class");
  CHECK_OK(label_source_burn(source, &fixture_grid, PIXEL_U8, classes));
  assert_int_equal(count_of(classes, 1), 6);
  assert_int_equal(count_of(classes, 2), 6);
  label_source_close(source);

  LabelOptions listed = plain;
  listed.classes = "tent = 5; shed=2";
  burn_all(path, &listed, classes);
  assert_int_equal(count_of(classes, 5), 6);
  assert_int_equal(count_of(classes, 0), PIXELS - 6);
  listed.classes = "shed=2";
  CHECK_FAILS(STATUS_BAD_OPTION, "holds: tent, house",
              label_source_open(path, &listed, &fixture_grid, NULL, &source));
  listed.classes = "shed";
  CHECK_FAILS(STATUS_BAD_OPTION, "“shed” is no class",
              label_source_open(path, &listed, &fixture_grid, NULL, &source));
  listed.classes = "a=1;a=2";
  CHECK_FAILS(STATUS_BAD_OPTION, "a=1 and a=2",
              label_source_open(path, &listed, &fixture_grid, NULL, &source));
  listed.classes = "a=1;b=1";
  CHECK_FAILS(STATUS_BAD_OPTION, "not different",
              label_source_open(path, &listed, &fixture_grid, NULL, &source));
}

static void texts_that_are_numbers_are_values(void **state)
{
  char path[FIXTURE_PATH_BYTES], a[256];
  uint8_t classes[PIXELS];
  rectangle(0, 0, 2, 2, a);
  const FixtureFeature features[] = {{a, "12"}};
  fixture_path("numbers.gpkg", path);
  fixture_features(path, "GPKG", fixture_crs, "class", OFTString, features, 1);
  burn_all(path, &plain, classes);
  assert_int_equal(count_of(classes, 12), 4);
}

static void without_a_class_field_all_is_class_1(void **state)
{
  char path[FIXTURE_PATH_BYTES], a[256];
  uint8_t classes[PIXELS];
  rectangle(0, 0, 2, 2, a);
  const FixtureFeature features[] = {{a, "whatever"}, {a, NULL}};
  fixture_path("one.gpkg", path);
  fixture_features(path, "GPKG", fixture_crs, "remark", OFTString, features, 2);
  burn_all(path, &plain, classes);
  assert_int_equal(count_of(classes, 1), 4);
  LabelSource *source;
  LabelOptions options = plain;
  options.class_field = "kind";
  CHECK_FAILS(STATUS_BAD_OPTION, "no field “kind”; it has: remark",
              label_source_open(path, &options, &fixture_grid, NULL, &source));
}

static void class_values_out_of_range_are_refused(void **state)
{
  static const char *const values[] = {"-1", "65536", "1.5"};
  char path[FIXTURE_PATH_BYTES], a[256];
  LabelSource *source;
  rectangle(0, 0, 2, 2, a);
  for (size_t i = 0; i < 3; ++i) {
    const FixtureFeature features[] = {{a, values[i]}};
    fixture_path("range.gpkg", path);
    fixture_features(path, "GPKG", fixture_crs, "value", OFTReal, features, 1);
    CHECK_FAILS(STATUS_BAD_OPTION, values[i],
                label_source_open(path, &plain, &fixture_grid, NULL, &source));
  }
  const FixtureFeature large[] = {{a, "300"}};
  uint16_t classes[PIXELS];
  fixture_features(path, "GPKG", fixture_crs, "value", OFTReal, large, 1);
  CHECK_OK(label_source_open(path, &plain, &fixture_grid, NULL, &source));
  CHECK_FAILS(STATUS_MISMATCH, "class 300",
              label_source_burn(source, &fixture_grid, PIXEL_U8, classes));
  CHECK_OK(label_source_burn(source, &fixture_grid, PIXEL_U16, classes));
  assert_int_equal(classes[0], 300);
  label_source_close(source);
}

static void an_invalid_polygon_is_repaired_and_counted(void **state)
{
  /* A bow tie whose two triangles meet in the middle, a polygon without area, one that is fine. */
  static const FixtureFeature features[] = {
      {"POLYGON((300000 3060000,300016 3059984,300016 3060000,300000 3059984,300000 3060000))",
       "1"},
      {"POLYGON((300020 3060000,300030 3060000,300020 3060000))", "1"},
      {"POLYGON((300040 3060000,300044 3060000,300044 3059996,300040 3059996,300040 3060000))",
       "1"}};
  char path[FIXTURE_PATH_BYTES];
  uint8_t classes[PIXELS];
  fixture_path("bowtie.gpkg", path);
  fixture_features(path, "GPKG", fixture_crs, "value", OFTInteger, features, 3);
  LabelSource *source;
  CHECK_OK(label_source_open(path, &plain, &fixture_grid, NULL, &source));
  const LabelCounts counts = label_source_counts(source);
  assert_int_equal(counts.read, 3);
  assert_int_equal(counts.kept, 2);
  assert_int_equal(counts.repaired, 1);
  assert_int_equal(counts.dropped, 1);
  assert_int_equal(counts.outside, 0);
  CHECK_OK(label_source_burn(source, &fixture_grid, PIXEL_U8, classes));
  assert_int_equal(classes[1 * WIDTH + 3], 0); /* above the knot */
  assert_int_equal(classes[4 * WIDTH + 1], 1);
  assert_int_equal(classes[4 * WIDTH + 6], 1);
  label_source_close(source);
}

static void labels_beside_the_raster_name_both_extents(void **state)
{
  static const FixtureFeature features[] = {{"POLYGON((85 27,85.1 27,85.1 27.1,85 27))", "1"}};
  char path[FIXTURE_PATH_BYTES];
  LabelSource *source;
  fixture_path("beside.geojson", path);
  fixture_features(path, "GeoJSON", "EPSG:4326", "value", OFTInteger, features, 1);
  CHECK_FAILS(STATUS_MISMATCH, "x 85 to 85.1, y 27 to 27.1 in EPSG:4326 (WGS 84)",
              label_source_open(path, &plain, &fixture_grid, NULL, &source));
  CHECK_FAILS(STATUS_MISMATCH, "the raster x 300000 to 300064, y 3059952 to 3060000 in EPSG:32645",
              label_source_open(path, &plain, &fixture_grid, NULL, &source));
  const Window share = {0, 0, 4, 4}; /* a rank's share may well be empty */
  uint8_t classes[PIXELS];
  CHECK_OK(label_source_open(path, &plain, &fixture_grid, &share, &source));
  assert_int_equal(label_source_counts(source).outside, 1);
  CHECK_OK(label_source_burn(source, &fixture_grid, PIXEL_U8, classes));
  assert_int_equal(count_of(classes, 0), PIXELS);
  label_source_close(source);
}

static void labels_without_a_system_need_permission(void **state)
{
  char path[FIXTURE_PATH_BYTES], a[256];
  uint8_t classes[PIXELS];
  LabelSource *source;
  rectangle(0, 0, 2, 2, a);
  const FixtureFeature features[] = {{a, "1"}};
  fixture_path("nocrs.shp", path);
  fixture_features(path, "ESRI Shapefile", "", "value", OFTInteger, features, 1);
  CHECK_FAILS(STATUS_MISMATCH, "has no reference system",
              label_source_open(path, &plain, &fixture_grid, NULL, &source));
  LabelOptions options = plain;
  options.assume_raster_crs = true;
  burn_all(path, &options, classes);
  assert_int_equal(count_of(classes, 1), 4);
}

static void points_become_circles_by_a_buffer(void **state)
{
  static const FixtureFeature features[] = {{"POINT(300032 3059976)", "1"}};
  char path[FIXTURE_PATH_BYTES];
  uint8_t classes[PIXELS];
  fixture_path("point.gpkg", path);
  fixture_features(path, "GPKG", fixture_crs, "value", OFTInteger, features, 1);
  burn_all(path, &plain, classes);
  assert_int_equal(count_of(classes, 1), 1);
  LabelOptions options = plain;
  options.buffer = 4.5; /* 2.25 px about a pixel corner: 4 x 4 px, whose corners are 2.12 px away */
  burn_all(path, &options, classes);
  assert_int_equal(count_of(classes, 1), 16);
}

static void what_touches_a_chip_is_found_exactly(void **state)
{
  /* An L: its box holds chips that it does not touch. */
  static const FixtureFeature features[] = {
      {"POLYGON((300000 3060000,300004 3060000,300004 3059960,300060 3059960,300060 3059956,300000 "
       "3059956,300000 3060000))",
       "1"}};
  char path[FIXTURE_PATH_BYTES];
  LabelSource *source;
  bool touches;
  fixture_path("l.gpkg", path);
  fixture_features(path, "GPKG", fixture_crs, "value", OFTInteger, features, 1);
  CHECK_OK(label_source_open(path, &plain, &fixture_grid, NULL, &source));
  const Grid hit = grid_subgrid(&fixture_grid, (Window){0, 0, 8, 8});
  const Grid missed = grid_subgrid(&fixture_grid, (Window){8, 4, 8, 8});
  CHECK_OK(label_source_touches(source, &hit, &touches));
  assert_true(touches);
  CHECK_OK(label_source_touches(source, &missed, &touches));
  assert_false(touches);
  label_source_close(source);
}

static void a_chip_is_in_a_mask_only_as_a_whole(void **state)
{
  char path[FIXTURE_PATH_BYTES], inner[256];
  rectangle(4, 4, 20, 20, inner);
  const FixtureFeature features[] = {{inner, "1"}};
  fixture_path("mask.gpkg", path);
  fixture_features(path, "GPKG", fixture_crs, "value", OFTInteger, features, 1);
  MaskLayer *mask;
  CHECK_OK(mask_layer_open(path, "", false, &fixture_grid, &mask));
  const Grid on_outline = grid_subgrid(&fixture_grid, (Window){4, 4, 16, 16});
  const Grid one_over = grid_subgrid(&fixture_grid, (Window){4, 4, 17, 16});
  const Grid turned = grid_turned(&fixture_grid, (Window){6, 6, 12, 12}, 45);
  assert_true(mask_layer_holds(mask, &on_outline));
  assert_false(mask_layer_holds(mask, &one_over));
  assert_false(mask_layer_holds(mask, &turned)); /* its corners stick out: 12 * 1.414 > 16 */
  mask_layer_close(mask);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_polygon_owns_the_pixels_whose_centre_it_holds),
      cmocka_unit_test(the_larger_value_wins_whatever_the_order),
      cmocka_unit_test(labels_in_degrees_burn_as_gdal_rasterize_burns_them),
      cmocka_unit_test(a_chip_burns_as_its_part_of_the_whole_raster),
      cmocka_unit_test(a_chip_turned_by_a_quarter_burns_turned),
      cmocka_unit_test(texts_are_numbered_in_their_order),
      cmocka_unit_test(texts_that_are_numbers_are_values),
      cmocka_unit_test(without_a_class_field_all_is_class_1),
      cmocka_unit_test(class_values_out_of_range_are_refused),
      cmocka_unit_test(an_invalid_polygon_is_repaired_and_counted),
      cmocka_unit_test(labels_beside_the_raster_name_both_extents),
      cmocka_unit_test(labels_without_a_system_need_permission),
      cmocka_unit_test(points_become_circles_by_a_buffer),
      cmocka_unit_test(what_touches_a_chip_is_found_exactly),
      cmocka_unit_test(a_chip_is_in_a_mask_only_as_a_whole),
  };
  return cmocka_run_group_tests(tests, fixture_start, fixture_end);
}
