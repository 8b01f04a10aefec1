#include "geo/grid.h"

#include <math.h>

#include "geo/crs.h"
#include "geo/geo.h"
#include "support/check.h"

/* 0.5 m pixels turned by the angle whose cosine is 0.6 and sine 0.8. */
static const Grid turned = {40, 20, {1000, 0.3, 0.4, 2000, 0.4, -0.3}, ""};
static const Grid upright = {100, 50, {500000, 2, 0, 4000000, 0, -2}, "EPSG:32633"};

static int start(void **state)
{
  geo_start(0);
  return 0;
}

static int stop(void **state)
{
  geo_stop();
  return 0;
}

static void check_near(double value, double expected, double allowed)
{
  if (!(fabs(value - expected) <= allowed))
    fail_msg("%.12g is not %.12g within %g", value, expected, allowed);
}

static void pixels_go_to_the_map_and_back_on_a_turned_grid(void **state)
{
  double x, y, column, row;
  grid_pixel_to_map(&turned, 10, 5, &x, &y);
  check_near(x, 1005, 1e-9); /* 1000 + 10 * 0.3 + 5 * 0.4 */
  check_near(y, 2002.5, 1e-9);
  grid_map_to_pixel(&turned, x, y, &column, &row);
  check_near(column, 10, 1e-9);
  check_near(row, 5, 1e-9);
}

static void a_turned_cell_has_the_length_of_its_sides(void **state)
{
  double width, height;
  grid_cell_size(&turned, &width, &height);
  check_near(width, 0.5, 1e-12);
  check_near(height, 0.5, 1e-12);
}

static void the_extent_of_a_turned_grid_holds_all_corners(void **state)
{
  const Extent extent = grid_extent(&turned);
  check_near(extent.x_min, 1000, 1e-9);
  check_near(extent.x_max, 1020, 1e-9); /* 40 * 0.3 + 20 * 0.4 */
  check_near(extent.y_min, 1994, 1e-9); /* 20 * -0.3 */
  check_near(extent.y_max, 2016, 1e-9);
}

static void a_subgrid_begins_where_its_window_does(void **state)
{
  const Grid part = grid_subgrid(&turned, (Window){10, -5, 7, 3});
  double x, y, part_x, part_y;
  grid_pixel_to_map(&turned, 12, -3, &x, &y);
  grid_pixel_to_map(&part, 2, 2, &part_x, &part_y);
  check_near(part_x, x, 1e-9);
  check_near(part_y, y, 1e-9);
  assert_true(part.width_px == 7 && part.height_px == 3);
}

static void a_quarter_turn_moves_corners_onto_corners(void **state)
{
  const Window window = {10, 10, 20, 20};
  const Grid part = grid_turned(&upright, window, 90);
  double x, y, turned_x, turned_y;
  grid_pixel_to_map(&upright, 10, 30, &x, &y); /* lower left … */
  grid_pixel_to_map(&part, 0, 0, &turned_x, &turned_y);
  assert_true(turned_x == x && turned_y == y); /* … is where the first pixel's corner went */
  check_near(part.pixel_to_map[1], 0, 0);
  check_near(part.pixel_to_map[4], 2, 0);
}

static void cell_size_in_metres_undoes_the_web_mercator_scale(void **state)
{
  /* Banepa: 0.149291 map units at 27.63 N are 0.132 m on the ground. */
  const Grid mercator = {3072,
                         2560,
                         {9519926.1248, 0.149291070869485, 0, 3202940.7962, 0, -0.149291070869485},
                         "EPSG:3857"};
  double width_m, height_m;
  CHECK_OK(grid_cell_size_m(&mercator, &width_m, &height_m));
  /* The ellipsoid's radii there: N = 6382742 m and M = 6349046 m over the sphere's 6378137 m. */
  const double latitude = 27.63262 * 0.017453292519943295;
  const double e2 = 0.00669437999014;
  const double w = sqrt(1 - e2 * sin(latitude) * sin(latitude));
  check_near(width_m, 0.149291070869485 * cos(latitude) / w, 1e-6);
  check_near(height_m, 0.149291070869485 * cos(latitude) * (1 - e2) / (w * w * w), 1e-6);
}

static void a_degree_at_the_equator_has_its_textbook_length(void **state)
{
  const Grid degrees = {2, 2, {-1, 1, 0, 1, 0, -1}, "EPSG:4326"};
  double width_m, height_m;
  CHECK_OK(grid_cell_size_m(&degrees, &width_m, &height_m));
  check_near(width_m, 111319.491, 0.01);
  check_near(height_m, 110574.3, 1); /* -0.5 to 0.5 degrees */
}

static void cell_size_in_metres_needs_a_reference_system(void **state)
{
  double width_m, height_m;
  CHECK_FAILS(STATUS_MISMATCH, "unknown", grid_cell_size_m(&turned, &width_m, &height_m));
}

static void an_extent_on_pixel_edges_takes_no_further_pixel(void **state)
{
  const Extent extent = {500010, 3999960, 500020, 3999980};
  assert_true(window_equal(grid_window_of_extent(&upright, extent), (Window){5, 10, 5, 10}));
  const Extent hair = {500010 - 1e-6, 3999960 + 1e-6, 500020.5, 3999980};
  assert_true(window_equal(grid_window_of_extent(&upright, hair), (Window){5, 10, 6, 10}));
}

static void grids_on_one_lattice_know_their_offset(void **state)
{
  const Grid part = grid_subgrid(&upright, (Window){-3, 7, 10, 10});
  int64_t x_px, y_px;
  CHECK_OK(grid_check_aligned(&upright, &part, &x_px, &y_px));
  assert_true(x_px == -3 && y_px == 7);
  Grid other = part;
  other.pixel_to_map[0] += 0.5;
  CHECK_FAILS(STATUS_MISMATCH, "column -2.750", grid_check_aligned(&upright, &other, &x_px, &y_px));
  other = part;
  other.pixel_to_map[1] = 2.01;
  CHECK_FAILS(STATUS_MISMATCH, "size", grid_check_aligned(&upright, &other, &x_px, &y_px));
  other = part;
  other.crs_wkt = "EPSG:32634";
  CHECK_FAILS(STATUS_MISMATCH, "EPSG:32634", grid_check_aligned(&upright, &other, &x_px, &y_px));
}

static void a_system_is_known_by_code_text_or_wkt(void **state)
{
  char wkt[8192];
  char name[CRS_NAME_BYTES];
  CHECK_OK(crs_of_text("EPSG:32645", sizeof wkt, wkt));
  assert_true(crs_same(wkt, "EPSG:32645"));
  assert_true(crs_same(wkt, "+proj=utm +zone=45 +datum=WGS84 +units=m +no_defs"));
  assert_false(crs_same(wkt, "EPSG:32644"));
  assert_false(crs_same(wkt, ""));
  assert_true(crs_same("", ""));
  assert_int_equal(crs_epsg(wkt), 32645);
  assert_false(crs_is_geographic(wkt));
  assert_true(crs_is_geographic("EPSG:4326"));
  crs_name(wkt, name);
  assert_string_equal(name, "EPSG:32645 (WGS 84 / UTM zone 45N)");
  crs_name("", name);
  assert_string_equal(name, "unknown");
  CHECK_FAILS(STATUS_BAD_OPTION, "EPSG:nonsense", crs_of_text("EPSG:nonsense", sizeof wkt, wkt));
  CHECK_FAILS(STATUS_BAD_OPTION, "room for 99", crs_of_text("EPSG:32645", 100, wkt));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pixels_go_to_the_map_and_back_on_a_turned_grid),
      cmocka_unit_test(a_turned_cell_has_the_length_of_its_sides),
      cmocka_unit_test(the_extent_of_a_turned_grid_holds_all_corners),
      cmocka_unit_test(a_subgrid_begins_where_its_window_does),
      cmocka_unit_test(a_quarter_turn_moves_corners_onto_corners),
      cmocka_unit_test(cell_size_in_metres_undoes_the_web_mercator_scale),
      cmocka_unit_test(a_degree_at_the_equator_has_its_textbook_length),
      cmocka_unit_test(cell_size_in_metres_needs_a_reference_system),
      cmocka_unit_test(an_extent_on_pixel_edges_takes_no_further_pixel),
      cmocka_unit_test(grids_on_one_lattice_know_their_offset),
      cmocka_unit_test(a_system_is_known_by_code_text_or_wkt),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
