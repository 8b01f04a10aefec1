#include "geo/raster.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/memory.h"
#include "geo/geo_fixture.h"

enum { WIDTH = 32, HEIGHT = 24, BANDS = 3 };

/* Band b of pixel (column, row) in a raster of the fixture. */
static double value_at(int column, int row, int band)
{
  return (column + 32 * row + 3 * band) % 200 + 1;
}

static void fill_u8(uint8_t *pixels)
{
  for (int i = 0; i < WIDTH * HEIGHT * BANDS; ++i)
    pixels[i] = (uint8_t)value_at(i / BANDS % WIDTH, i / BANDS / WIDTH, i % BANDS);
}

static void make_u8(const char *name, char path[FIXTURE_PATH_BYTES])
{
  uint8_t pixels[WIDTH * HEIGHT * BANDS];
  fill_u8(pixels);
  fixture_path(name, path);
  GDALClose(fixture_raster(path, &fixture_grid, fixture_crs, GDT_Byte, BANDS, pixels, NULL));
}

static void all_four_types_come_back_as_they_are(void **state)
{
  static const uint8_t u8[2] = {0, 255};
  static const uint16_t u16[2] = {0, 65535};
  static const int16_t i16[2] = {-32768, 32767};
  static const float f32[2] = {-1.5e-30F, 3.25e30F};
  static const struct {
    GDALDataType gdal;
    PixelType type;
    const void *pixels;
  } cases[] = {{GDT_Byte, PIXEL_U8, u8},
               {GDT_UInt16, PIXEL_U16, u16},
               {GDT_Int16, PIXEL_I16, i16},
               {GDT_Float32, PIXEL_F32, f32}};
  const Grid grid = {2, 1, {0, 1, 0, 0, 0, -1}, ""};
  for (size_t i = 0; i < 4; ++i) {
    char path[FIXTURE_PATH_BYTES];
    double read[2];
    fixture_path("type.tif", path);
    GDALClose(fixture_raster(path, &grid, "", cases[i].gdal, 1, cases[i].pixels, NULL));
    Raster *raster;
    CHECK_OK(raster_open(path, &raster));
    assert_int_equal(raster_type(raster), cases[i].type);
    CHECK_OK(raster_read(raster, grid_window(&grid), NULL, 1, read, NULL));
    assert_memory_equal(read, cases[i].pixels, 2 * pixel_bytes(cases[i].type));
    raster_close(raster);
  }
}

static void other_types_are_refused_by_name(void **state)
{
  static const struct {
    GDALDataType gdal;
    const char *words;
  } cases[] = {{GDT_Float64, "band 1 is float64"},
               {GDT_Int32, "band 1 is int32"},
               {GDT_UInt32, "band 1 is uint32"},
               {GDT_CFloat32, "band 1 is complex float32"}};
  const Grid grid = {1, 1, {0, 1, 0, 0, 0, -1}, ""};
  const double zeros[2] = {0, 0};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
    char path[FIXTURE_PATH_BYTES];
    Raster *raster;
    fixture_path("other.tif", path);
    GDALClose(fixture_raster(path, &grid, "", cases[i].gdal, 1, zeros, NULL));
    CHECK_FAILS(STATUS_UNSUPPORTED, cases[i].words, raster_open(path, &raster));
    assert_null(raster);
  }
}

static void bands_of_two_types_are_refused(void **state)
{
  char path[FIXTURE_PATH_BYTES], source[FIXTURE_PATH_BYTES], xml[2048];
  make_u8("bytes.tif", source);
  fixture_path("mixed.vrt", path);
  (void)snprintf(xml, sizeof xml,
                 "<VRTDataset rasterXSize=\"32\" rasterYSize=\"24\"><VRTRasterBand "
                 "dataType=\"Byte\" band=\"1\"/><VRTRasterBand dataType=\"Int16\" "
                 "band=\"2\"/></VRTDataset>");
  FILE *file = fopen(path, "w");
  assert_true(fputs(xml, file) >= 0);
  assert_int_equal(fclose(file), 0);
  Raster *raster;
  CHECK_FAILS(STATUS_UNSUPPORTED, "band 2 is int16, band 1 is uint8", raster_open(path, &raster));
}

static void a_window_holds_the_chosen_bands_channels_last(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  make_u8("chosen.tif", path);
  Raster *raster;
  CHECK_OK(raster_open(path, &raster));
  const int32_t bands[3] = {2, 0, 2};
  uint8_t pixels[4 * 5 * 3], valid[4 * 5];
  CHECK_OK(raster_read(raster, (Window){7, 3, 5, 4}, bands, 3, pixels, valid));
  for (int row = 0; row < 4; ++row)
    for (int column = 0; column < 5; ++column)
      for (int i = 0; i < 3; ++i)
        assert_int_equal(pixels[(row * 5 + column) * 3 + i],
                         value_at(column + 7, row + 3, bands[i]));
  for (int i = 0; i < 20; ++i)
    assert_int_equal(valid[i], 1);
  const int32_t wrong[1] = {3};
  CHECK_FAILS(STATUS_BAD_OPTION, "no band 3; it has 3",
              raster_read(raster, (Window){0, 0, 1, 1}, wrong, 1, pixels, valid));
  raster_close(raster);
}

static void outside_of_the_raster_is_zero_and_no_data(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  make_u8("edge.tif", path);
  Raster *raster;
  CHECK_OK(raster_open(path, &raster));
  enum { SIDE = 40 };
  const Window window = {-4, -6, SIDE, SIDE}; /* hangs over on all four sides */
  uint8_t pixels[SIDE * SIDE * BANDS], valid[SIDE * SIDE];
  memset(pixels, 77, sizeof pixels);
  memset(valid, 77, sizeof valid);
  CHECK_OK(raster_read(raster, window, NULL, BANDS, pixels, valid));
  for (int row = 0; row < SIDE; ++row)
    for (int column = 0; column < SIDE; ++column) {
      const int x = column - 4, y = row - 6;
      const int inside = x >= 0 && y >= 0 && x < WIDTH && y < HEIGHT;
      assert_int_equal(valid[row * SIDE + column], inside);
      for (int i = 0; i < BANDS; ++i)
        assert_int_equal(pixels[(row * SIDE + column) * BANDS + i], inside ? value_at(x, y, i) : 0);
    }
  CHECK_OK(raster_read(raster, (Window){500, 500, 2, 2}, NULL, BANDS, pixels, valid));
  for (int i = 0; i < 4; ++i)
    assert_int_equal(valid[i], 0);
  raster_close(raster);
}

/* Opens a 3 x 1 raster of one band and reads its mask and pixels. */
static void read_row(const char *path, void *pixels, uint8_t valid[3])
{
  Raster *raster;
  CHECK_OK(raster_open(path, &raster));
  CHECK_OK(raster_read(raster, (Window){0, 0, 3, 1}, NULL, 1, pixels, valid));
  raster_close(raster);
}

static const Grid row_grid = {3, 1, {0, 1, 0, 0, 0, -1}, ""};

static void the_nodata_value_is_no_data_in_each_type(void **state)
{
  static const uint8_t u8[3] = {7, 0, 8};
  static const uint16_t u16[3] = {7, 60000, 8};
  static const int16_t i16[3] = {7, -9999, 8};
  static const float f32[3] = {7, -3.4028234e38F, 8};
  static const struct {
    GDALDataType type;
    const void *pixels;
    double nodata;
  } cases[] = {{GDT_Byte, u8, 0},
               {GDT_UInt16, u16, 60000},
               {GDT_Int16, i16, -9999},
               {GDT_Float32, f32, -3.4028234663852886e38}};
  for (size_t i = 0; i < 4; ++i) {
    char path[FIXTURE_PATH_BYTES];
    float pixels[3];
    uint8_t valid[3];
    fixture_path("nodata.tif", path);
    GDALDatasetH made =
        fixture_raster(path, &row_grid, "", cases[i].type, 1, cases[i].pixels, NULL);
    GDALSetRasterNoDataValue(GDALGetRasterBand(made, 1), cases[i].nodata);
    GDALClose(made);
    read_row(path, pixels, valid);
    const uint8_t expected[3] = {1, 0, 1};
    assert_memory_equal(valid, expected, 3);
    assert_true(pixel_value((PixelType)i, pixels, 0) == 7);
    assert_true(pixel_value((PixelType)i, pixels, 1) == 0); /* hidden pixels read 0 */
  }
}

static void a_nodata_value_that_the_type_cannot_hold_hides_nothing(void **state)
{
  static const uint8_t u8[3] = {0, 241, 255};
  char path[FIXTURE_PATH_BYTES];
  uint8_t pixels[3], valid[3];
  fixture_path("unfit.tif", path);
  GDALDatasetH made = fixture_raster(path, &row_grid, "", GDT_Byte, 1, u8, NULL);
  GDALSetRasterNoDataValue(GDALGetRasterBand(made, 1), -9999);
  GDALClose(made);
  read_row(path, pixels, valid);
  const uint8_t expected[3] = {1, 1, 1};
  assert_memory_equal(valid, expected, 3);
}

static void nan_and_infinity_are_no_data_and_read_zero(void **state)
{
  const float f32[3] = {NAN, 2.5F, -INFINITY};
  char path[FIXTURE_PATH_BYTES];
  float pixels[3];
  uint8_t valid[3];
  fixture_path("nan.tif", path);
  GDALClose(fixture_raster(path, &row_grid, "", GDT_Float32, 1, f32, NULL));
  read_row(path, pixels, valid);
  const uint8_t expected[3] = {0, 1, 0};
  const float shown[3] = {0, 2.5F, 0};
  assert_memory_equal(valid, expected, 3);
  assert_memory_equal(pixels, shown, sizeof shown);
}

static void a_float_beside_the_nodata_value_is_no_data_too(void **state)
{
  const float f32[3] = {nextafterf(-9999.1F, 0), -9999.1F, -9999};
  char path[FIXTURE_PATH_BYTES];
  float pixels[3];
  uint8_t valid[3];
  fixture_path("ulp.tif", path);
  GDALDatasetH made = fixture_raster(path, &row_grid, "", GDT_Float32, 1, f32, NULL);
  GDALSetRasterNoDataValue(GDALGetRasterBand(made, 1), (double)-9999.1F);
  GDALClose(made);
  read_row(path, pixels, valid);
  const uint8_t expected[3] = {0, 0, 1};
  assert_memory_equal(valid, expected, 3);
}

static void no_data_in_any_chosen_band_hides_the_pixel(void **state)
{
  static const uint8_t pixels[3 * 2] = {1, 9, 9, 1, 1, 1}; /* 9 is NoData */
  char path[FIXTURE_PATH_BYTES];
  fixture_path("any.tif", path);
  GDALDatasetH made = fixture_raster(path, &row_grid, "", GDT_Byte, 2, pixels, NULL);
  GDALSetRasterNoDataValue(GDALGetRasterBand(made, 1), 9);
  GDALSetRasterNoDataValue(GDALGetRasterBand(made, 2), 9);
  GDALClose(made);
  Raster *raster;
  CHECK_OK(raster_open(path, &raster));
  uint8_t read[6], valid[3];
  const uint8_t both[3] = {0, 0, 1}, second[3] = {0, 1, 1};
  CHECK_OK(raster_read(raster, (Window){0, 0, 3, 1}, NULL, 2, read, valid));
  assert_memory_equal(valid, both, 3);
  const int32_t band = 1;
  CHECK_OK(raster_read(raster, (Window){0, 0, 3, 1}, &band, 1, read, valid));
  assert_memory_equal(valid, second, 3);
  raster_close(raster);
}

static void alpha_is_no_band_but_hides_where_it_is_zero(void **state)
{
  /* Five bands, the last one alpha: GDAL's own mask knows alpha among 2 or 4 bands only. */
  static const uint8_t pixels[3 * 5] = {1, 2, 3, 4, 255, 5, 6, 7, 8, 0, 9, 10, 11, 12, 1};
  char path[FIXTURE_PATH_BYTES];
  fixture_path("alpha.tif", path);
  GDALDatasetH made = fixture_raster(path, &row_grid, "", GDT_Byte, 5, pixels, NULL);
  GDALSetRasterColorInterpretation(GDALGetRasterBand(made, 5), GCI_AlphaBand);
  GDALClose(made);
  Raster *raster;
  CHECK_OK(raster_open(path, &raster));
  assert_int_equal(raster_band_count(raster), 4);
  assert_int_equal(raster_alpha_band(raster), 5);
  assert_true(raster_has_mask(raster));
  uint8_t read[12], valid[3];
  const uint8_t expected[3] = {1, 0, 1};
  const uint8_t shown[12] = {1, 2, 3, 4, 0, 0, 0, 0, 9, 10, 11, 12};
  CHECK_OK(raster_read(raster, (Window){0, 0, 3, 1}, NULL, 4, read, valid));
  assert_memory_equal(valid, expected, 3);
  assert_memory_equal(read, shown, 12);
  raster_close(raster);
}

static void a_mask_of_the_whole_file_hides(void **state)
{
  static const uint8_t u8[3] = {1, 2, 3};
  uint8_t mask[3] = {255, 255, 0};
  char path[FIXTURE_PATH_BYTES];
  uint8_t pixels[3], valid[3];
  fixture_path("mask.tif", path);
  GDALDatasetH made = fixture_raster(path, &row_grid, "", GDT_Byte, 1, u8, NULL);
  assert_int_equal(GDALCreateDatasetMaskBand(made, GMF_PER_DATASET), CE_None);
  assert_int_equal(GDALRasterIO(GDALGetMaskBand(GDALGetRasterBand(made, 1)), GF_Write, 0, 0, 3, 1,
                                mask, 3, 1, GDT_Byte, 0, 0),
                   CE_None);
  GDALClose(made);
  read_row(path, pixels, valid);
  const uint8_t expected[3] = {1, 1, 0};
  assert_memory_equal(valid, expected, 3);
}

static void the_grid_is_the_files(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  make_u8("grid.tif", path);
  Raster *raster;
  CHECK_OK(raster_open(path, &raster));
  const Grid *grid = raster_grid(raster);
  int64_t x_px, y_px;
  CHECK_OK(grid_check_aligned(&fixture_grid, grid, &x_px, &y_px));
  assert_true(x_px == 0 && y_px == 0 && grid->width_px == WIDTH && grid->height_px == HEIGHT);
  assert_true(raster_is_georeferenced(raster));
  assert_string_equal(raster_band_name(raster, 0), "Red");
  Window window;
  CHECK_OK(raster_window_of_extent(raster, (Extent){300010, 3059000, 300020, 3059990}, &window));
  assert_true(window_equal(window, (Window){5, 5, 5, 19}));
  CHECK_FAILS(STATUS_MISMATCH, "outside of the raster",
              raster_window_of_extent(raster, (Extent){0, 0, 1, 1}, &window));
  raster_close(raster);
}

static void a_missing_file_and_a_file_of_something_else_differ(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  Raster *raster;
  fixture_path("missing.tif", path);
  CHECK_FAILS(STATUS_IO, "no such file", raster_open(path, &raster));
  fixture_path("text.tif", path);
  FILE *file = fopen(path, "w");
  assert_true(fputs("this is no raster", file) >= 0);
  assert_int_equal(fclose(file), 0);
  CHECK_FAILS(STATUS_BAD_INPUT, "cannot open it as a raster", raster_open(path, &raster));
}

static void a_truncated_file_is_named_with_its_window(void **state)
{
  enum { SIDE = 256 };
  char path[FIXTURE_PATH_BYTES];
  void *pixels;
  const Grid grid = {SIDE, SIDE, {0, 1, 0, 0, 0, -1}, ""};
  CHECK_OK(memory_allocate(SIDE, SIDE, "pixels", &pixels));
  char *options[] = {(char[]){"TILED=YES"}, (char[]){"BLOCKXSIZE=64"}, (char[]){"BLOCKYSIZE=64"},
                     NULL};
  fixture_path("cut.tif", path);
  GDALClose(fixture_raster(path, &grid, "", GDT_Byte, 1, pixels, options));
  assert_int_equal(truncate(path, 30000), 0);
  Raster *raster;
  CHECK_OK(raster_open(path, &raster));
  CHECK_OK(raster_read(raster, (Window){0, 0, 64, 64}, NULL, 1, pixels, NULL));
  CHECK_FAILS(STATUS_BAD_INPUT, "cut.tif: cannot read columns 64-255, rows 128-255",
              raster_read(raster, (Window){64, 128, 192, 128}, NULL, 1, pixels, NULL));
  raster_close(raster);
  memory_free(pixels);
}

static void a_vrt_reads_as_its_sources(void **state)
{
  char source[FIXTURE_PATH_BYTES], xml[1024];
  make_u8("source.tif", source);
  (void)snprintf(xml, sizeof xml,
                 "<VRTDataset rasterXSize=\"32\" rasterYSize=\"24\"><VRTRasterBand "
                 "dataType=\"Byte\" band=\"1\"><SimpleSource><SourceFilename>%s</SourceFilename>"
                 "<SourceBand>3</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>",
                 source);
  Raster *raster;
  uint8_t pixel;
  CHECK_OK(raster_open(xml, &raster));
  assert_false(raster_is_georeferenced(raster));
  CHECK_OK(raster_read(raster, (Window){4, 2, 1, 1}, NULL, 1, &pixel, NULL));
  assert_int_equal(pixel, value_at(4, 2, 2));
  raster_close(raster);
}

static void averages_of_a_thinned_raster_leave_no_data_out(void **state)
{
  static const uint8_t u8[16] = {10, 30, 0, 0, 20, 40, 0, 50, 0, 0, 9, 9, 0, 0, 9, 9};
  const Grid grid = {4, 4, {0, 1, 0, 0, 0, -1}, ""};
  char path[FIXTURE_PATH_BYTES];
  fixture_path("thin.tif", path);
  GDALDatasetH made = fixture_raster(path, &grid, "", GDT_Byte, 1, u8, NULL);
  GDALSetRasterNoDataValue(GDALGetRasterBand(made, 1), 0);
  GDALClose(made);
  Raster *raster;
  uint8_t pixels[4], valid[4];
  CHECK_OK(raster_open(path, &raster));
  CHECK_OK(raster_read_reduced(raster, grid_window(&grid), RASTER_AVERAGE, NULL, 1, 2, 2, pixels,
                               valid));
  const uint8_t means[4] = {25, 50, 0, 9}, expected[4] = {1, 1, 0, 1};
  assert_memory_equal(pixels, means, 4);
  assert_memory_equal(valid, expected, 4);
  CHECK_FAILS(STATUS_BAD_OPTION, "cannot be thinned",
              raster_read_reduced(raster, grid_window(&grid), RASTER_AVERAGE, NULL, 1, 8, 8, pixels,
                                  valid));
  raster_close(raster);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_four_types_come_back_as_they_are),
      cmocka_unit_test(other_types_are_refused_by_name),
      cmocka_unit_test(bands_of_two_types_are_refused),
      cmocka_unit_test(a_window_holds_the_chosen_bands_channels_last),
      cmocka_unit_test(outside_of_the_raster_is_zero_and_no_data),
      cmocka_unit_test(the_nodata_value_is_no_data_in_each_type),
      cmocka_unit_test(a_nodata_value_that_the_type_cannot_hold_hides_nothing),
      cmocka_unit_test(nan_and_infinity_are_no_data_and_read_zero),
      cmocka_unit_test(a_float_beside_the_nodata_value_is_no_data_too),
      cmocka_unit_test(no_data_in_any_chosen_band_hides_the_pixel),
      cmocka_unit_test(alpha_is_no_band_but_hides_where_it_is_zero),
      cmocka_unit_test(a_mask_of_the_whole_file_hides),
      cmocka_unit_test(the_grid_is_the_files),
      cmocka_unit_test(a_missing_file_and_a_file_of_something_else_differ),
      cmocka_unit_test(a_truncated_file_is_named_with_its_window),
      cmocka_unit_test(a_vrt_reads_as_its_sources),
      cmocka_unit_test(averages_of_a_thinned_raster_leave_no_data_out),
  };
  return cmocka_run_group_tests(tests, fixture_start, fixture_end);
}
