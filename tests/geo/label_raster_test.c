#include <cpl_string.h>
#include <stdio.h>

#include "geo/geo_fixture.h"
#include "geo/label_source.h"

static const LabelOptions plain = {.layer = ""};

/* 4 x 4 px of 1 m over the fixture's pixels (1, 1) and (2, 2), shifted by a quarter of a metre. */
static const Grid fine = {4, 4, {300002.25, 1, 0, 3059997.75, 0, -1}, fixture_crs};
static const uint8_t fine_values[16] = {1, 1, 2, 2, 1, 1, 2, 2, 255, 255, 4, 4, 255, 3, 4, 4};

static void make_fine(const char *name, const char *crs, bool named, char path[FIXTURE_PATH_BYTES])
{
  fixture_path(name, path);
  GDALDatasetH made = fixture_raster(path, &fine, crs, GDT_Byte, 1, fine_values, NULL);
  GDALRasterBandH band = GDALGetRasterBand(made, 1);
  GDALSetRasterNoDataValue(band, 255);
  char *names[] = {(char[]){""}, (char[]){"roof"}, (char[]){""}, (char[]){"road"}, NULL};
  if (named) GDALSetRasterCategoryNames(band, names);
  GDALClose(made);
}

static void each_pixel_has_the_class_at_its_centre(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  uint8_t classes[4 * 4];
  make_fine("fine.tif", fixture_crs, false, path);
  LabelSource *source;
  CHECK_OK(label_source_open(path, &plain, &fixture_grid, NULL, &source));
  assert_true(label_source_is_raster(source));
  const Grid chip = grid_subgrid(&fixture_grid, (Window){0, 0, 4, 4});
  CHECK_OK(label_source_burn(source, &chip, PIXEL_U8, classes));
  /* Centres lie at 1, 3, 5, 7 m from the corner; the labels cover 2.25 to 6.25 m. */
  const uint8_t expected[16] = {0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 4, 0, 0, 0, 0, 0};
  assert_memory_equal(classes, expected, 16);
  bool touches;
  CHECK_OK(label_source_touches(source, &chip, &touches));
  assert_true(touches);
  const Grid away = grid_subgrid(&fixture_grid, (Window){8, 8, 4, 4});
  CHECK_OK(label_source_touches(source, &away, &touches));
  assert_false(touches);
  label_source_close(source);
}

static void values_that_occur_are_the_classes_unless_they_have_names(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  LabelSource *source;
  int32_t count;
  make_fine("occur.tif", fixture_crs, false, path);
  CHECK_OK(label_source_open(path, &plain, &fixture_grid, NULL, &source));
  const ClassEntry *table = label_source_classes(source, &count);
  assert_int_equal(count, 4); /* 1, 2, 3, 4; 255 is NoData */
  for (int32_t i = 0; i < 4; ++i)
    assert_int_equal(table[i].value, i + 1);
  label_source_close(source);

  make_fine("named.tif", fixture_crs, true, path);
  CHECK_OK(label_source_open(path, &plain, &fixture_grid, NULL, &source));
  table = label_source_classes(source, &count);
  assert_int_equal(count, 2);
  assert_string_equal(table[0].name, "roof");
  assert_int_equal(table[1].value, 3);
  assert_string_equal(table[1].name, "road");
  label_source_close(source);
}

static void an_attribute_table_gives_names_and_colours(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  make_fine("rat.tif", fixture_crs, true, path);
  GDALDatasetH made = GDALOpenEx(path, GDAL_OF_UPDATE, NULL, NULL, NULL);
  GDALRasterAttributeTableH table = GDALCreateRasterAttributeTable();
  GDALRATCreateColumn(table, "OID", GFT_Integer, GFU_Generic);
  GDALRATCreateColumn(table, "Value", GFT_Integer, GFU_Generic);
  GDALRATCreateColumn(table, "Class", GFT_String, GFU_Generic);
  GDALRATCreateColumn(table, "Red", GFT_Integer, GFU_Generic);
  GDALRATCreateColumn(table, "Green", GFT_Integer, GFU_Generic);
  GDALRATCreateColumn(table, "Blue", GFT_Integer, GFU_Generic);
  GDALRATSetValueAsInt(table, 0, 1, 4);
  GDALRATSetValueAsString(table, 0, 2, "water");
  GDALRATSetValueAsInt(table, 0, 3, 10);
  GDALRATSetValueAsInt(table, 0, 4, 20);
  GDALRATSetValueAsInt(table, 0, 5, 30);
  assert_int_equal(GDALSetDefaultRAT(GDALGetRasterBand(made, 1), table), CE_None);
  GDALDestroyRasterAttributeTable(table);
  GDALClose(made);
  LabelSource *source;
  int32_t count;
  CHECK_OK(label_source_open(path, &plain, &fixture_grid, NULL, &source));
  const ClassEntry *classes = label_source_classes(source, &count);
  const uint8_t rgb[3] = {10, 20, 30};
  assert_int_equal(count, 1);
  assert_int_equal(classes[0].value, 4);
  assert_string_equal(classes[0].name, "water");
  assert_memory_equal(classes[0].rgb, rgb, 3);
  label_source_close(source);
}

static void only_listed_values_count(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  uint8_t classes[4];
  make_fine("listed.tif", fixture_crs, false, path);
  LabelOptions options = plain;
  options.classes = "roof=1";
  LabelSource *source;
  CHECK_OK(label_source_open(path, &options, &fixture_grid, NULL, &source));
  const Grid chip = grid_subgrid(&fixture_grid, (Window){1, 1, 2, 2});
  CHECK_OK(label_source_burn(source, &chip, PIXEL_U8, classes));
  const uint8_t expected[4] = {1, 0, 0, 0};
  assert_memory_equal(classes, expected, 4);
  label_source_close(source);
}

static void another_system_a_gap_and_fractions_are_refused(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  LabelSource *source;
  make_fine("other.tif", "EPSG:32644", false, path);
  CHECK_FAILS(STATUS_MISMATCH, "warp it with gdalwarp",
              label_source_open(path, &plain, &fixture_grid, NULL, &source));
  make_fine("unknown.tif", "", false, path);
  CHECK_FAILS(STATUS_MISMATCH, "unknown",
              label_source_open(path, &plain, &fixture_grid, NULL, &source));
  make_fine("beside.tif", fixture_crs, false, path);
  Grid beside = fixture_grid;
  beside.pixel_to_map[0] += 1000;
  CHECK_FAILS(STATUS_MISMATCH, "does not overlap",
              label_source_open(path, &plain, &beside, NULL, &source));
  const float fractions[16] = {0.5F};
  fixture_path("fractions.tif", path);
  GDALClose(fixture_raster(path, &fine, fixture_crs, GDT_Float32, 1, fractions, NULL));
  CHECK_FAILS(STATUS_UNSUPPORTED, "float32",
              label_source_open(path, &plain, &fixture_grid, NULL, &source));
}

static void labels_far_finer_than_the_chip_are_sampled_in_bounded_memory(void **state)
{
  enum { SIDE = 2048 }; /* 4 million label pixels under a chip of 8 x 8: more than one read holds */
  char path[FIXTURE_PATH_BYTES];
  const Grid grid = {SIDE, SIDE, {300000, 16.0 / SIDE, 0, 3060000, 0, -16.0 / SIDE}, fixture_crs};
  uint8_t *values = malloc((size_t)SIDE * SIDE);
  assert_non_null(values);
  for (int i = 0; i < SIDE * SIDE; ++i)
    values[i] = (uint8_t)(i % SIDE / 256 + 8 * (i / SIDE / 256)); /* one value per chip pixel */
  fixture_path("finer.tif", path);
  GDALClose(fixture_raster(path, &grid, fixture_crs, GDT_Byte, 1, values, NULL));
  free(values);
  LabelSource *source;
  uint16_t classes[64];
  const Grid chip = grid_subgrid(&fixture_grid, (Window){0, 0, 8, 8});
  CHECK_OK(label_source_open(path, &plain, &fixture_grid, NULL, &source));
  CHECK_OK(label_source_burn(source, &chip, PIXEL_U16, classes));
  for (int i = 0; i < 64; ++i)
    assert_int_equal(classes[i], i);
  label_source_close(source);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_pixel_has_the_class_at_its_centre),
      cmocka_unit_test(values_that_occur_are_the_classes_unless_they_have_names),
      cmocka_unit_test(an_attribute_table_gives_names_and_colours),
      cmocka_unit_test(only_listed_values_count),
      cmocka_unit_test(another_system_a_gap_and_fractions_are_refused),
      cmocka_unit_test(labels_far_finer_than_the_chip_are_sampled_in_bounded_memory),
  };
  return cmocka_run_group_tests(tests, fixture_start, fixture_end);
}
