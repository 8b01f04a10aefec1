#include <math.h>

#include "support/backends.h"
#include "tensor/bf16.h"

/* Channels are multiples of what the backend wants, so parts of a concatenation lie where stated.
 */
static Shape shape_on(const TestBackend *on, int32_t n, int32_t h, int32_t w, int32_t c,
                      Element element)
{
  return image_shape(n, h, w, c * on->ops->channel_multiple, element);
}

static void plans_refuse_what_does_not_fit(void **state)
{
  Shape y;
  const Shape a = image_shape(1, 2, 3, 4, ELEMENT_F32), b = image_shape(1, 3, 2, 4, ELEMENT_F32);
  CHECK_FAILS(STATUS_BAD_SHAPE, "3 x 2 px", add_plan(a, b, &y));
  CHECK_FAILS(STATUS_BAD_SHAPE, "cannot be joined", concat_plan((Shape[]){a, b}, 2, &y));
  CHECK_FAILS(STATUS_BAD_SHAPE, "nothing to join", concat_plan(&a, 0, &y));
  assert_int_equal(upsample_nearest_plan((Shape){0}, &y), STATUS_BAD_SHAPE);
}

static void plans_give_the_shapes(void **state)
{
  Shape y;
  const Shape a = image_shape(2, 3, 5, 4, ELEMENT_BF16), b = image_shape(2, 3, 5, 7, ELEMENT_BF16);
  CHECK_OK(concat_plan((Shape[]){a, b, a}, 3, &y));
  assert_true(shape_equal(y, image_shape(2, 3, 5, 15, ELEMENT_BF16)));
  CHECK_OK(upsample_nearest_plan(b, &y));
  assert_true(shape_equal(y, image_shape(2, 6, 10, 7, ELEMENT_BF16)));
  CHECK_OK(add_plan(a, a, &y));
  assert_true(shape_equal(y, a));
}

static void relu_keeps_nan_and_has_no_slope_at_zero(void **state)
{
  const float x[5] = {-2, 0, 3, NAN, INFINITY}, y[5] = {0, 0, 3, NAN, INFINITY};
  const float dy[5] = {1, 1, 0.5F, 1, 2}, dx[5] = {0, 0, 0.5F, 0, 2};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  for (int write = WRITE_SET; write <= WRITE_ADD; ++write) {
    Room *room = room_open(on);
    const Shape shape = image_shape(1, 1, 5, 1, element);
    const TestImage in = room_image(room, shape, x), out = room_image(room, shape, NULL);
    on->ops->relu_forward(on->device, in.shape, in.memory, out.memory);
    expect_floats((Expectation){on, element, "y", 0}, 5, room_numbers_of(room, out), y);
    const TestImage above = room_image(room, shape, dy);
    const TestImage below =
        room_image(room, shape, write == WRITE_ADD ? (float[]){4, 4, 4, 4, 4} : NULL);
    on->ops->relu_backward(on->device, in.shape, out.memory, above.memory, below.memory,
                           (Write)write);
    const float *got = room_numbers_of(room, below);
    const float before = write == WRITE_ADD ? 4 : 0;
    for (int i = 0; i < 5; ++i)
      expect_floats((Expectation){on, element, "dx", 0}, 1, got + i, &(float){before + dx[i]});
    room_close(room);
  }
}

/* 256 + 1 lies halfway between two bfloat16 and goes to the even one, 256; 258 + 1 to 260. */
static void add_rounds_once(void **state)
{
  const float a[3] = {256, 258, -1.5F}, b[3] = {1, 1, 0.25F};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Room *room = room_open(on);
    const Shape shape = image_shape(1, 3, 1, 1, element);
    const TestImage first = room_image(room, shape, a), second = room_image(room, shape, b);
    const TestImage sum = room_image(room, shape, NULL);
    on->ops->add_forward(on->device, first.shape, first.memory, second.memory, sum.memory);
    const bool is_half = element == ELEMENT_BF16;
    expect_floats((Expectation){on, element, "y", 0}, 3, room_numbers_of(room, sum),
                  is_half ? (float[]){256, 260, -1.25F} : (float[]){257, 259, -1.25F});
    room_close(room);
  }
}

static void accumulate_sets_or_adds(void **state)
{
  enum { COUNT = 2 * 3 * 5 * 17 };
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  for (int write = WRITE_SET; write <= WRITE_ADD; ++write) {
    Room *room = room_open(on);
    const Shape shape = image_shape(2, 3, 5, 17, element);
    const float *dy = room_eighths(room, "dy", COUNT);
    float *dx = room_eighths(room, "dx", COUNT);
    const TestImage above = room_image(room, shape, dy);
    const TestImage below = room_image(room, shape, write == WRITE_ADD ? dx : NULL);
    on->ops->accumulate(on->device, above.shape, above.memory, below.memory, (Write)write);
    for (int i = 0; i < COUNT; ++i)
      dx[i] = write == WRITE_ADD ? dx[i] + dy[i] : dy[i];
    expect_floats((Expectation){on, element, "dx", 0}, COUNT, room_numbers_of(room, below), dx);
    room_close(room);
  }
}

/* A wider image that holds x's part at an offset; the other channels keep what they had. */
typedef struct Wide {
  Shape part, whole;
  int32_t offset;
  float *values; /* of the whole, before */
  TestImage image;
} Wide;

static Wide wide_image(Room *room, const TestBackend *on, Shape part, int32_t scale)
{
  const int32_t unit = on->ops->channel_multiple;
  Wide wide = {.part = part, .whole = part, .offset = 2 * unit};
  wide.whole.height *= scale;
  wide.whole.width *= scale;
  wide.whole.channels += 3 * unit;
  wide.values = room_eighths(room, "whole", shape_elements(wide.whole));
  wide.image = room_image(room, wide.whole, wide.values);
  return wide;
}

static int64_t wide_index(const Wide *wide, int32_t n, int32_t i, int32_t j, int32_t c)
{
  const Shape s = wide->whole;
  return ((((int64_t)n * s.height + i) * s.width + j) * s.channels) + wide->offset + c;
}

static float *expected_forward(const Wide *wide, const float *x, int32_t scale)
{
  const Shape s = wide->part;
  int64_t at = 0;
  for (int32_t n = 0; n < s.images; ++n)
    for (int32_t i = 0; i < s.height; ++i)
      for (int32_t j = 0; j < s.width; ++j)
        for (int32_t c = 0; c < s.channels; ++c, ++at)
          for (int32_t k = 0; k < scale * scale; ++k)
            wide->values[wide_index(wide, n, scale * i + k / scale, scale * j + k % scale, c)] =
                x[at];
  return wide->values;
}

static void add_backward(const Wide *wide, int32_t scale, float *dx)
{
  const Shape s = wide->part;
  int64_t at = 0;
  for (int32_t n = 0; n < s.images; ++n)
    for (int32_t i = 0; i < s.height; ++i)
      for (int32_t j = 0; j < s.width; ++j)
        for (int32_t c = 0; c < s.channels; ++c, ++at)
          for (int32_t k = 0; k < scale * scale; ++k)
            dx[at] +=
                wide->values[wide_index(wide, n, scale * i + k / scale, scale * j + k % scale, c)];
}

static void check_forward(const TestBackend *on, Element element, Shape part, int32_t scale)
{
  Room *room = room_open(on);
  const float *values = room_eighths(room, "x", shape_elements(part));
  const TestImage x = room_image(room, part, values);
  const Wide wide = wide_image(room, on, part, scale);
  if (scale == 2)
    on->ops->upsample_nearest_forward(on->device, part, x.memory, wide.whole, wide.offset,
                                      wide.image.memory);
  else
    on->ops->concat_forward(on->device, part, x.memory, wide.whole, wide.offset, wide.image.memory);
  const float *expected = expected_forward(&wide, values, scale);
  expect_floats((Expectation){on, element, scale == 2 ? "upsampled" : "joined", 0},
                shape_elements(wide.whole), room_numbers_of(room, wide.image), expected);
  room_close(room);
}

static void check_backward(const TestBackend *on, Element element, Shape part, int32_t scale,
                           Write write)
{
  Room *room = room_open(on);
  const int64_t count = shape_elements(part);
  float *expected =
      write == WRITE_ADD ? room_eighths(room, "dx", count) : room_numbers(room, count);
  const TestImage dx = room_image(room, part, write == WRITE_ADD ? expected : NULL);
  const Wide wide = wide_image(room, on, part, scale);
  if (scale == 2)
    on->ops->upsample_nearest_backward(on->device, part, dx.memory, wide.whole, wide.offset,
                                       wide.image.memory, write);
  else
    on->ops->concat_backward(on->device, part, dx.memory, wide.whole, wide.offset,
                             wide.image.memory, write);
  add_backward(&wide, scale, expected); /* four eighths and one: exact in bfloat16 */
  expect_floats((Expectation){on, element, scale == 2 ? "dx of upsampled" : "dx of joined", 0},
                count, room_numbers_of(room, dx), expected);
  room_close(room);
}

static void parts_of_a_concatenation_lie_at_their_offset(void **state)
{
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  for (int32_t scale = 1; scale <= 2; ++scale)
    for (int32_t c = 1; c <= 17; c += 8) {
      const Shape part = shape_on(on, 2, 3, 5, c, element);
      check_forward(on, element, part, scale);
      check_backward(on, element, part, scale, WRITE_SET);
      check_backward(on, element, part, scale, WRITE_ADD);
    }
}

static void an_enlarged_pixel_appears_four_times(void **state)
{
  FOR_EACH_BACKEND(on)
  {
    if (on->ops->channel_multiple > 1) continue; /* by hand: one channel */
    Room *room = room_open(on);
    const Shape small = image_shape(1, 1, 2, 1, ELEMENT_F32);
    Shape large;
    CHECK_OK(upsample_nearest_plan(small, &large));
    const TestImage x = room_image(room, small, (float[]){1, 2});
    const TestImage y = room_image(room, large, NULL), dx = room_image(room, small, NULL);
    on->ops->upsample_nearest_forward(on->device, small, x.memory, large, 0, y.memory);
    expect_floats((Expectation){on, ELEMENT_F32, "y", 0}, 8, room_numbers_of(room, y),
                  (float[]){1, 1, 2, 2, 1, 1, 2, 2});
    const TestImage dy = room_image(room, large, (float[]){1, 2, 4, 8, 16, 32, 64, 128});
    on->ops->upsample_nearest_backward(on->device, small, dx.memory, large, 0, dy.memory,
                                       WRITE_SET);
    expect_floats((Expectation){on, ELEMENT_F32, "dx", 0}, 2, room_numbers_of(room, dx),
                  (float[]){51, 204});
    room_close(room);
  }
}

static void convert_rounds_to_even_and_keeps_nan(void **state)
{
  const float x[6] = {1.0F, 257.0F, 259.0F, -0x1p-130F, INFINITY, NAN};
  const float y[6] = {1.0F, 256.0F, 260.0F, -0x1p-130F, INFINITY, NAN};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const float *from = room_upload_floats(room, x, 6);
    void *half = room_device(room, 6 * sizeof(uint16_t));
    float *back = room_device(room, sizeof x);
    on->ops->convert(on->device, 6, ELEMENT_F32, from, ELEMENT_BF16, half);
    on->ops->convert(on->device, 6, ELEMENT_BF16, half, ELEMENT_F32, back);
    expect_floats((Expectation){on, ELEMENT_BF16, "converted", 0}, 6,
                  room_download_floats(room, back, 6), y);
    room_close(room);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plans_refuse_what_does_not_fit),
      cmocka_unit_test(plans_give_the_shapes),
      cmocka_unit_test(relu_keeps_nan_and_has_no_slope_at_zero),
      cmocka_unit_test(add_rounds_once),
      cmocka_unit_test(accumulate_sets_or_adds),
      cmocka_unit_test(parts_of_a_concatenation_lie_at_their_offset),
      cmocka_unit_test(an_enlarged_pixel_appears_four_times),
      cmocka_unit_test(convert_rounds_to_even_and_keeps_nan),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
