/* Sets of chips with objects, as they are written and as others write them. */
#include <stdio.h>
#include <unistd.h>

#include "base/output.h"
#include "base/path.h"
#include "chip/chip_set.h"
#include "chip/object_fixture.h"
#include "geo/tiff_chip.h"

static const char *const folder_names[] = {[CHIP_FORMAT_INSTANCES] = "instances",
                                           [CHIP_FORMAT_RCNN_MASKS] = "masks",
                                           [CHIP_FORMAT_PASCAL_VOC] = "voc",
                                           [CHIP_FORMAT_COCO] = "coco"};

static ChipSet *open_fixture(ChipFormat format, const char *suffix, char path[FIXTURE_PATH_BYTES])
{
  char name[64], folder[FIXTURE_PATH_BYTES];
  ChipSet *set;
  (void)snprintf(name, sizeof name, "%s%s", folder_names[format], suffix);
  fixture_path(name, folder);
  object_fixture_write(folder, format, path);
  CHECK_OK(chip_set_open(path, &set));
  return set;
}

static void check_object(const ChipObjects *found, const ChipObjects *wanted, int32_t i,
                         bool with_masks)
{
  const ChipObject *a = &found->items[i];
  const ChipObject *b = &wanted->items[i];
  assert_int_equal(a->class_value, b->class_value);
  for (int k = 0; k < 4; ++k)
    assert_true(a->box[k] == b->box[k]);
  assert_int_equal(a->has_mask, with_masks);
  if (!with_masks) return;
  assert_int_equal(a->x_px, b->x_px);
  assert_int_equal(a->y_px, b->y_px);
  assert_int_equal(a->width_px, b->width_px);
  assert_int_equal(a->height_px, b->height_px);
  assert_memory_equal(found->mask_bytes + a->mask_offset, wanted->mask_bytes + b->mask_offset,
                      (size_t)a->width_px * (size_t)a->height_px);
}

static void check_objects(ChipSet *set, int64_t chip, const ChipObjects *wanted, bool with_masks)
{
  ChipObjects found = {0};
  CHECK_OK(chip_set_read_objects(set, chip, &found));
  assert_int_equal(found.count, wanted->count);
  for (int32_t i = 0; i < found.count; ++i)
    check_object(&found, wanted, i, with_masks);
  chip_objects_free(&found);
}

static void check_info(const ChipSetInfo *info, ChipSetKind kind)
{
  assert_int_equal(info->kind, kind);
  assert_int_equal(info->chip_count, OBJECT_CHIPS);
  assert_int_equal(info->width_px, OBJECT_W);
  assert_int_equal(info->height_px, OBJECT_H);
  assert_int_equal(info->object_count, 307);
  assert_int_equal(info->objects_most, 301);
  assert_int_equal(info->mask_bytes_most, kind == CHIP_SET_BOXES ? 0 : OBJECT_PIXELS);
  assert_int_equal(info->crowd_count, 0);
  assert_int_equal(info->degenerate_count, 0);
  assert_int_equal(info->class_count, 3);
  assert_int_equal(info->classes[1].entry.value, 2);
  assert_string_equal(info->classes[1].entry.name, "roof");
  assert_int_equal(info->classes[1].object_count, 303);
  assert_int_equal(info->classes[2].entry.value, 7);
  assert_string_equal(info->classes[2].entry.name, "tree/top");
  assert_int_equal(info->classes[2].object_count, 4);
  assert_int_equal(info->bands[0].pixel_count, OBJECT_CHIPS * OBJECT_PIXELS);
  assert_true(info->bands[0].mean == 102);
}

/* Of chip 0: 9 pixels of a tree above 64 + 24 - 4 of two roofs that share 4, of which the tree takes
 * 1. */
static void check_labels(ChipSet *set, bool with_masks)
{
  uint8_t image[OBJECT_PIXELS], valid[OBJECT_PIXELS];
  uint16_t labels[OBJECT_PIXELS];
  int roofs = 0, trees = 0;
  CHECK_OK(chip_set_read(set, 0, image, valid, labels));
  for (int i = 0; i < OBJECT_PIXELS; ++i) {
    assert_int_equal(image[i], 100);
    assert_int_equal(valid[i], 1);
    roofs += labels[i] == 2;
    trees += labels[i] == 7;
  }
  assert_int_equal(trees, with_masks ? 9 : 0);
  assert_int_equal(roofs, with_masks ? 83 : 0);
}

static void check_all(ChipSet *set, bool with_masks)
{
  ChipObjects wanted = {0};
  check_info(chip_set_info(set), with_masks ? CHIP_SET_INSTANCES : CHIP_SET_BOXES);
  check_labels(set, with_masks);
  for (int64_t chip = 0; chip < OBJECT_CHIPS; ++chip) {
    object_fixture_fill(chip, &wanted);
    check_objects(set, chip, &wanted, with_masks);
  }
  chip_objects_free(&wanted);
}

static void hdf5_gives_back_every_object_and_its_place_of_origin(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  ChipObjects found = {0};
  ChipSet *set = open_fixture(CHIP_FORMAT_INSTANCES, "", path);
  check_all(set, true);
  assert_int_equal(chip_set_info(set)->classes[0].pixel_count + 83 + 9 + 128 + 34 + 300 + 6 + 480,
                   OBJECT_CHIPS * OBJECT_PIXELS);
  CHECK_OK(chip_set_read_objects(set, 0, &found));
  assert_int_equal(found.items[2].feature, 103);
  assert_true(found.items[1].area_map == 96);
  chip_objects_free(&found);
  chip_set_close(set);
}

static void coco_gives_back_every_object(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  ChipSet *set = open_fixture(CHIP_FORMAT_COCO, "", path);
  check_all(set, true);
  chip_set_close(set);
}

static void boxes_of_pascal_voc_come_back_without_masks(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  ChipSet *set = open_fixture(CHIP_FORMAT_PASCAL_VOC, "", path);
  check_all(set, false);
  chip_set_close(set);
}

/* The format has one number per pixel and class: the smaller roof of chip 0 lies above. */
static void masks_come_back_but_for_what_a_smaller_object_hides(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  ChipObjects wanted = {0};
  ChipSet *set = open_fixture(CHIP_FORMAT_RCNN_MASKS, "", path);
  check_info(chip_set_info(set), CHIP_SET_INSTANCES);
  check_labels(set, true);
  for (int64_t chip = 0; chip < OBJECT_CHIPS; ++chip) {
    object_fixture_fill(chip, &wanted);
    if (chip == 0)
      for (int y = 8; y < 10; ++y)
        for (int x = 8; x < 10; ++x)
          wanted.mask_bytes[wanted.items[0].mask_offset + (y - 2) * 8 + x - 2] = 0;
    check_objects(set, chip, &wanted, true);
  }
  chip_objects_free(&wanted);
  chip_set_close(set);
}

static void read_text(const char *folder, const char *name, size_t bytes, char *text)
{
  char path[FIXTURE_PATH_BYTES];
  CHECK_OK(path_join(folder, name, sizeof path, path));
  FILE *stream = fopen(path, "rb");
  assert_non_null(stream);
  const size_t count = fread(text, 1, bytes - 1, stream);
  text[count] = '\0';
  (void)fclose(stream);
}

static void the_tables_have_the_form_of_arcgis(void **state)
{
  char path[FIXTURE_PATH_BYTES], text[16384];
  chip_set_close(open_fixture(CHIP_FORMAT_RCNN_MASKS, "_tables", path));
  read_text(path, "stats.txt", sizeof text, text);
  assert_string_equal(
      text,
      "images = 5 *1*24*20\n"
      "features = 307\n"
      "features per image = [min = 0, mean = 61.40, max = 301]\n"
      "classes = 2\n"
      "cls name              cls value     images   features    min size   mean size    max size\n"
      "roof                          2          3        303        4.00        7.02      576.00\n"
      "tree/top                      7          4          4       24.00      575.00     "
      "1920.00\n");
  read_text(path, "map.txt", sizeof text, text);
  assert_string_equal(
      text,
      "images\\000000000.tif  labels\\roof\\000000000.tif  labels\\tree_top\\000000000.tif \r\n"
      "images\\000000001.tif  labels\\roof\\000000001.tif  labels\\tree_top\\000000001.tif \r\n"
      "images\\000000002.tif \r\n"
      "images\\000000003.tif  labels\\roof\\000000003.tif  labels\\tree_top\\000000003.tif \r\n"
      "images\\000000004.tif  labels\\tree_top\\000000004.tif \r\n");
  read_text(path, "esri_accumulated_stats.json", sizeof text, text);
  assert_non_null(strstr(text, "\"MetaDataMode\" : \"RCNN_Masks\""));
  assert_non_null(strstr(text, "\"OutputFeatures\" : true"));
  assert_non_null(strstr(text, "\"NumFeaturesPerClass\" : [303, 4]"));
  assert_non_null(strstr(text, "\"NumFeaturesPerImage\""));
  read_text(path, "esri_model_definition.emd", sizeof text, text);
  assert_non_null(strstr(text, "\"MetaDataMode\" : \"RCNN_Masks\""));
  chip_set_close(open_fixture(CHIP_FORMAT_PASCAL_VOC, "_tables", path));
  read_text(path, "labels/000000004.xml", sizeof text, text);
  assert_non_null(strstr(text, "    <filename>000000004.tif</filename>\n"));
  assert_non_null(strstr(text, "        <name>7</name>\n        <bndbox>\n"
                               "            <xmin>0.00</xmin>\n            <ymin>0.00</ymin>\n"
                               "            <xmax>24.00</xmax>\n            <ymax>20.00</ymax>\n"));
}

static void remove_file(const char *folder, const char *name)
{
  char path[FIXTURE_PATH_BYTES];
  CHECK_OK(path_join(folder, name, sizeof path, path));
  assert_int_equal(unlink(path), 0);
}

/* Names of folders are then all that tells the classes. */
static void masks_are_read_without_any_table(void **state)
{
  char path[FIXTURE_PATH_BYTES], from[FIXTURE_PATH_BYTES], to[FIXTURE_PATH_BYTES];
  ChipSet *set = open_fixture(CHIP_FORMAT_RCNN_MASKS, "_bare", path);
  chip_set_close(set);
  remove_file(path, "map.txt");
  remove_file(path, "stats.txt");
  remove_file(path, "esri_accumulated_stats.json");
  remove_file(path, "esri_model_definition.emd");
  CHECK_OK(path_join(path, "labels/tree_top", sizeof from, from));
  CHECK_OK(path_join(path, "labels/3", sizeof to, to));
  assert_int_equal(rename(from, to), 0);
  CHECK_OK(chip_set_open(path, &set));
  const ChipSetInfo *info = chip_set_info(set);
  assert_int_equal(info->class_count, 3);
  assert_int_equal(info->classes[1].entry.value, 1); /* the first free one */
  assert_string_equal(info->classes[1].entry.name, "roof");
  assert_int_equal(info->classes[1].object_count, 303);
  assert_int_equal(info->classes[1].pixel_count, 83 + 128 + 300);
  assert_int_equal(info->classes[2].entry.value, 3);
  assert_int_equal(info->classes[2].object_count, 4);
  assert_true(info->bands[0].mean == 102); /* counted */
  assert_int_equal(info->classes[0].pixel_count,
                   OBJECT_CHIPS * OBJECT_PIXELS - 83 - 128 - 300 - 9 - 34 - 6 - 480);
  chip_set_close(set);
}

/* Values of any size and sign, in 32 bits; parts with one number are one object. */
static void numbers_of_objects_may_be_any(void **state)
{
  static uint32_t large[OBJECT_PIXELS];
  static int32_t signs[OBJECT_PIXELS];
  static float fractions[OBJECT_PIXELS];
  char path[FIXTURE_PATH_BYTES], file[FIXTURE_PATH_BYTES];
  ChipObjects found = {0};
  const Grid grid = grid_subgrid(&fixture_grid, (Window){0, 0, OBJECT_W, OBJECT_H});
  chip_set_close(open_fixture(CHIP_FORMAT_RCNN_MASKS, "_ids", path));
  CHECK_OK(path_join(path, "labels/roof/000000000.tif", sizeof file, file));
  large[0] = large[5] = 4000000000U;
  large[30] = 17;
  GDALClose(fixture_raster(file, &grid, fixture_crs, GDT_UInt32, 1, large, NULL));
  CHECK_OK(path_join(path, "labels/tree_top/000000000.tif", sizeof file, file));
  signs[1] = -5;
  signs[2] = 2000000000;
  GDALClose(fixture_raster(file, &grid, fixture_crs, GDT_Int32, 1, signs, NULL));
  ChipSet *set;
  CHECK_OK(chip_set_open(path, &set));
  CHECK_OK(chip_set_read_objects(set, 0, &found));
  assert_int_equal(found.count, 3);
  assert_int_equal(found.items[0].x_px, 6); /* 17 */
  assert_int_equal(found.items[0].y_px, 1);
  assert_true(found.items[1].box[0] == 0 && found.items[1].box[2] == 6);
  assert_int_equal(found.items[2].class_value, 7);
  assert_int_equal(found.items[2].x_px, 2);
  chip_objects_free(&found);
  chip_set_close(set);
  GDALClose(fixture_raster(file, &grid, fixture_crs, GDT_Float32, 1, fractions, NULL));
  CHECK_FAILS(STATUS_UNSUPPORTED, "tree_top/000000000.tif: is float32", chip_set_open(path, &set));
  GDALClose(fixture_raster(file, &grid, fixture_crs, GDT_UInt32, 1, large, NULL));
  assert_int_equal(truncate(file, 200), 0);
  CHECK_FAILS(STATUS_BAD_INPUT, "tree_top/000000000.tif", chip_set_open(path, &set));
}

static void a_mask_of_other_size_is_named(void **state)
{
  char path[FIXTURE_PATH_BYTES], file[FIXTURE_PATH_BYTES];
  ChipSet *set;
  uint8_t small[12] = {0};
  const Grid grid = grid_subgrid(&fixture_grid, (Window){0, 0, 4, 3});
  const ChipImage image = {PIXEL_U8, 4, 3, 1, small};
  chip_set_close(open_fixture(CHIP_FORMAT_RCNN_MASKS, "_small", path));
  CHECK_OK(path_join(path, "labels/roof/000000003.tif", sizeof file, file));
  CHECK_OK(tiff_chip_write(file, &grid, &image));
  CHECK_FAILS(STATUS_BAD_INPUT, "roof/000000003.tif: is 4 x 3 px", chip_set_open(path, &set));
}

static void pascal_voc_of_others_is_read(void **state)
{
  char path[FIXTURE_PATH_BYTES];
  ChipSet *set;
  ChipObjects found = {0};
  chip_set_close(open_fixture(CHIP_FORMAT_PASCAL_VOC, "_others", path));
  object_fixture_text(
      path, "labels/000000000.xml",
      "<annotation><folder>x</folder><segmented>0</segmented>"
      "<object><name>dog</name><pose>Left</pose><truncated>1</truncated><difficult>0</difficult>"
      "<bndbox><xmin>-3</xmin><ymin>1.5</ymin><xmax>9.25</xmax><ymax>99</ymax></bndbox></object>"
      "<object><name>tree/top</name>"
      "<bndbox><xmax>4</xmax><xmin>3</xmin><ymin>2</ymin><ymax>5</ymax></bndbox></object>"
      "<object><name>9</name>"
      "<bndbox><xmin>5</xmin><ymin>2</ymin><xmax>5</xmax><ymax>4</ymax></bndbox></object>"
      "</annotation>");
  CHECK_OK(chip_set_open(path, &set));
  const ChipSetInfo *info = chip_set_info(set);
  assert_int_equal(info->degenerate_count, 1);
  assert_int_equal(info->class_count, 5);
  assert_int_equal(info->classes[1].entry.value, 1);
  assert_string_equal(info->classes[1].entry.name, "dog");
  CHECK_OK(chip_set_read_objects(set, 0, &found));
  assert_int_equal(found.count, 2);
  assert_int_equal(found.items[0].class_value, 1);
  assert_true(found.items[0].box[0] == 0 && found.items[0].box[1] == 1.5F);
  assert_true(found.items[0].box[2] == 9.25F && found.items[0].box[3] == OBJECT_H);
  assert_int_equal(found.items[1].class_value, 7);
  chip_objects_free(&found);
  chip_set_close(set);
}

static void damaged_xml_is_named(void **state)
{
  static const struct {
    const char *text, *words;
  } cases[] = {
      {"<annotation><object><name>2</name><bndbox><xmin>1</xmin>", "no XML"},
      {"<html></html>", "no <annotation>"},
      {"", "000000001.xml"},
      {"<annotation><object><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>3</xmax><ymax>3</ymax>"
       "</bndbox></object></annotation>",
       "object 1 has no name"},
      {"<annotation><object><name>2</name><bndbox><xmin>a</xmin></bndbox></object></annotation>",
       "has no bndbox.xmin"},
  };
  char path[FIXTURE_PATH_BYTES];
  ChipSet *set;
  chip_set_close(open_fixture(CHIP_FORMAT_PASCAL_VOC, "_damaged", path));
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    object_fixture_text(path, "labels/000000001.xml", cases[i].text);
    CHECK_FAILS(STATUS_BAD_INPUT, cases[i].words, chip_set_open(path, &set));
  }
}

static void kitti_is_read(void **state)
{
  char path[FIXTURE_PATH_BYTES], name[64];
  ChipSet *set;
  ChipObjects found = {0};
  chip_set_close(open_fixture(CHIP_FORMAT_PASCAL_VOC, "_kitti", path));
  for (int i = 0; i < OBJECT_CHIPS; ++i) {
    (void)snprintf(name, sizeof name, "labels/%09d.xml", i);
    remove_file(path, name);
  }
  remove_file(path, "map.txt");
  object_fixture_text(path, "labels/000000003.txt",
                      "2 0 0 0 1.5 2 8 9.5 0 0 0 0 0 0 0\r\n"
                      "DontCare -1 -1 -10 1 1 2 2 -1 -1 -1 -1000 -1000 -1000 -10\n\n"
                      "7 0 0 0 30 30 40 40");
  CHECK_OK(chip_set_open(path, &set));
  assert_int_equal(chip_set_info(set)->kind, CHIP_SET_BOXES);
  assert_int_equal(chip_set_info(set)->object_count, 1);
  assert_int_equal(chip_set_info(set)->crowd_count, 1);
  assert_int_equal(chip_set_info(set)->degenerate_count, 1); /* beside its chip */
  CHECK_OK(chip_set_read_objects(set, 3, &found));
  assert_int_equal(found.items[0].class_value, 2);
  assert_true(found.items[0].box[0] == 1.5F && found.items[0].box[3] == 9.5F);
  chip_objects_free(&found);
  chip_set_close(set);
  object_fixture_text(path, "labels/000000003.txt", "2 0 0 0 1.5 2 8\n");
  CHECK_FAILS(STATUS_BAD_INPUT, "line 1 has no number in column 8", chip_set_open(path, &set));
}

static void a_damaged_shard_is_found(void **state)
{
  char folder[FIXTURE_PATH_BYTES], path[FIXTURE_PATH_BYTES], shard[FIXTURE_PATH_BYTES];
  static uint8_t content[1 << 20];
  ChipObjects objects = {0};
  ChipSet *set = open_fixture(CHIP_FORMAT_INSTANCES, "_damaged", path);
  chip_set_close(set);
  fixture_path("instances_damaged", folder);
  CHECK_OK(path_join(folder, "work/part-0000.h5", sizeof shard, shard));
  FILE *stream = fopen(shard, "r+b");
  assert_non_null(stream);
  const size_t bytes = fread(content, 1, sizeof content, stream);
  const int64_t row[6] = {102, 2, 8, 8, 6, 4}; /* chip 0's second object */
  long place = -1;
  for (size_t i = 0; i + sizeof row <= bytes; ++i)
    if (memcmp(content + i, row, sizeof row) == 0) place = (long)i;
  assert_true(place > 0);
  assert_int_equal(fseek(stream, place + 16, SEEK_SET), 0);
  assert_int_equal(fputc(9, stream), 9); /* as good a column as 8 */
  assert_int_equal(fclose(stream), 0);
  CHECK_OK(chip_set_open(path, &set));
  CHECK_FAILS(STATUS_BAD_INPUT, "checksum of a chip's objects",
              chip_set_read_objects(set, 0, &objects));
  CHECK_OK(chip_set_read_objects(set, 1, &objects));
  chip_set_close(set);
  chip_objects_free(&objects);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hdf5_gives_back_every_object_and_its_place_of_origin),
      cmocka_unit_test(coco_gives_back_every_object),
      cmocka_unit_test(boxes_of_pascal_voc_come_back_without_masks),
      cmocka_unit_test(masks_come_back_but_for_what_a_smaller_object_hides),
      cmocka_unit_test(the_tables_have_the_form_of_arcgis),
      cmocka_unit_test(masks_are_read_without_any_table),
      cmocka_unit_test(numbers_of_objects_may_be_any),
      cmocka_unit_test(a_mask_of_other_size_is_named),
      cmocka_unit_test(pascal_voc_of_others_is_read),
      cmocka_unit_test(damaged_xml_is_named),
      cmocka_unit_test(kitti_is_read),
      cmocka_unit_test(a_damaged_shard_is_found),
  };
  return cmocka_run_group_tests(tests, fixture_start, fixture_end);
}
