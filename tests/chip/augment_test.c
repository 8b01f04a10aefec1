#include "chip/augment.h"
#include "support/check.h"

enum { SIDE = 8, PIXELS = SIDE * SIDE };

typedef struct Room {
  uint8_t image[PIXELS], valid[PIXELS], labels[PIXELS];
  float values[PIXELS];
  uint8_t sample_valid[PIXELS], sample_labels[PIXELS];
} Room;

static const double no_means[1] = {0};
static const double one_std[1] = {1};

/* One band that counts the pixels; labels do the same. */
static ChipPixels counting_chip(Room *room)
{
  for (int i = 0; i < PIXELS; ++i) {
    room->image[i] = room->labels[i] = (uint8_t)i;
    room->valid[i] = 1;
  }
  return (ChipPixels){PIXEL_U8, SIDE, SIDE, 1, room->image, room->valid, room->labels};
}

static Sample sample_in(Room *room, int32_t size)
{
  return (Sample){size, room->values, room->sample_valid, room->sample_labels};
}

static void nothing_is_changed_where_nothing_is_asked_for(void **state)
{
  Room room;
  const ChipPixels chip = counting_chip(&room);
  const Augmentation none = {.scale_least = 1, .scale_most = 1};
  Sample sample = sample_in(&room, SIDE);
  Random random = random_stream(1, 1);
  augment_sample(&chip, &none, no_means, one_std, &random, &sample);
  for (int i = 0; i < PIXELS; ++i) {
    assert_true(sample.image[i] == (float)i);
    assert_int_equal(sample.labels[i], i);
    assert_int_equal(sample.valid[i], 1);
  }
}

/* The image's numbers tell which of the eight ways a sample lies; labels must lie the same way. */
static void all_eight_ways_occur_and_labels_go_along(void **state)
{
  Room room;
  const ChipPixels chip = counting_chip(&room);
  const Augmentation all = {.flips = true, .turns = true, .scale_least = 1, .scale_most = 1};
  int seen[PIXELS][PIXELS] = {{0}};
  int ways = 0;
  for (uint64_t stream = 0; stream < 200; ++stream) {
    Sample sample = sample_in(&room, SIDE);
    Random random = random_stream(3, stream);
    augment_sample(&chip, &all, no_means, one_std, &random, &sample);
    for (int i = 0; i < PIXELS; ++i)
      assert_true(sample.image[i] == (float)sample.labels[i]);
    ways += seen[sample.labels[0]][sample.labels[1]]++ == 0;
  }
  assert_int_equal(ways, 8);
}

/* Turning keeps the sense of rotation: left of the first step always lies the same side. */
static void turns_alone_make_no_mirror_image(void **state)
{
  Room room;
  const ChipPixels chip = counting_chip(&room);
  const Augmentation turns = {.turns = true, .scale_least = 1, .scale_most = 1};
  for (uint64_t stream = 0; stream < 50; ++stream) {
    Sample sample = sample_in(&room, SIDE);
    Random random = random_stream(4, stream);
    augment_sample(&chip, &turns, no_means, one_std, &random, &sample);
    const int right_x = sample.labels[1] % SIDE - sample.labels[0] % SIDE;
    const int right_y = sample.labels[1] / SIDE - sample.labels[0] / SIDE;
    const int down_x = sample.labels[SIDE] % SIDE - sample.labels[0] % SIDE;
    const int down_y = sample.labels[SIDE] / SIDE - sample.labels[0] / SIDE;
    assert_int_equal(right_x * down_y - right_y * down_x, 1);
  }
}

static void what_lies_beyond_the_chip_is_nodata_without_a_say(void **state)
{
  Room room;
  ChipPixels chip = counting_chip(&room);
  chip.width_px = chip.height_px = 4; /* the first 16 numbers */
  Sample sample = sample_in(&room, SIDE);
  augment_centre(&chip, &sample);
  int valid = 0;
  for (int i = 0; i < PIXELS; ++i) {
    valid += sample.valid[i];
    if (sample.valid[i] == 0) assert_int_equal(sample.labels[i], 255);
    if (sample.valid[i] == 0) assert_true(sample.image[i] == 0);
  }
  assert_int_equal(valid, 16);
  assert_int_equal(sample.labels[2 * SIDE + 2], 0);
  assert_int_equal(sample.labels[5 * SIDE + 5], 15);
}

/* A valid pixel never takes colour from NoData beside it. */
static void nodata_does_not_bleed_when_scaled(void **state)
{
  Room room;
  const ChipPixels chip = counting_chip(&room);
  const Augmentation scaled = {.scale_least = 1.3, .scale_most = 1.3};
  for (int i = 0; i < PIXELS; ++i) {
    room.valid[i] = i % SIDE >= 4;
    room.image[i] = room.valid[i] ? 100 : 0;
  }
  Sample sample = sample_in(&room, SIDE);
  Random random = random_stream(5, 1);
  augment_sample(&chip, &scaled, no_means, one_std, &random, &sample);
  int valid = 0;
  for (int i = 0; i < PIXELS; ++i) {
    valid += sample.valid[i];
    assert_float_equal(sample.image[i], sample.valid[i] ? 100 : 0,
                       1e-3); /* weights sum to 1 within rounding */
  }
  assert_in_range(valid, 1, PIXELS - 1);
}

static void a_stream_is_a_sample(void **state)
{
  Room a, b;
  const ChipPixels chip_a = counting_chip(&a);
  const ChipPixels chip_b = counting_chip(&b);
  const Augmentation all = {true, true, 0.75, 1.35, 0.2, 0.2};
  Sample sample_a = sample_in(&a, SIDE);
  Sample sample_b = sample_in(&b, SIDE);
  Random random_a = random_stream(6, 9);
  Random random_b = random_stream(6, 9);
  augment_sample(&chip_a, &all, no_means, one_std, &random_a, &sample_a);
  augment_sample(&chip_b, &all, no_means, one_std, &random_b, &sample_b);
  assert_memory_equal(a.values, b.values, sizeof a.values);
  random_b = random_stream(6, 10);
  augment_sample(&chip_b, &all, no_means, one_std, &random_b, &sample_b);
  assert_memory_not_equal(a.values, b.values, sizeof a.values);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_is_changed_where_nothing_is_asked_for),
      cmocka_unit_test(all_eight_ways_occur_and_labels_go_along),
      cmocka_unit_test(turns_alone_make_no_mirror_image),
      cmocka_unit_test(what_lies_beyond_the_chip_is_nodata_without_a_say),
      cmocka_unit_test(nodata_does_not_bleed_when_scaled),
      cmocka_unit_test(a_stream_is_a_sample),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
