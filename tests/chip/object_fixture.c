#include "chip/object_fixture.h"

#include <stdio.h>

#include "base/output.h"
#include "base/path.h"

enum { SHARDS = 3, CLASSES = 3 };

static const int64_t shard_chips[SHARDS] = {2, 0, 3};
static const int32_t class_values[CLASSES] = {0, 2, 7};

void object_fixture_add(ChipObjects *objects, uint16_t value, int x, int y, int width, int height)
{
  uint8_t *mask;
  CHECK_OK(chip_objects_add_window(objects, value, x, y, width, height, &mask));
  memset(mask, 1, (size_t)width * (size_t)height);
  objects->items[objects->count - 1].area_map = 4.0 * width * height;
  objects->items[objects->count - 1].feature = 100 + objects->count;
}

void object_fixture_clear(ChipObjects *objects, int x, int y, int width, int height)
{
  const ChipObject *last = &objects->items[objects->count - 1];
  for (int row = y; row < y + height; ++row)
    for (int column = x; column < x + width; ++column)
      objects->mask_bytes[last->mask_offset + (row - last->y_px) * last->width_px + column -
                          last->x_px] = 0;
}

void object_fixture_fill(int64_t chip, ChipObjects *objects)
{
  chip_objects_clear(objects);
  if (chip == 0) {
    object_fixture_add(objects, 2, 2, 2, 8, 8);
    object_fixture_add(objects, 2, 8, 8, 6, 4);
    object_fixture_add(objects, 7, 0, 0, 3, 3);
  } else if (chip == 1) {
    object_fixture_add(objects, 2, 1, 1, 12, 12);
    object_fixture_clear(objects, 5, 5, 4, 4);
    object_fixture_add(objects, 7, 14, 0, 8, 10); /* a square, a square at its corner, a bar */
    object_fixture_clear(objects, 17, 0, 5, 3);
    object_fixture_clear(objects, 14, 3, 3, 5);
    object_fixture_clear(objects, 20, 3, 2, 3);
    object_fixture_clear(objects, 17, 6, 5, 2);
  } else if (chip == 3) {
    for (int i = 0; i < 300; ++i)
      object_fixture_add(objects, 2, i % OBJECT_W, i / OBJECT_W, 1, 1);
    object_fixture_add(objects, 7, OBJECT_W - 2, OBJECT_H - 3, 2, 3);
  } else if (chip == 4) {
    object_fixture_add(objects, 7, 0, 0, OBJECT_W, OBJECT_H);
  }
}

static void paint(const ChipObjects *objects, uint16_t *labels)
{
  memset(labels, 0, OBJECT_PIXELS * sizeof *labels);
  for (int32_t i = 0; i < objects->count; ++i) {
    const ChipObject *object = &objects->items[i];
    for (int p = 0; p < object->width_px * object->height_px; ++p)
      if (objects->mask_bytes[object->mask_offset + p] != 0)
        labels[(object->y_px + p / object->width_px) * OBJECT_W + object->x_px +
               p % object->width_px] = object->class_value;
  }
}

static void add_chip(ChipShard *shard, const ChipForm *form, int64_t number)
{
  uint8_t image[OBJECT_PIXELS], valid[OBJECT_PIXELS];
  uint16_t labels[OBJECT_PIXELS];
  BandSum bands[1];
  int64_t class_pixels[CLASSES];
  ChipObjects objects = {0};
  const Window window = {(int32_t)number * 2, 1, OBJECT_W, OBJECT_H};
  object_fixture_fill(number, &objects);
  paint(&objects, labels);
  memset(image, 100 + (int)number, sizeof image);
  memset(valid, 1, sizeof valid);
  band_sum_of_chip(PIXEL_U8, image, valid, OBJECT_PIXELS, 1, bands);
  CHECK_OK(chip_count_classes(form, labels, valid, class_pixels));
  const int64_t outcomes[OBJECT_OUTCOME_COUNT] = {[OBJECT_SMALL_SHARE] = 2, [OBJECT_NO_AREA] = 1};
  const Chip chip = {.place = {0, window.x_px, window.y_px, OBJECT_W, OBJECT_H},
                     .grid = grid_subgrid(&fixture_grid, window),
                     .image = image,
                     .valid = valid,
                     .labels = labels,
                     .bands = bands,
                     .class_pixels = class_pixels,
                     .objects = &objects,
                     .object_outcomes = outcomes};
  CHECK_OK(chip_shard_add(shard, CHIP_KEPT, &chip));
  chip_objects_free(&objects);
}

static void write_shards(const char *folder, const ChipForm *form)
{
  int64_t number = 0;
  CHECK_OK(output_make_folder(folder));
  for (int32_t i = 0; i < SHARDS; ++i) {
    ChipShard *shard;
    CHECK_OK(chip_shard_create(folder, i, form, &shard));
    for (int64_t k = 0; k < shard_chips[i]; ++k)
      add_chip(shard, form, number++);
    CHECK_OK(chip_shard_commit(&shard));
  }
}

static void check_sum(const SetSum *sum)
{
  assert_int_equal(sum->chip_count, OBJECT_CHIPS);
  assert_int_equal(sum->object_count, 307);
  assert_int_equal(sum->objects_least, 0);
  assert_int_equal(sum->objects_most, 301);
  assert_int_equal(sum->mask_bytes_most, OBJECT_PIXELS);
  assert_int_equal(sum->objects[1].count, 303);
  assert_int_equal(sum->objects[1].chip_count, 3);
  assert_int_equal(sum->objects[2].count, 4);
  assert_int_equal(sum->objects[2].chip_count, 4);
  assert_true(sum->objects[2].area_least == 24 && sum->objects[2].area_most == 4 * OBJECT_PIXELS);
  assert_int_equal(sum->object_outcomes[OBJECT_KEPT], 307);
  assert_int_equal(sum->object_outcomes[OBJECT_SMALL_SHARE], 2 * OBJECT_CHIPS);
  assert_int_equal(sum->object_outcomes[OBJECT_NO_AREA], OBJECT_CHIPS);
}

static void join(const char *folder, const char *work, const ChipForm *form, Arena *arena,
                 char path[FIXTURE_PATH_BYTES])
{
  static const char *const raster_paths[] = {"ortho.tif"};
  static const char *const band_names[] = {"Grey"};
  const ChipStory story = {.rasters = &fixture_grid,
                           .raster_paths = raster_paths,
                           .raster_count = 1,
                           .band_names = band_names,
                           .unlabelled_is_background = true,
                           .provenance = "{}"};
  ShardCount counts[SHARDS];
  SetSum sum;
  int64_t first = 0;
  CHECK_OK(set_sum_open(arena, 1, CLASSES, &sum));
  CHECK_OK(chip_shards_sum(work, SHARDS, form, counts, &sum));
  check_sum(&sum);
  if (chip_format_is_arrays(form->format)) {
    CHECK_OK(path_join(folder, "set.h5", FIXTURE_PATH_BYTES, path));
    CHECK_OK(chip_arrays_join(path, "work", form, &story, SHARDS, counts, &sum));
    return;
  }
  for (int32_t i = 0; i < SHARDS; ++i) {
    CHECK_OK(chip_tiles_number(work, form, i, counts[i].chips, first, folder));
    CHECK_OK(chip_tiles_number(work, form, i, counts[i].chips, first, folder)); /* after a crash */
    first += counts[i].chips;
  }
  CHECK_OK(chip_tiles_join(folder, form, &story, &sum, work, SHARDS, counts));
  CHECK_OK(path_remove_tree(work));
  (void)snprintf(path, FIXTURE_PATH_BYTES, "%s", folder);
}

void object_fixture_write(const char *folder, ChipFormat format, char path[FIXTURE_PATH_BYTES])
{
  static const char *const names[CLASSES] = {"background", "roof", "tree/top"};
  char work[FIXTURE_PATH_BYTES];
  Arena *arena;
  ClassEntry classes[CLASSES];
  for (int i = 0; i < CLASSES; ++i)
    classes[i] = class_entry(class_values[i], names[i]);
  const ChipForm form = {.format = format,
                         .width_px = OBJECT_W,
                         .height_px = OBJECT_H,
                         .band_count = 1,
                         .pixel = PIXEL_U8,
                         .classes = classes,
                         .class_count = CLASSES,
                         .deflate_level = 1};
  CHECK_OK(path_join(folder, "work", sizeof work, work));
  write_shards(work, &form);
  CHECK_OK(arena_open(&arena));
  join(folder, work, &form, arena, path);
  arena_close(arena);
}

void object_fixture_text(const char *folder, const char *name, const char *text)
{
  char path[FIXTURE_PATH_BYTES];
  CHECK_OK(path_join(folder, name, sizeof path, path));
  FILE *stream = fopen(path, "wb");
  assert_non_null(stream);
  assert_true(fputs(text, stream) >= 0);
  assert_int_equal(fclose(stream), 0);
}
