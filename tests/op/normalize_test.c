#include <math.h>

#include "support/backends.h"

/* One image of height x width, bands interleaved, of any type; to element. */
static float *normalized(Room *room, const TestBackend *on, Shape shape, const void *x,
                         const uint8_t *valid, const float *mean, const float *inverse_std,
                         Element element)
{
  Shape y_shape = shape;
  y_shape.element = element;
  const TestImage y = room_image(room, y_shape, NULL);
  CHECK_OK(normalize_plan(shape, shape.channels, y.shape));
  const void *from = room_upload(room, x, shape_bytes(shape));
  const void *mask = valid == NULL ? NULL : room_upload(room, valid, (size_t)shape_pixels(shape));
  on->ops->normalize(on->device, shape, from, mask, room_upload_floats(room, mean, shape.channels),
                     room_upload_floats(room, inverse_std, shape.channels), y.shape, y.memory);
  return room_numbers_of(room, y);
}

static void plan_refuses_what_does_not_fit(void **state)
{
  const Shape x = image_shape(1, 2, 3, 4, ELEMENT_U8);
  CHECK_OK(normalize_plan(x, 4, image_shape(1, 2, 3, 8, ELEMENT_BF16)));
  CHECK_FAILS(STATUS_BAD_SHAPE, "normalize",
              normalize_plan(x, 3, image_shape(1, 2, 3, 8, ELEMENT_BF16)));
  CHECK_FAILS(STATUS_BAD_SHAPE, "normalize",
              normalize_plan(x, 4, image_shape(1, 2, 3, 3, ELEMENT_BF16)));
  CHECK_FAILS(STATUS_BAD_SHAPE, "normalize",
              normalize_plan(x, 4, image_shape(1, 3, 2, 4, ELEMENT_BF16)));
  CHECK_FAILS(STATUS_BAD_SHAPE, "at most 2048",
              normalize_plan(x, 4, image_shape(1, 2, 3, 2049, ELEMENT_BF16)));
}

/* Two pixels of three bands; mean 100, 0, -2; 1 / std 1/2, 4, 1/4. */
static const float mean[3] = {100, 0, -2}, inverse_std[3] = {0.5F, 4, 0.25F};

static void each_type_of_pixel_is_read(void **state)
{
  const uint8_t u8[6] = {102, 1, 2, 0, 0, 254};
  const uint16_t u16[6] = {65000, 1, 2, 100, 0, 30};
  const int16_t i16[6] = {-300, -1, -2, 100, 0, 2};
  const float f32[6] = {100.5F, 0.25F, -3, 100, 0, 0};
  const struct {
    Element element;
    const void *x;
    float y[6];
  } cases[] = {{ELEMENT_U8, u8, {1, 4, 1, -50, 0, 64}},
               {ELEMENT_U16, u16, {32450, 4, 1, 0, 0, 8}},
               {ELEMENT_I16, i16, {-200, -4, 0, 0, 0, 1}},
               {ELEMENT_F32, f32, {0.25F, 1, -0.25F, 0, 0, 0.5F}}};
  FOR_EACH_BACKEND(on)
  for (int i = 0; i < 4; ++i) {
    Room *room = room_open(on);
    const Shape shape = image_shape(1, 1, 2, 3, cases[i].element);
    expect_floats((Expectation){on, cases[i].element, "y", 0}, 6,
                  normalized(room, on, shape, cases[i].x, NULL, mean, inverse_std, ELEMENT_F32),
                  cases[i].y);
    room_close(room);
  }
}

static void nodata_and_nan_become_zero(void **state)
{
  const float x[6] = {NAN, 1, 2, 104, 1, 2};
  const uint8_t all[2] = {1, 1}, first[2] = {1, 0};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Room *room = room_open(on);
    const Shape shape = image_shape(1, 2, 1, 3, ELEMENT_F32);
    expect_floats((Expectation){on, element, "y, all valid", 0}, 6,
                  normalized(room, on, shape, x, all, mean, inverse_std, element),
                  (float[]){0, 4, 1, 2, 4, 1});
    expect_floats((Expectation){on, element, "y, the second NoData", 0}, 6,
                  normalized(room, on, shape, x, first, mean, inverse_std, element),
                  (float[]){0, 4, 1, 0, 0, 0});
    room_close(room);
  }
}

static void values_are_those_of_pytorch(void **state)
{
  Golden *golden = golden_open("op_normalize.txt");
  float means[3], inverse[3];
  uint8_t x[60];
  for (int k = 0; k < 3; ++k) {
    means[k] = (float)golden_value(golden_find(golden, "mean"), k);
    inverse[k] = (float)(1.0 / golden_value(golden_find(golden, "std"), k));
  }
  for (uint32_t i = 0; i < 60; ++i)
    x[i] = (uint8_t)(formula_bits(formula_seed("normalize.x"), i) % 256U);
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Shape shape = image_shape(1, 4, 5, 3, ELEMENT_U8);
    expect_doubles((Expectation){on, ELEMENT_F32, "y", 1e-6}, 60,
                   normalized(room, on, shape, x, NULL, means, inverse, ELEMENT_F32),
                   golden_find(golden, "y")->values);
    room_close(room);
  }
  golden_close(golden);
}

static void values_are_those_of_plain_loops(void **state)
{
  enum { BANDS = 5, PIXELS = 3 * 17 * 13 };
  FOR_EACH_TWIN(on)
  FOR_EACH_ELEMENT(element)
  {
    Room *truth = room_open(backends_naive());
    Room *room = room_open(on);
    const Shape shape = image_shape(3, 17, 13, BANDS, ELEMENT_F32);
    const float *x = room_eighths(room, "x", PIXELS * BANDS);
    const float *means = room_eighths(room, "mean", BANDS);
    const float *inverse = room_eighths(room, "inverse", BANDS);
    uint8_t *valid = room_host(room, PIXELS, 1);
    for (uint32_t i = 0; i < PIXELS; ++i)
      valid[i] = formula_bits(1, i) % 3 != 0;
    expect_floats((Expectation){on, element, "y", 0}, PIXELS * BANDS,
                  normalized(room, on, shape, x, valid, means, inverse, element),
                  normalized(truth, backends_naive(), shape, x, valid, means, inverse, element));
    room_close(room);
    room_close(truth);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plan_refuses_what_does_not_fit),
      cmocka_unit_test(each_type_of_pixel_is_read),
      cmocka_unit_test(nodata_and_nan_become_zero),
      cmocka_unit_test(values_are_those_of_pytorch),
      cmocka_unit_test(values_are_those_of_plain_loops),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
