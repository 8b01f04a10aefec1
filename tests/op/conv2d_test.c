#include <math.h>

#include "support/backends.h"

static const Conv2d plain3x3 = {.in_channels = 1,
                                .out_channels = 1,
                                .kernel_height = 3,
                                .kernel_width = 3,
                                .stride = 1,
                                .pad = 1,
                                .dilation = 1,
                                .groups = 1};

typedef struct Input {
  Conv2d conv;
  Shape x; /* channels: those that mean something */
  const float *values, *weight, *bias, *add;
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
  Conv2dPlan plan;
  Conv2dKernel *kernel;
  void *packed;
  void *scratch;
} Opened;

static Opened open_kernel(Room *room, const TestBackend *on, const Input *in, Shape x_in_memory)
{
  Opened opened;
  OpBytes bytes = {0};
  const bool backward = in->dy != NULL;
  CHECK_OK(conv2d_plan(in->conv, x_in_memory, on->ops->channel_multiple, backward, backward,
                       &opened.plan));
  CHECK_OK(on->ops->conv2d_open(on->device, &opened.plan, &opened.kernel, &bytes));
  opened.packed = room_device(room, bytes.packed);
  opened.scratch = room_device(room, bytes.scratch);
  const float *weight = room_upload_floats(room, in->weight, conv2d_weight_count(in->conv));
  const float *bias =
      in->conv.bias ? room_upload_floats(room, in->bias, in->conv.out_channels) : NULL;
  on->ops->conv2d_pack(opened.kernel, weight, bias, opened.packed);
  return opened;
}

static void run_backward(Room *room, const TestBackend *on, const Input *in, Opened opened,
                         TestImage x, Shape y_shape, Output *out)
{
  const TestImage dy = room_image(room, y_shape, in->dy);
  const TestImage dx = room_image(
      room, in->x, in->write == WRITE_ADD ? room_equal(room, out->x_count, dx_before) : NULL);
  const int64_t biases = in->conv.bias ? in->conv.out_channels : 0;
  float *dweight = room_upload_floats(room, room_equal(room, out->weight_count, dweight_before),
                                      out->weight_count);
  float *dbias = room_upload_floats(room, room_equal(room, biases + 1, dbias_before), biases + 1);
  on->ops->conv2d_backward_data(opened.kernel, opened.packed, dy.memory, dx.memory, in->write,
                                opened.scratch);
  on->ops->conv2d_backward_weight(opened.kernel, x.memory, dy.memory, dweight, dbias,
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
                .weight_count = conv2d_weight_count(in->conv)};
  const TestImage add = in->conv.add ? room_image(room, y_shape, in->add) : (TestImage){0};
  on->ops->conv2d_forward(opened.kernel, opened.packed, x.memory, add.memory, y.memory,
                          opened.scratch);
  out.y = room_numbers_of(room, y);
  if (in->dy != NULL) run_backward(room, on, in, opened, x, y_shape, &out);
  CHECK_OK(device_synchronize(on->device));
  on->ops->conv2d_close(opened.kernel);
  return out;
}

static void plan_gives_the_size_of_the_output(void **state)
{
  Conv2dPlan plan;
  Conv2d conv = plain3x3;
  conv.kernel_height = 7;
  conv.kernel_width = 5;
  conv.stride = 2;
  conv.pad = 3;
  conv.out_channels = 13;
  const Shape x = image_shape(2, 12, 11, 1, ELEMENT_F32);
  CHECK_OK(conv2d_plan(conv, x, 8, false, false, &plan));
  assert_true(shape_equal(plan.y, image_shape(2, 6, 7, 16, ELEMENT_F32)));
  conv.dilation = 2; /* reaches 13 rows and 9 columns of 18 and 17 */
  CHECK_OK(conv2d_plan(conv, x, 1, false, false, &plan));
  assert_true(shape_equal(plan.y, image_shape(2, 3, 5, 13, ELEMENT_F32)));
  assert_int_equal(conv2d_weight_count(conv), 13 * 7 * 5);
}

static void plan_refuses_what_does_not_fit(void **state)
{
  Conv2dPlan plan;
  const Shape x = image_shape(1, 4, 4, 2, ELEMENT_F32);
  Conv2d conv = plain3x3;
  conv.in_channels = 3;
  CHECK_FAILS(STATUS_BAD_SHAPE, "2 channels", conv2d_plan(conv, x, 1, false, false, &plan));
  conv = plain3x3;
  conv.groups = 2;
  CHECK_FAILS(STATUS_BAD_SHAPE, "groups", conv2d_plan(conv, x, 1, false, false, &plan));
  conv = plain3x3;
  conv.dilation = 3; /* reaches 7 of 4 + 2 px */
  CHECK_FAILS(STATUS_BAD_SHAPE, "dilation 3", conv2d_plan(conv, x, 1, false, false, &plan));
  conv = plain3x3;
  conv.stride = 0;
  CHECK_FAILS(STATUS_BAD_SHAPE, "stride 0", conv2d_plan(conv, x, 1, false, false, &plan));
  conv = plain3x3;
  conv.pad = -1;
  CHECK_FAILS(STATUS_BAD_SHAPE, "pad -1", conv2d_plan(conv, x, 1, false, false, &plan));
  const Shape no_rows = image_shape(1, 0, 4, 1, ELEMENT_F32);
  assert_int_equal(conv2d_plan(plain3x3, no_rows, 1, false, false, &plan), STATUS_BAD_SHAPE);
}

/* Weights 1 … 9 over an image with a 1 in its corner: the kernel appears turned by half a turn (it
 * is a correlation), and what lies in the padding is lost. */
static void it_is_a_correlation_with_zero_padding(void **state)
{
  const float x[9] = {1, 0, 0, 0, 0, 0, 0, 0, 2};
  const float weight[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  const float y[9] = {5, 4, 0, 2, 1 + 2 * 9, 2 * 8, 0, 2 * 6, 2 * 5};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Room *room = room_open(on);
    const Input in = {
        .conv = plain3x3, .x = image_shape(1, 3, 3, 1, element), .values = x, .weight = weight};
    expect_floats((Expectation){on, element, "y", 0}, 9, run(room, on, &in).y, y);
    room_close(room);
  }
}

static void bias_and_residual_come_before_relu(void **state)
{
  const float x[2] = {2, 1}, weight[1] = {3}, bias[1] = {-1}, add[2] = {-7, 0.5F};
  const float y[2] = {0, 2.5F};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Room *room = room_open(on);
    Input in = {.conv = plain3x3,
                .x = image_shape(1, 1, 2, 1, element),
                .values = x,
                .weight = weight,
                .bias = bias,
                .add = add};
    in.conv.kernel_height = in.conv.kernel_width = 1;
    in.conv.pad = 0;
    in.conv.bias = in.conv.add = in.conv.relu = true;
    expect_floats((Expectation){on, element, "y", 0}, 2, run(room, on, &in).y, y);
    room_close(room);
  }
}

static void a_nan_reaches_the_windows_that_touch_it(void **state)
{
  const float x[10] = {NAN, 0, 0, 0, 1, 0, 0, 0, 0, 1};
  const float weight[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
  const float y[10] = {NAN, NAN, 0, 2, 2, NAN, NAN, 0, 2, 2};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Room *room = room_open(on);
    const Input in = {
        .conv = plain3x3, .x = image_shape(1, 2, 5, 1, element), .values = x, .weight = weight};
    expect_floats((Expectation){on, element, "y", 0}, 10, run(room, on, &in).y, y);
    room_close(room);
  }
}

/* Loss = sum dy * y. A convolution is linear in each of its inputs, so differences are exact. */
static double loss(Room *room, const TestBackend *on, Input in)
{
  const float *dy = in.dy;
  in.dy = NULL;
  const Output out = run(room, on, &in);
  double sum = 0.0;
  for (int64_t i = 0; i < out.y_count; ++i)
    sum += (double)dy[i] * (double)out.y[i];
  return sum;
}

/* As an average over all of x does; relu keeps it. */
static void a_nan_reaches_its_own_image_where_the_kernel_covers_all_of_x(void **state)
{
  const float x[8] = {1, 2, 3, 4, 5, NAN, 7, 8};
  const float weight[8] = {1, 1, 1, 1, -1, -1, -1, -1};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  for (int relu = 0; relu < 2; ++relu) {
    Room *room = room_open(on);
    Conv2d conv = plain3x3;
    conv.kernel_height = conv.kernel_width = 2;
    conv.pad = 0;
    conv.out_channels = 2;
    conv.relu = relu != 0;
    const Input in = {
        .conv = conv, .x = image_shape(2, 2, 2, 1, element), .values = x, .weight = weight};
    expect_floats((Expectation){on, element, "y", 0}, 4, run(room, on, &in).y,
                  (float[]){10, relu != 0 ? 0 : -10, NAN, NAN});
    room_close(room);
  }
}

static double slope(const TestBackend *on, const Input *in, float *value)
{
  const float centre = *value;
  Room *room = room_open(on);
  *value = centre + 0.25F;
  const double above = loss(room, on, *in);
  *value = centre - 0.25F;
  const double below = loss(room, on, *in);
  *value = centre;
  room_close(room);
  return (above - below) / 0.5;
}

static void gradients_are_the_slopes_of_forward(void **state)
{
  Conv2d conv = {.in_channels = 4,
                 .out_channels = 2,
                 .kernel_height = 3,
                 .kernel_width = 2,
                 .stride = 2,
                 .pad = 1,
                 .dilation = 1,
                 .groups = 2,
                 .bias = true};
  enum { X_COUNT = 4 * 5 * 4, WEIGHT_COUNT = 2 * 2 * 3 * 2, Y_COUNT = 2 * 3 * 2 };
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    float *x = room_eighths(room, "x", X_COUNT);
    float *weight = room_eighths(room, "weight", WEIGHT_COUNT);
    float *bias = room_eighths(room, "bias", 2);
    const Input in = {.conv = conv,
                      .x = image_shape(1, 4, 5, 4, ELEMENT_F32),
                      .values = x,
                      .weight = weight,
                      .bias = bias,
                      .dy = room_eighths(room, "dy", Y_COUNT),
                      .write = WRITE_SET};
    const Output out = run(room, on, &in);
    assert_int_equal(out.y_count, Y_COUNT);
    for (int64_t i = 0; i < X_COUNT; ++i)
      expect_doubles((Expectation){on, ELEMENT_F32, "dx", 0}, 1, out.dx + i,
                     &(double){slope(on, &in, x + i)});
    for (int64_t i = 0; i < WEIGHT_COUNT; ++i)
      expect_doubles((Expectation){on, ELEMENT_F32, "dweight", 0}, 1, out.dweight + i,
                     &(double){(double)dweight_before + slope(on, &in, weight + i)});
    for (int64_t i = 0; i < 2; ++i)
      expect_doubles((Expectation){on, ELEMENT_F32, "dbias", 0}, 1, out.dbias + i,
                     &(double){(double)dbias_before + slope(on, &in, bias + i)});
    room_close(room);
  }
}

static Input golden_input(Room *room, const Golden *golden, int i, Element element)
{
  const GoldenTensor *row = golden_find(golden, "case%d", i);
  int32_t v[12];
  for (int k = 0; k < 12; ++k)
    v[k] = (int32_t)golden_value(row, k);
  const Conv2d conv = {.in_channels = v[3],
                       .out_channels = v[4],
                       .kernel_height = v[5],
                       .kernel_width = v[6],
                       .stride = v[7],
                       .pad = v[8],
                       .dilation = v[9],
                       .groups = v[10],
                       .bias = v[11] != 0};
  const Shape x = image_shape(v[0], v[1], v[2], v[3], element);
  const int64_t y_count = golden_find(golden, "conv%d.y", i)->count;
  return (Input){
      .conv = conv,
      .x = x,
      .values = room_formula(room, room_name(room, "conv%d.x", i), shape_elements(x)),
      .weight = room_formula(room, room_name(room, "conv%d.weight", i), conv2d_weight_count(conv)),
      .bias = room_formula(room, room_name(room, "conv%d.bias", i), conv.out_channels),
      .dy = room_formula(room, room_name(room, "conv%d.dy", i), y_count)};
}

/* Float32: rounding of at most 500 products. bfloat16 keeps 8 bits of x, weights and dy, and of
 * what comes out: 2^-9 each. */
static void values_are_those_of_pytorch(void **state)
{
  enum { CASES = 7 };
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Golden *golden = golden_open("op_conv2d.txt");
    for (int i = 0; i < CASES; ++i) {
      Room *room = room_open(on);
      const Input in = golden_input(room, golden, i, element);
      const Output out = run(room, on, &in);
      const Expectation e = {
          .on = on, .element = element, .tolerance = element == ELEMENT_F32 ? 1e-6 : 0x1p-7};
      expect_golden(e, golden_find(golden, "conv%d.y", i), out.y, 0);
      expect_golden(e, golden_find(golden, "conv%d.dx", i), out.dx, 0);
      expect_golden(e, golden_find(golden, "conv%d.dweight", i), out.dweight, dweight_before);
      if (in.conv.bias)
        expect_golden(e, golden_find(golden, "conv%d.dbias", i), out.dbias, dbias_before);
      room_close(room);
    }
    golden_close(golden);
  }
}

typedef struct Case {
  int32_t n, h, w, in, out, kernel, stride, pad, dilation, groups;
} Case;

static const Case cases[] = {
    {1, 1, 1, 1, 1, 1, 1, 0, 1, 1},
    {2, 5, 7, 3, 64, 7, 2, 3, 1, 1},
    {2, 9, 11, 64, 64, 3, 1, 1, 1, 1},
    {3, 8, 6, 16, 17, 3, 2, 1, 1, 1},
    {1, 13, 5, 17, 8, 3, 1, 1, 1, 1},
    {2, 7, 9, 8, 16, 1, 2, 0, 1, 1},
    {2, 6, 5, 64, 5, 1, 1, 0, 1, 1},
    {1, 10, 12, 5, 3, 3, 1, 2, 2, 1},
    {2, 6, 7, 16, 32, 3, 1, 1, 1, 4},
    {1, 9, 8, 8, 8, 3, 2, 1, 1, 8},
    {4, 3, 3, 16, 2, 3, 1, 1, 1, 1},
    {1, 33, 35, 16, 16, 5, 3, 2, 1, 1},
    /* The kernel covers all of x: */
    {9, 7, 7, 16, 24, 7, 1, 0, 1, 1},
    {20, 1, 1, 40, 7, 1, 1, 0, 1, 1},
    {3, 3, 3, 17, 5, 3, 2, 0, 1, 1},
    {33, 2, 2, 64, 300, 2, 1, 0, 1, 1},
};

static Conv2d conv_of(Case row)
{
  return (Conv2d){.in_channels = row.in,
                  .out_channels = row.out,
                  .kernel_height = row.kernel,
                  .kernel_width = row.kernel,
                  .stride = row.stride,
                  .pad = row.pad,
                  .dilation = row.dilation,
                  .groups = row.groups};
}

static Input eighths_input(Room *room, Case row, Element element, bool backward)
{
  const Conv2d conv = conv_of(row);
  const Shape x = image_shape(row.n, row.h, row.w, row.in, element);
  Conv2dPlan plan;
  CHECK_OK(conv2d_plan(conv, x, 1, false, false, &plan));
  const int64_t y_count = shape_elements(plan.y);
  return (Input){.conv = conv,
                 .x = x,
                 .values = room_eighths(room, "x", shape_elements(x)),
                 .weight = room_eighths(room, "weight", conv2d_weight_count(conv)),
                 .bias = room_eighths(room, "bias", row.out),
                 .add = room_eighths(room, "add", y_count),
                 .dy = backward ? room_eighths(room, "dy", y_count) : NULL};
}

/* Multiples of 1/64 with sums below 2^17 are exact in float32, and one rounding to bfloat16 is one
 * rounding: no tolerance. Where a bfloat16 dx is added to, a second rounding is allowed. */
static void gradients_and_outputs_are_those_of_plain_loops(void **state)
{
  FOR_EACH_TWIN(on)
  FOR_EACH_ELEMENT(element)
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i)
    for (int write = WRITE_SET; write <= WRITE_ADD; ++write) {
      Room *truth = room_open(backends_naive());
      Room *room = room_open(on);
      Input in = eighths_input(room, cases[i], element, true);
      in.write = (Write)write;
      in.conv.bias = i % 2 == 0;
      const Output expected = run(truth, backends_naive(), &in);
      const Output got = run(room, on, &in);
      const bool twice = element == ELEMENT_BF16 && write == WRITE_ADD;
      const double dx_tolerance = twice ? 0x1p-7 * largest_float(got.x_count, expected.dx) : 0.0;
      const Expectation e = {.on = on, .element = element};
      Expectation of = e;
      of.what = room_name(room, "case %d: y", (int)i);
      expect_floats(of, got.y_count, got.y, expected.y);
      of.what = room_name(room, "case %d: dweight", (int)i);
      of.tolerance =
          rounding_of_dweight(on, element, largest_float(got.weight_count, expected.dweight));
      expect_floats(of, got.weight_count, got.dweight, expected.dweight);
      of.what = room_name(room, "case %d: dbias", (int)i);
      of.tolerance = 0;
      expect_floats(of, in.conv.bias ? in.conv.out_channels : 0, got.dbias, expected.dbias);
      of.what = room_name(room, "case %d: dx, %s", (int)i, write == WRITE_ADD ? "add" : "set");
      of.tolerance = dx_tolerance;
      expect_floats(of, got.x_count, got.dx, expected.dx);
      room_close(room);
      room_close(truth);
    }
}

/* The CPU's float32 saves products of these in inference and rounds its constants; with eighths its
 * bfloat16 stays exact. */
static double rounding_of_saved_products(Conv2d conv, Element element, double largest)
{
  const bool saves = conv.kernel_height == 3 && conv.kernel_width == 3 && conv.stride == 1 &&
                     conv.dilation == 1 && conv.groups == 1 && conv.in_channels % 32 == 0 &&
                     conv.out_channels % 32 == 0;
  return saves && element == ELEMENT_F32 ? 1e-5 * largest : 0;
}

static void fused_outputs_are_those_of_plain_loops(void **state)
{
  FOR_EACH_TWIN(on)
  FOR_EACH_ELEMENT(element)
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i)
    for (int flags = 0; flags < 8; ++flags) {
      Room *truth = room_open(backends_naive());
      Room *room = room_open(on);
      Input in = eighths_input(room, cases[i], element, false);
      in.conv.bias = (flags & 1) != 0;
      in.conv.add = (flags & 2) != 0;
      in.conv.relu = (flags & 4) != 0;
      const Output expected = run(truth, backends_naive(), &in);
      const Output got = run(room, on, &in);
      const char *what = room_name(room, "case %d, flags %d: y", (int)i, flags);
      const double tolerance =
          rounding_of_saved_products(in.conv, element, largest_float(got.y_count, expected.y));
      expect_floats((Expectation){on, element, what, tolerance}, got.y_count, got.y, expected.y);
      room_close(room);
      room_close(truth);
    }
}

static void the_residual_may_be_the_output_itself(void **state)
{
  FOR_EACH_TWIN(on)
  FOR_EACH_ELEMENT(element)
  {
    Room *truth = room_open(backends_naive());
    Room *room = room_open(on);
    Input in = eighths_input(room, cases[2], element, false);
    in.conv.add = in.conv.relu = true;
    const Output expected = run(truth, backends_naive(), &in);
    const TestImage x = room_image(room, in.x, in.values);
    const Opened opened = open_kernel(room, on, &in, x.shape);
    Shape y_shape = opened.plan.y;
    y_shape.channels = in.conv.out_channels;
    const TestImage y = room_image(room, y_shape, in.add);
    on->ops->conv2d_forward(opened.kernel, opened.packed, x.memory, y.memory, y.memory,
                            opened.scratch);
    const double tolerance =
        rounding_of_saved_products(in.conv, element, largest_float(expected.y_count, expected.y));
    expect_floats((Expectation){on, element, "y", tolerance}, expected.y_count,
                  room_numbers_of(room, y), expected.y);
    on->ops->conv2d_close(opened.kernel);
    room_close(room);
    room_close(truth);
  }
}

/* Sizes that are no multiples of a tile's, several images, one and several chunks of tiles, weights
 * that fit a core's cache and that do not. */
static const Case saving_cases[] = {
    {1, 1, 1, 32, 32, 3, 1, 1, 1, 1},     {2, 5, 7, 32, 48, 3, 1, 1, 1, 1},
    {3, 40, 38, 48, 32, 3, 1, 1, 1, 1},   {1, 9, 130, 64, 64, 3, 1, 1, 1, 1},
    {2, 66, 34, 128, 128, 3, 1, 1, 1, 1}, {1, 4, 4, 512, 160, 3, 1, 1, 1, 1},
};

/* float32: half a decimal digit less than plain loops. bfloat16: transformed images
 * and weights have 8 bits, as the output has. */
static void outputs_with_saved_products_are_close_to_plain_loops(void **state)
{
  FOR_EACH_TWIN(on)
  FOR_EACH_ELEMENT(element)
  for (size_t i = 0; i < sizeof saving_cases / sizeof saving_cases[0]; ++i) {
    Room *truth = room_open(backends_naive());
    Room *room = room_open(on);
    Input in = eighths_input(room, saving_cases[i], element, false);
    in.values = room_formula(room, "x", shape_elements(in.x));
    in.weight = room_formula(room, "weight", conv2d_weight_count(in.conv));
    in.conv.bias = i % 2 == 0;
    in.conv.add = in.conv.relu = i % 3 != 0;
    const Output expected = run(truth, backends_naive(), &in);
    const Output got = run(room, on, &in);
    const double share = element == ELEMENT_F32 ? 1e-5 : 0x1p-7;
    const Expectation e = {on, element, room_name(room, "saving case %d: y", (int)i),
                           share * largest_float(got.y_count, expected.y)};
    expect_floats(e, got.y_count, got.y, expected.y);
    room_close(room);
    room_close(truth);
  }
}

/* Of the images, the first has a NaN. Where products are saved it may reach others of its pixels. */
static void expect_nans(const char *what, int32_t images, const Output *expected, const Output *got)
{
  const int64_t image = got->y_count / images;
  for (int64_t i = 0; i < got->y_count; ++i) {
    if (isnan(expected->y[i]) && !isnan(got->y[i]))
      fail_msg("%s: output %d is %g instead of NaN", what, (int)i, (double)got->y[i]);
    if (i >= image && isnan(got->y[i])) fail_msg("%s: output %d is NaN", what, (int)i);
  }
}

static void relu_keeps_a_nan(const TestBackend *on, Element element, Case row)
{
  Room *truth = room_open(backends_naive());
  Room *room = room_open(on);
  Input in = eighths_input(room, row, element, false);
  float *x = room_eighths(room, "x", shape_elements(in.x));
  x[shape_elements(in.x) / row.n / 2] = NAN;
  in.values = x;
  in.conv.bias = in.conv.relu = true;
  in.conv.add = row.out % 16 == 0;
  const Output expected = run(truth, backends_naive(), &in);
  const Output got = run(room, on, &in);
  const char *what =
      room_name(room, "%d x %d of %d to %d", row.kernel, row.kernel, row.in, row.out);
  expect_nans(what, row.n, &expected, &got);
  room_close(room);
  room_close(truth);
}

static void relu_keeps_a_nan_in_every_kind_of_convolution(void **state)
{
  FOR_EACH_TWIN(on)
  FOR_EACH_ELEMENT(element)
  {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i)
      relu_keeps_a_nan(on, element, cases[i]);
    for (size_t i = 0; i < sizeof saving_cases / sizeof saving_cases[0]; ++i)
      relu_keeps_a_nan(on, element, saving_cases[i]);
  }
}

/* Large enough to save products in training too. */
static void training_with_saved_products_is_close_to_plain_loops(void **state)
{
  const Case row = {3, 40, 38, 48, 32, 3, 1, 1, 1, 1};
  FOR_EACH_TWIN(on)
  FOR_EACH_ELEMENT(element)
  for (int write = WRITE_SET; write <= WRITE_ADD; ++write) {
    Room *truth = room_open(backends_naive());
    Room *room = room_open(on);
    Input in = eighths_input(room, row, element, true);
    in.values = room_formula(room, "x", shape_elements(in.x));
    in.weight = room_formula(room, "weight", conv2d_weight_count(in.conv));
    in.write = (Write)write;
    const Output expected = run(truth, backends_naive(), &in);
    const Output got = run(room, on, &in);
    const double share = element == ELEMENT_F32 ? 1e-5 : 0x1p-7;
    Expectation e = {on, element, "y", share * largest_float(got.y_count, expected.y)};
    expect_floats(e, got.y_count, got.y, expected.y);
    e = (Expectation){on, element, "dx", share * largest_float(got.x_count, expected.dx)};
    expect_floats(e, got.x_count, got.dx, expected.dx);
    e = (Expectation){on, element, "dweight",
                      share * largest_float(got.weight_count, expected.dweight)};
    expect_floats(e, got.weight_count, got.dweight, expected.dweight);
    room_close(room);
    room_close(truth);
  }
}

/* The first layer, whose image wants no gradient. */
static void weights_have_gradients_without_that_of_x(void **state)
{
  FOR_EACH_TWIN(on)
  {
    Room *truth = room_open(backends_naive());
    Room *room = room_open(on);
    const Input in = eighths_input(room, cases[1], ELEMENT_F32, true);
    const Output expected = run(truth, backends_naive(), &in);
    const TestImage x = room_image(room, in.x, in.values);
    Conv2dPlan plan;
    Conv2dKernel *kernel;
    OpBytes bytes;
    CHECK_OK(conv2d_plan(in.conv, x.shape, on->ops->channel_multiple, true, false, &plan));
    CHECK_OK(on->ops->conv2d_open(on->device, &plan, &kernel, &bytes));
    Shape y_shape = plan.y;
    y_shape.channels = in.conv.out_channels;
    const TestImage dy = room_image(room, y_shape, in.dy);
    float *dweight = room_upload_floats(
        room, room_equal(room, expected.weight_count, dweight_before), expected.weight_count);
    on->ops->conv2d_backward_weight(kernel, x.memory, dy.memory, dweight, NULL,
                                    room_device(room, bytes.scratch));
    expect_floats((Expectation){on, ELEMENT_F32, "dweight", 0}, expected.weight_count,
                  room_download_floats(room, dweight, expected.weight_count), expected.dweight);
    on->ops->conv2d_close(kernel);
    room_close(room);
    room_close(truth);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plan_gives_the_size_of_the_output),
      cmocka_unit_test(plan_refuses_what_does_not_fit),
      cmocka_unit_test(it_is_a_correlation_with_zero_padding),
      cmocka_unit_test(bias_and_residual_come_before_relu),
      cmocka_unit_test(a_nan_reaches_the_windows_that_touch_it),
      cmocka_unit_test(a_nan_reaches_its_own_image_where_the_kernel_covers_all_of_x),
      cmocka_unit_test(gradients_are_the_slopes_of_forward),
      cmocka_unit_test(values_are_those_of_pytorch),
      cmocka_unit_test(gradients_and_outputs_are_those_of_plain_loops),
      cmocka_unit_test(fused_outputs_are_those_of_plain_loops),
      cmocka_unit_test(outputs_with_saved_products_are_close_to_plain_loops),
      cmocka_unit_test(relu_keeps_a_nan_in_every_kind_of_convolution),
      cmocka_unit_test(training_with_saved_products_is_close_to_plain_loops),
      cmocka_unit_test(the_residual_may_be_the_output_itself),
      cmocka_unit_test(weights_have_gradients_without_that_of_x),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
