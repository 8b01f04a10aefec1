#include <math.h>

#include "support/backends.h"

typedef struct Input {
  ConvTranspose2d conv;
  Shape x; /* channels: those that mean something */
  const float *values, *weight, *bias;
  const float *dy; /* NULL: forward only */
  Write write;
} Input;

/* Gradients begin at these, so that adding is told from writing. */
static const float dx_before = 1.0F, dweight_before = 0.5F, dbias_before = 0.25F;

typedef struct Output {
  int64_t y_count, x_count, weight_count;
  float *y, *dx, *dweight, *dbias;
} Output;

typedef struct Opened {
  ConvTranspose2dPlan plan;
  ConvTranspose2dKernel *kernel;
  void *packed;
  void *scratch;
} Opened;

static int64_t weight_count(ConvTranspose2d conv)
{
  return (int64_t)conv.in_channels * conv.out_channels * 4;
}

static Opened open_kernel(Room *room, const TestBackend *on, const Input *in, Shape x_in_memory)
{
  Opened opened;
  OpBytes bytes = {0};
  CHECK_OK(conv_transpose2d_plan(in->conv, x_in_memory, on->ops->channel_multiple, in->dy != NULL,
                                 &opened.plan));
  CHECK_OK(on->ops->conv_transpose2d_open(on->device, &opened.plan, &opened.kernel, &bytes));
  opened.packed = room_device(room, bytes.packed);
  opened.scratch = room_device(room, bytes.scratch);
  const float *weight = room_upload_floats(room, in->weight, weight_count(in->conv));
  const float *bias = room_upload_floats(room, in->bias, in->conv.out_channels);
  on->ops->conv_transpose2d_pack(opened.kernel, weight, bias, opened.packed);
  return opened;
}

static void run_backward(Room *room, const TestBackend *on, const Input *in, Opened opened,
                         TestImage x, Shape y_shape, Output *out)
{
  const TestImage dy = room_image(room, y_shape, in->dy);
  const TestImage dx = room_image(
      room, in->x, in->write == WRITE_ADD ? room_equal(room, out->x_count, dx_before) : NULL);
  const int64_t biases = in->conv.out_channels;
  float *dweight = room_upload_floats(room, room_equal(room, out->weight_count, dweight_before),
                                      out->weight_count);
  float *dbias = room_upload_floats(room, room_equal(room, biases, dbias_before), biases);
  on->ops->conv_transpose2d_backward_data(opened.kernel, opened.packed, dy.memory, dx.memory,
                                          in->write, opened.scratch);
  on->ops->conv_transpose2d_backward_weight(opened.kernel, x.memory, dy.memory, dweight, dbias,
                                            opened.scratch);
  out->dx = room_numbers_of(room, dx);
  out->dweight = room_download_floats(room, dweight, out->weight_count);
  out->dbias = room_download_floats(room, dbias, biases);
}

static Output run(Room *room, const TestBackend *on, const Input *in)
{
  const TestImage x = room_image(room, in->x, in->values);
  const Opened opened = open_kernel(room, on, in, x.shape);
  Shape y_shape = opened.plan.y;
  y_shape.channels = in->conv.out_channels;
  const TestImage y = room_image(room, y_shape, NULL);
  assert_int_equal(y.shape.channels, opened.plan.y.channels);
  Output out = {.y_count = shape_elements(y_shape),
                .x_count = shape_elements(in->x),
                .weight_count = weight_count(in->conv)};
  on->ops->conv_transpose2d_forward(opened.kernel, opened.packed, x.memory, y.memory,
                                    opened.scratch);
  out.y = room_numbers_of(room, y);
  if (in->dy != NULL) run_backward(room, on, in, opened, x, y_shape, &out);
  CHECK_OK(device_synchronize(on->device));
  on->ops->conv_transpose2d_close(opened.kernel);
  return out;
}

static void plan_gives_the_size_of_the_output(void **state)
{
  const ConvTranspose2d conv = {.in_channels = 13, .out_channels = 17};
  ConvTranspose2dPlan plan;
  CHECK_OK(conv_transpose2d_plan(conv, image_shape(3, 5, 7, 16, ELEMENT_BF16), 8, true, &plan));
  assert_true(shape_equal(plan.y, image_shape(3, 10, 14, 24, ELEMENT_BF16)));
}

static void plan_refuses_what_does_not_fit(void **state)
{
  const Shape x = image_shape(1, 4, 4, 2, ELEMENT_F32);
  ConvTranspose2dPlan plan;
  CHECK_FAILS(STATUS_BAD_SHAPE, "2 channels",
              conv_transpose2d_plan((ConvTranspose2d){3, 1, false}, x, 1, false, &plan));
  CHECK_FAILS(STATUS_BAD_SHAPE, "0 channels",
              conv_transpose2d_plan((ConvTranspose2d){2, 0, false}, x, 1, false, &plan));
  assert_int_equal(conv_transpose2d_plan((ConvTranspose2d){2, 1, false},
                                         image_shape(1, 0, 4, 2, ELEMENT_F32), 1, false, &plan),
                   STATUS_BAD_SHAPE);
}

/* One image of 1 x 2 px with two channels to one. */
static void every_pixel_becomes_four(void **state)
{
  const float x[4] = {1, 2, -1, 0};
  const float weight[8] = {1, 2, 3, 4, 10, 20, 30, 40};
  const float plain[8] = {21.5F, 42.5F, -0.5F, -1.5F, 63.5F, 84.5F, -2.5F, -3.5F};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  for (int relu = 0; relu < 2; ++relu) {
    Room *room = room_open(on);
    const Input in = {.conv = {.in_channels = 2, .out_channels = 1, .relu = relu != 0},
                      .x = image_shape(1, 1, 2, 2, element),
                      .values = x,
                      .weight = weight,
                      .bias = (float[]){0.5F}};
    float expected[8];
    for (int i = 0; i < 8; ++i)
      expected[i] = relu != 0 && plain[i] < 0 ? 0 : plain[i];
    expect_floats((Expectation){on, element, "y", 0}, 8, run(room, on, &in).y, expected);
    room_close(room);
  }
}

static void a_nan_reaches_the_four_pixels_of_its_own(void **state)
{
  const float x[3] = {1, NAN, 2};
  const float y[12] = {1, 1, NAN, NAN, 2, 2, 1, 1, NAN, NAN, 2, 2};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Input in = {.conv = {.in_channels = 1, .out_channels = 1},
                      .x = image_shape(1, 1, 3, 1, ELEMENT_F32),
                      .values = x,
                      .weight = (float[]){1, 1, 1, 1},
                      .bias = (float[]){0}};
    expect_floats((Expectation){on, ELEMENT_F32, "y", 0}, 12, run(room, on, &in).y, y);
    room_close(room);
  }
}

static double slope(const TestBackend *on, const Input *in, float *at)
{
  const float centre = *at;
  double loss[2];
  for (int i = 0; i < 2; ++i) {
    Room *room = room_open(on);
    Input moved = *in;
    moved.dy = NULL;
    *at = centre + (i == 0 ? -0.25F : 0.25F);
    const Output out = run(room, on, &moved);
    loss[i] = 0;
    for (int64_t k = 0; k < out.y_count; ++k)
      loss[i] += (double)out.y[k] * (double)in->dy[k];
    room_close(room);
  }
  *at = centre;
  return 2.0 * (loss[1] - loss[0]);
}

/* The loss is linear in each number, and all are eighths: no tolerance. */
static void gradients_are_the_slopes_of_forward(void **state)
{
  enum { X_COUNT = 2 * 2 * 3 * 2, WEIGHT_COUNT = 2 * 3 * 4, Y_COUNT = 2 * 4 * 6 * 3 };
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    float *x = room_eighths(room, "x", X_COUNT);
    float *weight = room_eighths(room, "weight", WEIGHT_COUNT);
    float *bias = room_eighths(room, "bias", 3);
    const Input in = {.conv = {.in_channels = 2, .out_channels = 3},
                      .x = image_shape(2, 2, 3, 2, ELEMENT_F32),
                      .values = x,
                      .weight = weight,
                      .bias = bias,
                      .dy = room_eighths(room, "dy", Y_COUNT)};
    const Output out = run(room, on, &in);
    assert_int_equal(out.y_count, Y_COUNT);
    for (int64_t i = 0; i < X_COUNT; ++i)
      expect_doubles((Expectation){on, ELEMENT_F32, "dx", 0}, 1, out.dx + i,
                     &(double){slope(on, &in, x + i)});
    for (int64_t i = 0; i < WEIGHT_COUNT; ++i)
      expect_doubles((Expectation){on, ELEMENT_F32, "dweight", 0}, 1, out.dweight + i,
                     &(double){(double)dweight_before + slope(on, &in, weight + i)});
    for (int64_t i = 0; i < 3; ++i)
      expect_doubles((Expectation){on, ELEMENT_F32, "dbias", 0}, 1, out.dbias + i,
                     &(double){(double)dbias_before + slope(on, &in, bias + i)});
    room_close(room);
  }
}

static Input golden_input(Room *room, const Golden *golden, int i, Element element)
{
  const GoldenTensor *row = golden_find(golden, "case%d", i);
  const ConvTranspose2d conv = {.in_channels = (int32_t)golden_value(row, 3),
                                .out_channels = (int32_t)golden_value(row, 4)};
  const Shape x = image_shape((int32_t)golden_value(row, 0), (int32_t)golden_value(row, 1),
                              (int32_t)golden_value(row, 2), conv.in_channels, element);
  return (Input){.conv = conv,
                 .x = x,
                 .values = room_formula(room, room_name(room, "up%d.x", i), shape_elements(x)),
                 .weight =
                     room_formula(room, room_name(room, "up%d.weight", i), weight_count(conv)),
                 .bias = room_formula(room, room_name(room, "up%d.bias", i), conv.out_channels),
                 .dy = room_formula(room, room_name(room, "up%d.dy", i),
                                    golden_find(golden, "up%d.y", i)->count)};
}

static void values_are_those_of_pytorch(void **state)
{
  static const int of_two_by_two[] = {0, 1, 3}; /* case 2 has another kernel */
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Golden *golden = golden_open("op_conv_transpose2d.txt");
    for (size_t k = 0; k < sizeof of_two_by_two / sizeof of_two_by_two[0]; ++k) {
      const int i = of_two_by_two[k];
      Room *room = room_open(on);
      const Input in = golden_input(room, golden, i, element);
      const Output out = run(room, on, &in);
      const Expectation e = {
          .on = on, .element = element, .tolerance = element == ELEMENT_F32 ? 1e-6 : 0x1p-7};
      expect_golden(e, golden_find(golden, "up%d.y", i), out.y, 0);
      expect_golden(e, golden_find(golden, "up%d.dx", i), out.dx, 0);
      expect_golden(e, golden_find(golden, "up%d.dweight", i), out.dweight, dweight_before);
      expect_golden(e, golden_find(golden, "up%d.dbias", i), out.dbias, dbias_before);
      room_close(room);
    }
    golden_close(golden);
  }
}

typedef struct Case {
  int32_t n, h, w, in, out;
} Case;

static const Case cases[] = {{1, 1, 1, 1, 1},   {2, 3, 5, 8, 16},  {3, 4, 2, 17, 5},
                             {5, 7, 7, 32, 64}, {1, 13, 9, 3, 30}, {16, 14, 14, 8, 8}};

static Input eighths_input(Room *room, Case row, Element element)
{
  const ConvTranspose2d conv = {.in_channels = row.in, .out_channels = row.out};
  const Shape x = image_shape(row.n, row.h, row.w, row.in, element);
  return (Input){.conv = conv,
                 .x = x,
                 .values = room_eighths(room, "x", shape_elements(x)),
                 .weight = room_eighths(room, "weight", weight_count(conv)),
                 .bias = room_eighths(room, "bias", row.out),
                 .dy = room_eighths(room, "dy", 4 * shape_pixels(x) * row.out)};
}

/* Multiples of 1/64 with sums below 2^17 are exact in float32, and one rounding to bfloat16 is one
 * rounding: no tolerance. Where a bfloat16 dx is added to, a second rounding is allowed. */
static void values_and_gradients_are_those_of_plain_loops(void **state)
{
  FOR_EACH_TWIN(on)
  FOR_EACH_ELEMENT(element)
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i)
    for (int write = WRITE_SET; write <= WRITE_ADD; ++write) {
      Room *truth = room_open(backends_naive());
      Room *room = room_open(on);
      Input in = eighths_input(room, cases[i], element);
      in.write = (Write)write;
      in.conv.relu = i % 2 == 1;
      const Output expected = run(truth, backends_naive(), &in);
      const Output got = run(room, on, &in);
      const bool twice = element == ELEMENT_BF16 && write == WRITE_ADD;
      Expectation of = {on, element, room_name(room, "case %d: y", (int)i), 0};
      expect_floats(of, got.y_count, got.y, expected.y);
      of.what = room_name(room, "case %d: dx", (int)i);
      of.tolerance = twice ? 0x1p-7 * largest_float(got.x_count, expected.dx) : 0.0;
      expect_floats(of, got.x_count, got.dx, expected.dx);
      of.what = room_name(room, "case %d: dweight", (int)i);
      of.tolerance =
          rounding_of_dweight(on, element, largest_float(got.weight_count, expected.dweight));
      expect_floats(of, got.weight_count, got.dweight, expected.dweight);
      of.what = room_name(room, "case %d: dbias", (int)i);
      of.tolerance = 0;
      expect_floats(of, in.conv.out_channels, got.dbias, expected.dbias);
      room_close(room);
      room_close(truth);
    }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plan_gives_the_size_of_the_output),
      cmocka_unit_test(plan_refuses_what_does_not_fit),
      cmocka_unit_test(every_pixel_becomes_four),
      cmocka_unit_test(a_nan_reaches_the_four_pixels_of_its_own),
      cmocka_unit_test(gradients_are_the_slopes_of_forward),
      cmocka_unit_test(values_are_those_of_pytorch),
      cmocka_unit_test(values_and_gradients_are_those_of_plain_loops),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
