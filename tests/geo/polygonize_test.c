#include "geo/polygonize.h"

#include <math.h>
#include <stdio.h>

#include <cpl_conv.h>

#include "base/path.h"
#include "geo/class_map.h"
#include "geo/geo_fixture.h"
#include "geo/label_source.h"

enum { WIDTH = 300, HEIGHT = 200, NODATA = 255 };

static const Grid grid = {WIDTH, HEIGHT, {300000, 2, 0, 3060000, 0, -2}, fixture_crs};
static const ClassEntry classes[] = {
    {.value = 0, .name = "ground", .has_colour = true, .rgb = {1, 2, 3}},
    {.value = 1, .name = "roof", .has_colour = true, .rgb = {200, 30, 40}},
    {.value = 2, .name = "road & \"path\"", .has_colour = true, .rgb = {20, 130, 50}},
};
static const PolygonizeOptions plain = {.min_area_m2 = 0};

/* Discs of two classes with holes, corners that touch diagonally, a corner without data. */
static uint8_t class_at(int column, int row)
{
  if (column + row < 40) return NODATA;
  const int x = column % 60 - 30, y = row % 50 - 25;
  const int square = x * x + y * y;
  if (square < 30) return 0;
  if (square < 400) return (uint8_t)(1 + column / 60 % 2);
  return (column / 4 + row / 4) % 29 == 0 ? 1 : 0;
}

static void make_map(const char *name, const Grid *where, char path[FIXTURE_PATH_BYTES])
{
  static uint8_t values[WIDTH * HEIGHT];
  const ClassMapOptions options = {.type = PIXEL_U8, .nodata = NODATA};
  for (int i = 0; i < WIDTH * HEIGHT; ++i)
    values[i] = class_at(i % WIDTH, i / WIDTH);
  fixture_path(name, path);
  ClassMap *map;
  CHECK_OK(class_map_create(path, where, classes, 3, &options, &map));
  CHECK_OK(class_map_write(map, grid_window(where), values));
  CHECK_OK(class_map_finish(map));
  class_map_close(map);
}

/* How many pixels burn to another class than the map has. */
static int64_t differing(const char *polygons_path)
{
  static uint8_t burned[WIDTH * HEIGHT];
  const LabelOptions options = {.layer = "polygons"};
  LabelSource *source;
  CHECK_OK(label_source_open(polygons_path, &options, &grid, NULL, &source));
  CHECK_OK(label_source_burn(source, &grid, PIXEL_U8, burned));
  label_source_close(source);
  int64_t count = 0;
  for (int i = 0; i < WIDTH * HEIGHT; ++i) {
    const uint8_t expected = class_at(i % WIDTH, i / WIDTH);
    count += burned[i] != (expected == NODATA ? 0 : expected);
  }
  return count;
}

static void polygons_burned_back_give_the_map(void **state)
{
  static const char *const names[] = {"polygons.gpkg", "polygons.fgb", "polygons.shp"};
  char map[FIXTURE_PATH_BYTES], path[FIXTURE_PATH_BYTES];
  PolygonizeCounts counts, first = {0};
  make_map("burn.tif", &grid, map);
  for (size_t i = 0; i < 3; ++i) {
    fixture_path(names[i], path);
    CHECK_OK(polygonize_class_map(map, path, classes, 3, &plain, &counts));
    if (i == 0) first = counts;
    assert_true(counts.written > 20 && counts.written == first.written);
    assert_int_equal(counts.too_small, 0);
    assert_int_equal(differing(path), 0);
  }
  assert_int_equal(fixture_holds(".polygons"), 0);
}

static void geojson_is_in_degrees_and_burns_back_too(void **state)
{
  char map[FIXTURE_PATH_BYTES], path[FIXTURE_PATH_BYTES];
  PolygonizeCounts counts;
  make_map("degrees.tif", &grid, map);
  fixture_path("polygons.geojson", path);
  CHECK_OK(polygonize_class_map(map, path, classes, 3, &plain, &counts));
  GDALDatasetH made = GDALOpenEx(path, GDAL_OF_VECTOR, NULL, NULL, NULL);
  OGREnvelope box;
  assert_int_equal(OGR_L_GetExtent(GDALDatasetGetLayer(made, 0), &box, 1), OGRERR_NONE);
  assert_true(box.MinX > 84.9 && box.MaxX < 85.1 && box.MinY > 27.6 && box.MaxY < 27.7);
  GDALClose(made);
  assert_int_equal(differing(path), 0);
}

/* The fields of the first feature, and the sum of all areas. */
static double read_areas(const char *path, int64_t *count)
{
  GDALDatasetH made = GDALOpenEx(path, GDAL_OF_VECTOR, NULL, NULL, NULL);
  assert_non_null(made);
  OGRLayerH layer = GDALDatasetGetLayer(made, 0);
  double sum = 0;
  *count = 0;
  for (OGRFeatureH feature = OGR_L_GetNextFeature(layer); feature != NULL;
       feature = OGR_L_GetNextFeature(layer)) {
    sum += OGR_F_GetFieldAsDouble(feature, OGR_F_GetFieldIndex(feature, "area_m2"));
    const int value = OGR_F_GetFieldAsInteger(feature, 0);
    assert_string_equal(OGR_F_GetFieldAsString(feature, 1), classes[value].name);
    OGR_F_Destroy(feature);
    ++*count;
  }
  GDALClose(made);
  return sum;
}

static void background_is_left_out_unless_wanted(void **state)
{
  char map[FIXTURE_PATH_BYTES], path[FIXTURE_PATH_BYTES];
  PolygonizeCounts without, with;
  PolygonizeOptions all = plain;
  all.keep_background = true;
  make_map("ground.tif", &grid, map);
  fixture_path("polygons.gpkg", path);
  CHECK_OK(polygonize_class_map(map, path, classes, 3, &plain, &without));
  int64_t valid = 0, shown = 0, count;
  for (int i = 0; i < WIDTH * HEIGHT; ++i) {
    valid += class_at(i % WIDTH, i / WIDTH) != NODATA;
    shown += class_at(i % WIDTH, i / WIDTH) % NODATA != 0;
  }
  /* UTM's scale at 200 km from the central meridian is 1.00009: areas on the ground are smaller by
   * 0.018 %. */
  double area_m2 = read_areas(path, &count);
  assert_int_equal(count, without.written);
  assert_true(fabs(area_m2 / (4.0 * (double)shown) - 1) < 0.0005);
  CHECK_OK(polygonize_class_map(map, path, classes, 3, &all, &with));
  area_m2 = read_areas(path, &count);
  assert_true(with.written > without.written && count == with.written);
  assert_true(fabs(area_m2 / (4.0 * (double)valid) - 1) < 0.0005);
}

/* Area of the one patch of a map of 100 x 100 px. */
static double area_on(const Grid *where)
{
  static uint8_t ones[100 * 100];
  char map_path[FIXTURE_PATH_BYTES], path[FIXTURE_PATH_BYTES];
  const ClassMapOptions options = {.type = PIXEL_U8, .nodata = NODATA};
  PolygonizeCounts counts;
  ClassMap *map;
  memset(ones, 1, sizeof ones);
  fixture_path("area.tif", map_path);
  CHECK_OK(class_map_create(map_path, where, classes, 3, &options, &map));
  CHECK_OK(class_map_write(map, grid_window(where), ones));
  CHECK_OK(class_map_finish(map));
  class_map_close(map);
  fixture_path("polygons.fgb", path);
  CHECK_OK(polygonize_class_map(map_path, path, classes, 3, &plain, &counts));
  int64_t count;
  const double area_m2 = read_areas(path, &count);
  assert_int_equal(count, 1);
  return area_m2;
}

/* Area between the equator and a latitude, all round, on WGS 84: the closed form of the zone,
 * pi b^2 (atanh(e s) / e + s / (1 - e^2 s^2)). */
static double zone_m2(double degrees)
{
  const double a = 6378137, f = 1 / 298.257223563, e = sqrt(f * (2 - f)), b = a * (1 - f);
  const double s = sin(degrees * 0.017453292519943295);
  return 3.14159265358979323846 * b * b * (atanh(e * s) / e + s / (1 - e * e * s * s));
}

static void areas_are_those_on_the_ground(void **state)
{
  const Grid degree = {100, 100, {0, 0.01, 0, 1, 0, -0.01}, "EPSG:4326"};
  assert_true(fabs(area_on(&degree) / (zone_m2(1) / 360) - 1) < 1e-9);
  assert_true(fabs(zone_m2(90) / 255032810862044 - 1) < 1e-9); /* half of the Earth, as published */
  const Grid band = {100, 100, {170, 1, 0, 60, 0, -0.6}, "EPSG:4326"}; /* over the 180th meridian */
  assert_true(fabs(area_on(&band) / (zone_m2(60) * 100 / 360) - 1) < 1e-9);
  /* A Mercator whose middle is at 150 E: what crosses the 180th meridian is as large as what does
   * not. */
  const Grid inland = {100, 100, {0, 1, 0, 2000, 0, -1}, "EPSG:3832"};
  const Grid across = {100, 100, {3339534.7, 1, 0, 2000, 0, -1}, "EPSG:3832"};
  assert_true(fabs(area_on(&across) / area_on(&inland) - 1) < 1e-6);
  /* 100 m by 100 m in an equal-area system, whose areas are true by definition. */
  const Grid equal_area = {100, 100, {4321000, 1, 0, 5210000, 0, -1}, "EPSG:3035"};
  assert_true(fabs(area_on(&equal_area) / 10000 - 1) < 1e-6);
  /* Web Mercator at 60 N: map units are twice too long, so areas a quarter (on the sphere). */
  const Grid mercator = {100, 100, {0, 1, 0, 8399737.89, 0, -1}, "EPSG:3857"};
  assert_true(fabs(area_on(&mercator) / 2500 - 1) < 0.01);
}

static void small_patches_are_left_out_and_counted(void **state)
{
  char map[FIXTURE_PATH_BYTES], path[FIXTURE_PATH_BYTES];
  PolygonizeCounts all, large;
  PolygonizeOptions options = plain;
  make_map("small.tif", &grid, map);
  fixture_path("polygons.gpkg", path);
  CHECK_OK(polygonize_class_map(map, path, classes, 3, &plain, &all));
  options.min_area_m2 = 1000;
  CHECK_OK(polygonize_class_map(map, path, classes, 3, &options, &large));
  assert_true(large.too_small > 0 && large.written > 0);
  assert_int_equal(large.written + large.too_small, all.written);
  assert_true(differing(path) > 0);
}

static void simpler_polygons_have_fewer_points(void **state)
{
  char map[FIXTURE_PATH_BYTES], path[FIXTURE_PATH_BYTES];
  PolygonizeCounts counts;
  int64_t detailed_bytes, simple_bytes;
  PolygonizeOptions options = plain;
  make_map("simple.tif", &grid, map);
  fixture_path("polygons.fgb", path);
  CHECK_OK(polygonize_class_map(map, path, classes, 3, &plain, &counts));
  CHECK_OK(path_size_bytes(path, &detailed_bytes));
  options.simplify = 3;
  CHECK_OK(polygonize_class_map(map, path, classes, 3, &options, &counts));
  CHECK_OK(path_size_bytes(path, &simple_bytes));
  assert_true(simple_bytes < detailed_bytes);
  const int64_t pixels = differing(path);
  assert_true(pixels > 0 && pixels < WIDTH * HEIGHT / 20);
}

static void a_geopackage_holds_its_style_and_is_the_same_each_time(void **state)
{
  char map[FIXTURE_PATH_BYTES], first[FIXTURE_PATH_BYTES], second[FIXTURE_PATH_BYTES];
  PolygonizeCounts counts;
  make_map("style.tif", &grid, map);
  fixture_path("polygons.gpkg", first);
  CHECK_OK(polygonize_class_map(map, first, classes, 3, &plain, &counts));
  fixture_path("first.gpkg", second);
  assert_int_equal(rename(first, second), 0);
  CHECK_OK(polygonize_class_map(map, first, classes, 3, &plain, &counts));
  assert_true(fixture_same_bytes(first, second));
  GDALDatasetH made = GDALOpenEx(first, GDAL_OF_VECTOR, NULL, NULL, NULL);
  OGRLayerH styles = GDALDatasetGetLayerByName(made, "layer_styles");
  assert_non_null(styles);
  OGRFeatureH style = OGR_L_GetNextFeature(styles);
  assert_non_null(style);
  const char *table = OGR_F_GetFieldAsString(style, OGR_F_GetFieldIndex(style, "f_table_name"));
  assert_string_equal(table, "polygons");
  const char *qml = OGR_F_GetFieldAsString(style, OGR_F_GetFieldIndex(style, "styleQML"));
  assert_non_null(strstr(qml, "road &amp; &quot;path&quot;"));
  assert_non_null(strstr(qml, "20,130,50"));
  OGR_F_Destroy(style);
  GDALClose(made);
}

static void nodata_of_any_value_gives_no_polygon(void **state)
{
  static const struct {
    int32_t nodata;
    bool keep_background;
    int64_t expected;
  } cases[] = {{0, false, 2}, {0, true, 2}, {1, false, 1}, {1, true, 2},
               {2, false, 1}, {2, true, 2}, {-1, true, 3}, {-1, false, 2}};
  const Grid small = {3, 1, {0, 1, 0, 0, 0, -1}, ""};
  const uint8_t values[3] = {0, 1, 2};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
    char map_path[FIXTURE_PATH_BYTES], path[FIXTURE_PATH_BYTES];
    const ClassMapOptions options = {.type = PIXEL_U8, .nodata = cases[i].nodata};
    PolygonizeOptions kept = plain;
    kept.keep_background = cases[i].keep_background;
    PolygonizeCounts counts;
    ClassMap *map;
    fixture_path("nodata.tif", map_path);
    CHECK_OK(class_map_create(map_path, &small, NULL, 0, &options, &map));
    CHECK_OK(class_map_write(map, grid_window(&small), values));
    CHECK_OK(class_map_finish(map));
    class_map_close(map);
    fixture_path("polygons.fgb", path);
    CHECK_OK(polygonize_class_map(map_path, path, classes, 3, &kept, &counts));
    assert_int_equal(counts.written, cases[i].expected);
  }
}

static void bad_outputs_and_maps_are_named(void **state)
{
  char map[FIXTURE_PATH_BYTES], path[FIXTURE_PATH_BYTES];
  PolygonizeCounts counts;
  const Grid nowhere = {WIDTH, HEIGHT, {0, 1, 0, 0, 0, -1}, ""};
  PolygonizeOptions large = plain;
  large.min_area_m2 = 5;
  make_map("bad.tif", &nowhere, map);
  fixture_path("polygons.txt", path);
  CHECK_FAILS(STATUS_BAD_OPTION, ".gpkg, .fgb, .geojson or .shp",
              polygonize_class_map(map, path, classes, 3, &plain, &counts));
  fixture_path("nowhere/polygons.gpkg", path);
  CHECK_FAILS(STATUS_IO, "does not exist",
              polygonize_class_map(map, path, classes, 3, &plain, &counts));
  fixture_path("polygons.gpkg", path);
  CHECK_FAILS(STATUS_MISMATCH, "a least area of 5 m2",
              polygonize_class_map(map, path, classes, 3, &large, &counts));
  fixture_path("missing.tif", map);
  CHECK_FAILS(STATUS_IO, "no such file",
              polygonize_class_map(map, path, classes, 3, &plain, &counts));
  assert_int_equal(fixture_holds(".polygons"), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(polygons_burned_back_give_the_map),
      cmocka_unit_test(geojson_is_in_degrees_and_burns_back_too),
      cmocka_unit_test(background_is_left_out_unless_wanted),
      cmocka_unit_test(areas_are_those_on_the_ground),
      cmocka_unit_test(small_patches_are_left_out_and_counted),
      cmocka_unit_test(simpler_polygons_have_fewer_points),
      cmocka_unit_test(a_geopackage_holds_its_style_and_is_the_same_each_time),
      cmocka_unit_test(nodata_of_any_value_gives_no_polygon),
      cmocka_unit_test(bad_outputs_and_maps_are_named),
  };
  return cmocka_run_group_tests(tests, fixture_start, fixture_end);
}
