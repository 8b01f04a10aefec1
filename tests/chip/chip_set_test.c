#include "chip/chip_set.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/output.h"
#include "base/path.h"
#include "chip/chip_fixture.h"
#include "geo/crs.h"
#include "geo/tiff_chip.h"
#include "store/array_file.h"

static void check_chips(ChipSet *set, bool wide)
{
  for (int64_t i = 0; i < FIXTURE_CHIPS; ++i) {
    FixtureChip wanted, found;
    fixture_fill_chip(i, wide, &wanted);
    CHECK_OK(chip_set_read(set, i, found.image, found.valid, found.labels));
    assert_memory_equal(found.image, wanted.image, sizeof wanted.image);
    assert_memory_equal(found.valid, wanted.valid, sizeof wanted.valid);
    assert_memory_equal(found.labels, wanted.labels, sizeof wanted.labels);
  }
}

/* 40 of 48 pixels of a chip are valid, 10 of each label. */
static void check_info(const ChipSetInfo *info, bool wide)
{
  assert_int_equal(info->chip_count, FIXTURE_CHIPS);
  assert_int_equal(info->width_px, FIXTURE_W);
  assert_int_equal(info->height_px, FIXTURE_H);
  assert_int_equal(info->band_count, FIXTURE_BANDS);
  assert_int_equal(info->pixel, PIXEL_U16);
  assert_int_equal(info->labels_are_wide, wide);
  assert_true(info->unlabelled_is_background);
  assert_int_equal(crs_epsg(info->crs_wkt), 32645);
  assert_true(fabs(info->cell_size_m - 2) < 0.01); /* UTM's scale at its edge */
  assert_string_equal(info->bands[1].name, "NIR");
  assert_int_equal(info->bands[0].pixel_count, FIXTURE_CHIPS * 40);
  assert_true(info->bands[0].least == 81);
  assert_true(info->bands[1].most == 4472);
  assert_true(fabs(info->bands[0].mean - 2276) < 1e-9);
  /* variance of chips (2e6) plus that within one (13325) */
  assert_true(fabs(info->bands[0].standard_deviation - sqrt(2013325)) < 1e-9);
  assert_int_equal(info->class_count, wide ? 3 : 2);
  assert_string_equal(info->classes[1].entry.name, "roof");
  assert_int_equal(info->classes[1].entry.value, 3);
  assert_int_equal(info->classes[1].pixel_count, FIXTURE_CHIPS * 10);
  assert_int_equal(info->classes[0].pixel_count, FIXTURE_CHIPS * 30 - (wide ? 40 : 0));
  if (!wide) return;
  assert_int_equal(info->classes[2].pixel_count, 40);
  assert_int_equal(info->classes[2].chip_count, FIXTURE_CHIPS - 1);
}

static void shards_are_read_as_one_set(void **state)
{
  for (int wide = 0; wide < 2; ++wide) {
    char folder[FIXTURE_PATH_BYTES], path[FIXTURE_PATH_BYTES];
    ChipSet *set;
    fixture_path(wide == 0 ? "narrow" : "wide", folder);
    fixture_write_arrays(folder, wide == 1, 1, path);
    CHECK_OK(chip_set_open(path, &set));
    check_info(chip_set_info(set), wide == 1);
    check_chips(set, wide == 1);
    for (int64_t i = 0; i < FIXTURE_CHIPS; ++i) {
      const ChipPlace wanted = fixture_place(i), place = chip_set_place(set, i);
      assert_int_equal(place.raster, 0);
      assert_int_equal(place.x_px, wanted.x_px);
      assert_int_equal(place.y_px, wanted.y_px);
      assert_int_equal(place.width_px, FIXTURE_W);
      assert_int_equal(place.height_px, FIXTURE_H);
    }
    chip_set_close(set);
  }
}

static void the_joined_arrays_are_those_of_the_shards(void **state)
{
  char folder[FIXTURE_PATH_BYTES], path[FIXTURE_PATH_BYTES];
  ArrayFile *file;
  FixtureChip wanted;
  uint16_t image[FIXTURE_PIXELS * FIXTURE_BANDS];
  const int64_t start[4] = {4, 0, 0, 0};
  const int64_t count[4] = {1, FIXTURE_H, FIXTURE_W, FIXTURE_BANDS};
  fixture_path("joined", folder);
  fixture_write_arrays(folder, false, 1, path);
  CHECK_OK(array_file_open(path, &file));
  CHECK_OK(array_read(file, "images", start, count, ARRAY_U16, image));
  fixture_fill_chip(4, false, &wanted);
  assert_memory_equal(image, wanted.image, sizeof image);
  array_file_close(file);
}

static void a_set_can_be_moved(void **state)
{
  char folder[FIXTURE_PATH_BYTES], moved[FIXTURE_PATH_BYTES], path[FIXTURE_PATH_BYTES];
  ChipSet *set;
  fixture_path("before", folder);
  fixture_path("after", moved);
  fixture_write_arrays(folder, false, 1, path);
  assert_int_equal(rename(folder, moved), 0);
  CHECK_OK(path_join(moved, "chips.h5", sizeof path, path));
  CHECK_OK(chip_set_open(path, &set));
  check_chips(set, false);
  chip_set_close(set);
}

static long find_bytes(FILE *stream, const void *bytes, size_t count)
{
  uint8_t content[65536];
  const size_t read = fread(content, 1, sizeof content, stream);
  for (size_t i = 0; i + count <= read; ++i)
    if (memcmp(content + i, bytes, count) == 0) return (long)i;
  return -1;
}

static void a_damaged_chip_is_found_by_its_checksum(void **state)
{
  char folder[FIXTURE_PATH_BYTES], path[FIXTURE_PATH_BYTES], shard[FIXTURE_PATH_BYTES];
  FixtureChip chip;
  ChipSet *set;
  fixture_path("damaged", folder);
  fixture_write_arrays(folder, false, 0, path);
  fixture_fill_chip(1, false, &chip);
  CHECK_OK(path_join(folder, "chips.shards/part-0000.h5", sizeof shard, shard));
  FILE *stream = fopen(shard, "r+b");
  assert_non_null(stream);
  const long place = find_bytes(stream, chip.image, sizeof chip.image);
  assert_true(place > 0);
  assert_int_equal(fseek(stream, place + 50, SEEK_SET), 0);
  assert_int_equal(fputc('x', stream), 'x');
  assert_int_equal(fclose(stream), 0);
  CHECK_OK(chip_set_open(path, &set));
  CHECK_OK(chip_set_read(set, 0, chip.image, chip.valid, chip.labels));
  CHECK_FAILS(STATUS_BAD_INPUT, "chip 1 is damaged",
              chip_set_read(set, 1, chip.image, chip.valid, chip.labels));
  chip_set_close(set);
}

static void a_missing_or_truncated_shard_is_said_at_opening(void **state)
{
  char folder[FIXTURE_PATH_BYTES], path[FIXTURE_PATH_BYTES], shard[FIXTURE_PATH_BYTES];
  ChipSet *set;
  fixture_path("missing", folder);
  fixture_write_arrays(folder, false, 1, path);
  CHECK_OK(path_join(folder, "chips.shards/part-0002.h5", sizeof shard, shard));
  assert_int_equal(truncate(shard, 3000), 0);
  CHECK_FAILS(STATUS_BAD_INPUT, "part-0002.h5", chip_set_open(path, &set));
  assert_int_equal(unlink(shard), 0);
  CHECK_FAILS(STATUS_IO, "part-0002.h5 is missing", chip_set_open(path, &set));
  assert_null(set);
}

static void what_is_no_chip_set_is_refused(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  ChipSet *set;
  ArrayFile *file;
  fixture_path("none.h5", path);
  CHECK_FAILS(STATUS_IO, "none.h5", chip_set_open(path, &set));
  CHECK_OK(array_file_create(path, &file));
  CHECK_OK(array_file_commit(&file));
  CHECK_FAILS(STATUS_BAD_INPUT, "no chip set", chip_set_open(path, &set));
  CHECK_OK(array_file_create(path, &file));
  CHECK_OK(array_set_text(file, "/", "format", "quadrat chip set"));
  CHECK_OK(array_set_int(file, "/", "format_version", 99));
  CHECK_OK(array_file_commit(&file));
  CHECK_FAILS(STATUS_UNSUPPORTED, "version 99", chip_set_open(path, &set));
  fixture_path("empty_folder", path);
  CHECK_OK(output_make_folder(path));
  CHECK_FAILS(STATUS_BAD_INPUT, "neither map.txt nor", chip_set_open(path, &set));
}

static void check_tiles(const char *folder, bool wide)
{
  ChipSet *set;
  CHECK_OK(chip_set_open(folder, &set));
  check_info(chip_set_info(set), wide);
  check_chips(set, wide);
  const ChipPlace first = chip_set_place(set, 0), last = chip_set_place(set, 4);
  assert_int_equal(last.x_px - first.x_px, 16);
  assert_int_equal(last.y_px - first.y_px, 0);
  assert_int_equal(last.width_px, FIXTURE_W);
  assert_int_equal(last.height_px, FIXTURE_H);
  assert_int_equal(first.raster, last.raster);
  chip_set_close(set);
}

static void classified_tiles_are_read_as_they_were_written(void **state)
{
  for (int wide = 0; wide < 2; ++wide) {
    char folder[FIXTURE_PATH_BYTES];
    fixture_path(wide == 0 ? "tiles" : "wide_tiles", folder);
    fixture_write_tiles(folder, wide == 1);
    check_tiles(folder, wide == 1);
  }
}

static void write_text(const char *folder, const char *name, const char *text)
{
  char path[FIXTURE_PATH_BYTES];
  CHECK_OK(path_join(folder, name, sizeof path, path));
  FILE *stream = fopen(path, "wb");
  assert_non_null(stream);
  assert_true(fputs(text, stream) >= 0);
  assert_int_equal(fclose(stream), 0);
}

static void remove_file(const char *folder, const char *name)
{
  char path[FIXTURE_PATH_BYTES];
  CHECK_OK(path_join(folder, name, sizeof path, path));
  assert_int_equal(unlink(path), 0);
}

static void statistics_that_a_folder_lacks_are_counted(void **state)
{
  char folder[FIXTURE_PATH_BYTES];
  fixture_path("uncounted", folder);
  fixture_write_tiles(folder, true);
  remove_file(folder, "esri_accumulated_stats.json");
  ChipSet *set;
  CHECK_OK(chip_set_open(folder, &set));
  const ChipSetInfo *info = chip_set_info(set);
  assert_string_equal(info->bands[1].name, "Band_2");       /* the name was lost with the file */
  assert_string_equal(info->classes[1].entry.name, "roof"); /* of the .emd */
  assert_int_equal(info->classes[1].pixel_count, FIXTURE_CHIPS * 10);
  assert_int_equal(info->classes[2].chip_count, FIXTURE_CHIPS - 1);
  assert_int_equal(info->bands[0].pixel_count, FIXTURE_CHIPS * 40);
  assert_true(fabs(info->bands[0].standard_deviation - sqrt(2013325)) < 1e-9);
  chip_set_close(set);
  remove_file(folder, "esri_model_definition.emd");
  CHECK_OK(chip_set_open(folder, &set));
  info = chip_set_info(set);
  assert_int_equal(info->class_count, 3); /* those that occur */
  assert_string_equal(info->classes[2].entry.name, "300");
  chip_set_close(set);
}

static void stale_statistics_are_counted_anew(void **state)
{
  char folder[FIXTURE_PATH_BYTES];
  ChipSet *set;
  fixture_path("stale", folder);
  fixture_write_tiles(folder, false);
  write_text(folder, "map.txt", "images\\000000001.tif  labels\\000000001.tif \r\n");
  CHECK_OK(chip_set_open(folder, &set));
  assert_int_equal(chip_set_info(set)->chip_count, 1);
  assert_int_equal(chip_set_info(set)->classes[1].pixel_count, 10);
  chip_set_close(set);
}

static void map_txt_is_read_in_any_form(void **state)
{
  static const char *const forms[] = {
      "images\\000000000.tif  labels\\000000000.tif \r\nimages\\000000001.tif  "
      "labels\\000000001.tif \r\nimages/000000002.tif labels/000000002.tif\n"
      "images/000000003.tif\tlabels/000000003.tif\rimages/000000004.tif labels/000000004.tif",
      "images/000000000.tif labels/000000000.tif\n\n images/000000001.tif labels/000000001.tif \n"
      "images/000000002.tif labels/000000002.tif more\nimages/000000000.tif labels/000000000.tif\n"
      "images/000000003.tif labels/000000003.tif\nimages/000000004.tif labels/000000004.tif\n"};
  char folder[FIXTURE_PATH_BYTES];
  fixture_path("forms", folder);
  fixture_write_tiles(folder, false);
  for (int i = 0; i < 2; ++i) {
    write_text(folder, "map.txt", forms[i]);
    check_tiles(folder, false);
  }
  remove_file(folder, "map.txt");
  check_tiles(folder, false);
}

static void a_map_that_leads_out_of_the_folder_is_refused(void **state)
{
  char folder[FIXTURE_PATH_BYTES];
  ChipSet *set;
  fixture_path("outward", folder);
  fixture_write_tiles(folder, false);
  write_text(folder, "map.txt", "images\\..\\..\\x.tif labels/000000000.tif\n");
  CHECK_FAILS(STATUS_BAD_INPUT, "leads out", chip_set_open(folder, &set));
  write_text(folder, "map.txt", "/etc/x.tif labels/000000000.tif\n");
  CHECK_FAILS(STATUS_BAD_INPUT, "leads out", chip_set_open(folder, &set));
}

static void a_chip_without_a_label_has_none(void **state)
{
  char folder[FIXTURE_PATH_BYTES];
  ChipSet *set;
  FixtureChip chip;
  fixture_path("unlabelled", folder);
  fixture_write_tiles(folder, false);
  write_text(folder, "map.txt", "images/000000002.tif\nimages/000000000.tif labels/000000000.tif");
  CHECK_OK(chip_set_open(folder, &set));
  CHECK_OK(chip_set_read(set, 0, chip.image, chip.valid, chip.labels));
  for (int i = 0; i < FIXTURE_PIXELS; ++i)
    assert_int_equal(chip.labels[i], 0);
  assert_int_equal(chip.valid[FIXTURE_W], 1);
  chip_set_close(set);
}

static void a_tile_of_other_size_or_cut_short_is_named(void **state)
{
  char folder[FIXTURE_PATH_BYTES], path[FIXTURE_PATH_BYTES];
  ChipSet *set;
  FixtureChip chip;
  uint16_t small[16] = {0};
  const ChipImage image = {PIXEL_U16, 4, 2, FIXTURE_BANDS, small};
  const Grid grid = grid_subgrid(&fixture_grid, (Window){0, 0, 4, 2});
  fixture_path("misfit", folder);
  fixture_write_tiles(folder, false);
  CHECK_OK(path_join(folder, "images/000000003.tif", sizeof path, path));
  CHECK_OK(tiff_chip_write(path, &grid, &image));
  CHECK_OK(chip_set_open(folder, &set));
  CHECK_FAILS(STATUS_BAD_INPUT, "000000003.tif: is 4 x 2 px",
              chip_set_read(set, 3, chip.image, chip.valid, chip.labels));
  assert_int_equal(truncate(path, 150), 0);
  CHECK_FAILS(STATUS_BAD_INPUT, "000000003.tif",
              chip_set_read(set, 3, chip.image, chip.valid, chip.labels));
  assert_int_equal(unlink(path), 0);
  CHECK_FAILS(STATUS_IO, "000000003.tif",
              chip_set_read(set, 3, chip.image, chip.valid, chip.labels));
  chip_set_close(set);
}

static void the_tables_have_the_form_of_arcgis(void **state)
{
  char folder[FIXTURE_PATH_BYTES], path[FIXTURE_PATH_BYTES], text[4096] = "";
  fixture_path("tables", folder);
  fixture_write_tiles(folder, true);
  CHECK_OK(path_join(folder, "stats.txt", sizeof path, path));
  FILE *stream = fopen(path, "rb");
  assert_non_null(stream);
  (void)fread(text, 1, sizeof text - 1, stream);
  (void)fclose(stream);
  assert_string_equal(
      text,
      "images = 5 *2*8*6\n"
      "classes = 2\n"
      "classes per image = [min = 1, mean = 1.80, max = 2]\n"
      "cls name              cls value     images   pixels      min size   mean size    max size\n"
      "roof                          3          5         50       10.00       10.00       10.00\n"
      "tent                        300          4         40        0.00        8.00       "
      "10.00\n");
  CHECK_OK(path_join(folder, "map.txt", sizeof path, path));
  stream = fopen(path, "rb");
  assert_non_null(stream);
  assert_non_null(fgets(text, sizeof text, stream));
  (void)fclose(stream);
  assert_string_equal(text, "images\\000000000.tif  labels\\000000000.tif \r\n");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(shards_are_read_as_one_set),
      cmocka_unit_test(the_joined_arrays_are_those_of_the_shards),
      cmocka_unit_test(a_set_can_be_moved),
      cmocka_unit_test(a_damaged_chip_is_found_by_its_checksum),
      cmocka_unit_test(a_missing_or_truncated_shard_is_said_at_opening),
      cmocka_unit_test(what_is_no_chip_set_is_refused),
      cmocka_unit_test(classified_tiles_are_read_as_they_were_written),
      cmocka_unit_test(statistics_that_a_folder_lacks_are_counted),
      cmocka_unit_test(stale_statistics_are_counted_anew),
      cmocka_unit_test(map_txt_is_read_in_any_form),
      cmocka_unit_test(a_map_that_leads_out_of_the_folder_is_refused),
      cmocka_unit_test(a_chip_without_a_label_has_none),
      cmocka_unit_test(a_tile_of_other_size_or_cut_short_is_named),
      cmocka_unit_test(the_tables_have_the_form_of_arcgis),
  };
  return cmocka_run_group_tests(tests, fixture_start, fixture_end);
}
