/* Quicklooks, and chips in files of their own. */
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/path.h"
#include "geo/class_map.h"
#include "geo/geo_fixture.h"
#include "geo/quicklook.h"
#include "geo/tiff_chip.h"

enum { WIDTH = 32, HEIGHT = 24 };

static void a_chip_comes_back_with_its_world_file(void **state)
{
  float pixels[6 * 4 * 2];
  for (int i = 0; i < 48; ++i)
    pixels[i] = (float)i / 8;
  const Grid grid = grid_subgrid(&fixture_grid, (Window){5, 7, 6, 4});
  const ChipImage chip = {PIXEL_F32, 6, 4, 2, pixels};
  char path[FIXTURE_PATH_BYTES], world[FIXTURE_PATH_BYTES], lines[256] = "";
  fixture_path("000000019.tif", path);
  fixture_path("000000019.tfw", world);
  CHECK_OK(tiff_chip_write(path, &grid, &chip));
  FILE *file = fopen(world, "r");
  assert_non_null(file);
  assert_true(fread(lines, 1, sizeof lines - 1, file) > 0);
  (void)fclose(file);
  assert_string_equal(lines, "2.0000000000\n0.0000000000\n0.0000000000\n-2.0000000000\n"
                             "300011.0000000000\n3059985.0000000000\n");
  ChipImage read;
  CHECK_OK(chip_image_read(path, &read));
  assert_true(read.type == PIXEL_F32 && read.width_px == 6 && read.height_px == 4 &&
              read.band_count == 2);
  assert_memory_equal(read.pixels, pixels, sizeof pixels);
  chip_image_free(&read);
  Raster *raster;
  CHECK_OK(raster_open(path, &raster));
  int64_t x_px, y_px;
  CHECK_OK(grid_check_aligned(&fixture_grid, raster_grid(raster), &x_px, &y_px));
  assert_true(x_px == 5 && y_px == 7);
  raster_close(raster);
}

static void a_chip_of_four_bands_keeps_the_fourth(void **state)
{
  uint8_t pixels[2 * 2 * 4] = {1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0, 10, 11, 12, 0};
  const ChipImage chip = {PIXEL_U8, 2, 2, 4, pixels};
  char path[FIXTURE_PATH_BYTES];
  fixture_path("four.tif", path);
  CHECK_OK(tiff_chip_write(path, &fixture_grid, &chip));
  Raster *raster;
  CHECK_OK(raster_open(path, &raster));
  assert_int_equal(raster_band_count(raster), 4);
  raster_close(raster);
}

static void a_turned_chip_says_so_in_its_world_file(void **state)
{
  uint16_t pixels[16 * 16] = {0};
  const ChipImage chip = {PIXEL_U16, 16, 16, 1, pixels};
  const Grid grid = grid_turned(&fixture_grid, (Window){4, 4, 16, 16}, 90);
  char path[FIXTURE_PATH_BYTES];
  fixture_path("turned.tif", path);
  CHECK_OK(tiff_chip_write(path, &grid, &chip));
  Raster *raster;
  CHECK_OK(raster_open(path, &raster));
  assert_true(raster_grid(raster)->pixel_to_map[4] == 2);
  assert_true(raster_grid(raster)->pixel_to_map[2] == 2);
  raster_close(raster);
}

static void a_damaged_chip_is_bad_input_and_an_unwritable_one_leaves_nothing(void **state)
{
  uint8_t pixels[64 * 64];
  for (int i = 0; i < 64 * 64; ++i)
    pixels[i] = (uint8_t)(i * i >> 3);
  const ChipImage chip = {PIXEL_U8, 64, 64, 1, pixels};
  char path[FIXTURE_PATH_BYTES];
  ChipImage read;
  int64_t bytes;
  fixture_path("damaged.tif", path);
  CHECK_OK(tiff_chip_write(path, &fixture_grid, &chip));
  CHECK_OK(path_size_bytes(path, &bytes));
  assert_int_equal(truncate(path, bytes - 100), 0);
  CHECK_FAILS(STATUS_BAD_INPUT, "damaged.tif", chip_image_read(path, &read));
  assert_null(read.pixels);
  fixture_path("nowhere/chip.tif", path);
  CHECK_FAILS(STATUS_IO, "chip.tif", tiff_chip_write(path, &fixture_grid, &chip));
  fixture_path("missing.tif", path);
  CHECK_FAILS(STATUS_IO, "no such file", chip_image_read(path, &read));
}

static void chips_may_be_png_or_jpeg(void **state)
{
  static const char *const formats[][2] = {{"PNG", "chip.png"}, {"JPEG", "chip.jpg"}};
  uint8_t pixels[16 * 16 * 3];
  memset(pixels, 90, sizeof pixels);
  const ChipImage chip = {PIXEL_U8, 16, 16, 3, pixels};
  char path[FIXTURE_PATH_BYTES], copy[FIXTURE_PATH_BYTES];
  fixture_path("source.tif", path);
  CHECK_OK(tiff_chip_write(path, &fixture_grid, &chip));
  for (size_t i = 0; i < 2; ++i) {
    fixture_path(formats[i][1], copy);
    GDALDatasetH from = GDALOpenEx(path, GDAL_OF_RASTER, NULL, NULL, NULL);
    GDALDatasetH to =
        GDALCreateCopy(GDALGetDriverByName(formats[i][0]), copy, from, 0, NULL, NULL, NULL);
    assert_non_null(to);
    GDALClose(to);
    GDALClose(from);
    ChipImage read;
    CHECK_OK(chip_image_read(copy, &read));
    assert_true(read.band_count == 3 && read.width_px == 16);
    for (int k = 0; k < 16 * 16 * 3; ++k)
      assert_in_range(((uint8_t *)read.pixels)[k], 89, 91); /* JPEG rounds */
    chip_image_free(&read);
  }
}

/* A grey image of one value, and a class map over its right half. */
static void make_scene(char image[FIXTURE_PATH_BYTES], char map_path[FIXTURE_PATH_BYTES])
{
  uint8_t pixels[WIDTH * HEIGHT * 3], values[WIDTH / 2 * HEIGHT];
  memset(pixels, 100, sizeof pixels);
  memset(pixels, 0, (size_t)WIDTH * 3 * 2); /* the two upper rows are NoData */
  for (int i = 0; i < WIDTH / 2 * HEIGHT; ++i)
    values[i] = i % (WIDTH / 2) >= 6 ? 2 : 0;
  fixture_path("scene.tif", image);
  GDALDatasetH made = fixture_raster(image, &fixture_grid, fixture_crs, GDT_Byte, 3, pixels, NULL);
  for (int band = 1; band <= 3; ++band)
    GDALSetRasterNoDataValue(GDALGetRasterBand(made, band), 0);
  GDALClose(made);
  fixture_path("classes.tif", map_path);
  const Grid part = grid_subgrid(&fixture_grid, (Window){WIDTH / 2, 0, WIDTH / 2, HEIGHT});
  const ClassMapOptions options = {.type = PIXEL_U8, .nodata = -1};
  ClassMap *map;
  CHECK_OK(class_map_create(map_path, &part, NULL, 0, &options, &map));
  CHECK_OK(class_map_write(map, grid_window(&part), values));
  CHECK_OK(class_map_finish(map));
  class_map_close(map);
}

static void a_quicklook_blends_classes_over_the_image(void **state)
{
  static const ClassEntry red = {.value = 2, .name = "red", .has_colour = true, .rgb = {200, 0, 0}};
  const QuicklookOptions options = {.opacity = 0.5, .outlines = true, .transparent_nodata = true};
  char image[FIXTURE_PATH_BYTES], map[FIXTURE_PATH_BYTES], png[FIXTURE_PATH_BYTES];
  make_scene(image, map);
  fixture_path("look.png", png);
  Raster *raster;
  CHECK_OK(raster_open(image, &raster));
  CHECK_OK(quicklook_write(png, raster, map, &red, 1, &options));
  raster_close(raster);
  ChipImage look;
  CHECK_OK(chip_image_read(png, &look));
  assert_true(look.width_px == WIDTH / 2 && look.height_px == HEIGHT && look.band_count == 4);
  const uint8_t *rgba = look.pixels;
  const uint8_t plain[4] = {100, 100, 100, 255}, outline[4] = {200, 0, 0, 255},
                inside[4] = {150, 50, 50, 255};
  assert_memory_equal(rgba + 4 * (10 * (WIDTH / 2) + 3), plain, 4);
  assert_memory_equal(rgba + 4 * (10 * (WIDTH / 2) + 6), outline, 4);
  assert_memory_equal(rgba + 4 * (10 * (WIDTH / 2) + 9), inside, 4);
  assert_int_equal(rgba[4 * 9 + 3], 0); /* no data */
  chip_image_free(&look);
  assert_int_equal(fixture_holds("look.png"), 1); /* and no sidecar */
}

static void a_quicklook_is_thinned_and_stretched(void **state)
{
  float pixels[WIDTH * HEIGHT];
  for (int i = 0; i < WIDTH * HEIGHT; ++i)
    pixels[i] = 1000 + (float)(i / WIDTH);
  const QuicklookOptions options = {.max_side_px = 8};
  char image[FIXTURE_PATH_BYTES], png[FIXTURE_PATH_BYTES];
  fixture_path("float.tif", image);
  fixture_path("float.png", png);
  GDALClose(fixture_raster(image, &fixture_grid, "", GDT_Float32, 1, pixels, NULL));
  Raster *raster;
  CHECK_OK(raster_open(image, &raster));
  CHECK_OK(quicklook_write(png, raster, NULL, NULL, 0, &options));
  ChipImage look;
  CHECK_OK(chip_image_read(png, &look));
  assert_true(look.width_px == 8 && look.height_px == 6 && look.band_count == 3);
  const uint8_t *rgb = look.pixels;
  assert_int_equal(rgb[0], 0);
  assert_int_equal(rgb[3 * 8], 51); /* the second of six rows */
  assert_int_equal(rgb[3 * 8 * 5], 255);
  chip_image_free(&look);
  QuicklookOptions wrong = options;
  wrong.opacity = 1.5;
  CHECK_FAILS(STATUS_BAD_OPTION, "1.5", quicklook_write(png, raster, NULL, NULL, 0, &wrong));
  raster_close(raster);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_chip_comes_back_with_its_world_file),
      cmocka_unit_test(a_chip_of_four_bands_keeps_the_fourth),
      cmocka_unit_test(a_turned_chip_says_so_in_its_world_file),
      cmocka_unit_test(a_damaged_chip_is_bad_input_and_an_unwritable_one_leaves_nothing),
      cmocka_unit_test(chips_may_be_png_or_jpeg),
      cmocka_unit_test(a_quicklook_blends_classes_over_the_image),
      cmocka_unit_test(a_quicklook_is_thinned_and_stretched),
  };
  return cmocka_run_group_tests(tests, fixture_start, fixture_end);
}
