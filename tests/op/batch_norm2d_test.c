#include <math.h>

#include "support/backends.h"

typedef struct Input {
  BatchNorm2d norm;
  Shape x;
  const float *values, *add, *weight, *bias, *running_mean, *running_var;
  const float *dy; /* NULL: forward only */
  Write write_dadd;
  int rank_count; /* above 1: the images are shared out, and so are the statistics */
} Input;

static const float dadd_before = 1.0F, dweight_before = 0.5F, dbias_before = 0.25F;

typedef struct Output {
  int64_t count;
  float *y, *running_mean, *running_var, *dx, *dadd, *dweight, *dbias;
} Output;

/* One rank's part. */
typedef struct Part {
  BatchNorm2dKernel *kernel;
  BatchNorm2dParameters parameters;
  TestImage x, add, y, dy, dx, dadd;
  void *saved, *scratch;
  float *running_mean, *running_var, *dweight, *dbias, *sums;
} Part;

/* Parameters of all channels in memory: the padded ones have weight 1, bias 0 and statistics 0, 1.
 */
static float *padded(Room *room, const float *from, int32_t channels, int32_t in_memory, float rest)
{
  float *numbers = room_equal(room, in_memory, rest);
  memcpy(numbers, from, (size_t)channels * sizeof *from);
  return room_upload_floats(room, numbers, in_memory);
}

static Shape part_shape(const Input *in)
{
  Shape shape = in->x;
  shape.images = in->x.images / in->rank_count;
  return shape;
}

static Part part_open(Room *room, const TestBackend *on, const Input *in, int rank)
{
  const Shape shape = part_shape(in);
  const int64_t offset = rank * shape_elements(shape);
  const int32_t channels = in->x.channels;
  Part part = {.x = room_image(room, shape, in->values + offset),
               .y = room_image(room, shape, NULL)};
  const int32_t in_memory = part.x.shape.channels;
  if (in->norm.add) part.add = room_image(room, shape, in->add + offset);
  BatchNorm2dPlan plan;
  OpBytes bytes = {0};
  CHECK_OK(batch_norm2d_plan(in->norm, part.x.shape, &plan));
  CHECK_OK(on->ops->batch_norm2d_open(on->device, &plan, &part.kernel, &bytes));
  part.saved = room_device(room, bytes.saved);
  part.scratch = room_device(room, bytes.scratch);
  part.sums = room_device(room, 2 * (size_t)channels * sizeof(float));
  part.running_mean = padded(room, in->running_mean, channels, in_memory, 0);
  part.running_var = padded(room, in->running_var, channels, in_memory, 1);
  part.dweight = room_upload_floats(room, room_equal(room, in_memory, dweight_before), in_memory);
  part.dbias = room_upload_floats(room, room_equal(room, in_memory, dbias_before), in_memory);
  part.parameters =
      (BatchNorm2dParameters){.weight = padded(room, in->weight, channels, in_memory, 1),
                              .bias = padded(room, in->bias, channels, in_memory, 0),
                              .running_mean = part.running_mean,
                              .running_var = part.running_var};
  if (in->dy == NULL) return part;
  part.dy = room_image(room, shape, in->dy + offset);
  part.dx = room_image(room, shape, NULL);
  if (in->norm.add)
    part.dadd = room_image(
        room, shape,
        in->write_dadd == WRITE_ADD ? room_equal(room, shape_elements(shape), dadd_before) : NULL);
  return part;
}

static void run_alone(const TestBackend *on, const Input *in, Part *p)
{
  on->ops->batch_norm2d_forward(p->kernel, p->parameters, p->x.memory, p->add.memory, p->y.memory,
                                p->saved, p->scratch);
  if (in->dy == NULL) return;
  on->ops->batch_norm2d_backward(p->kernel, p->parameters, p->x.memory, p->y.memory, p->dy.memory,
                                 p->saved, p->dx.memory, p->dadd.memory, in->write_dadd, p->dweight,
                                 p->dbias, p->scratch);
}

/* Adds up the sums of all parts and gives them to each, as ranks do. */
static void share_sums(Room *room, const TestBackend *on, const Input *in, Part *parts)
{
  const int32_t count = 2 * in->x.channels;
  float *total = room_numbers(room, count);
  for (int rank = 0; rank < in->rank_count; ++rank) {
    const float *sums = room_download_floats(room, parts[rank].sums, count);
    for (int32_t i = 0; i < count; ++i)
      total[i] += sums[i];
  }
  for (int rank = 0; rank < in->rank_count; ++rank)
    device_upload(on->device, parts[rank].sums, total, (size_t)count * sizeof *total);
}

static void run_together(Room *room, const TestBackend *on, const Input *in, Part *parts)
{
  const int64_t pixels = shape_pixels(in->x);
  for (Part *p = parts; p < parts + in->rank_count; ++p)
    on->ops->batch_norm2d_sums(p->kernel, p->parameters, p->x.memory, p->sums, p->scratch);
  share_sums(room, on, in, parts);
  for (Part *p = parts; p < parts + in->rank_count; ++p)
    on->ops->batch_norm2d_forward_from_sums(p->kernel, p->parameters, p->sums, pixels, p->x.memory,
                                            p->add.memory, p->y.memory, p->saved, p->scratch);
  if (in->dy == NULL) return;
  for (Part *p = parts; p < parts + in->rank_count; ++p)
    on->ops->batch_norm2d_backward_sums(p->kernel, p->x.memory, p->y.memory, p->dy.memory, p->saved,
                                        p->dweight, p->dbias, p->sums, p->scratch);
  share_sums(room, on, in, parts);
  for (Part *p = parts; p < parts + in->rank_count; ++p)
    on->ops->batch_norm2d_backward_from_sums(p->kernel, p->parameters, p->sums, pixels, p->x.memory,
                                             p->y.memory, p->dy.memory, p->saved, p->dx.memory,
                                             p->dadd.memory, in->write_dadd, p->scratch);
}

/* An image of all parts, one after the other. */
static void gather(Room *room, float *whole, TestImage part, int rank)
{
  const int64_t count = shape_pixels(part.shape) * part.channels;
  memcpy(whole + rank * count, room_numbers_of(room, part), (size_t)count * sizeof *whole);
}

static Output run(Room *room, const TestBackend *on, Input in)
{
  enum { RANKS_MOST = 4 };
  Part parts[RANKS_MOST];
  if (in.rank_count == 0) in.rank_count = 1;
  for (int rank = 0; rank < in.rank_count; ++rank)
    parts[rank] = part_open(room, on, &in, rank);
  if (in.rank_count == 1)
    run_alone(on, &in, parts);
  else
    run_together(room, on, &in, parts);

  const int32_t channels = in.x.channels;
  const int64_t count = shape_elements(in.x);
  Output out = {.count = count,
                .y = room_numbers(room, count),
                .dx = room_numbers(room, count),
                .dadd = room_numbers(room, count),
                .dweight = room_equal(room, channels, dweight_before),
                .dbias = room_equal(room, channels, dbias_before),
                .running_mean = room_download_floats(room, parts[0].running_mean, channels),
                .running_var = room_download_floats(room, parts[0].running_var, channels)};
  for (int rank = 0; rank < in.rank_count; ++rank) {
    const Part *p = parts + rank;
    gather(room, out.y, p->y, rank);
    const float *dweight = room_download_floats(room, p->dweight, channels);
    const float *dbias = room_download_floats(room, p->dbias, channels);
    for (int32_t c = 0; c < channels; ++c) {
      out.dweight[c] += dweight[c] - dweight_before;
      out.dbias[c] += dbias[c] - dbias_before;
    }
    if (in.dy != NULL) gather(room, out.dx, p->dx, rank);
    if (in.dy != NULL && in.norm.add) gather(room, out.dadd, p->dadd, rank);
    on->ops->batch_norm2d_close(p->kernel);
  }
  return out;
}

static void plan_refuses_one_value_per_channel_in_training(void **state)
{
  BatchNorm2dPlan plan;
  BatchNorm2d norm = {.channels = 4, .eps = 1e-5F, .momentum = 0.1F};
  const Shape one = image_shape(1, 1, 1, 4, ELEMENT_F32);
  CHECK_FAILS(STATUS_BAD_SHAPE, "one value per channel", batch_norm2d_plan(norm, one, &plan));
  norm.frozen = true;
  CHECK_OK(batch_norm2d_plan(norm, one, &plan));
  norm.channels = 5;
  CHECK_FAILS(STATUS_BAD_SHAPE, "5 channels in an image of 4", batch_norm2d_plan(norm, one, &plan));
  norm.channels = 0;
  assert_int_equal(batch_norm2d_plan(norm, one, &plan), STATUS_BAD_SHAPE);
}

/* x = 1 and 3: mean 2, biased variance 1, unbiased 2. eps 0 and momentum 1/2 keep all exact. */
static void training_takes_the_statistics_of_the_batch(void **state)
{
  const float x[2] = {1, 3}, weight[1] = {2}, bias[1] = {1}, mean[1] = {4}, var[1] = {8};
  const float y[2] = {-1, 3};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Room *room = room_open(on);
    const Input in = {.norm = {.channels = 1, .momentum = 0.5F},
                      .x = image_shape(1, 1, 2, 1, element),
                      .values = x,
                      .weight = weight,
                      .bias = bias,
                      .running_mean = mean,
                      .running_var = var};
    const Output out = run(room, on, in);
    expect_floats((Expectation){on, element, "y", 0}, 2, out.y, y);
    assert_true(out.running_mean[0] == 3.0F); /* half of 4 and of 2 */
    assert_true(out.running_var[0] == 5.0F);  /* half of 8 and of the unbiased 2 */
    room_close(room);
  }
}

static void frozen_uses_the_running_statistics_and_learns_nothing(void **state)
{
  const float x[2] = {1, 3}, weight[1] = {3}, bias[1] = {1}, mean[1] = {2}, var[1] = {4};
  const float add[2] = {0.5F, -10};
  const float y[2] = {0, 0}, open_y[2] = {0, -7.5F}, dy[2] = {1, 1};
  FOR_EACH_BACKEND(on)
  for (int relu = 0; relu < 2; ++relu) {
    Room *room = room_open(on);
    const Input in = {
        .norm = {.channels = 1, .momentum = 0.5F, .frozen = true, .add = true, .relu = relu == 1},
        .x = image_shape(1, 1, 2, 1, ELEMENT_F32),
        .values = x,
        .add = add,
        .weight = weight,
        .bias = bias,
        .running_mean = mean,
        .running_var = var,
        .dy = dy};
    const Output out = run(room, on, in);
    expect_floats((Expectation){on, ELEMENT_F32, "y", 0}, 2, out.y, relu ? y : open_y);
    /* y[0] is 1 - 1.5 + 0.5 = 0, where relu has the slope 0 */
    expect_floats((Expectation){on, ELEMENT_F32, "dx", 0}, 2, out.dx,
                  relu ? (float[]){0, 0} : (float[]){1.5F, 1.5F});
    expect_floats((Expectation){on, ELEMENT_F32, "dadd", 0}, 2, out.dadd,
                  relu ? (float[]){0, 0} : dy);
    assert_true(out.running_mean[0] == 2.0F && out.running_var[0] == 4.0F);
    assert_true(out.dweight[0] == dweight_before && out.dbias[0] == dbias_before);
    room_close(room);
  }
}

static void a_nan_spreads_to_its_channel_only_in_training(void **state)
{
  const float x[6] = {NAN, 1, 2, 3, 4, 7}; /* 3 pixels of 2 channels */
  const float ones[2] = {1, 1}, zeros[2] = {0, 0};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  for (int frozen = 0; frozen < 2; ++frozen) {
    Room *room = room_open(on);
    const Input in = {.norm = {.channels = 2, .momentum = 0.5F, .frozen = frozen == 1},
                      .x = image_shape(1, 1, 3, 2, element),
                      .values = x,
                      .weight = ones,
                      .bias = zeros,
                      .running_mean = zeros,
                      .running_var = ones};
    const Output out = run(room, on, in);
    for (int i = 0; i < 6; ++i)
      if (isnan(out.y[i]) != (i == 0 || (frozen == 0 && i % 2 == 0)))
        fail_msg("%s, %s, frozen %d: y[%d] is %g", on->name, element_name(element), frozen, i,
                 (double)out.y[i]);
    room_close(room);
  }
}

static Input golden_input(Room *room, const Golden *golden, int i, Element element)
{
  const GoldenTensor *row = golden_find(golden, "case%d", i);
  int32_t v[7];
  for (int k = 0; k < 7; ++k)
    v[k] = (int32_t)golden_value(row, k);
  const Shape x = image_shape(v[0], v[1], v[2], v[3], element);
  const int64_t count = shape_elements(x);
  float *variance = room_formula(room, room_name(room, "norm%d.running_var", i), x.channels);
  for (int32_t c = 0; c < x.channels; ++c)
    variance[c] += 1.5F;
  return (Input){.norm = {.channels = x.channels,
                          .eps = 1e-5F,
                          .momentum = 0.1F,
                          .frozen = v[4] != 0,
                          .add = v[5] != 0,
                          .relu = v[6] != 0},
                 .x = x,
                 .values = room_formula(room, room_name(room, "norm%d.x", i), count),
                 .add = room_formula(room, room_name(room, "norm%d.add", i), count),
                 .weight = room_formula(room, room_name(room, "norm%d.weight", i), x.channels),
                 .bias = room_formula(room, room_name(room, "norm%d.bias", i), x.channels),
                 .running_mean =
                     room_formula(room, room_name(room, "norm%d.running_mean", i), x.channels),
                 .running_var = variance,
                 .dy = room_formula(room, room_name(room, "norm%d.dy", i), count)};
}

static void values_are_those_of_pytorch(void **state)
{
  FOR_EACH_BACKEND(on)
  {
    Golden *golden = golden_open("op_batch_norm2d.txt");
    for (int i = 0; i < 5; ++i) {
      Room *room = room_open(on);
      const Input in = golden_input(room, golden, i, ELEMENT_F32);
      const Output out = run(room, on, in);
      const Expectation e = {.on = on, .element = ELEMENT_F32, .tolerance = 2e-6};
      expect_golden(e, golden_find(golden, "norm%d.y", i), out.y, 0);
      expect_golden(e, golden_find(golden, "norm%d.dx", i), out.dx, 0);
      if (in.norm.add) expect_golden(e, golden_find(golden, "norm%d.dadd", i), out.dadd, 0);
      if (!in.norm.frozen) {
        expect_golden(e, golden_find(golden, "norm%d.dweight", i), out.dweight, dweight_before);
        expect_golden(e, golden_find(golden, "norm%d.dbias", i), out.dbias, dbias_before);
        expect_golden(e, golden_find(golden, "norm%d.running_mean", i), out.running_mean, 0);
        expect_golden(e, golden_find(golden, "norm%d.running_var", i), out.running_var, 0);
      }
      room_close(room);
    }
    golden_close(golden);
  }
}

typedef struct Case {
  int32_t n, h, w, c;
  bool frozen, add, relu;
} Case;

static const Case cases[] = {
    {1, 1, 2, 1, false, false, false},   {2, 5, 7, 3, false, true, true},
    {2, 9, 11, 64, false, false, true},  {4, 3, 3, 17, false, true, false},
    {2, 13, 5, 16, true, false, true},   {4, 8, 8, 8, false, true, true},
    {1, 7, 9, 5, true, true, true},      {2, 2, 2, 512, false, false, true},
    {2, 25, 24, 260, false, true, true}, /* several blocks of channels, many slices of pixels */
};
enum { CASE_COUNT = sizeof cases / sizeof cases[0] };

static Input case_input(Room *room, Case row, Element element)
{
  const Shape x = image_shape(row.n, row.h, row.w, row.c, element);
  const int64_t count = shape_elements(x);
  float *variance = room_eighths(room, "var", row.c);
  for (int32_t c = 0; c < row.c; ++c)
    variance[c] += 1.5F;
  return (Input){.norm = {.channels = row.c,
                          .eps = 1e-5F,
                          .momentum = 0.1F,
                          .frozen = row.frozen,
                          .add = row.add,
                          .relu = row.relu},
                 .x = x,
                 .values = room_eighths(room, "x", count),
                 .add = room_eighths(room, "add", count),
                 .weight = room_formula(room, "weight", row.c),
                 .bias = room_formula(room, "bias", row.c),
                 .running_mean = room_formula(room, "mean", row.c),
                 .running_var = variance,
                 .dy = room_eighths(room, "dy", count)};
}

/* share: of the largest value. */
static void expect_same(const TestBackend *on, const Input *in, const Output *got,
                        const Output *expected, double share, double sums_share)
{
  Expectation e = {.on = on, .element = in->x.element};
  const int32_t channels = in->x.channels;
  e.what = "y";
  e.tolerance = share * largest_float(got->count, expected->y);
  expect_floats(e, got->count, got->y, expected->y);
  e.what = "dx"; /* a difference of terms as large as dy, or larger */
  e.tolerance = share * (1.0 + largest_float(got->count, expected->dx));
  expect_floats(e, got->count, got->dx, expected->dx);
  e.what = "dadd";
  e.tolerance = share * largest_float(got->count, expected->dadd);
  expect_floats(e, got->count, got->dadd, expected->dadd);
  e.what = "dweight";
  e.tolerance = sums_share * (1.0 + largest_float(channels, expected->dweight));
  expect_floats(e, channels, got->dweight, expected->dweight);
  e.what = "dbias";
  e.tolerance = sums_share * (1.0 + largest_float(channels, expected->dbias));
  expect_floats(e, channels, got->dbias, expected->dbias);
  e.what = "running_mean";
  e.tolerance = 1e-6 * largest_float(channels, expected->running_mean);
  expect_floats(e, channels, got->running_mean, expected->running_mean);
  e.what = "running_var";
  e.tolerance = 1e-6 * largest_float(channels, expected->running_var);
  expect_floats(e, channels, got->running_var, expected->running_var);
}

/* Float32: rounding of the statistics. bfloat16: one unit of the last place, 2^-7 of a value. Sums
 * are in float32 of the same x and dy, whatever these are. */
static void values_are_those_of_plain_loops(void **state)
{
  FOR_EACH_TWIN(on)
  FOR_EACH_ELEMENT(element)
  for (int i = 0; i < CASE_COUNT; ++i)
    for (int write = WRITE_SET; write <= WRITE_ADD; ++write) {
      Room *truth = room_open(backends_naive());
      Room *room = room_open(on);
      Input in = case_input(room, cases[i], element);
      in.write_dadd = (Write)write;
      const Output expected = run(truth, backends_naive(), in);
      const Output got = run(room, on, in);
      expect_same(on, &in, &got, &expected, element == ELEMENT_F32 ? 2e-6 : 0x1p-7, 1e-5);
      room_close(room);
      room_close(truth);
    }
}

/* Two ranks, or four, share the images and the sums: outputs, statistics and the added gradients of
 * the parameters are those of one rank. */
static void ranks_that_share_sums_compute_what_one_does(void **state)
{
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  for (int i = 0; i < CASE_COUNT; ++i)
    for (int rank_count = 2; rank_count <= 4; rank_count += 2) {
      if (cases[i].n % rank_count != 0 || cases[i].frozen) continue;
      Room *truth = room_open(backends_naive());
      Room *room = room_open(on);
      Input in = case_input(room, cases[i], element);
      in.write_dadd = WRITE_ADD;
      const Output expected = run(truth, backends_naive(), in);
      in.rank_count = rank_count;
      const Output got = run(room, on, in);
      expect_same(on, &in, &got, &expected, element == ELEMENT_F32 ? 4e-6 : 0x1p-7, 1e-5);
      room_close(room);
      room_close(truth);
    }
}

/* x lies 64 deviations from 0; the running mean is near, as it is after the first steps. */
static void a_large_mean_costs_no_digits_once_the_running_mean_is_near(void **state)
{
  enum { COUNT = 4 * 16 * 16 };
  FOR_EACH_TWIN(on)
  {
    Room *truth = room_open(backends_naive());
    Room *room = room_open(on);
    float *x = room_eighths(room, "x", COUNT);
    for (int i = 0; i < COUNT; ++i)
      x[i] += 64.0F;
    const Input in = {.norm = {.channels = 1, .eps = 1e-5F, .momentum = 0.1F},
                      .x = image_shape(4, 16, 16, 1, ELEMENT_F32),
                      .values = x,
                      .weight = (float[]){1},
                      .bias = (float[]){0},
                      .running_mean = (float[]){63.5F},
                      .running_var = (float[]){1}};
    const Output expected = run(truth, backends_naive(), in);
    const Output got = run(room, on, in);
    expect_floats((Expectation){on, ELEMENT_F32, "y", 1e-4}, COUNT, got.y, expected.y);
    room_close(room);
    room_close(truth);
  }
}

static double loss(const TestBackend *on, Input in)
{
  const float *dy = in.dy;
  in.dy = NULL;
  Room *room = room_open(on);
  const Output out = run(room, on, in);
  double sum = 0.0;
  for (int64_t i = 0; i < out.count; ++i)
    sum += (double)dy[i] * (double)out.y[i];
  room_close(room);
  return sum;
}

/* Third-order terms of a step of 1/64 and float32's rounding over it: about 1e-3 together. */
static void expect_slopes(const TestBackend *on, const Input *in, const char *what, int64_t count,
                          float *values, const float *gradient, float before)
{
  const float step = 0x1p-6F;
  for (int64_t i = 0; i < count; ++i) {
    const float centre = values[i];
    values[i] = centre + step;
    const double above = loss(on, *in);
    values[i] = centre - step;
    const double below = loss(on, *in);
    values[i] = centre;
    const double slope = (above - below) / (2.0 * (double)step);
    expect_doubles((Expectation){on, ELEMENT_F32, what, 3e-3}, 1, gradient + i,
                   &(double){(double)before + slope});
  }
}

static void gradients_are_the_slopes_of_forward(void **state)
{
  enum { PIXELS = 12, CHANNELS = 2, COUNT = PIXELS * CHANNELS };
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    float *x = room_formula(room, "x", COUNT);
    float *add = room_formula(room, "add", COUNT);
    float weight[CHANNELS] = {0.5F, -0.75F}, bias[CHANNELS] = {0.25F, -0.25F};
    const Input in = {.norm = {.channels = CHANNELS, .eps = 1e-5F, .momentum = 0.1F, .add = true},
                      .x = image_shape(1, 3, 4, CHANNELS, ELEMENT_F32),
                      .values = x,
                      .add = add,
                      .weight = weight,
                      .bias = bias,
                      .running_mean = (float[CHANNELS]){0, 0},
                      .running_var = (float[CHANNELS]){1, 1},
                      .dy = room_formula(room, "dy", COUNT)};
    const Output out = run(room, on, in);
    expect_slopes(on, &in, "dx", COUNT, x, out.dx, 0);
    expect_slopes(on, &in, "dadd", COUNT, add, out.dadd, 0);
    expect_slopes(on, &in, "dweight", CHANNELS, weight, out.dweight, dweight_before);
    expect_slopes(on, &in, "dbias", CHANNELS, bias, out.dbias, dbias_before);
    room_close(room);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plan_refuses_one_value_per_channel_in_training),
      cmocka_unit_test(training_takes_the_statistics_of_the_batch),
      cmocka_unit_test(frozen_uses_the_running_statistics_and_learns_nothing),
      cmocka_unit_test(a_nan_spreads_to_its_channel_only_in_training),
      cmocka_unit_test(values_are_those_of_pytorch),
      cmocka_unit_test(values_are_those_of_plain_loops),
      cmocka_unit_test(ranks_that_share_sums_compute_what_one_does),
      cmocka_unit_test(a_large_mean_costs_no_digits_once_the_running_mean_is_near),
      cmocka_unit_test(gradients_are_the_slopes_of_forward),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
