#include <cpl_conv.h>
#include <gdal.h>
#include <gdal_alg.h>
#include <math.h>
#include <ogr_api.h>
#include <ogr_srs_api.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/path.h"
#include "layout.h"
#include "scene.h"

/* One scene that several tests look at: 307 m a side, more than a ward of the streets. */
enum { SIDE_PX = 1024 };

typedef struct Fixture {
  char folder[64];
  SceneOptions options;
  SceneSummary summary;
  uint8_t *rgb; /* 3 planes of SIDE_PX x SIDE_PX */
} Fixture;

static SceneOptions scene_named(const Fixture *fixture, const char *name)
{
  SceneOptions options = fixture->options;
  options.name = name;
  return options;
}

static uint8_t *read_rgb(const char *path, int64_t width_px, int64_t height_px)
{
  uint8_t *rgb = malloc((size_t)(3 * width_px * height_px));
  GDALDatasetH dataset = GDALOpen(path, GA_ReadOnly);
  assert_non_null(rgb);
  assert_non_null(dataset);
  assert_int_equal(GDALGetRasterXSize(dataset), width_px);
  assert_int_equal(GDALGetRasterYSize(dataset), height_px);
  assert_int_equal(GDALGetRasterCount(dataset), 3);
  assert_int_equal(GDALDatasetRasterIO(dataset, GF_Read, 0, 0, (int)width_px, (int)height_px, rgb,
                                       (int)width_px, (int)height_px, GDT_Byte, 3, NULL, 0, 0, 0),
                   CE_None);
  GDALClose(dataset);
  return rgb;
}

static bool files_equal(const char *first, const char *second)
{
  FILE *one = fopen(first, "rb"), *other = fopen(second, "rb");
  assert_non_null(one);
  assert_non_null(other);
  int a, b;
  do {
    a = fgetc(one);
    b = fgetc(other);
  } while (a == b && a != EOF);
  fclose(one);
  fclose(other);
  return a == b;
}

static int open_fixture(void **state)
{
  Fixture *fixture = calloc(1, sizeof *fixture);
  assert_non_null(fixture);
  (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/make_scene_test_XXXXXX");
  assert_non_null(mkdtemp(fixture->folder));
  fixture->options = (SceneOptions){.folder = fixture->folder,
                                    .name = "scene",
                                    .seed = 7,
                                    .width_px = SIDE_PX,
                                    .height_px = SIDE_PX,
                                    .cell_m = 0.3,
                                    .epsg = 32645};
  assert_int_equal(scene_make(&fixture->options, &fixture->summary), STATUS_OK);
  fixture->rgb = read_rgb(fixture->summary.raster_path, SIDE_PX, SIDE_PX);
  *state = fixture;
  return 0;
}

static int close_fixture(void **state)
{
  Fixture *fixture = *state;
  assert_int_equal(path_remove_tree(fixture->folder), STATUS_OK);
  free(fixture->rgb);
  free(fixture);
  return 0;
}

static bool is_nodata(const uint8_t *rgb, int64_t plane_px, int64_t i)
{
  return rgb[i] == 0 && rgb[plane_px + i] == 0 && rgb[2 * plane_px + i] == 0;
}

static void the_same_seed_gives_the_same_bytes_on_any_number_of_threads(void **state)
{
  const Fixture *fixture = *state;
  const int threads = omp_get_max_threads();
  SceneSummary other;
  const SceneOptions again = scene_named(fixture, "again");
  omp_set_num_threads(threads == 1 ? 3 : 1);
  assert_int_equal(scene_make(&again, &other), STATUS_OK);
  omp_set_num_threads(threads);
  assert_true(files_equal(fixture->summary.raster_path, other.raster_path));
  assert_true(files_equal(fixture->summary.label_path, other.label_path));
}

static void another_seed_gives_another_scene(void **state)
{
  const Fixture *fixture = *state;
  SceneSummary other;
  SceneOptions options = scene_named(fixture, "other");
  options.seed = 8;
  assert_int_equal(scene_make(&options, &other), STATUS_OK);
  assert_false(files_equal(fixture->summary.raster_path, other.raster_path));
  assert_false(files_equal(fixture->summary.label_path, other.label_path));

  uint8_t *rgb = read_rgb(other.raster_path, SIDE_PX, SIDE_PX);
  int64_t alike = 0;
  for (int64_t i = 0; i < SIDE_PX * SIDE_PX; ++i)
    alike += rgb[i] == fixture->rgb[i] && rgb[i] != 0 ? 1 : 0;
  free(rgb);
  assert_true(alike < SIDE_PX * SIDE_PX / 20); /* by chance one in some 100 */
}

static void valid_pixels_are_never_all_zero_and_nodata_is_1_to_15_percent(void **state)
{
  const Fixture *fixture = *state;
  int64_t zeros = 0;
  for (int64_t i = 0; i < SIDE_PX * SIDE_PX; ++i)
    zeros += is_nodata(fixture->rgb, SIDE_PX * SIDE_PX, i) ? 1 : 0;
  for (int64_t i = 0; i < 3 * SIDE_PX * SIDE_PX; ++i)
    if (fixture->rgb[i] == 0)
      assert_true(is_nodata(fixture->rgb, SIDE_PX * SIDE_PX, i % (SIDE_PX * SIDE_PX)));
  assert_int_equal(zeros, fixture->summary.nodata_px);
  assert_in_range(zeros, SIDE_PX * SIDE_PX / 100, 15 * SIDE_PX * SIDE_PX / 100);
}

static void the_raster_says_where_it_lies(void **state)
{
  const Fixture *fixture = *state;
  double transform[6];
  GDALDatasetH dataset = GDALOpen(fixture->summary.raster_path, GA_ReadOnly);
  assert_int_equal(GDALGetGeoTransform(dataset, transform), CE_None);
  assert_true(transform[0] == 330000.0 && transform[1] == 0.3 && transform[2] == 0.0);
  assert_true(transform[3] == 3056000.0 && transform[4] == 0.0 && transform[5] == -0.3);
  assert_string_equal(OSRGetAuthorityCode(GDALGetSpatialRef(dataset), NULL), "32645");
  for (int band = 1; band <= 3; ++band) {
    int has_nodata = 0, block_width_px = 0, block_height_px = 0;
    GDALRasterBandH of = GDALGetRasterBand(dataset, band);
    assert_true(GDALGetRasterNoDataValue(of, &has_nodata) == 0.0 && has_nodata != 0);
    assert_int_equal(GDALGetRasterDataType(of), GDT_Byte);
    GDALGetBlockSize(of, &block_width_px, &block_height_px);
    assert_int_equal(block_width_px, 256);
    assert_int_equal(block_height_px, 256);
  }
  GDALClose(dataset);
}

static GDALDatasetH open_labels(const char *path)
{
  GDALDatasetH labels = GDALOpenEx(path, GDAL_OF_VECTOR, NULL, NULL, NULL);
  assert_non_null(labels);
  return labels;
}

static void labels_are_valid_polygons_of_both_classes(void **state)
{
  const Fixture *fixture = *state;
  int64_t buildings = 0, tents = 0;
  GDALDatasetH labels = open_labels(fixture->summary.label_path);
  OGRLayerH layer = GDALDatasetGetLayer(labels, 0);
  OGRFeatureH feature;
  while ((feature = OGR_L_GetNextFeature(layer)) != NULL) {
    OGRGeometryH outline = OGR_F_GetGeometryRef(feature);
    const char *name = OGR_F_GetFieldAsString(feature, OGR_F_GetFieldIndex(feature, "class"));
    const int number = OGR_F_GetFieldAsInteger(feature, OGR_F_GetFieldIndex(feature, "class_id"));
    const double area_m2 = OGR_F_GetFieldAsDouble(feature, OGR_F_GetFieldIndex(feature, "area_m2"));
    assert_int_equal(wkbFlatten(OGR_G_GetGeometryType(outline)), wkbPolygon);
    assert_true(OGR_G_IsValid(outline));
    assert_true(fabs(OGR_G_Area(outline) - area_m2) < 0.006); /* the field has two decimals */
    assert_string_equal(name, number == 1 ? "building" : "tent");
    buildings += number == 1 ? 1 : 0;
    tents += number == 2 ? 1 : 0;
    OGR_F_Destroy(feature);
  }
  GDALClose(labels);
  assert_int_equal(buildings, fixture->summary.building_count);
  assert_int_equal(tents, fixture->summary.tent_count);
  assert_true(buildings > 30 && tents > 20);
}

static void labels_do_not_overlap(void **state)
{
  const Fixture *fixture = *state;
  GDALDatasetH labels = open_labels(fixture->summary.label_path);
  OGRLayerH layer = GDALDatasetGetLayer(labels, 0);
  const int64_t count = OGR_L_GetFeatureCount(layer, 1);
  OGRFeatureH *features = calloc((size_t)count, sizeof *features);
  assert_non_null(features);
  for (int64_t i = 0; i < count; ++i)
    features[i] = OGR_L_GetNextFeature(layer);
  for (int64_t i = 0; i < count; ++i)
    for (int64_t j = 0; j < i; ++j)
      assert_false(
          OGR_G_Intersects(OGR_F_GetGeometryRef(features[i]), OGR_F_GetGeometryRef(features[j])));
  for (int64_t i = 0; i < count; ++i)
    OGR_F_Destroy(features[i]);
  free(features);
  GDALClose(labels);
}

/* Burns the polygons of buildings into a plane of the scene's size. */
static uint8_t *burn_buildings(const Fixture *fixture)
{
  GDALDatasetH scene = GDALOpen(fixture->summary.raster_path, GA_ReadOnly);
  GDALDatasetH plane =
      GDALCreate(GDALGetDriverByName("MEM"), "", SIDE_PX, SIDE_PX, 1, GDT_Byte, NULL);
  double transform[6], one[1] = {1.0};
  int band[1] = {1};
  assert_int_equal(GDALGetGeoTransform(scene, transform), CE_None);
  assert_int_equal(GDALSetGeoTransform(plane, transform), CE_None);
  assert_int_equal(GDALSetSpatialRef(plane, GDALGetSpatialRef(scene)), CE_None);
  GDALDatasetH labels = open_labels(fixture->summary.label_path);
  OGRLayerH layer = GDALDatasetGetLayer(labels, 0);
  assert_int_equal(OGR_L_SetAttributeFilter(layer, "class = 'building'"), OGRERR_NONE);
  assert_int_equal(
      GDALRasterizeLayers(plane, 1, band, 1, &layer, NULL, NULL, one, NULL, NULL, NULL), CE_None);
  uint8_t *burned = malloc(SIDE_PX * SIDE_PX);
  assert_non_null(burned);
  assert_int_equal(GDALRasterIO(GDALGetRasterBand(plane, 1), GF_Read, 0, 0, SIDE_PX, SIDE_PX,
                                burned, SIDE_PX, SIDE_PX, GDT_Byte, 0, 0),
                   CE_None);
  GDALClose(labels);
  GDALClose(plane);
  GDALClose(scene);
  return burned;
}

static void buildings_cover_5_to_40_percent_of_the_valid_pixels(void **state)
{
  const Fixture *fixture = *state;
  uint8_t *burned = burn_buildings(fixture);
  int64_t valid = 0, building = 0;
  for (int64_t i = 0; i < SIDE_PX * SIDE_PX; ++i) {
    if (is_nodata(fixture->rgb, SIDE_PX * SIDE_PX, i)) continue;
    ++valid;
    building += burned[i];
  }
  free(burned);
  assert_in_range(building, valid / 20, 2 * valid / 5);
}

/* A crossing count, apart from anything the program itself uses. */
static bool polygon_holds(const Point *corners, int count, Point point)
{
  bool inside = false;
  for (int i = 0, j = count - 1; i < count; j = i++) {
    const bool parted = (corners[i].y_m > point.y_m) != (corners[j].y_m > point.y_m);
    if (parted && point.x_m < (corners[j].x_m - corners[i].x_m) * (point.y_m - corners[i].y_m) /
                                      (corners[j].y_m - corners[i].y_m) +
                                  corners[i].x_m)
      inside = !inside;
  }
  return inside;
}

static void the_outline_of_a_label_is_where_the_roof_is_drawn(void **state)
{
  const World world = world_from_seed(7);
  Layout layout;
  int64_t checked = 0, winged = 0;
  assert_int_equal(layout_open(&layout, 60000), STATUS_OK);
  layout_gather(&layout, &world, (Point){0, 0}, (Point){200, 200});
  for (size_t i = 0; i < layout.count; ++i) {
    const Object *object = &layout.items[i];
    if (object->kind != OBJECT_BUILDING && object->kind != OBJECT_TENT) continue;
    Point corners[OBJECT_OUTLINE_MAX];
    const int count = object_outline(object, corners);
    winged += count > 4 ? 1 : 0;
    for (int step = 0; step < 441; ++step) {
      const double a = (step % 21 - 10) * 0.107 * object->half_length_m;
      const double b = (double)(step / 21 - 10) * 0.107 * object->half_width_m;
      const Point point = object_point(object, a, b);
      Surface surface;
      assert_int_equal(object_surface(&world, object, point, &surface),
                       polygon_holds(corners, count, point));
      ++checked;
    }
  }
  layout_close(&layout);
  assert_true(checked > 10000 && winged > 0);
}

/* The same ground out of another raster: pixels are equal wherever both flights covered it. */
static void a_window_shows_the_same_whatever_raster_it_is_cut_from(void **state)
{
  const Fixture *fixture = *state;
  enum { LEFT_PX = 200, TOP_PX = 328, WINDOW_PX = 384 };
  SceneOptions options = scene_named(fixture, "window");
  SceneSummary summary;
  options.left_px = LEFT_PX;
  options.top_px = TOP_PX;
  options.width_px = options.height_px = WINDOW_PX;
  assert_int_equal(scene_make(&options, &summary), STATUS_OK);
  uint8_t *window = read_rgb(summary.raster_path, WINDOW_PX, WINDOW_PX);
  int64_t compared = 0;
  for (int64_t row = 0; row < WINDOW_PX; ++row)
    for (int64_t column = 0; column < WINDOW_PX; ++column) {
      const int64_t here = row * WINDOW_PX + column;
      const int64_t there = (row + TOP_PX) * SIDE_PX + column + LEFT_PX;
      if (is_nodata(window, WINDOW_PX * WINDOW_PX, here) ||
          is_nodata(fixture->rgb, SIDE_PX * SIDE_PX, there))
        continue;
      for (int64_t band = 0; band < 3; ++band)
        assert_int_equal(window[band * WINDOW_PX * WINDOW_PX + here],
                         fixture->rgb[band * SIDE_PX * SIDE_PX + there]);
      ++compared;
    }
  free(window);
  assert_true(compared > WINDOW_PX * WINDOW_PX * 4 / 5);
}

static void a_big_scene_repeats_its_first_4096_columns_mirrored(void **state)
{
  const Fixture *fixture = *state;
  enum { WIDTH_PX = 4352, HEIGHT_PX = 256 };
  SceneOptions options = scene_named(fixture, "big");
  SceneSummary summary;
  options.big = true;
  options.width_px = WIDTH_PX;
  options.height_px = HEIGHT_PX;
  assert_int_equal(scene_make(&options, &summary), STATUS_OK);
  uint8_t *rgb = read_rgb(summary.raster_path, WIDTH_PX, HEIGHT_PX);
  int64_t compared = 0;
  for (int64_t row = 0; row < HEIGHT_PX; ++row)
    for (int64_t k = 0; k < 256; ++k) {
      const int64_t left = row * WIDTH_PX + 4095 - k, right = row * WIDTH_PX + 4096 + k;
      if (is_nodata(rgb, WIDTH_PX * HEIGHT_PX, left) || is_nodata(rgb, WIDTH_PX * HEIGHT_PX, right))
        continue;
      assert_int_equal(rgb[left], rgb[right]);
      ++compared;
    }
  free(rgb);
  assert_true(compared > 10000);
}

static void geojson_labels_are_the_same_polygons_in_longitude_and_latitude(void **state)
{
  const Fixture *fixture = *state;
  SceneOptions options = scene_named(fixture, "degrees");
  SceneSummary summary;
  options.labels = SCENE_LABELS_GEOJSON;
  assert_int_equal(scene_make(&options, &summary), STATUS_OK);
  GDALDatasetH metres = open_labels(fixture->summary.label_path),
               degrees = open_labels(summary.label_path);
  OGRLayerH in_metres = GDALDatasetGetLayer(metres, 0),
            in_degrees = GDALDatasetGetLayer(degrees, 0);
  OGRCoordinateTransformationH back = OCTNewCoordinateTransformation(
      OGR_L_GetSpatialRef(in_degrees), OGR_L_GetSpatialRef(in_metres));
  assert_non_null(back);
  assert_int_equal(OGR_L_GetFeatureCount(in_metres, 1), OGR_L_GetFeatureCount(in_degrees, 1));
  OGRFeatureH one;
  while ((one = OGR_L_GetNextFeature(in_metres)) != NULL) {
    OGREnvelope expected, found;
    OGRFeatureH other = OGR_L_GetNextFeature(in_degrees);
    assert_int_equal(OGR_G_Transform(OGR_F_GetGeometryRef(other), back), OGRERR_NONE);
    OGR_G_GetEnvelope(OGR_F_GetGeometryRef(one), &expected);
    OGR_G_GetEnvelope(OGR_F_GetGeometryRef(other), &found);
    assert_true(fabs(expected.MinX - found.MinX) < 0.001 &&
                fabs(expected.MaxY - found.MaxY) < 0.001);
    OGR_F_Destroy(one);
    OGR_F_Destroy(other);
  }
  OCTDestroyCoordinateTransformation(back);
  GDALClose(metres);
  GDALClose(degrees);
}

static void refuses(const SceneOptions *options, Status expected, const char *word)
{
  SceneSummary summary;
  assert_int_equal(scene_make(options, &summary), expected);
  assert_non_null(strstr(status_message(), word));
}

static void what_cannot_be_made_is_refused_in_a_sentence(void **state)
{
  const Fixture *fixture = *state;
  SceneOptions options = scene_named(fixture, "refused");
  options.left_px = 4;
  refuses(&options, STATUS_BAD_OPTION, "multiples of 8");
  options.left_px = 0;
  options.epsg = 4326;
  refuses(&options, STATUS_BAD_OPTION, "EPSG:4326");
  options.epsg = 32645;
  options.folder = fixture->summary.raster_path;
  refuses(&options, STATUS_IO, "scene.tif");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_same_seed_gives_the_same_bytes_on_any_number_of_threads),
      cmocka_unit_test(another_seed_gives_another_scene),
      cmocka_unit_test(valid_pixels_are_never_all_zero_and_nodata_is_1_to_15_percent),
      cmocka_unit_test(the_raster_says_where_it_lies),
      cmocka_unit_test(labels_are_valid_polygons_of_both_classes),
      cmocka_unit_test(labels_do_not_overlap),
      cmocka_unit_test(buildings_cover_5_to_40_percent_of_the_valid_pixels),
      cmocka_unit_test(the_outline_of_a_label_is_where_the_roof_is_drawn),
      cmocka_unit_test(a_window_shows_the_same_whatever_raster_it_is_cut_from),
      cmocka_unit_test(a_big_scene_repeats_its_first_4096_columns_mirrored),
      cmocka_unit_test(geojson_labels_are_the_same_polygons_in_longitude_and_latitude),
      cmocka_unit_test(what_cannot_be_made_is_refused_in_a_sentence),
  };
  return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
