/* Objects in samples, against labels of the whole chip that go the same way. */
#include <math.h>

#include "chip/augment.h"
#include "chip/chip_objects.h"
#include "support/check.h"

enum { SIDE = 24, PIXELS = SIDE * SIDE, SAMPLE = 20, SAMPLE_PIXELS = SAMPLE * SAMPLE, MOST = 8 };

static const double no_means[1] = {0};
static const double one_std[1] = {1};

typedef struct Room {
  float boxes[4 * MOST];
  int32_t classes[MOST], windows[4 * MOST];
  int64_t offsets[MOST];
  uint8_t masks[MOST * SAMPLE_PIXELS];
  uint16_t class_of_value[65536];
} Room;

static SampleObjects objects_in(Room *room)
{
  return (SampleObjects){.capacity = MOST,
                         .mask_capacity = sizeof room->masks,
                         .boxes = room->boxes,
                         .classes = room->classes,
                         .mask_windows = room->windows,
                         .mask_offsets = room->offsets,
                         .mask_bytes = room->masks};
}

static void add_random(ChipObjects *objects, uint16_t value, Random *random)
{
  uint8_t *mask;
  const int32_t width = 1 + (int32_t)random_below(random, 12);
  const int32_t height = 1 + (int32_t)random_below(random, 12);
  const int32_t x = (int32_t)random_below(random, (uint32_t)(SIDE - width + 1));
  const int32_t y = (int32_t)random_below(random, (uint32_t)(SIDE - height + 1));
  CHECK_OK(chip_objects_add_window(objects, value, x, y, width, height, &mask));
  for (int i = 0; i < width * height; ++i)
    mask[i] = random_below(random, 3) > 0;
  mask[0] = mask[width * height - 1] = 1;
  (void)chip_objects_fit(objects);
}

/* The object's mask as the labels of a chip, taken into a sample by the pixel path. */
static void reference(const ChipObjects *objects, int32_t i, const Augmentation *augmentation,
                      uint64_t stream, uint8_t full[SAMPLE_PIXELS])
{
  static uint8_t image[PIXELS], valid[PIXELS], labels[PIXELS];
  float values[SAMPLE_PIXELS];
  uint8_t sample_valid[SAMPLE_PIXELS];
  const ChipObject *object = &objects->items[i];
  memset(valid, 1, sizeof valid);
  memset(labels, 0, sizeof labels);
  for (int p = 0; p < object->width_px * object->height_px; ++p)
    labels[(object->y_px + p / object->width_px) * SIDE + object->x_px + p % object->width_px] =
        objects->mask_bytes[object->mask_offset + p];
  const ChipPixels chip = {PIXEL_U8, SIDE, SIDE, 1, image, valid, labels};
  Sample sample = {SAMPLE, values, sample_valid, full};
  Random random = random_stream(11, stream);
  (void)augment_sample(&chip, augmentation, no_means, one_std, &random, &sample);
  for (int p = 0; p < SAMPLE_PIXELS; ++p)
    full[p] = full[p] == 1; /* 255: beyond the chip */
}

static Pose pose_of(const Augmentation *augmentation, uint64_t stream)
{
  static uint8_t image[PIXELS], valid[PIXELS], labels[PIXELS], out[2][SAMPLE_PIXELS];
  float values[SAMPLE_PIXELS];
  const ChipPixels chip = {PIXEL_U8, SIDE, SIDE, 1, image, valid, labels};
  Sample sample = {SAMPLE, values, out[0], out[1]};
  Random random = random_stream(11, stream);
  return augment_sample(&chip, augmentation, no_means, one_std, &random, &sample);
}

typedef struct Seen {
  int pixels, left, top, right, bottom;
} Seen;

static Seen look(const uint8_t *full)
{
  Seen seen = {0, SAMPLE, SAMPLE, 0, 0};
  for (int p = 0; p < SAMPLE_PIXELS; ++p) {
    const int x = p % SAMPLE, y = p / SAMPLE;
    if (full[p] == 0) continue;
    ++seen.pixels;
    if (x < seen.left) seen.left = x;
    if (x + 1 > seen.right) seen.right = x + 1;
    if (y < seen.top) seen.top = y;
    if (y + 1 > seen.bottom) seen.bottom = y + 1;
  }
  return seen;
}

static void check_one(const SampleObjects *sample, int32_t at, const Seen *seen,
                      const uint8_t *full)
{
  const int32_t *w = sample->mask_windows + (ptrdiff_t)4 * at;
  const float *box = sample->boxes + (ptrdiff_t)4 * at;
  assert_int_equal(w[0], seen->left);
  assert_int_equal(w[1], seen->top);
  assert_int_equal(w[0] + w[2], seen->right);
  assert_int_equal(w[1] + w[3], seen->bottom);
  assert_true(box[0] == (float)seen->left && box[1] == (float)seen->top);
  assert_true(box[2] == (float)seen->right && box[3] == (float)seen->bottom);
  for (int y = 0; y < w[3]; ++y)
    for (int x = 0; x < w[2]; ++x)
      assert_int_equal(sample->mask_bytes[sample->mask_offsets[at] + y * w[2] + x],
                       full[(w[1] + y) * SAMPLE + w[0] + x]);
}

/* Every way to lay a sample, with and without a change of size. */
static void masks_go_the_way_of_labels(void **state)
{
  static Room room;
  int dropped = 0, kept = 0;
  for (uint64_t stream = 0; stream < 300; ++stream) {
    const double scale = stream % 3 == 0 ? 1 : 1.7;
    const Augmentation augmentation = {.flips = stream % 2 == 0,
                                       .turns = stream % 5 != 0,
                                       .scale_least = stream % 3 == 0 ? 1 : 0.6,
                                       .scale_most = scale};
    const ObjectRule rule = {room.class_of_value, 0.3, 2};
    ChipObjects objects = {0};
    Random random = random_stream(12, stream);
    room.class_of_value[5] = 3;
    for (int i = 0; i < MOST; ++i)
      add_random(&objects, i == 6 ? 9 : 5, &random); /* 9 is not wanted */
    SampleObjects sample = objects_in(&room);
    const Pose pose = pose_of(&augmentation, stream);
    CHECK_OK(augment_objects(&objects, &pose, &rule, SAMPLE, &sample));
    int32_t at = 0;
    for (int32_t i = 0; i < MOST; ++i) {
      uint8_t full[SAMPLE_PIXELS];
      if (i == 6) continue;
      reference(&objects, i, &augmentation, stream, full);
      const Seen seen = look(full);
      int all = 0;
      for (int p = 0; p < objects.items[i].width_px * objects.items[i].height_px; ++p)
        all += objects.mask_bytes[objects.items[i].mask_offset + p];
      const double step = fabs(pose.xx) + fabs(pose.xy);
      const bool wanted = seen.pixels > 0 && seen.pixels * step * step >= 0.3 * all &&
                          seen.right - seen.left >= 2 && seen.bottom - seen.top >= 2;
      dropped += !wanted;
      if (!wanted) continue;
      ++kept;
      assert_true(at < sample.count);
      assert_int_equal(sample.classes[at], 3);
      check_one(&sample, at++, &seen, full);
    }
    assert_int_equal(at, sample.count);
    assert_true(sample.mask_byte_count <=
                augment_mask_bytes_most(MOST, objects.mask_byte_count, SAMPLE, &augmentation));
    chip_objects_free(&objects);
  }
  assert_in_range(dropped, 200, 2000);
  assert_in_range(kept, 200, 2000);
}

/* A box without a mask lies where the box of a full mask does, when nothing is resized. */
static void boxes_go_the_way_of_masks(void **state)
{
  static Room of_masks, of_boxes;
  for (uint64_t stream = 0; stream < 100; ++stream) {
    const Augmentation augmentation = {true, true, 1, 1, 0, 0};
    ChipObjects masks = {0}, boxes = {0};
    uint8_t *mask;
    Random random = random_stream(13, stream);
    const int32_t x = (int32_t)random_below(&random, 18), y = (int32_t)random_below(&random, 20);
    CHECK_OK(chip_objects_add_window(&masks, 5, x, y, 6, 4, &mask));
    memset(mask, 1, 24);
    CHECK_OK(chip_objects_add_box(&boxes, 5, masks.items[0].box));
    of_masks.class_of_value[5] = of_boxes.class_of_value[5] = 1;
    const ObjectRule rule = {of_masks.class_of_value, 0.1, 1};
    const Pose pose = pose_of(&augmentation, stream);
    SampleObjects a = objects_in(&of_masks), b = objects_in(&of_boxes);
    CHECK_OK(augment_objects(&masks, &pose, &rule, SAMPLE, &a));
    CHECK_OK(augment_objects(&boxes, &pose, &rule, SAMPLE, &b));
    assert_int_equal(a.count, b.count);
    assert_memory_equal(of_masks.boxes, of_boxes.boxes, sizeof of_masks.boxes);
    assert_int_equal(b.mask_windows[2], 0);
    chip_objects_free(&masks);
    chip_objects_free(&boxes);
  }
}

static void a_box_is_scaled_and_cut(void **state)
{
  static Room room;
  /* Twice as large, from column 4 and row 0 of the chip. */
  const Pose pose = {.x0 = 4 - 0.25, .xx = 0.5, .y0 = -0.25, .yy = 0.5};
  const float box[4] = {3, 1, 9, 4};
  ChipObjects objects = {0};
  CHECK_OK(chip_objects_add_box(&objects, 5, box));
  room.class_of_value[5] = 1;
  SampleObjects sample = objects_in(&room);
  const ObjectRule rule = {room.class_of_value, 0.8, 1};
  CHECK_OK(augment_objects(&objects, &pose, &rule, SAMPLE, &sample));
  assert_int_equal(sample.count, 1);
  assert_true(room.boxes[0] == 0 && room.boxes[1] == 2 && room.boxes[2] == 10 &&
              room.boxes[3] == 8);
  const ObjectRule strict = {room.class_of_value, 0.85, 1}; /* 5 of 6 columns are left */
  CHECK_OK(augment_objects(&objects, &pose, &strict, SAMPLE, &sample));
  assert_int_equal(sample.count, 0);
  assert_true(room.boxes[2] == 0);
  chip_objects_free(&objects);
}

static void what_has_no_room_is_an_error(void **state)
{
  static Room room;
  ChipObjects objects = {0};
  uint8_t *mask;
  const Pose pose = {.xx = 1, .yy = 1};
  const ObjectRule rule = {room.class_of_value, 0.1, 1};
  room.class_of_value[5] = 1;
  for (int i = 0; i < 3; ++i) {
    CHECK_OK(chip_objects_add_window(&objects, 5, i, i, 4, 4, &mask));
    memset(mask, 1, 16);
  }
  SampleObjects sample = objects_in(&room);
  sample.capacity = 2;
  CHECK_FAILS(STATUS_BAD_SHAPE, "its 3 objects are more than the 2",
              augment_objects(&objects, &pose, &rule, SAMPLE, &sample));
  sample.capacity = 3;
  sample.mask_capacity = 47;
  CHECK_FAILS(STATUS_BAD_SHAPE, "47 bytes",
              augment_objects(&objects, &pose, &rule, SAMPLE, &sample));
  sample.mask_capacity = 48;
  CHECK_OK(augment_objects(&objects, &pose, &rule, SAMPLE, &sample));
  assert_int_equal(augment_mask_bytes_most(3, 48, SAMPLE, NULL), 48);
  sample.mask_capacity = 0; /* boxes alone */
  CHECK_OK(augment_objects(&objects, &pose, &rule, SAMPLE, &sample));
  assert_int_equal(sample.count, 3);
  assert_int_equal(sample.mask_windows[2], 0);
  chip_objects_free(&objects);
}

static void a_mask_is_as_small_as_its_pixels(void **state)
{
  ChipObjects objects = {0};
  uint8_t *mask;
  CHECK_OK(chip_objects_add_window(&objects, 5, 3, 4, 5, 6, &mask));
  mask[1 * 5 + 2] = mask[3 * 5 + 1] = 1;
  assert_true(chip_objects_fit(&objects));
  const ChipObject *object = &objects.items[0];
  assert_int_equal(object->x_px, 4);
  assert_int_equal(object->y_px, 5);
  assert_int_equal(object->width_px, 2);
  assert_int_equal(object->height_px, 3);
  assert_int_equal(objects.mask_byte_count, 6);
  const uint8_t wanted[6] = {0, 1, 0, 0, 1, 0};
  assert_memory_equal(objects.mask_bytes, wanted, 6);
  assert_true(object->box[0] == 4 && object->box[3] == 8);
  CHECK_OK(chip_objects_add_window(&objects, 5, 3, 4, 5, 6, &mask));
  assert_false(chip_objects_fit(&objects));
  assert_int_equal(objects.count, 1);
  assert_int_equal(objects.mask_byte_count, 6);
  chip_objects_free(&objects);
}

static void packed_masks_come_back(void **state)
{
  Random random = random_stream(14, 0);
  for (int pixels = 1; pixels < 40; ++pixels) {
    uint8_t mask[40], packed[5], again[40];
    for (int i = 0; i < pixels; ++i)
      mask[i] = (uint8_t)random_below(&random, 2);
    assert_int_equal(chip_mask_packed_bytes(pixels, 1), (pixels + 7) / 8);
    chip_mask_pack(mask, pixels, packed);
    chip_mask_unpack(packed, pixels, again);
    assert_memory_equal(mask, again, (size_t)pixels);
  }
  const uint8_t mask[9] = {1, 0, 0, 0, 0, 0, 0, 1, 1};
  uint8_t packed[2];
  chip_mask_pack(mask, 9, packed);
  assert_int_equal(packed[0], 0x81);
  assert_int_equal(packed[1], 0x80);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(masks_go_the_way_of_labels),
      cmocka_unit_test(boxes_go_the_way_of_masks),
      cmocka_unit_test(a_box_is_scaled_and_cut),
      cmocka_unit_test(what_has_no_room_is_an_error),
      cmocka_unit_test(a_mask_is_as_small_as_its_pixels),
      cmocka_unit_test(packed_masks_come_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
