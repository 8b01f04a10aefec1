#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/path.h"
#include "store/array_file.h"
#include "support/check.h"

static char folder[] = "/tmp/quadrat-georeference-XXXXXX";
static char path[256];
static char info[65536];

static int make_folder(void **state)
{
  if (mkdtemp(folder) == NULL) return -1;
  return path_join(folder, "map.h5", sizeof path, path) == STATUS_OK ? 0 : -1;
}

static int remove_folder(void **state)
{
  return path_remove_tree(folder) == STATUS_OK ? 0 : -1;
}

static const char utm[] =
    "PROJCS[\"WGS 84 / UTM zone 45N\",GEOGCS[\"WGS 84\",DATUM[\"WGS_1984\",SPHEROID[\"WGS 84\","
    "6378137,298.257223563]],PRIMEM[\"Greenwich\",0],UNIT[\"degree\",0.0174532925199433]],"
    "PROJECTION[\"Transverse_Mercator\"],PARAMETER[\"latitude_of_origin\",0],"
    "PARAMETER[\"central_meridian\",87],PARAMETER[\"scale_factor\",0.9996],"
    "PARAMETER[\"false_easting\",500000],PARAMETER[\"false_northing\",0],UNIT[\"metre\",1]]";
static const char wgs84[] = "GEOGCS[\"WGS 84\",DATUM[\"WGS_1984\",SPHEROID[\"WGS 84\",6378137,"
                            "298.257223563]],PRIMEM[\"Greenwich\",0],"
                            "UNIT[\"degree\",0.0174532925199433]]";
static const double half_metre[6] = {300000.25, 0.5, 0, 3100000.75, 0, -0.5};
static const int64_t dims[2] = {4, 6};
static const uint8_t classes[24] = {9, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3,
                                    4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7};

/* What gdalinfo says of an array of the file, from another working directory. */
static void ask_gdal(const char *array)
{
  char command[1024];
  (void)snprintf(command, sizeof command, "cd / && gdalinfo -stats 'NETCDF:\"%s\":%s' 2>&1", path,
                 array);
  FILE *pipe = popen(command, "r");
  assert_non_null(pipe);
  const size_t count = fread(info, 1, sizeof info - 1, pipe);
  info[count] = '\0';
  assert_int_equal(pclose(pipe), 0);
}

static void check_says(const char *words)
{
  if (strstr(info, words) == NULL) fail_msg("gdalinfo does not say “%s”: %s", words, info);
}

static bool has_netcdf(void)
{
  return system("gdalinfo --formats 2>/dev/null | grep -q netCDF") == 0;
}

static ArrayFile *create_with_classes(const char *name)
{
  ArrayFile *file;
  CHECK_OK(array_file_create(path, &file));
  CHECK_OK(array_write_whole(file, name, ARRAY_U8, 2, dims, classes));
  return file;
}

static void gdal_sees_place_system_and_no_data(void **state)
{
  if (!has_netcdf()) skip();
  ArrayFile *file = create_with_classes("classes");
  CHECK_OK(array_georeference(file, "classes", utm, half_metre, 9));
  CHECK_OK(array_file_commit(&file));
  ask_gdal("classes");
  check_says("Size is 6, 4");
  check_says("UTM zone 45N");
  check_says("Origin = (300000.250000000000000,3100000.750000000000000)");
  check_says("Pixel Size = (0.500000000000000,-0.500000000000000)");
  check_says("NoData Value=9");
  check_says("Minimum=1.000, Maximum=8.000");
  check_says("Type=Byte");
}

static void gdal_sees_degrees(void **state)
{
  const double quarter_degree[6] = {85.5, 0.25, 0, 27.5, 0, -0.25};
  if (!has_netcdf()) skip();
  ArrayFile *file = create_with_classes("classes");
  CHECK_OK(array_georeference(file, "classes", wgs84, quarter_degree, NAN));
  CHECK_OK(array_file_commit(&file));
  ask_gdal("classes");
  check_says("GEOGCRS[\"WGS 84\"");
  check_says("Origin = (85.5");
  check_says("Pixel Size = (0.250000000000000,-0.250000000000000)");
}

static void gdal_sees_a_virtual_array_in_a_group(void **state)
{
  char shard[256];
  ArrayFile *file;
  const ArrayPiece piece = {.file = "shard.h5",
                            .array = "tiles",
                            .source_rank = 3,
                            .source_dims = {1, 4, 6},
                            .source_count = {1, 4, 6},
                            .target_count = {4, 6}};
  if (!has_netcdf()) skip();
  CHECK_OK(path_join(folder, "shard.h5", sizeof shard, shard));
  CHECK_OK(array_file_create(shard, &file));
  CHECK_OK(array_write_whole(file, "tiles", ARRAY_U8, 3, (int64_t[]){1, 4, 6}, classes));
  CHECK_OK(array_file_commit(&file));
  CHECK_OK(array_file_create(path, &file));
  CHECK_OK(array_create_virtual(file, "result/classes", ARRAY_U8, 2, dims, 255, &piece, 1));
  CHECK_OK(array_georeference(file, "result/classes", utm, half_metre, 255));
  CHECK_OK(array_file_commit(&file));
  ask_gdal("/result/classes");
  check_says("Origin = (300000.250000000000000,3100000.750000000000000)");
  check_says("Minimum=1.000, Maximum=9.000");
  check_says("NoData Value=255");
  check_says("UTM zone 45N");
}

static void two_arrays_of_one_grid_share_its_axes(void **state)
{
  const double other[6] = {0, 0.5, 0, 0, 0, -0.5};
  const float probability[24] = {0.5F};
  double x[6];
  double y[4];
  ArrayFile *file = create_with_classes("classes");
  CHECK_OK(array_write_whole(file, "probability", ARRAY_F32, 2, dims, probability));
  CHECK_OK(array_write_whole(file, "small", ARRAY_U8, 2, (int64_t[]){2, 2}, classes));
  CHECK_OK(array_georeference(file, "classes", utm, half_metre, NAN));
  CHECK_OK(array_georeference(file, "probability", utm, half_metre, NAN));
  CHECK_FAILS(STATUS_MISMATCH, "another grid",
              array_georeference(file, "probability", utm, other, NAN));
  CHECK_FAILS(STATUS_MISMATCH, "another grid",
              array_georeference(file, "probability", wgs84, half_metre, NAN));
  CHECK_FAILS(STATUS_MISMATCH, "another grid",
              array_georeference(file, "small", utm, half_metre, NAN));
  CHECK_OK(array_read(file, "x", NULL, NULL, ARRAY_F64, x));
  CHECK_OK(array_read(file, "y", NULL, NULL, ARRAY_F64, y));
  assert_true(x[0] == 300000.5 && x[5] == 300003);
  assert_true(y[0] == 3100000.5 && y[3] == 3099999);
  array_file_close(file);
}

static void a_rotated_grid_and_an_array_of_three_dimensions_are_refused(void **state)
{
  const double rotated[6] = {0, 0.5, 0.1, 0, 0.1, -0.5};
  ArrayFile *file = create_with_classes("classes");
  CHECK_FAILS(STATUS_UNSUPPORTED, "rotated",
              array_georeference(file, "classes", utm, rotated, NAN));
  CHECK_OK(array_write_whole(file, "cube", ARRAY_U8, 3, (int64_t[]){2, 3, 4}, classes));
  CHECK_FAILS(STATUS_BAD_SHAPE, "3 dimensions",
              array_georeference(file, "cube", utm, half_metre, NAN));
  array_file_close(file);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(gdal_sees_place_system_and_no_data),
      cmocka_unit_test(gdal_sees_degrees),
      cmocka_unit_test(gdal_sees_a_virtual_array_in_a_group),
      cmocka_unit_test(two_arrays_of_one_grid_share_its_axes),
      cmocka_unit_test(a_rotated_grid_and_an_array_of_three_dimensions_are_refused),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
