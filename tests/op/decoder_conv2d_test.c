#include <math.h>

#include "support/backends.h"

typedef struct Input {
  DecoderConv2d conv;
  Shape a; /* channels: those that mean something */
  const float *values, *skip, *weight, *bias;
  const float *dy; /* NULL: forward only */
  Write write_da, write_dskip;
} Input;

static const float da_before = 1.0F, dskip_before = 2.0F;
static const float dweight_before = 0.5F, dbias_before = 0.25F;

typedef struct Output {
  int64_t y_count, a_count, skip_count, weight_count;
  float *y, *da, *dskip, *dweight, *dbias;
} Output;

typedef struct Opened {
  DecoderConv2dPlan plan;
  DecoderConv2dKernel *kernel;
  void *packed, *scratch;
  TestImage a, skip;
} Opened;

static int64_t weight_count_of(DecoderConv2d conv)
{
  return (int64_t)conv.out_channels * (conv.a_channels + conv.skip_channels) * 9;
}

static Shape skip_shape(const Input *in)
{
  return image_shape(in->a.images, 2 * in->a.height, 2 * in->a.width, in->conv.skip_channels,
                     in->a.element);
}

static Opened open_kernel(Room *room, const TestBackend *on, const Input *in)
{
  Opened opened = {.a = room_image(room, in->a, in->values)};
  if (in->conv.skip_channels > 0) opened.skip = room_image(room, skip_shape(in), in->skip);
  OpBytes bytes = {0};
  CHECK_OK(decoder_conv2d_plan(in->conv, opened.a.shape, opened.skip.shape,
                               on->ops->channel_multiple, in->dy != NULL, &opened.plan));
  CHECK_OK(on->ops->decoder_conv2d_open(on->device, &opened.plan, &opened.kernel, &bytes));
  opened.packed = room_device(room, bytes.packed);
  opened.scratch = room_device(room, bytes.scratch);
  const float *weight = room_upload_floats(room, in->weight, weight_count_of(in->conv));
  const float *bias =
      in->conv.bias ? room_upload_floats(room, in->bias, in->conv.out_channels) : NULL;
  on->ops->decoder_conv2d_pack(opened.kernel, weight, bias, opened.packed);
  return opened;
}

static TestImage gradient_image(Room *room, Shape shape, Write write, float before)
{
  if (shape.channels == 0) return (TestImage){0};
  return room_image(room, shape,
                    write == WRITE_ADD ? room_equal(room, shape_elements(shape), before) : NULL);
}

static void run_backward(Room *room, const TestBackend *on, const Input *in, Opened opened,
                         Shape y_shape, Output *out)
{
  const TestImage dy = room_image(room, y_shape, in->dy);
  const TestImage da = gradient_image(room, in->a, in->write_da, da_before);
  const TestImage dskip = gradient_image(room, skip_shape(in), in->write_dskip, dskip_before);
  const int64_t biases = in->conv.bias ? in->conv.out_channels : 0;
  float *dweight = room_upload_floats(room, room_equal(room, out->weight_count, dweight_before),
                                      out->weight_count);
  float *dbias = room_upload_floats(room, room_equal(room, biases + 1, dbias_before), biases + 1);
  on->ops->decoder_conv2d_backward_data(opened.kernel, opened.packed, dy.memory, da.memory,
                                        in->write_da, dskip.memory, in->write_dskip,
                                        opened.scratch);
  on->ops->decoder_conv2d_backward_weight(opened.kernel, opened.a.memory, opened.skip.memory,
                                          dy.memory, dweight, in->conv.bias ? dbias : NULL,
                                          opened.scratch);
  out->da = room_numbers_of(room, da);
  if (in->conv.skip_channels > 0) out->dskip = room_numbers_of(room, dskip);
  out->dweight = room_download_floats(room, dweight, out->weight_count);
  out->dbias = room_download_floats(room, dbias, biases);
}

static Output run(Room *room, const TestBackend *on, const Input *in)
{
  const Opened opened = open_kernel(room, on, in);
  Shape y_shape = opened.plan.y;
  y_shape.channels = in->conv.out_channels;
  const TestImage y = room_image(room, y_shape, NULL);
  assert_int_equal(y.shape.channels, opened.plan.y.channels);
  Output out = {.y_count = shape_elements(y_shape),
                .a_count = shape_elements(in->a),
                .skip_count = shape_elements(skip_shape(in)),
                .weight_count = weight_count_of(in->conv)};
  on->ops->decoder_conv2d_forward(opened.kernel, opened.packed, opened.a.memory, opened.skip.memory,
                                  y.memory, opened.scratch);
  out.y = room_numbers_of(room, y);
  if (in->dy != NULL) run_backward(room, on, in, opened, y_shape, &out);
  CHECK_OK(device_synchronize(on->device));
  on->ops->decoder_conv2d_close(opened.kernel);
  return out;
}

static void plan_doubles_the_sides(void **state)
{
  const DecoderConv2d conv = {.a_channels = 6, .skip_channels = 3, .out_channels = 5};
  const Shape a = image_shape(2, 3, 4, 6, ELEMENT_BF16);
  const Shape skip = image_shape(2, 6, 8, 3, ELEMENT_BF16);
  DecoderConv2dPlan plan;
  CHECK_OK(decoder_conv2d_plan(conv, a, skip, 8, true, &plan));
  assert_true(shape_equal(plan.y, image_shape(2, 6, 8, 8, ELEMENT_BF16)));
}

static void plan_refuses_what_does_not_fit(void **state)
{
  const DecoderConv2d conv = {.a_channels = 6, .skip_channels = 3, .out_channels = 5};
  const Shape a = image_shape(2, 3, 4, 6, ELEMENT_F32);
  DecoderConv2dPlan plan;
  const Shape odd = image_shape(2, 6, 7, 3, ELEMENT_F32);
  CHECK_FAILS(STATUS_BAD_SHAPE, "6 x 7 px", decoder_conv2d_plan(conv, a, odd, 1, false, &plan));
  const Shape thin = image_shape(2, 6, 8, 2, ELEMENT_F32);
  assert_int_equal(decoder_conv2d_plan(conv, a, thin, 1, false, &plan), STATUS_BAD_SHAPE);
  const Shape other = image_shape(2, 6, 8, 3, ELEMENT_BF16);
  assert_int_equal(decoder_conv2d_plan(conv, a, other, 1, false, &plan), STATUS_BAD_SHAPE);
  const Shape fewer = image_shape(1, 6, 8, 3, ELEMENT_F32);
  assert_int_equal(decoder_conv2d_plan(conv, a, fewer, 1, false, &plan), STATUS_BAD_SHAPE);
  const DecoderConv2d wide = {.a_channels = 7, .out_channels = 5};
  CHECK_FAILS(STATUS_BAD_SHAPE, "weights are for 7",
              decoder_conv2d_plan(wide, a, (Shape){0}, 1, false, &plan));
}

/* One pixel 1 becomes four; each output sums the weights that see them: rows 1-2 of the kernel in
 * the upper row, rows 0-1 in the lower, columns alike. The skip's channel adds its own. */
static void the_enlarged_image_is_convolved_with_the_skip(void **state)
{
  const float a[1] = {1}, skip[4] = {0, 0, 0, 1};
  const float weight[18] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 0, 0, 0, 0, 1000, 500, 0, 250, 125};
  const float y[4] = {16 + 32 + 128 + 256 + 125, 8 + 16 + 64 + 128 + 250, 2 + 4 + 16 + 32 + 500,
                      1 + 2 + 8 + 16 + 1000};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Input in = {.conv = {.a_channels = 1, .skip_channels = 1, .out_channels = 1},
                      .a = image_shape(1, 1, 1, 1, ELEMENT_F32),
                      .values = a,
                      .skip = skip,
                      .weight = weight};
    expect_floats((Expectation){on, ELEMENT_F32, "y", 0}, 4, run(room, on, &in).y, y);
    room_close(room);
  }
}

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

/* Linear in each input, so differences are exact. */
static void expect_slopes(const TestBackend *on, const Input *in, const char *what, int64_t count,
                          float *values, const float *gradient, float before)
{
  for (int64_t i = 0; i < count; ++i) {
    const float centre = values[i];
    Room *room = room_open(on);
    values[i] = centre + 0.25F;
    const double above = loss(room, on, *in);
    values[i] = centre - 0.25F;
    const double below = loss(room, on, *in);
    values[i] = centre;
    room_close(room);
    expect_doubles((Expectation){on, ELEMENT_F32, what, 0}, 1, gradient + i,
                   &(double){(double)before + (above - below) / 0.5});
  }
}

static void gradients_are_the_slopes_of_forward(void **state)
{
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    float *a = room_eighths(room, "a", 2 * 3 * 2);
    float *skip = room_eighths(room, "skip", 4 * 6);
    float *weight = room_eighths(room, "weight", 2 * 3 * 9);
    float *bias = room_eighths(room, "bias", 2);
    const Input in = {
        .conv = {.a_channels = 2, .skip_channels = 1, .out_channels = 2, .bias = true},
        .a = image_shape(1, 2, 3, 2, ELEMENT_F32),
        .values = a,
        .skip = skip,
        .weight = weight,
        .bias = bias,
        .dy = room_eighths(room, "dy", 4 * 6 * 2)};
    const Output out = run(room, on, &in);
    expect_slopes(on, &in, "da", 12, a, out.da, 0);
    expect_slopes(on, &in, "dskip", 24, skip, out.dskip, 0);
    expect_slopes(on, &in, "dweight", 54, weight, out.dweight, dweight_before);
    expect_slopes(on, &in, "dbias", 2, bias, out.dbias, dbias_before);
    room_close(room);
  }
}

static Input formula_input(Room *room, const Golden *golden, int i, Element element)
{
  const GoldenTensor *row = golden_find(golden, "case%d", i);
  int32_t v[7];
  for (int k = 0; k < 7; ++k)
    v[k] = (int32_t)golden_value(row, k);
  const DecoderConv2d conv = {
      .a_channels = v[3], .skip_channels = v[4], .out_channels = v[5], .bias = v[6] != 0};
  Input in = {.conv = conv, .a = image_shape(v[0], v[1], v[2], v[3], element)};
  in.values = room_formula(room, room_name(room, "decode%d.a", i), shape_elements(in.a));
  in.skip =
      room_formula(room, room_name(room, "decode%d.skip", i), shape_elements(skip_shape(&in)));
  in.weight = room_formula(room, room_name(room, "decode%d.weight", i), weight_count_of(conv));
  in.bias = room_formula(room, room_name(room, "decode%d.bias", i), conv.out_channels);
  in.dy = room_formula(room, room_name(room, "decode%d.dy", i),
                       golden_find(golden, "decode%d.y", i)->count);
  return in;
}

/* bfloat16: the sums of up to four weights are rounded as well as the weights. */
static void values_are_those_of_pytorch(void **state)
{
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Golden *golden = golden_open("op_decoder_conv2d.txt");
    for (int i = 0; i < 3; ++i) {
      Room *room = room_open(on);
      const Input in = formula_input(room, golden, i, element);
      const Output out = run(room, on, &in);
      const Expectation e = {
          .on = on, .element = element, .tolerance = element == ELEMENT_F32 ? 1e-6 : 0x1p-7};
      expect_golden(e, golden_find(golden, "decode%d.y", i), out.y, 0);
      expect_golden(e, golden_find(golden, "decode%d.da", i), out.da, 0);
      if (in.conv.skip_channels > 0)
        expect_golden(e, golden_find(golden, "decode%d.dskip", i), out.dskip, 0);
      expect_golden(e, golden_find(golden, "decode%d.dweight", i), out.dweight, dweight_before);
      if (in.conv.bias)
        expect_golden(e, golden_find(golden, "decode%d.dbias", i), out.dbias, dbias_before);
      room_close(room);
    }
    golden_close(golden);
  }
}

typedef struct Case {
  int32_t n, h, w, a, skip, out;
} Case;

static const Case cases[] = {
    {1, 1, 1, 1, 1, 1},  {2, 3, 5, 8, 8, 16},  {1, 4, 3, 64, 17, 8}, {2, 5, 4, 16, 0, 5},
    {1, 7, 1, 3, 64, 3}, {3, 2, 2, 17, 5, 17}, {1, 9, 8, 32, 16, 2}, {2, 5, 3, 16, 32, 48},
};

static Input eighths_input(Room *room, Case row, Element element, bool backward)
{
  Input in = {.conv = {.a_channels = row.a, .skip_channels = row.skip, .out_channels = row.out},
              .a = image_shape(row.n, row.h, row.w, row.a, element)};
  in.values = room_eighths(room, "a", shape_elements(in.a));
  in.skip = room_eighths(room, "skip", shape_elements(skip_shape(&in)));
  in.weight = room_eighths(room, "weight", weight_count_of(in.conv));
  in.bias = room_eighths(room, "bias", row.out);
  if (backward) in.dy = room_eighths(room, "dy", 4 * shape_pixels(in.a) * (int64_t)row.out);
  return in;
}

static void expect_same(const TestBackend *on, const Input *in, const Output *got,
                        const Output *expected)
{
  const bool is_half = in->a.element == ELEMENT_BF16;
  /* On a GPU each of the four parts of da is rounded before they are added. */
  const bool parts = strcmp(on->name, "cuda") == 0;
  const double da_tolerance = is_half && (parts || in->write_da == WRITE_ADD)
                                  ? 0x1p-7 * largest_float(got->a_count, expected->da)
                                  : 0;
  const double dskip_tolerance = is_half && in->write_dskip == WRITE_ADD
                                     ? 0x1p-7 * largest_float(got->skip_count, expected->dskip)
                                     : 0;
  const Element e = in->a.element;
  const double y_tolerance = is_half ? 0x1p-7 * largest_float(got->y_count, expected->y) : 0;
  expect_floats((Expectation){on, e, "y", y_tolerance}, got->y_count, got->y, expected->y);
  expect_floats((Expectation){on, e, "da", da_tolerance}, got->a_count, got->da, expected->da);
  expect_floats((Expectation){on, e, "dskip", dskip_tolerance}, got->skip_count, got->dskip,
                expected->dskip);
  const double dweight_tolerance =
      rounding_of_dweight(on, e, largest_float(got->weight_count, expected->dweight));
  expect_floats((Expectation){on, e, "dweight", dweight_tolerance}, got->weight_count, got->dweight,
                expected->dweight);
  expect_floats((Expectation){on, e, "dbias", 0}, in->conv.bias ? in->conv.out_channels : 0,
                got->dbias, expected->dbias);
}

/* Exact, as in conv2d_test.c: sums of four eighths still fit bfloat16. But a's part and the skip's
 * may be rounded to bfloat16 one after the other. */
static void gradients_and_outputs_are_those_of_plain_loops(void **state)
{
  FOR_EACH_TWIN(on)
  FOR_EACH_ELEMENT(element)
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i)
    for (int writes = 1; writes < 3; ++writes) {
      Room *truth = room_open(backends_naive());
      Room *room = room_open(on);
      Input in = eighths_input(room, cases[i], element, true);
      in.write_da = writes & 1 ? WRITE_ADD : WRITE_SET;
      in.write_dskip = writes & 2 ? WRITE_ADD : WRITE_SET;
      in.conv.bias = i % 2 == 0;
      const Output expected = run(truth, backends_naive(), &in);
      const Output got = run(room, on, &in);
      expect_same(on, &in, &got, &expected);
      room_close(room);
      room_close(truth);
    }
}

static void fused_outputs_are_those_of_plain_loops(void **state)
{
  FOR_EACH_TWIN(on)
  FOR_EACH_ELEMENT(element)
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i)
    for (int flags = 0; flags < 4; ++flags) {
      Room *truth = room_open(backends_naive());
      Room *room = room_open(on);
      Input in = eighths_input(room, cases[i], element, false);
      in.conv.bias = (flags & 1) != 0;
      in.conv.relu = (flags & 2) != 0;
      const Output expected = run(truth, backends_naive(), &in);
      const Output got = run(room, on, &in);
      const char *what = room_name(room, "case %d, flags %d: y", (int)i, flags);
      /* A skip of 32 channels saves products, which costs float32 a rounding. */
      const double share = element == ELEMENT_BF16           ? 0x1p-7
                           : in.conv.skip_channels % 32 == 0 ? 1e-5
                                                             : 0;
      const double tolerance = share * largest_float(got.y_count, expected.y);
      expect_floats((Expectation){on, element, what, tolerance}, got.y_count, got.y, expected.y);
      room_close(room);
      room_close(truth);
    }
}

static void a_nan_reaches_the_windows_that_touch_it(void **state)
{
  const float a[3] = {NAN, 0, 1};
  const float weight[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
  const float y[12] = {NAN, NAN, NAN, 2, 4, 4, NAN, NAN, NAN, 2, 4, 4};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Room *room = room_open(on);
    const Input in = {.conv = {.a_channels = 1, .out_channels = 1},
                      .a = image_shape(1, 1, 3, 1, element),
                      .values = a,
                      .weight = weight};
    expect_floats((Expectation){on, element, "y", 0}, 12, run(room, on, &in).y, y);
    room_close(room);
  }
}

/* Without and with a skip, and with one whose products are saved. */
static void relu_keeps_a_nan(void **state)
{
  FOR_EACH_TWIN(on)
  FOR_EACH_ELEMENT(element)
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
    Room *truth = room_open(backends_naive());
    Room *room = room_open(on);
    Input in = eighths_input(room, cases[i], element, false);
    float *a = room_eighths(room, "a", shape_elements(in.a));
    a[shape_elements(in.a) / 2] = NAN;
    in.values = a;
    in.conv.bias = in.conv.relu = true;
    const Output expected = run(truth, backends_naive(), &in);
    const Output got = run(room, on, &in);
    for (int64_t k = 0; k < got.y_count; ++k)
      if (isnan(expected.y[k]) != isnan(got.y[k]))
        fail_msg("case %d: output %d is %g instead of %g", (int)i, (int)k, (double)got.y[k],
                 (double)expected.y[k]);
    room_close(room);
    room_close(truth);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plan_doubles_the_sides),
      cmocka_unit_test(plan_refuses_what_does_not_fit),
      cmocka_unit_test(the_enlarged_image_is_convolved_with_the_skip),
      cmocka_unit_test(gradients_are_the_slopes_of_forward),
      cmocka_unit_test(values_are_those_of_pytorch),
      cmocka_unit_test(gradients_and_outputs_are_those_of_plain_loops),
      cmocka_unit_test(fused_outputs_are_those_of_plain_loops),
      cmocka_unit_test(a_nan_reaches_the_windows_that_touch_it),
      cmocka_unit_test(relu_keeps_a_nan),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
