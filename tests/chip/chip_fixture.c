#include "chip/chip_fixture.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/output.h"
#include "base/path.h"

const int64_t fixture_shard_chips[FIXTURE_SHARDS] = {2, 0, 3};

ChipForm fixture_form(ChipFormat format, bool wide)
{
  static ClassEntry classes[3];
  classes[0] = class_entry(0, "background");
  classes[1] = class_entry(3, "roof");
  classes[2] = class_entry(300, "tent");
  return (ChipForm){.format = format,
                    .width_px = FIXTURE_W,
                    .height_px = FIXTURE_H,
                    .band_count = FIXTURE_BANDS,
                    .pixel = PIXEL_U16,
                    .classes = classes,
                    .class_count = wide ? 3 : 2,
                    .deflate_level = 1};
}

void fixture_fill_chip(int64_t number, bool wide, FixtureChip *chip)
{
  for (int i = 0; i < FIXTURE_PIXELS; ++i) {
    chip->valid[i] = i >= FIXTURE_W;
    chip->labels[i] = i % 4 == 1 ? 3 : 0;
    if (wide && number > 0 && i % 4 == 2) chip->labels[i] = 300;
    if (chip->valid[i] == 0) chip->labels[i] = 0;
    for (int band = 0; band < FIXTURE_BANDS; ++band)
      chip->image[i * FIXTURE_BANDS + band] =
          chip->valid[i] == 0 ? 0 : (uint16_t)(1000 * number + 10 * i + band + 1);
  }
}

ChipPlace fixture_place(int64_t number)
{
  return (ChipPlace){0, 4 * number, 2, FIXTURE_W, FIXTURE_H};
}

static void add_chip(ChipShard *shard, const ChipForm *form, int64_t number)
{
  FixtureChip filled;
  BandSum bands[FIXTURE_BANDS];
  int64_t class_pixels[3];
  const ChipPlace place = fixture_place(number);
  fixture_fill_chip(number, form->class_count == 3, &filled);
  band_sum_of_chip(PIXEL_U16, filled.image, filled.valid, FIXTURE_PIXELS, FIXTURE_BANDS, bands);
  CHECK_OK(chip_count_classes(form, filled.labels, filled.valid, class_pixels));
  const Window window = {place.x_px, place.y_px, FIXTURE_W, FIXTURE_H};
  const Chip chip = {.place = place,
                     .grid = grid_subgrid(&fixture_grid, window),
                     .image = filled.image,
                     .valid = filled.valid,
                     .labels = filled.labels,
                     .bands = bands,
                     .class_pixels = class_pixels};
  CHECK_OK(chip_shard_add(shard, CHIP_KEPT, &chip));
}

static void write_shards(const char *folder, const ChipForm *form)
{
  int64_t number = 0;
  CHECK_OK(output_make_folder(folder));
  for (int32_t i = 0; i < FIXTURE_SHARDS; ++i) {
    ChipShard *shard;
    CHECK_OK(chip_shard_create(folder, i, form, &shard));
    for (int64_t k = 0; k < fixture_shard_chips[i]; ++k)
      add_chip(shard, form, number++);
    CHECK_OK(chip_shard_add(shard, CHIP_UNLABELLED, NULL));
    CHECK_OK(chip_shard_commit(&shard));
  }
}

static const char *const raster_paths[] = {"ortho.tif"};
static const char *const band_names[] = {"Red", "NIR"};
static const ChipStory story = {.rasters = &fixture_grid,
                                .raster_paths = raster_paths,
                                .raster_count = 1,
                                .band_names = band_names,
                                .unlabelled_is_background = true,
                                .provenance = "{}"};

void fixture_write_arrays(const char *folder, bool wide, int32_t deflate_level,
                          char path[FIXTURE_PATH_BYTES])
{
  char shards[FIXTURE_PATH_BYTES];
  Arena *arena;
  SetSum sum;
  ShardCount counts[FIXTURE_SHARDS];
  ChipForm form = fixture_form(CHIP_FORMAT_CHIPS, wide);
  form.deflate_level = deflate_level;
  CHECK_OK(path_join(folder, "chips.shards", sizeof shards, shards));
  CHECK_OK(path_join(folder, "chips.h5", FIXTURE_PATH_BYTES, path));
  write_shards(shards, &form);
  CHECK_OK(arena_open(&arena));
  CHECK_OK(set_sum_open(arena, FIXTURE_BANDS, form.class_count, &sum));
  CHECK_OK(chip_shards_sum(shards, FIXTURE_SHARDS, &form, counts, &sum));
  CHECK_OK(chip_arrays_join(path, "chips.shards", &form, &story, FIXTURE_SHARDS, counts, &sum));
  arena_close(arena);
}

void fixture_write_tiles(const char *folder, bool wide)
{
  char work[FIXTURE_PATH_BYTES];
  Arena *arena;
  SetSum sum;
  ShardCount counts[FIXTURE_SHARDS];
  const ChipForm form = fixture_form(CHIP_FORMAT_CLASSIFIED_TILES, wide);
  CHECK_OK(path_join(folder, "work", sizeof work, work));
  write_shards(work, &form);
  CHECK_OK(arena_open(&arena));
  CHECK_OK(set_sum_open(arena, FIXTURE_BANDS, form.class_count, &sum));
  CHECK_OK(chip_shards_sum(work, FIXTURE_SHARDS, &form, counts, &sum));
  assert_int_equal(sum.outcomes[CHIP_KEPT], FIXTURE_CHIPS);
  assert_int_equal(sum.outcomes[CHIP_UNLABELLED], FIXTURE_SHARDS);
  int64_t first = 0;
  for (int32_t i = 0; i < FIXTURE_SHARDS; ++i) {
    assert_int_equal(counts[i].chips, fixture_shard_chips[i]);
    CHECK_OK(chip_tiles_number(work, &form, i, counts[i].chips, first, folder));
    CHECK_OK(
        chip_tiles_number(work, &form, i, counts[i].chips, first, folder)); /* as after a crash */
    first += counts[i].chips;
  }
  CHECK_OK(chip_tiles_join(folder, &form, &story, &sum, work, FIXTURE_SHARDS, counts));
  CHECK_OK(path_remove_tree(work));
  arena_close(arena);
}
