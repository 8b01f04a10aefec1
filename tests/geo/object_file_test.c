#include "geo/object_file.h"

#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/path.h"
#include "geo/geo_fixture.h"
#include "geo/quicklook.h"
#include "geo/raster.h"

enum { SIDE = 64 };

static const Grid grid = {400, 300, {300000, 0.5, 0, 3060000, 0, -0.5}, fixture_crs};
static const ClassEntry classes[] = {
    {.value = 3, .name = "roof", .has_colour = true, .rgb = {200, 30, 40}},
    {.value = 7, .name = "tent & \"co\"", .has_colour = true, .rgb = {20, 130, 50}},
};

static ObjectFileOptions plain_options(void)
{
  return (ObjectFileOptions){.format = "",
                             .grid = &grid,
                             .classes = classes,
                             .class_count = 2,
                             .model = "0123456789abcdef",
                             .confidence_scale = 1};
}

/* The outline of a shape in SIDE x SIDE pixels from column 100, row 50 on. */
static Outline outline_where(bool (*is_set)(int column, int row))
{
  static int64_t row_start[SIDE + 1];
  static PixelRun runs[SIDE * SIDE];
  Outline outline;
  int64_t count = 0;
  for (int row = 0; row < SIDE; ++row) {
    row_start[row] = count;
    for (int i = 0; i < SIDE; ++i) {
      if (!is_set(i, row)) continue;
      if (i == 0 || !is_set(i - 1, row)) runs[count++].first_px = i;
      runs[count - 1].end_px = i + 1;
    }
  }
  row_start[SIDE] = count;
  const PixelSet set = {.window = {100, 50, SIDE, SIDE}, .row_start = row_start, .runs = runs};
  CHECK_OK(outline_trace(&set, &outline));
  return outline;
}

/* 40 x 20 px, with a hole of 10 x 4 px. */
static bool is_block(int column, int row)
{
  const bool hole = column >= 15 && column < 25 && row >= 18 && row < 22;
  return column >= 10 && column < 50 && row >= 10 && row < 30 && !hole;
}

/* Two squares of 5 x 5 px that touch in a corner. */
static bool is_pair(int column, int row)
{
  return column < 10 && row < 10 && (column < 5) == (row < 5);
}

/* An L of arms 14 px wide, turned by 25 degrees. */
static bool is_turned(int column, int row)
{
  const double x = column - 31.5, y = row - 31.5, angle = 25 * 3.14159265358979 / 180;
  const double u = x * cos(angle) + y * sin(angle), v = y * cos(angle) - x * sin(angle);
  return fabs(u) < 22 && fabs(v) < 20 && (u < -8 || v < -6);
}

static bool is_disc(int column, int row)
{
  return hypot(column - 31.5, row - 31.5) < 28;
}

static void write_file(const char *name, const ObjectFileOptions *options, Outline *outlines,
                       int count, char path[FIXTURE_PATH_BYTES], ObjectWritten *written)
{
  ObjectFile *file;
  fixture_path(name, path);
  CHECK_OK(object_file_create(path, options, &file));
  for (int i = 0; i < count; ++i) {
    const ObjectFields fields = {
        .class_value = i == 0 ? 7 : 3, .confidence = 0.75, .tile = 41 + i, .fragments = 1 + i};
    CHECK_OK(object_file_write(file, &outlines[i], &fields, &written[i]));
  }
  object_file_note(file, "quadrat_command", "quadrat detect <here> & \"there\"");
  CHECK_OK(object_file_finish(file));
  object_file_close(file);
  for (int i = 0; i < count; ++i)
    outline_free(&outlines[i]);
}

static OGRFeatureH feature_of(GDALDatasetH made, const char *layer, int64_t id)
{
  OGRFeatureH feature = OGR_L_GetFeature(GDALDatasetGetLayerByName(made, layer), id);
  assert_non_null(feature);
  return feature;
}

static double text_number(OGRFeatureH feature, const char *field)
{
  return OGR_F_GetFieldAsDouble(feature, OGR_F_GetFieldIndex(feature, field));
}

/* Twice the signed area: positive for counter-clockwise. */
static double turn(OGRGeometryH ring)
{
  double sum = 0;
  const double x0 = OGR_G_GetX(ring, 0), y0 = OGR_G_GetY(ring, 0);
  for (int i = 0; i + 1 < OGR_G_GetPointCount(ring); ++i)
    sum += (OGR_G_GetX(ring, i) - x0) * (OGR_G_GetY(ring, i + 1) - y0) -
           (OGR_G_GetX(ring, i + 1) - x0) * (OGR_G_GetY(ring, i) - y0);
  return sum;
}

static void an_object_is_its_pixels_with_holes_and_fields(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  ObjectWritten written;
  const ObjectFileOptions options = plain_options();
  Outline outline = outline_where(is_block);
  write_file("block.gpkg", &options, &outline, 1, path, &written);
  GDALDatasetH made = GDALOpenEx(path, GDAL_OF_VECTOR, NULL, NULL, NULL);
  OGRFeatureH feature = feature_of(made, "block", 1);
  OGRGeometryH geometry = OGR_F_GetGeometryRef(feature);
  assert_int_equal(OGR_G_GetGeometryType(geometry), wkbMultiPolygon);
  assert_true(OGR_G_IsValid(geometry));
  OGRGeometryH polygon = OGR_G_GetGeometryRef(geometry, 0);
  assert_int_equal(OGR_G_GetGeometryCount(polygon), 2);
  assert_true(turn(OGR_G_GetGeometryRef(polygon, 0)) == 2 * 40 * 20 * 0.25);
  assert_true(turn(OGR_G_GetGeometryRef(polygon, 1)) == -2 * 10 * 4 * 0.25);
  OGREnvelope box;
  OGR_G_GetEnvelope(geometry, &box);
  assert_true(box.MinX == 300000 + 110 * 0.5 && box.MaxX == 300000 + 150 * 0.5);
  assert_true(box.MinY == 3060000 - 80 * 0.5 && box.MaxY == 3060000 - 60 * 0.5);
  assert_string_equal(OGR_F_GetFieldAsString(feature, 0), "tent & \"co\"");
  assert_true(text_number(feature, "class_value") == 7);
  assert_true(text_number(feature, "Confidence") == 0.75);
  assert_true(text_number(feature, "tile") == 41 && text_number(feature, "fragments") == 1);
  assert_string_equal(OGR_F_GetFieldAsString(feature, OGR_F_GetFieldIndex(feature, "model")),
                      "0123456789abcdef");
  /* UTM's scale there is 1.00009. */
  assert_true(fabs(written.area_m2 / (760 * 0.25) - 1) < 0.0005);
  assert_true(text_number(feature, "area_m2") == written.area_m2);
  OGR_F_Destroy(feature);
  const char *note = GDALGetMetadataItem(made, "quadrat_command", NULL);
  assert_non_null(note);
  assert_string_equal(note, "quadrat detect <here> & \"there\"");
  OGRFeatureH style = feature_of(made, "layer_styles", 1);
  const char *qml = OGR_F_GetFieldAsString(style, OGR_F_GetFieldIndex(style, "styleQML"));
  assert_non_null(strstr(qml, "attr=\"class_value\""));
  assert_non_null(strstr(qml, "k=\"style\" v=\"no\""));
  assert_non_null(strstr(qml, "20,130,50,255"));
  OGR_F_Destroy(style);
  GDALClose(made);
  assert_int_equal(fixture_holds(".block"), 0);
}

static void parts_are_one_valid_multipolygon(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  ObjectWritten written;
  const ObjectFileOptions options = plain_options();
  Outline outline = outline_where(is_pair);
  write_file("pair.gpkg", &options, &outline, 1, path, &written);
  GDALDatasetH made = GDALOpenEx(path, GDAL_OF_VECTOR, NULL, NULL, NULL);
  OGRFeatureH feature = feature_of(made, "pair", 1);
  OGRGeometryH geometry = OGR_F_GetGeometryRef(feature);
  assert_int_equal(OGR_G_GetGeometryCount(geometry), 2);
  assert_true(OGR_G_IsValid(geometry));
  assert_true(OGR_G_Area(geometry) == 50 * 0.25);
  OGR_F_Destroy(feature);
  GDALClose(made);
}

static void the_same_objects_are_the_same_bytes_in_every_format(void **state)
{
  static const char *const names[] = {"a.gpkg", "a.fgb", "a.geojson", "a.shp", "a.gml"};
  char path[FIXTURE_PATH_BYTES], kept[FIXTURE_PATH_BYTES];
  ObjectWritten written[2];
  for (size_t i = 0; i < 5; ++i) {
    ObjectFileOptions options = plain_options();
    options.regularize = i == 0;
    for (int again = 0; again < 2; ++again) {
      Outline outlines[2] = {outline_where(is_block), outline_where(is_turned)};
      write_file(names[i], &options, outlines, 2, path, written);
      fixture_path("kept", kept);
      if (again == 1) assert_true(fixture_same_bytes(path, kept));
      assert_int_equal(rename(path, kept), 0);
    }
  }
}

static void a_format_may_be_named(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  ObjectWritten written;
  ObjectFileOptions options = plain_options();
  options.format = "GPKG";
  Outline outline = outline_where(is_block);
  write_file("named.sqlite", &options, &outline, 1, path, &written);
  options.format = "MapInfo File";
  outline = outline_where(is_block);
  write_file("named.tab", &options, &outline, 1, path, &written);
  GDALDatasetH made = GDALOpenEx(path, GDAL_OF_VECTOR, NULL, NULL, NULL);
  assert_non_null(made);
  assert_int_equal(OGR_L_GetFeatureCount(GDALDatasetGetLayer(made, 0), 1), 1);
  GDALClose(made);
  assert_int_equal(fixture_holds(".named"), 0);
  CHECK_FAILS(STATUS_BAD_OPTION, "no format of the name Foo",
              object_file_check("a.gpkg", "Foo", false));
  CHECK_FAILS(STATUS_BAD_OPTION, "has this ending", object_file_check("a.foo", "", false));
  CHECK_FAILS(STATUS_BAD_OPTION, "needs an ending", object_file_check("afoo", "", false));
  CHECK_FAILS(STATUS_UNSUPPORTED, "only a .gpkg has", object_file_check("a.fgb", "", true));
  CHECK_OK(object_file_check("a.gpkg", "", true));
}

static void small_ones_are_left_out_and_confidence_may_be_per_cent(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  ObjectWritten written[2];
  ObjectFileOptions options = plain_options();
  options.min_area_m2 = 100;
  options.confidence_scale = 100;
  Outline outlines[2] = {outline_where(is_pair), outline_where(is_block)};
  write_file("large.gpkg", &options, outlines, 2, path, written);
  assert_false(written[0].is_written);
  assert_true(written[1].is_written);
  GDALDatasetH made = GDALOpenEx(path, GDAL_OF_VECTOR, NULL, NULL, NULL);
  assert_int_equal(OGR_L_GetFeatureCount(GDALDatasetGetLayerByName(made, "large"), 1), 1);
  OGRFeatureH feature = feature_of(made, "large", 1);
  assert_true(text_number(feature, "Confidence") == 75);
  OGR_F_Destroy(feature);
  GDALClose(made);
}

static void a_turned_house_gets_right_angles_and_a_disc_stays(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  ObjectWritten written[2];
  ObjectFileOptions options = plain_options();
  options.regularize = true;
  Outline outlines[2] = {outline_where(is_turned), outline_where(is_block)};
  write_file("regular.gpkg", &options, outlines, 2, path, written);
  assert_true(written[0].is_regular && written[1].is_regular);
  GDALDatasetH made = GDALOpenEx(path, GDAL_OF_VECTOR, NULL, NULL, NULL);
  OGRFeatureH exact = feature_of(made, "regular", 1);
  OGRFeatureH feature = feature_of(made, "regular_regular", 1);
  OGRGeometryH geometry = OGR_F_GetGeometryRef(feature);
  OGRGeometryH ring = OGR_G_GetGeometryRef(OGR_G_GetGeometryRef(geometry, 0), 0);
  assert_true(OGR_G_IsValid(geometry));
  assert_int_equal(OGR_G_GetPointCount(ring), 7); /* an L */
  assert_true(text_number(feature, "regular") == 1 && text_number(feature, "iou") > 0.95);
  assert_true(fabs(OGR_G_Area(geometry) / OGR_G_Area(OGR_F_GetGeometryRef(exact)) - 1) < 0.02);
  for (int i = 0; i < 6; ++i) {
    const double x = OGR_G_GetX(ring, i + 1) - OGR_G_GetX(ring, i);
    const double y = OGR_G_GetY(ring, i + 1) - OGR_G_GetY(ring, i);
    const double angle = atan2(y, x) * 180 / 3.14159265358979;
    /* Rows count downwards, so that 25 degrees turn to -25, or 65, on the map. */
    assert_true(fabs(remainder(angle + 25, 90)) < 0.5);
  }
  OGR_F_Destroy(exact);
  OGR_F_Destroy(feature);
  feature = feature_of(made, "regular_regular", 2); /* upright: nothing changes */
  assert_true(text_number(feature, "iou") > 1 - 1e-9);
  OGR_F_Destroy(feature);
  GDALClose(made);
}

/* Degrees are shorter to the east than to the north: right angles on the ground are none there. */
static void angles_are_right_on_the_ground(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  ObjectWritten written;
  const Grid degrees = {400, 300, {10, 1e-5 / 0.5, 0, 60, 0, -1e-5}, "EPSG:4326"};
  ObjectFileOptions options = plain_options();
  options.grid = &degrees;
  options.regularize = true;
  Outline outline = outline_where(is_turned);
  write_file("degrees.gpkg", &options, &outline, 1, path, &written);
  assert_true(written.is_regular);
  GDALDatasetH made = GDALOpenEx(path, GDAL_OF_VECTOR, NULL, NULL, NULL);
  OGRFeatureH feature = feature_of(made, "degrees_regular", 1);
  assert_true(text_number(feature, "iou") > 0.95);
  OGR_F_Destroy(feature);
  GDALClose(made);
}

static void simplified_outlines_have_fewer_points_and_stay_valid(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  ObjectWritten written;
  ObjectFileOptions options = plain_options();
  options.simplify_px = 2;
  Outline outline = outline_where(is_disc);
  const int64_t before = outline.point_count;
  write_file("simple.gpkg", &options, &outline, 1, path, &written);
  GDALDatasetH made = GDALOpenEx(path, GDAL_OF_VECTOR, NULL, NULL, NULL);
  OGRFeatureH feature = feature_of(made, "simple", 1);
  OGRGeometryH geometry = OGR_F_GetGeometryRef(feature);
  OGRGeometryH ring = OGR_G_GetGeometryRef(OGR_G_GetGeometryRef(geometry, 0), 0);
  assert_true(OGR_G_IsValid(geometry) && turn(ring) > 0);
  assert_true(OGR_G_GetPointCount(ring) * 4 < before);
  OGR_F_Destroy(feature);
  GDALClose(made);
}

static void without_a_reference_system_there_are_no_areas(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  ObjectWritten written;
  ObjectFile *file;
  const Grid nowhere = {400, 300, {0, 1, 0, 0, 0, -1}, ""};
  ObjectFileOptions options = plain_options();
  options.grid = &nowhere;
  Outline outline = outline_where(is_block);
  write_file("nowhere.gpkg", &options, &outline, 1, path, &written);
  assert_true(written.is_written && isnan(written.area_m2));
  options.min_area_m2 = 1;
  CHECK_FAILS(STATUS_MISMATCH, "least area", object_file_create(path, &options, &file));
}

static void no_objects_are_an_empty_layer(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  const ObjectFileOptions options = plain_options();
  write_file("none.gpkg", &options, NULL, 0, path, NULL);
  GDALDatasetH made = GDALOpenEx(path, GDAL_OF_VECTOR, NULL, NULL, NULL);
  OGRLayerH layer = GDALDatasetGetLayerByName(made, "none");
  assert_int_equal(OGR_L_GetFeatureCount(layer, 1), 0);
  assert_int_equal(OGR_FD_GetFieldCount(OGR_L_GetLayerDefn(layer)), 7);
  GDALClose(made);
}

static void a_picture_shows_outlines_over_the_image(void **state)
{
  char image_path[FIXTURE_PATH_BYTES], path[FIXTURE_PATH_BYTES];
  static uint8_t pixels[400 * 300];
  static const uint8_t rgb[3] = {200, 30, 40};
  memset(pixels, 90, sizeof pixels);
  fixture_path("image.tif", image_path);
  GDALClose(fixture_raster(image_path, &grid, fixture_crs, GDT_Byte, 1, pixels, NULL));
  Raster *image;
  Quicklook *look;
  const QuicklookOptions options = {.max_side_px = 0};
  CHECK_OK(raster_open(image_path, &image));
  CHECK_OK(quicklook_open(image, grid_window(&grid), &options, &look));
  Outline outline = outline_where(is_block);
  quicklook_draw(look, &outline, rgb);
  outline_free(&outline);
  fixture_path("look.png", path);
  CHECK_OK(quicklook_save(look, path));
  quicklook_close(look);
  raster_close(image);
  GDALDatasetH made = GDALOpenEx(path, GDAL_OF_RASTER, NULL, NULL, NULL);
  uint8_t seen[2];
  GDALRasterBandH red = GDALGetRasterBand(made, 1);
  assert_int_equal(GDALRasterIO(red, GF_Read, 110, 65, 2, 1, seen, 2, 1, GDT_Byte, 0, 0), CE_None);
  assert_int_equal(seen[0], 200);
  assert_int_equal(seen[1], 90);
  GDALClose(made);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_object_is_its_pixels_with_holes_and_fields),
      cmocka_unit_test(parts_are_one_valid_multipolygon),
      cmocka_unit_test(the_same_objects_are_the_same_bytes_in_every_format),
      cmocka_unit_test(a_format_may_be_named),
      cmocka_unit_test(small_ones_are_left_out_and_confidence_may_be_per_cent),
      cmocka_unit_test(a_turned_house_gets_right_angles_and_a_disc_stays),
      cmocka_unit_test(angles_are_right_on_the_ground),
      cmocka_unit_test(simplified_outlines_have_fewer_points_and_stay_valid),
      cmocka_unit_test(without_a_reference_system_there_are_no_areas),
      cmocka_unit_test(no_objects_are_an_empty_layer),
      cmocka_unit_test(a_picture_shows_outlines_over_the_image),
  };
  return cmocka_run_group_tests_name("object_file", tests, fixture_start, fixture_end);
}
