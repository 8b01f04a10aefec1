#include "geo/class_map.h"

#include <cpl_string.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "geo/band_map.h"
#include "geo/geo_fixture.h"
#include "geo/raster.h"

enum { WIDTH = 1300, HEIGHT = 1100, NODATA = 255 };

static const Grid grid = {WIDTH, HEIGHT, {300000, 0.5, 0, 3060000, 0, -0.5}, fixture_crs};
static const ClassEntry classes[] = {
    {.value = 0, .name = "background", .has_colour = true, .rgb = {1, 2, 3}},
    {.value = 1, .name = "building", .has_colour = true, .rgb = {200, 30, 40}},
    {.value = 3, .name = "trees & <bushes>", .has_colour = true, .rgb = {20, 130, 50}},
};
static const ClassMapOptions options = {.type = PIXEL_U8, .nodata = NODATA, .thread_count = 1};

/* Patches of 37 x 29 px in all classes and NoData. */
static uint8_t class_at(int64_t column, int64_t row)
{
  static const uint8_t values[4] = {0, 1, 3, NODATA};
  return values[(column / 37 + 3 * (row / 29)) % 4];
}

static uint8_t buffer[WIDTH * HEIGHT];

static void write_window(ClassMap *map, Window window)
{
  for (int64_t row = 0; row < window.height_px; ++row)
    for (int64_t column = 0; column < window.width_px; ++column)
      buffer[row * window.width_px + column] = class_at(window.x_px + column, window.y_px + row);
  CHECK_OK(class_map_write(map, window, buffer));
}

static void write_map(const char *path, int64_t step, bool backwards, int32_t thread_count)
{
  ClassMap *map;
  ClassMapOptions with_threads = options;
  with_threads.thread_count = thread_count;
  CHECK_OK(class_map_create(path, &grid, classes, 3, &with_threads, &map));
  const int64_t strips = (HEIGHT + step - 1) / step;
  for (int64_t i = 0; i < strips; ++i) {
    const int64_t y = (backwards ? strips - 1 - i : i) * step;
    write_window(map, window_intersect(grid_window(&grid), (Window){0, y, WIDTH, step}));
  }
  CHECK_OK(class_map_finish(map));
  class_map_close(map);
}

static void a_class_map_comes_back_pixel_by_pixel(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  static uint8_t read[WIDTH * HEIGHT], valid[WIDTH * HEIGHT];
  fixture_path("map.tif", path);
  write_map(path, 512, false, 1);
  Raster *raster;
  CHECK_OK(raster_open(path, &raster));
  int64_t x_px, y_px;
  double nodata;
  CHECK_OK(grid_check_aligned(&grid, raster_grid(raster), &x_px, &y_px));
  assert_true(x_px == 0 && y_px == 0);
  assert_true(raster_band_nodata(raster, 0, &nodata) && nodata == NODATA);
  CHECK_OK(raster_read(raster, grid_window(&grid), NULL, 1, read, valid));
  for (int64_t i = 0; i < WIDTH * HEIGHT; ++i) {
    const uint8_t expected = class_at(i % WIDTH, i / WIDTH);
    assert_int_equal(valid[i], expected != NODATA);
    assert_int_equal(read[i], expected == NODATA ? 0 : expected);
  }
  raster_close(raster);
  assert_int_equal(fixture_holds(".map"), 0); /* nothing is left aside */
}

static void colours_names_and_layout_are_in_the_file(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  fixture_path("described.tif", path);
  write_map(path, 512, false, 1);
  GDALDatasetH map = GDALOpenEx(path, GDAL_OF_RASTER, NULL, NULL, NULL);
  assert_non_null(map);
  GDALRasterBandH band = GDALGetRasterBand(map, 1);
  int width, height;
  GDALGetBlockSize(band, &width, &height);
  assert_true(width == 512 && height == 512);
  assert_string_equal(GDALGetMetadataItem(map, "LAYOUT", "IMAGE_STRUCTURE"), "COG");
  assert_string_equal(GDALGetMetadataItem(map, "COMPRESSION", "IMAGE_STRUCTURE"), "DEFLATE");
  assert_int_equal(GDALGetOverviewCount(band), 2); /* 650 x 550, 325 x 275 */
  const GDALColorEntry *colour = GDALGetColorEntry(GDALGetRasterColorTable(band), 3);
  assert_true(colour->c1 == 20 && colour->c2 == 130 && colour->c3 == 50);
  char **names = GDALGetRasterCategoryNames(band);
  assert_int_equal(CSLCount(names), 4);
  assert_string_equal(names[1], "building");
  assert_string_equal(names[2], "");
  assert_string_equal(names[3], "trees & <bushes>");
  GDALRasterAttributeTableH table = GDALGetDefaultRAT(band);
  assert_non_null(table);
  assert_int_equal(GDALRATGetRowCount(table), 3);
  assert_string_equal(GDALRATGetNameOfCol(table, 1), "Class");
  assert_int_equal(GDALRATGetValueAsInt(table, 1, 2), 200);
  GDALClose(map);
}

static void overviews_show_the_most_frequent_class(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  fixture_path("mode.tif", path);
  ClassMap *map;
  CHECK_OK(class_map_create(path, &grid, classes, 3, &options, &map));
  /* Of each 2 x 2 px three are 3 and the first one, which nearest would take, is 1. */
  for (int64_t i = 0; i < WIDTH * HEIGHT; ++i)
    buffer[i] = i % WIDTH % 2 == 0 && i / WIDTH % 2 == 0 ? 1 : 3;
  CHECK_OK(class_map_write(map, grid_window(&grid), buffer));
  CHECK_OK(class_map_finish(map));
  class_map_close(map);
  GDALDatasetH made = GDALOpenEx(path, GDAL_OF_RASTER, NULL, NULL, NULL);
  GDALRasterBandH half = GDALGetOverview(GDALGetRasterBand(made, 1), 0);
  uint8_t row[10];
  assert_int_equal(GDALRasterIO(half, GF_Read, 100, 100, 10, 1, row, 10, 1, GDT_Byte, 0, 0),
                   CE_None);
  for (int i = 0; i < 10; ++i)
    assert_int_equal(row[i], 3);
  GDALClose(made);
}

static void overviews_lie_where_their_pixels_do(void **state)
{
  enum { HALF_WIDTH = WIDTH / 2, HALF_HEIGHT = HEIGHT / 2 };
  static uint8_t half[HALF_WIDTH * HALF_HEIGHT];
  char path[FIXTURE_PATH_BYTES];
  fixture_path("places.tif", path);
  write_map(path, 512, false, 1);
  GDALDatasetH made = GDALOpenEx(path, GDAL_OF_RASTER, NULL, NULL, NULL);
  assert_int_equal(GDALRasterIO(GDALGetOverview(GDALGetRasterBand(made, 1), 0), GF_Read, 0, 0,
                                HALF_WIDTH, HALF_HEIGHT, half, HALF_WIDTH, HALF_HEIGHT, GDT_Byte, 0,
                                0),
                   CE_None);
  GDALClose(made);
  for (int i = 0; i < HALF_WIDTH * HALF_HEIGHT; ++i) {
    const int x = 2 * (i % HALF_WIDTH), y = 2 * (i / HALF_WIDTH);
    const uint8_t value = class_at(x, y);
    if (class_at(x + 1, y) == value && class_at(x, y + 1) == value &&
        class_at(x + 1, y + 1) == value)
      assert_int_equal(half[i], value);
  }
}

static void the_bytes_depend_on_the_values_alone(void **state)
{
  char first[FIXTURE_PATH_BYTES], other[FIXTURE_PATH_BYTES], a[FIXTURE_PATH_BYTES + 16],
      b[FIXTURE_PATH_BYTES + 16];
  fixture_path("first.tif", first);
  fixture_path("a_name_of_another_length.tif", other);
  write_map(first, 512, false, 1);
  write_map(other, 100, true, 3); /* strips across tiles, from below, by several threads */
  assert_true(fixture_same_bytes(first, other));
  (void)snprintf(a, sizeof a, "%s.aux.xml", first);
  (void)snprintf(b, sizeof b, "%s.aux.xml", other);
  assert_true(fixture_same_bytes(a, b));
}

static void what_is_never_written_is_no_data(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  uint8_t read[3], valid[3];
  fixture_path("sparse.tif", path);
  ClassMap *map;
  CHECK_OK(class_map_create(path, &grid, classes, 3, &options, &map));
  write_window(map, (Window){600, 600, 1, 1});
  CHECK_OK(class_map_finish(map));
  class_map_close(map);
  Raster *raster;
  CHECK_OK(raster_open(path, &raster));
  CHECK_OK(raster_read(raster, (Window){599, 600, 3, 1}, NULL, 1, read, valid));
  const uint8_t expected[3] = {0, class_at(600, 600) != NODATA, 0};
  assert_int_equal(class_at(600, 600), 0);
  assert_memory_equal(valid, expected, 3);
  CHECK_OK(raster_read(raster, (Window){0, 0, 3, 1}, NULL, 1, read, valid));
  assert_int_equal(valid[0], 0); /* a whole tile was left out */
  raster_close(raster);
}

static void classes_above_255_take_two_bytes(void **state)
{
  static const ClassEntry many[] = {
      {.value = 1000, .name = "thousand", .has_colour = true, .rgb = {9, 8, 7}}};
  char path[FIXTURE_PATH_BYTES];
  const Grid small = {2, 1, {0, 1, 0, 0, 0, -1}, ""};
  const ClassMapOptions wide = {.type = PIXEL_U16, .nodata = 65535};
  const uint16_t values[2] = {1000, 65535};
  uint16_t read[2];
  uint8_t valid[2];
  fixture_path("wide.tif", path);
  ClassMap *map;
  CHECK_FAILS(STATUS_BAD_OPTION, "1000, which is no uint8",
              class_map_create(path, &small, many, 1, &options, &map));
  CHECK_OK(class_map_create(path, &small, many, 1, &wide, &map));
  CHECK_OK(class_map_write(map, grid_window(&small), values));
  CHECK_OK(class_map_finish(map));
  class_map_close(map);
  Raster *raster;
  CHECK_OK(raster_open(path, &raster));
  CHECK_OK(raster_read(raster, grid_window(&small), NULL, 1, read, valid));
  assert_true(read[0] == 1000 && valid[0] == 1 && valid[1] == 0);
  raster_close(raster);
}

static void a_map_that_is_not_finished_leaves_what_was_there(void **state)
{
  char path[FIXTURE_PATH_BYTES], copy[FIXTURE_PATH_BYTES];
  fixture_path("kept.tif", path);
  fixture_path("copy.tif", copy);
  write_map(path, 512, false, 1);
  write_map(copy, 512, false, 1);
  ClassMap *map;
  CHECK_OK(class_map_create(path, &grid, classes, 3, &options, &map));
  write_window(map, (Window){0, 0, 10, 10});
  CHECK_FAILS(STATUS_BAD_OPTION, "hangs over",
              class_map_write(map, (Window){WIDTH - 1, 0, 2, 1}, buffer));
  class_map_close(map);
  assert_true(fixture_same_bytes(path, copy));
  assert_int_equal(fixture_holds(".kept"), 0);
}

static void a_missing_folder_is_refused_at_the_start(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  ClassMap *map;
  fixture_path("nowhere/map.tif", path);
  CHECK_FAILS(STATUS_IO, "does not exist",
              class_map_create(path, &grid, classes, 3, &options, &map));
  assert_null(map);
}

/* Files may grow to a limit only: what a full disk does to write(). */
static void limit_files(rlim_t bytes)
{
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = bytes;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_is_an_error_and_leaves_nothing(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  (void)signal(SIGXFSZ, SIG_IGN);
  fixture_path("full.tif", path);
  int failures = 0;
  /* From full at once to full near the end. */
  for (rlim_t bytes = 1000; bytes < 40000; bytes += 4000) {
    ClassMap *map = NULL;
    limit_files(bytes);
    Status status = class_map_create(path, &grid, classes, 3, &options, &map);
    for (int64_t i = 0; i < WIDTH * HEIGHT; ++i)
      buffer[i] = class_at(i % WIDTH, i / WIDTH);
    if (status == STATUS_OK) status = class_map_write(map, grid_window(&grid), buffer);
    if (status == STATUS_OK) status = class_map_finish(map);
    class_map_close(map);
    limit_files(RLIM_INFINITY);
    failures += status != STATUS_OK;
    if (status != STATUS_OK) {
      assert_int_equal(status, STATUS_IO);
      assert_int_equal(fixture_holds("full"), 0);
      assert_int_equal(fixture_holds(".full"), 0);
    }
  }
  assert_true(failures >= 5);
  assert_int_equal(fixture_holds(".full"), 0);
}

static void probabilities_keep_names_scale_and_nodata(void **state)
{
  static const char *const names[] = {"background", "building"};
  const Grid small = {3, 2, {0, 1, 0, 0, 0, -1}, fixture_crs};
  const BandMapOptions bytes = {.type = PIXEL_U8,
                                .band_count = 2,
                                .band_names = names,
                                .has_nodata = true,
                                .nodata = 255,
                                .scale = 1 / 250.0};
  const uint8_t pixels[12] = {0, 250, 10, 240, 255, 255, 125, 125, 1, 249, 2, 248};
  char path[FIXTURE_PATH_BYTES];
  fixture_path("probability.tif", path);
  BandMap *map;
  CHECK_OK(band_map_create(path, &small, &bytes, &map));
  CHECK_OK(band_map_write(map, grid_window(&small), pixels));
  CHECK_OK(band_map_finish(map));
  band_map_close(map);
  Raster *raster;
  uint8_t read[12], valid[6];
  CHECK_OK(raster_open(path, &raster));
  assert_string_equal(raster_band_name(raster, 1), "building");
  CHECK_OK(raster_read(raster, grid_window(&small), NULL, 2, read, valid));
  const uint8_t expected[6] = {1, 1, 0, 1, 1, 1};
  assert_memory_equal(valid, expected, 6);
  assert_int_equal(read[7], 125);
  raster_close(raster);
  GDALDatasetH made = GDALOpenEx(path, GDAL_OF_RASTER, NULL, NULL, NULL);
  assert_true(GDALGetRasterScale(GDALGetRasterBand(made, 2), NULL) == 1 / 250.0);
  assert_string_equal(GDALGetMetadataItem(made, "LAYOUT", "IMAGE_STRUCTURE"), "COG");
  GDALClose(made);
}

static void overviews_of_bands_are_means_without_no_data(void **state)
{
  enum { SIDE = 600 };
  const Grid square = {SIDE, SIDE, {0, 1, 0, 0, 0, -1}, ""};
  const BandMapOptions floats = {
      .type = PIXEL_F32, .band_count = 2, .has_nodata = true, .nodata = -1};
  char path[FIXTURE_PATH_BYTES];
  float *pixels = malloc(sizeof(float) * SIDE * SIDE * 2);
  assert_non_null(pixels);
  for (int i = 0; i < SIDE * SIDE; ++i) {
    const int quarter = i % SIDE % 2 + i / SIDE % 2 * 2;          /* of the 2 x 2 px */
    pixels[2 * i] = (float)quarter;                               /* 0, 1, 2, 3: mean 1.5 */
    pixels[2 * i + 1] = quarter == 3 ? -1 : (float)(8 * quarter); /* 0, 8, 16, none: mean 8 */
  }
  fixture_path("means.tif", path);
  BandMap *map;
  CHECK_OK(band_map_create(path, &square, &floats, &map));
  CHECK_OK(band_map_write(map, grid_window(&square), pixels));
  CHECK_OK(band_map_finish(map));
  band_map_close(map);
  free(pixels);
  GDALDatasetH made = GDALOpenEx(path, GDAL_OF_RASTER, NULL, NULL, NULL);
  float read[2];
  for (int band = 0; band < 2; ++band) {
    GDALRasterBandH half = GDALGetOverview(GDALGetRasterBand(made, band + 1), 0);
    assert_int_equal(GDALGetRasterBandXSize(half), 300);
    assert_int_equal(
        GDALRasterIO(half, GF_Read, 299, 299, 1, 1, &read[band], 1, 1, GDT_Float32, 0, 0), CE_None);
  }
  GDALClose(made);
  assert_true(read[0] == 1.5F);
  assert_true(read[1] == 8);
}

static void an_image_of_four_bands_has_no_alpha(void **state)
{
  const Grid small = {2, 1, {0, 1, 0, 0, 0, -1}, ""};
  const BandMapOptions four = {.type = PIXEL_U8, .band_count = 4, .is_rgb = true};
  const uint8_t pixels[8] = {1, 2, 3, 0, 5, 6, 7, 60};
  char path[FIXTURE_PATH_BYTES];
  uint8_t read[8];
  fixture_path("four.tif", path);
  BandMap *map;
  CHECK_OK(band_map_create(path, &small, &four, &map));
  CHECK_OK(band_map_write(map, grid_window(&small), pixels));
  CHECK_OK(band_map_finish(map));
  band_map_close(map);
  Raster *raster;
  CHECK_OK(raster_open(path, &raster));
  assert_int_equal(raster_band_count(raster), 4);
  assert_string_equal(raster_band_name(raster, 0), "Red");
  assert_false(raster_has_mask(raster));
  CHECK_OK(raster_read(raster, grid_window(&small), NULL, 4, read, NULL));
  assert_memory_equal(read, pixels, sizeof pixels);
  raster_close(raster);
}

static void names_are_read_without_the_pixels(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  int32_t count;
  const ClassEntry *names;
  Arena *arena;
  CHECK_OK(arena_open(&arena));
  fixture_path("named.tif", path);
  write_map(path, 512, false, 1);
  CHECK_OK(class_map_names(path, arena, &names, &count));
  assert_int_equal(count, 3);
  assert_int_equal(names[2].value, 3);
  assert_string_equal(names[2].name, "trees & <bushes>");
  assert_true(names[1].rgb[0] == 200);
  fixture_path("unnamed.tif", path);
  static const uint8_t pixels[32 * 24] = {0};
  GDALClose(fixture_raster(path, &fixture_grid, fixture_crs, GDT_Byte, 1, pixels, NULL));
  CHECK_OK(class_map_names(path, arena, &names, &count));
  assert_int_equal(count, 0);
  fixture_path("absent.tif", path);
  CHECK_FAILS(STATUS_IO, "no such file", class_map_names(path, arena, &names, &count));
  arena_close(arena);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_class_map_comes_back_pixel_by_pixel),
      cmocka_unit_test(colours_names_and_layout_are_in_the_file),
      cmocka_unit_test(overviews_show_the_most_frequent_class),
      cmocka_unit_test(overviews_lie_where_their_pixels_do),
      cmocka_unit_test(the_bytes_depend_on_the_values_alone),
      cmocka_unit_test(what_is_never_written_is_no_data),
      cmocka_unit_test(classes_above_255_take_two_bytes),
      cmocka_unit_test(a_map_that_is_not_finished_leaves_what_was_there),
      cmocka_unit_test(a_missing_folder_is_refused_at_the_start),
      cmocka_unit_test(a_full_disk_is_an_error_and_leaves_nothing),
      cmocka_unit_test(probabilities_keep_names_scale_and_nodata),
      cmocka_unit_test(overviews_of_bands_are_means_without_no_data),
      cmocka_unit_test(an_image_of_four_bands_has_no_alpha),
      cmocka_unit_test(names_are_read_without_the_pixels),
  };
  return cmocka_run_group_tests(tests, fixture_start, fixture_end);
}
