#include "geo/polygon_layer.h"

#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "geo/crs.h"
#include "geo/geo_fixture.h"

#define SQUARE(x, y, side_x, side_y)                                                               \
  "POLYGON((" #x " " #y "," #side_x " " #y "," #side_x " " #side_y "," #x " " #side_y "," #x       \
  " " #y "))"

/* 0 and 1 share 20 of 100 each; 2 has a hole; 3 only touches 1. */
static const FixtureFeature squares[] = {
    {SQUARE(0, 0, 10, 10), "3"},
    {SQUARE(8, 0, 18, 10), "12"},
    {"POLYGON((0 20,10 20,10 30,0 30,0 20),(2 22,8 22,8 28,2 28,2 22))", "3"},
    {SQUARE(18, 0, 28, 10), NULL},
};

static const PolygonLayerOptions plain = {.layer = NULL};

static PolygonLayer *open_squares(const char *name, const char *field, OGRFieldType type,
                                  const PolygonLayerOptions *options)
{
  char path[FIXTURE_PATH_BYTES];
  PolygonLayer *layer;
  fixture_path(name, path);
  fixture_features(path, "GPKG", fixture_crs, field, type, squares, 4);
  CHECK_OK(polygon_layer_open(path, options, &layer));
  return layer;
}

static void items_have_class_area_and_box(void **state)
{
  PolygonLayer *layer = open_squares("items.gpkg", "CLASS_ID", OFTInteger, &plain);
  assert_int_equal(polygon_layer_count(layer), 4);
  assert_string_equal(polygon_layer_class_field(layer), "CLASS_ID");
  assert_string_equal(polygon_layer_confidence_field(layer), "");
  assert_int_equal(polygon_layer_class_count(layer), 3); /* numbers, then texts */
  assert_string_equal(polygon_layer_class(layer, 0), "3");
  assert_string_equal(polygon_layer_class(layer, 1), "12");
  assert_string_equal(polygon_layer_class(layer, 2), "");
  const PolygonItem *ring = polygon_layer_item(layer, 2);
  assert_int_equal(ring->number, 2);
  assert_int_equal(ring->class_index, 0);
  assert_true(ring->area == 64 && isnan(ring->confidence));
  assert_true(ring->box.y_min == 20 && ring->box.x_max == 10);
  assert_int_equal(polygon_layer_counts(layer).classless, 1);
  assert_int_equal(polygon_layer_counts(layer).unsure, 4);
  polygon_layer_close(layer);
}

static void shared_areas_are_exact_and_touching_is_none(void **state)
{
  double area;
  bool touches;
  PolygonLayer *layer = open_squares("shared.gpkg", "class", OFTInteger, &plain);
  CHECK_OK(polygon_layer_shared_area(layer, 0, layer, 1, &area));
  assert_true(area == 20);
  CHECK_OK(polygon_layer_shared_area(layer, 1, layer, 3, &area));
  assert_true(area == 0);
  CHECK_OK(polygon_layer_shared_area(layer, 0, layer, 3, &area));
  assert_true(area == 0);
  CHECK_OK(polygon_layer_shared_area(layer, 2, layer, 2, &area));
  assert_true(fabs(area - 64) < 1e-9);
  CHECK_OK(polygon_layer_touches(layer, 3, layer, &touches));
  assert_true(touches);
  polygon_layer_close(layer);
}

static void a_triangle_with_a_corner_twice_is_no_rectangle(void **state)
{
  static const FixtureFeature triangle[] = {{"POLYGON((0 0,10 0,0 10,0 10,0 0))", "1"}};
  char path[FIXTURE_PATH_BYTES];
  PolygonLayer *layer;
  fixture_path("triangle.gpkg", path);
  fixture_features(path, "GPKG", fixture_crs, "class", OFTInteger, triangle, 1);
  CHECK_OK(polygon_layer_open(path, &plain, &layer));
  assert_true(polygon_layer_item(layer, 0)->area == 50);
  polygon_layer_close(layer);
}

static void neighbours_are_found_by_place_in_order(void **state)
{
  int64_t *near, count;
  PolygonLayer *layer = open_squares("near.gpkg", "class", OFTInteger, &plain);
  CHECK_OK(polygon_layer_near(layer, (Extent){9, 9, 18, 12}, &near, &count));
  assert_int_equal(count, 3);
  assert_true(near[0] == 0 && near[1] == 1 && near[2] == 3);
  memory_free(near);
  CHECK_OK(polygon_layer_near(layer, (Extent){100, 100, 110, 110}, &near, &count));
  assert_int_equal(count, 0);
  memory_free(near);
  polygon_layer_close(layer);
}

static void a_number_as_text_and_a_whole_real_are_the_same_class(void **state)
{
  const PolygonLayerOptions options = {.class_field = "kind"};
  PolygonLayer *text = open_squares("text.gpkg", "kind", OFTString, &options);
  PolygonLayer *real = open_squares("real.gpkg", "kind", OFTReal, &options);
  assert_string_equal(polygon_layer_class(text, 1), "12");
  assert_string_equal(polygon_layer_class(real, 1), "12");
  polygon_layer_close(text);
  polygon_layer_close(real);
}

static void what_is_no_polygon_is_counted_and_what_is_invalid_repaired(void **state)
{
  static const FixtureFeature mixed[] = {
      {"POLYGON((0 0,10 10,10 0,0 10,0 0))", "0.5"}, /* a bow: two triangles of 25 */
      {"POINT(1 1)", "0.5"},
      {"POLYGON EMPTY", "0.5"},
      {"LINESTRING(0 0,5 5)", "0.5"},
      {"POLYGON((0 0,10 0,5 0,0 0))", "0.5"}, /* collapsed */
      {"GEOMETRYCOLLECTION(POINT(0 0),POLYGON((0 0,2 0,2 2,0 2,0 0)),POLYGON((1 0,3 0,3 2,1 2,1 "
       "0)))",
       NULL},
      {"POLYGON Z((0 0 5,4 0 5,4 4 5,0 4 5,0 0 5))", "nan"},
      {"CURVEPOLYGON(CIRCULARSTRING(0 0,1 1,2 0,1 -1,0 0))", "0.25"},
  };
  char path[FIXTURE_PATH_BYTES];
  PolygonLayer *layer;
  fixture_path("mixed.gpkg", path);
  fixture_features(path, "GPKG", fixture_crs, "confidence", OFTReal, mixed, 8);
  CHECK_OK(polygon_layer_open(path, &plain, &layer));
  const PolygonLayerCounts counts = polygon_layer_counts(layer);
  assert_int_equal(counts.read, 8);
  assert_int_equal(counts.kept, 4);
  assert_int_equal(counts.without_area, 4);
  assert_int_equal(counts.repaired, 2);
  assert_int_equal(counts.unsure, 2);
  assert_int_equal(counts.classless, 0); /* no field, so none is empty */
  assert_int_equal(polygon_layer_class_count(layer), 1);
  assert_true(fabs(polygon_layer_item(layer, 0)->area - 50) < 1e-9);
  assert_true(fabs(polygon_layer_item(layer, 1)->area - 6) < 1e-9);
  assert_int_equal(polygon_layer_item(layer, 1)->number, 5);
  assert_true(polygon_layer_item(layer, 2)->area == 16);
  assert_true(fabs(polygon_layer_item(layer, 3)->area - 3.14159265) < 0.01);
  polygon_layer_close(layer);
}

static void polygons_are_taken_into_another_system(void **state)
{
  static const FixtureFeature degrees[] = {
      {"POLYGON((84.97 27.64,84.98 27.64,84.98 27.65,84.97 27.65,84.97 27.64))", "1"}};
  char path[FIXTURE_PATH_BYTES];
  PolygonLayer *layer;
  const PolygonLayerOptions to_utm = {.crs_wkt = fixture_crs};
  fixture_path("degrees.gpkg", path);
  fixture_features(path, "GPKG", "EPSG:4326", "class", OFTInteger, degrees, 1);
  CHECK_OK(polygon_layer_open(path, &to_utm, &layer));
  const PolygonItem *item = polygon_layer_item(layer, 0);
  assert_true(fabs(item->area - 986.7 * 1108.3) < 5000); /* m² */
  assert_true(crs_same(polygon_layer_crs(layer), fixture_crs));
  polygon_layer_close(layer);
}

static void a_missing_system_is_an_error_unless_it_may_be_assumed(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  PolygonLayer *layer;
  PolygonLayerOptions to_utm = {.crs_wkt = fixture_crs};
  fixture_path("nowhere.gpkg", path);
  fixture_features(path, "GPKG", "", "class", OFTInteger, squares, 4);
  CHECK_FAILS(STATUS_MISMATCH, "has no reference system",
              polygon_layer_open(path, &to_utm, &layer));
  assert_null(layer);
  to_utm.assume_crs = true;
  CHECK_OK(polygon_layer_open(path, &to_utm, &layer));
  assert_true(polygon_layer_item(layer, 0)->area == 100);
  polygon_layer_close(layer);
}

static void fields_that_are_not_there_or_of_no_use_are_refused(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  PolygonLayer *layer;
  const PolygonLayerOptions no_class = {.class_field = "kind"};
  const PolygonLayerOptions no_confidence = {.needs_confidence = true};
  const PolygonLayerOptions text = {.confidence_field = "class"};
  const PolygonLayerOptions no_layer = {.layer = "roofs"};
  fixture_path("fields.gpkg", path);
  fixture_features(path, "GPKG", fixture_crs, "class", OFTString, squares, 4);
  CHECK_FAILS(STATUS_BAD_OPTION, "has no field “kind”; it has: class",
              polygon_layer_open(path, &no_class, &layer));
  CHECK_FAILS(STATUS_BAD_OPTION, "has no field “Confidence”",
              polygon_layer_open(path, &no_confidence, &layer));
  CHECK_FAILS(STATUS_BAD_OPTION, "a confidence is a number",
              polygon_layer_open(path, &text, &layer));
  CHECK_FAILS(STATUS_BAD_OPTION, "no layer “roofs”", polygon_layer_open(path, &no_layer, &layer));
  fixture_path("none.gpkg", path);
  CHECK_FAILS(STATUS_IO, "no such file", polygon_layer_open(path, &plain, &layer));
}

static void a_layer_without_features_is_empty(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  int64_t *near, count;
  PolygonLayer *layer;
  fixture_path("empty.gpkg", path);
  fixture_features(path, "GPKG", fixture_crs, "class", OFTString, squares, 0);
  CHECK_OK(polygon_layer_open(path, &plain, &layer));
  assert_int_equal(polygon_layer_count(layer), 0);
  CHECK_OK(polygon_layer_near(layer, (Extent){0, 0, 1, 1}, &near, &count));
  assert_int_equal(count, 0);
  memory_free(near);
  polygon_layer_close(layer);
}

static void copy_and_count(const PolygonLayer *layer, const bool *kept, const char *name,
                           int64_t wanted)
{
  char path[FIXTURE_PATH_BYTES];
  fixture_path(name, path);
  CHECK_OK(polygon_layer_copy(layer, kept, path, ""));
  GDALDatasetH dataset = GDALOpenEx(path, GDAL_OF_VECTOR, NULL, NULL, NULL);
  assert_non_null(dataset);
  assert_int_equal(OGR_L_GetFeatureCount(GDALDatasetGetLayer(dataset, 0), 1), wanted);
  GDALClose(dataset);
}

static void a_copy_has_the_features_that_stay_with_all_fields(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  const bool kept[4] = {true, false, true, true};
  PolygonLayer *layer = open_squares("whole.gpkg", "class", OFTInteger64, &plain);
  static const char *const names[] = {"part.gpkg", "part.fgb", "part.geojsonl", "part.shp",
                                      "part.sqlite"};
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
    copy_and_count(layer, kept, names[i], 3);
  fixture_path("part.gpkg", path);
  GDALDatasetH dataset = GDALOpenEx(path, GDAL_OF_VECTOR, NULL, NULL, NULL);
  OGRLayerH copy = GDALDatasetGetLayer(dataset, 0);
  assert_int_equal(OGR_FD_GetFieldIndex(OGR_L_GetLayerDefn(copy), "class"), 0);
  OGRFeatureH feature = OGR_L_GetFeature(copy, 3); /* keeps its number */
  assert_int_equal(OGR_F_GetFieldAsInteger(feature, 0), 3);
  assert_int_equal(OGR_G_GetGeometryCount(OGR_F_GetGeometryRef(feature)), 2);
  assert_null(OGR_L_GetFeature(copy, 2));
  OGR_F_Destroy(feature);
  GDALClose(dataset);
  fixture_path("part.doc", path);
  CHECK_FAILS(STATUS_BAD_OPTION, ".gpkg", polygon_layer_copy(layer, kept, path, ""));
  assert_int_equal(fixture_holds(".part"), 0);
  polygon_layer_close(layer);
}

static void what_was_repaired_is_written_valid(void **state)
{
  static const FixtureFeature bow[] = {{"POLYGON EMPTY", "1"},
                                       {"POLYGON((0 0,10 10,10 0,0 10,0 0))", "1"},
                                       {SQUARE(20, 0, 30, 10), "1"}};
  char path[FIXTURE_PATH_BYTES];
  const bool kept[3] = {false, true, true};
  PolygonLayer *layer;
  fixture_path("bow.geojson", path);
  fixture_features(path, "GeoJSON", fixture_crs, "fid", OFTInteger, bow, 3);
  CHECK_OK(polygon_layer_open(path, &plain, &layer));
  fixture_path("mended.gpkg", path);
  CHECK_OK(polygon_layer_copy(layer, kept, path, ""));
  GDALDatasetH dataset = GDALOpenEx(path, GDAL_OF_VECTOR, NULL, NULL, NULL);
  OGRFeatureH feature = OGR_L_GetNextFeature(GDALDatasetGetLayer(dataset, 0));
  assert_int_equal(OGR_F_GetFieldIndex(feature, "fid_1"), 0); /* fid is GeoPackage's own name */
  assert_int_equal(OGR_G_IsValid(OGR_F_GetGeometryRef(feature)), 1);
  assert_int_equal(OGR_G_GetGeometryCount(OGR_F_GetGeometryRef(feature)), 2);
  OGR_F_Destroy(feature);
  GDALClose(dataset);
  polygon_layer_close(layer);
}

int main(void)
{
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(items_have_class_area_and_box),
      cmocka_unit_test(shared_areas_are_exact_and_touching_is_none),
      cmocka_unit_test(a_triangle_with_a_corner_twice_is_no_rectangle),
      cmocka_unit_test(neighbours_are_found_by_place_in_order),
      cmocka_unit_test(a_number_as_text_and_a_whole_real_are_the_same_class),
      cmocka_unit_test(what_is_no_polygon_is_counted_and_what_is_invalid_repaired),
      cmocka_unit_test(polygons_are_taken_into_another_system),
      cmocka_unit_test(a_missing_system_is_an_error_unless_it_may_be_assumed),
      cmocka_unit_test(fields_that_are_not_there_or_of_no_use_are_refused),
      cmocka_unit_test(a_layer_without_features_is_empty),
      cmocka_unit_test(a_copy_has_the_features_that_stay_with_all_fields),
      cmocka_unit_test(what_was_repaired_is_written_valid),
  };
  return cmocka_run_group_tests(tests, fixture_start, fixture_end);
}
