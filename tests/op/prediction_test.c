#include <math.h>

#include "support/backends.h"

static float *softmax(Room *room, const TestBackend *on, Shape shape, const float *values)
{
  const TestImage logits = room_image(room, shape, values);
  const int64_t count = shape_elements(shape);
  float *probabilities = room_device(room, (size_t)count * sizeof(float));
  CHECK_OK(prediction_plan(logits.shape, shape.channels));
  on->ops->softmax(on->device, logits.shape, logits.memory, shape.channels, probabilities);
  return room_download_floats(room, probabilities, count);
}

static uint8_t *argmax(Room *room, const TestBackend *on, Shape shape, const float *values)
{
  const TestImage logits = room_image(room, shape, values);
  const size_t pixels = (size_t)shape_pixels(shape);
  uint8_t *classes = room_device(room, pixels);
  on->ops->argmax(on->device, logits.shape, logits.memory, shape.channels, classes);
  return room_download(room, classes, pixels);
}

static void plan_refuses_what_does_not_fit(void **state)
{
  const Shape logits = image_shape(1, 2, 2, 8, ELEMENT_BF16);
  CHECK_OK(prediction_plan(logits, 5));
  CHECK_FAILS(STATUS_BAD_SHAPE, "9 classes", prediction_plan(logits, 9));
  assert_int_equal(prediction_plan(logits, 1), STATUS_BAD_SHAPE);
  assert_int_equal(prediction_plan(image_shape(1, 1, 1, 256, ELEMENT_F32), 255), STATUS_BAD_SHAPE);
}

/* exp(0) : exp(log 3) is 1 : 3; what is 1000 below has probability 0. */
static void probabilities_are_shares_of_exponentials(void **state)
{
  const float logits[6] = {500, 500 - 1000, 500, 0, logf(3), -INFINITY};
  const float expected[6] = {0.5F, 0, 0.5F, 0.25F, 0.75F, 0};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    expect_floats((Expectation){on, ELEMENT_F32, "probability", 1e-7}, 6,
                  softmax(room, on, image_shape(1, 2, 1, 3, ELEMENT_F32), logits), expected);
    room_close(room);
  }
}

static void the_lowest_of_equal_classes_wins_and_nan_has_none(void **state)
{
  const float logits[15] = {1, 2, 2, 3, 3, 3, NAN, 1, 0, 5, 1, NAN, -1, -2, INFINITY};
  const uint8_t expected[5] = {1, 0, LABEL_IGNORE, LABEL_IGNORE, 2};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Room *room = room_open(on);
    const uint8_t *classes = argmax(room, on, image_shape(1, 1, 5, 3, element), logits);
    for (int i = 0; i < 5; ++i)
      assert_int_equal(classes[i], expected[i]);
    room_close(room);
  }
}

static void values_are_those_of_plain_loops(void **state)
{
  static const int32_t class_counts[] = {2, 3, 5, 17, 64, 254};
  FOR_EACH_TWIN(on)
  FOR_EACH_ELEMENT(element)
  for (int i = 0; i < 6; ++i) {
    Room *truth = room_open(backends_naive());
    Room *room = room_open(on);
    const Shape shape = image_shape(2, 7, 5, class_counts[i], element);
    const int64_t count = shape_elements(shape);
    const float *values = room_eighths(room, "logits", count); /* many are equal */
    expect_floats((Expectation){on, element, "probability", 1e-6}, count,
                  softmax(room, on, shape, values),
                  softmax(truth, backends_naive(), shape, values));
    const uint8_t *got = argmax(room, on, shape, values);
    const uint8_t *expected = argmax(truth, backends_naive(), shape, values);
    for (int64_t pixel = 0; pixel < shape_pixels(shape); ++pixel)
      assert_int_equal(got[pixel], expected[pixel]);
    room_close(room);
    room_close(truth);
  }
}

/* Labels are rows; what was counted before stays; 100 003 pixels of one kind are counted exactly.
 */
static void pixels_are_counted_by_label_and_class(void **state)
{
  enum { COUNT = 100003 + 4 };
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    uint8_t *classes = room_host(room, COUNT, 1), *labels = room_host(room, COUNT, 1);
    for (int i = 0; i < COUNT; ++i) {
      classes[i] = 2;
      labels[i] = 1;
    }
    classes[0] = 1;
    labels[0] = 2;
    classes[1] = labels[1] = 0;
    labels[2] = LABEL_IGNORE;
    labels[COUNT - 1] = 2;
    const int64_t before[9] = {7, 0, 0, 0, 0, 0, 0, 0, 1LL << 40};
    int64_t *counts = room_upload(room, before, sizeof before);
    on->ops->confusion(on->device, COUNT, room_upload(room, classes, COUNT),
                       room_upload(room, labels, COUNT), 3, counts);
    const int64_t *got = room_download(room, counts, sizeof before);
    const int64_t expected[9] = {8, 0, 0, 0, 0, 100003, 0, 1, (1LL << 40) + 1};
    for (int i = 0; i < 9; ++i)
      if (got[i] != expected[i])
        fail_msg("%s: counts[%d] is %lld, expected %lld", on->name, i, (long long)got[i],
                 (long long)expected[i]);
    room_close(room);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plan_refuses_what_does_not_fit),
      cmocka_unit_test(probabilities_are_shares_of_exponentials),
      cmocka_unit_test(the_lowest_of_equal_classes_wins_and_nan_has_none),
      cmocka_unit_test(values_are_those_of_plain_loops),
      cmocka_unit_test(pixels_are_counted_by_label_and_class),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
