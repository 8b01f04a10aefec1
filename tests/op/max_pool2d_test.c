#include <math.h>

#include "support/backends.h"

/* One 2 x 4 image, halved: two windows, y[0] over columns 0-1, y[1] over columns 2-3. */
static const MaxPool2d halve = {.size = 2, .stride = 2};

typedef struct Pooled {
  Shape y_shape;
  float *y;
  uint8_t *winner; /* as y, without padded channels */
  void *winner_in_memory;
} Pooled;

static Pooled pool(Room *room, const TestBackend *on, MaxPool2d op, Shape shape,
                   const float *values)
{
  const TestImage x = room_image(room, shape, values);
  Pooled pooled = {.y_shape = {0}};
  CHECK_OK(max_pool2d_plan(op, shape, &pooled.y_shape));
  const TestImage y = room_image(room, pooled.y_shape, NULL);
  const size_t bytes = (size_t)shape_elements(y.shape);
  pooled.winner_in_memory = room_device(room, bytes);
  on->ops->max_pool2d_forward(on->device, op, x.shape, x.memory, y.shape, y.memory,
                              pooled.winner_in_memory);
  pooled.y = room_numbers_of(room, y);
  const uint8_t *padded = room_download(room, pooled.winner_in_memory, bytes);
  pooled.winner = room_host(room, shape_elements(pooled.y_shape), 1);
  for (int64_t pixel = 0; pixel < shape_pixels(y.shape); ++pixel)
    for (int32_t c = 0; c < y.channels; ++c)
      pooled.winner[pixel * y.channels + c] = padded[pixel * y.shape.channels + c];
  return pooled;
}

/* dx begins as before where it is added to. */
static float *pool_backward(Room *room, const TestBackend *on, MaxPool2d op, Shape shape,
                            Pooled pooled, const float *dy_values, Write write, float before)
{
  const int64_t count = shape_elements(shape);
  float *start = room_numbers(room, count);
  for (int64_t i = 0; i < count; ++i)
    start[i] = before;
  const TestImage dy = room_image(room, pooled.y_shape, dy_values);
  const TestImage dx = room_image(room, shape, write == WRITE_ADD ? start : NULL);
  on->ops->max_pool2d_backward(on->device, op, dx.shape, dx.memory, dy.shape, dy.memory,
                               pooled.winner_in_memory, write);
  return room_numbers_of(room, dx);
}

static void plan_gives_the_size_of_the_output(void **state)
{
  Shape y;
  const Shape x = image_shape(2, 9, 8, 5, ELEMENT_BF16);
  CHECK_OK(max_pool2d_plan((MaxPool2d){.size = 3, .stride = 2, .pad = 1}, x, &y));
  assert_true(shape_equal(y, image_shape(2, 5, 4, 5, ELEMENT_BF16)));
  CHECK_OK(max_pool2d_plan(halve, x, &y)); /* the last row has no window */
  assert_true(shape_equal(y, image_shape(2, 4, 4, 5, ELEMENT_BF16)));
}

static void plan_refuses_what_does_not_fit(void **state)
{
  Shape y;
  const Shape x = image_shape(1, 2, 4, 1, ELEMENT_F32);
  const MaxPool2d bad[] = {{.size = 0, .stride = 1}, {.size = 16, .stride = 1, .pad = 8},
                           {.size = 2, .stride = 0}, {.size = 3, .stride = 1, .pad = 2},
                           {.size = 3, .stride = 1}, {.size = 2, .stride = 1, .pad = -1}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i)
    CHECK_FAILS(STATUS_BAD_SHAPE, "window", max_pool2d_plan(bad[i], x, &y));
}

static void the_first_of_equal_maxima_wins(void **state)
{
  const float x[8] = {1, 4, 0, 2, 4, 3, 2, 0};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Room *room = room_open(on);
    const Pooled pooled = pool(room, on, halve, image_shape(1, 2, 4, 1, element), x);
    expect_floats((Expectation){on, element, "y", 0}, 2, pooled.y, (float[]){4, 2});
    assert_int_equal(pooled.winner[0], 1);
    assert_int_equal(pooled.winner[1], 1);
    room_close(room);
  }
}

static void the_first_nan_wins_its_window(void **state)
{
  const float x[8] = {1, NAN, INFINITY, 2, NAN, 3, 2, 0};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Room *room = room_open(on);
    const Pooled pooled = pool(room, on, halve, image_shape(1, 2, 4, 1, element), x);
    expect_floats((Expectation){on, element, "y", 0}, 2, pooled.y, (float[]){NAN, INFINITY});
    assert_int_equal(pooled.winner[0], 1);
    assert_int_equal(pooled.winner[1], 0);
    room_close(room);
  }
}

/* All windows of 3 x 3 around a 2 x 2 image reach into the padding; all values lie below 0. */
static void padding_never_wins(void **state)
{
  const float x[4] = {-4, -3, -INFINITY, -5};
  const uint8_t winner[4] = {5, 4, 2, 1}; /* of row * 3 + column */
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Room *room = room_open(on);
    const MaxPool2d same = {.size = 3, .stride = 1, .pad = 1};
    const Pooled pooled = pool(room, on, same, image_shape(1, 2, 2, 1, element), x);
    expect_floats((Expectation){on, element, "y", 0}, 4, pooled.y, (float[]){-3, -3, -3, -3});
    for (int i = 0; i < 4; ++i)
      assert_int_equal(pooled.winner[i], winner[i]);
    room_close(room);
  }
}

static void a_window_of_minus_infinity_is_won_by_its_first_pixel(void **state)
{
  const float x[4] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const MaxPool2d same = {.size = 3, .stride = 2, .pad = 1};
    const Pooled pooled = pool(room, on, same, image_shape(1, 2, 2, 1, ELEMENT_F32), x);
    assert_true(isinf(pooled.y[0]) && pooled.y[0] < 0);
    assert_int_equal(pooled.winner[0], 4); /* the image's corner lies in the window's middle */
    room_close(room);
  }
}

static void backward_adds_where_windows_overlap(void **state)
{
  const float dy[2] = {0.5F, 0.25F};
  const MaxPool2d pairs = {.size = 2, .stride = 1, .pad = 0};
  const float x[6] = {1, 5, 2, 0, 0, 0};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  for (int write = WRITE_SET; write <= WRITE_ADD; ++write) {
    Room *room = room_open(on);
    const Shape shape = image_shape(1, 2, 3, 1, element);
    const Pooled pooled = pool(room, on, pairs, shape, x);
    const float *dx = pool_backward(room, on, pairs, shape, pooled, dy, (Write)write, 10);
    const float b = write == WRITE_ADD ? 10 : 0;
    const float expected[6] = {b, b + 0.75F, b, b, b, b};
    expect_floats((Expectation){on, element, "dx", 0}, 6, dx, expected);
    room_close(room);
  }
}

static float loss(const TestBackend *on, Shape shape, const float *x, const float *dy)
{
  Room *room = room_open(on);
  const Pooled pooled = pool(room, on, halve, shape, x);
  const float sum = dy[0] * pooled.y[0] + dy[1] * pooled.y[1];
  room_close(room);
  return sum;
}

static void backward_is_the_slope_of_forward(void **state)
{
  const float step = 0x1p-8F; /* a power of two, so the differences are exact: no tolerance */
  const float dy[2] = {1, 2};
  float x[8] = {1, 4, 0, 2, 5, 3, 3, 1};
  const Shape shape = image_shape(1, 2, 4, 1, ELEMENT_F32);
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Pooled pooled = pool(room, on, halve, shape, x);
    const float *dx = pool_backward(room, on, halve, shape, pooled, dy, WRITE_SET, 0);
    for (int i = 0; i < 8; ++i) {
      const float centre = x[i];
      x[i] = centre + step;
      const float above = loss(on, shape, x, dy);
      x[i] = centre - step;
      const float below = loss(on, shape, x, dy);
      x[i] = centre;
      assert_true(dx[i] == (above - below) / (2 * step));
    }
    room_close(room);
  }
}

/* No arithmetic but the sum of dy, in float32: what differs is its order, and bfloat16's rounding
 * of dx. */
static void values_are_those_of_pytorch(void **state)
{
  FOR_EACH_BACKEND(on)
  {
    Golden *golden = golden_open("op_max_pool2d.txt");
    for (int i = 0; i < 4; ++i) {
      const GoldenTensor *row = golden_find(golden, "case%d", i);
      int32_t v[7];
      for (int k = 0; k < 7; ++k)
        v[k] = (int32_t)golden_value(row, k);
      Room *room = room_open(on);
      const Shape shape = image_shape(v[0], v[1], v[2], v[3], ELEMENT_F32);
      const MaxPool2d op = {.size = v[4], .stride = v[5], .pad = v[6]};
      float *x = room_formula(room, room_name(room, "pool%d.x", i), shape_elements(shape));
      for (int64_t k = 0; k < shape_elements(shape); ++k)
        x[k] = rintf(4.0F * x[k]);
      const GoldenTensor *y = golden_find(golden, "pool%d.y", i);
      const float *dy = room_formula(room, room_name(room, "pool%d.dy", i), y->count);
      const Pooled pooled = pool(room, on, op, shape, x);
      expect_doubles((Expectation){on, ELEMENT_F32, y->name, 0}, y->count, pooled.y, y->values);
      const GoldenTensor *dx = golden_find(golden, "pool%d.dx", i);
      expect_doubles((Expectation){on, ELEMENT_F32, dx->name, 1e-6}, dx->count,
                     pool_backward(room, on, op, shape, pooled, dy, WRITE_SET, 0), dx->values);
      room_close(room);
    }
    golden_close(golden);
  }
}

static void values_and_winners_are_those_of_plain_loops(void **state)
{
  static const struct {
    int32_t n, h, w, c;
    MaxPool2d op;
  } cases[] = {{2, 9, 7, 3, {.size = 3, .stride = 2, .pad = 1}},
               {1, 16, 18, 64, {.size = 3, .stride = 2, .pad = 1}},
               {2, 8, 6, 17, {.size = 2, .stride = 2}},
               {3, 5, 5, 8, {.size = 5, .stride = 1, .pad = 2}},
               {1, 31, 17, 1, {.size = 15, .stride = 4, .pad = 7}},
               {2, 1, 1, 16, {.size = 1, .stride = 1}},
               {1, 7, 9, 5, {.size = 2, .stride = 3}}};
  FOR_EACH_TWIN(on)
  FOR_EACH_ELEMENT(element)
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i)
    for (int write = WRITE_SET; write <= WRITE_ADD; ++write) {
      Room *truth = room_open(backends_naive());
      Room *room = room_open(on);
      const Shape shape = image_shape(cases[i].n, cases[i].h, cases[i].w, cases[i].c, element);
      const int64_t count = shape_elements(shape);
      const float *x = room_eighths(room, "x", count);
      const Pooled expected = pool(truth, backends_naive(), cases[i].op, shape, x);
      const Pooled got = pool(room, on, cases[i].op, shape, x);
      const int64_t y_count = shape_elements(got.y_shape);
      expect_floats((Expectation){on, element, "y", 0}, y_count, got.y, expected.y);
      for (int64_t k = 0; k < y_count; ++k)
        assert_int_equal(got.winner[k], expected.winner[k]);
      /* Sums of eighths fit bfloat16 as long as they stay below 32. */
      const float *dy = room_eighths(room, "dy", y_count);
      const float *expected_dx =
          pool_backward(truth, backends_naive(), cases[i].op, shape, expected, dy, (Write)write, 1);
      expect_floats((Expectation){on, element, "dx", 0}, count,
                    pool_backward(room, on, cases[i].op, shape, got, dy, (Write)write, 1),
                    expected_dx);
      room_close(room);
      room_close(truth);
    }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plan_gives_the_size_of_the_output),
      cmocka_unit_test(plan_refuses_what_does_not_fit),
      cmocka_unit_test(the_first_of_equal_maxima_wins),
      cmocka_unit_test(the_first_nan_wins_its_window),
      cmocka_unit_test(padding_never_wins),
      cmocka_unit_test(a_window_of_minus_infinity_is_won_by_its_first_pixel),
      cmocka_unit_test(backward_adds_where_windows_overlap),
      cmocka_unit_test(backward_is_the_slope_of_forward),
      cmocka_unit_test(values_are_those_of_pytorch),
      cmocka_unit_test(values_and_winners_are_those_of_plain_loops),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
