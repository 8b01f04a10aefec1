#include <math.h>

#include "support/backends.h"

typedef struct Input {
  SegmentationLoss loss;
  Shape logits; /* channels: the classes */
  const float *values, *class_weights;
  const uint8_t *labels;
  float scale;
  int rank_count; /* above 1: the images are shared out, and the sums added */
} Input;

typedef struct Output {
  double value;
  float *sums;
  float *dlogits;
} Output;

static Output run(Room *room, const TestBackend *on, Input in)
{
  enum { RANKS_MOST = 4 };
  const int64_t sums_count = segmentation_sums_count(in.loss.class_count);
  const int rank_count = in.rank_count == 0 ? 1 : in.rank_count;
  Shape part = in.logits;
  part.images = in.logits.images / rank_count;
  const float *weights = room_upload_floats(room, in.class_weights, in.loss.class_count);
  Output out = {.sums = room_numbers(room, sums_count),
                .dlogits = room_numbers(room, shape_elements(in.logits))};
  TestImage logits[RANKS_MOST];
  uint8_t *labels[RANKS_MOST];
  for (int rank = 0; rank < rank_count; ++rank) {
    const size_t pixels = (size_t)shape_pixels(part);
    logits[rank] = room_image(room, part, in.values + rank * shape_elements(part));
    labels[rank] = room_upload(room, in.labels + (size_t)rank * pixels, pixels);
    CHECK_OK(segmentation_loss_plan(in.loss, logits[rank].shape));
    float *sums = room_device(room, (size_t)sums_count * sizeof *sums);
    void *scratch =
        room_device(room, on->ops->segmentation_loss_scratch_bytes(in.loss, logits[rank].shape));
    on->ops->segmentation_loss_sums(on->device, in.loss, weights, logits[rank].shape,
                                    logits[rank].memory, labels[rank], sums, scratch);
    const float *here = room_download_floats(room, sums, sums_count);
    for (int64_t i = 0; i < sums_count; ++i)
      out.sums[i] += here[i];
  }
  const float *sums = room_upload_floats(room, out.sums, sums_count);
  for (int rank = 0; rank < rank_count; ++rank) {
    const TestImage dlogits = room_image(room, part, NULL);
    on->ops->segmentation_loss_backward(on->device, in.loss, weights, sums,
                                        scale_on(room, in.scale), dlogits.shape,
                                        logits[rank].memory, labels[rank], dlogits.memory);
    memcpy(out.dlogits + rank * shape_elements(part), room_numbers_of(room, dlogits),
           (size_t)shape_elements(part) * sizeof(float));
  }
  out.value = segmentation_loss_value(in.loss, out.sums);
  return out;
}

static void plan_refuses_what_makes_no_sense(void **state)
{
  const Shape logits = image_shape(1, 4, 4, 8, ELEMENT_F32);
  CHECK_OK(segmentation_loss_plan((SegmentationLoss){.class_count = 8}, logits));
  assert_int_equal(segmentation_loss_plan((SegmentationLoss){.class_count = 9}, logits),
                   STATUS_BAD_SHAPE);
  assert_int_equal(segmentation_loss_plan((SegmentationLoss){.class_count = 1}, logits),
                   STATUS_BAD_SHAPE);
  const Shape wide = image_shape(1, 1, 1, 256, ELEMENT_F32);
  CHECK_FAILS(STATUS_BAD_SHAPE, "255 classes",
              segmentation_loss_plan((SegmentationLoss){.class_count = 255}, wide));
  const SegmentationLoss bad[] = {{.class_count = 2, .focal_gamma = -1},
                                  {.class_count = 2, .focal_gamma = NAN},
                                  {.class_count = 2, .dice_fraction = 1.5F},
                                  {.class_count = 2, .dice_fraction = -0.5F}};
  for (int i = 0; i < 4; ++i)
    CHECK_FAILS(STATUS_BAD_OPTION, "focal gamma", segmentation_loss_plan(bad[i], logits));
}

/* Equal logits: p is 1/2 for both classes, log p is -log 2, and the gradient p - 1 or p over the
 * sum of weights. The pixel without a label changes nothing. */
static void equal_logits_give_log_two(void **state)
{
  const float logits[6] = {3, 3, 3, 3, 9, -9}, weights[2] = {1, 3};
  const uint8_t labels[3] = {0, 1, LABEL_IGNORE};
  const float dlogits[6] = {-0.5F / 4, 0.5F / 4, 1.5F / 4, -1.5F / 4, 0, 0};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Room *room = room_open(on);
    const Output out = run(room, on,
                           (Input){.loss = {.class_count = 2},
                                   .logits = image_shape(1, 1, 3, 2, element),
                                   .values = logits,
                                   .class_weights = weights,
                                   .labels = labels,
                                   .scale = 1});
    assert_true(fabs(out.value - log(2.0)) < 1e-7);
    expect_floats((Expectation){on, element, "dlogits", 0}, 6, out.dlogits, dlogits);
    room_close(room);
  }
}

/* Counts, and sums of probabilities that are 1/2, are exact. */
static void sums_are_laid_out_by_class(void **state)
{
  enum { PIXELS = 1000 };
  const float weights[2] = {0.5F, 2};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const float *logits = room_numbers(room, 2 * PIXELS);
    uint8_t *labels = room_host(room, PIXELS, 1);
    for (int i = 0; i < PIXELS; ++i)
      labels[i] = i < 300 ? 0 : i < 900 ? 1 : LABEL_IGNORE;
    const Output out = run(room, on,
                           (Input){.loss = {.class_count = 2, .dice_fraction = 1},
                                   .logits = image_shape(1, 10, 100, 2, ELEMENT_F32),
                                   .values = logits,
                                   .class_weights = weights,
                                   .labels = labels,
                                   .scale = 1});
    const float expected[7] = {150, 450, 300, 300, 450, 600, 0};
    expect_floats((Expectation){on, ELEMENT_F32, "weights", 0}, 1, out.sums + 1,
                  &(float){0.5F * 300 + 2 * 600});
    expect_floats((Expectation){on, ELEMENT_F32, "I, P, T", 0}, 6, out.sums + 2, expected);
    assert_true(fabs(out.value - (1 - 300.0 / 750 + 1 - 600.0 / 1050) / 2) < 1e-7);
    room_close(room);
  }
}

static void without_labels_loss_and_gradient_are_zero(void **state)
{
  const float logits[4] = {1, 2, 3, 4}, weights[2] = {1, 1};
  const uint8_t labels[2] = {LABEL_IGNORE, LABEL_IGNORE};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Room *room = room_open(on);
    const Output out =
        run(room, on,
            (Input){.loss = {.class_count = 2, .dice_fraction = 0.5F, .focal_gamma = 2},
                    .logits = image_shape(1, 1, 2, 2, element),
                    .values = logits,
                    .class_weights = weights,
                    .labels = labels,
                    .scale = 1});
    assert_true(out.value == 0.0);
    expect_floats((Expectation){on, element, "dlogits", 0}, 4, out.dlogits, (float[]){0, 0, 0, 0});
    room_close(room);
  }
}

static void a_nan_reaches_the_loss_unless_its_pixel_is_ignored(void **state)
{
  const float weights[2] = {1, 1};
  const float nan_first[4] = {NAN, 2, 3, 4}, nan_second[4] = {2, NAN, 3, 4};
  FOR_EACH_BACKEND(on)
  for (int i = 0; i < 4; ++i) {
    const uint8_t labels[2] = {i < 2 ? 0 : LABEL_IGNORE, 1};
    Room *room = room_open(on);
    const Output out = run(room, on,
                           (Input){.loss = {.class_count = 2, .dice_fraction = 0.5F},
                                   .logits = image_shape(1, 1, 2, 2, ELEMENT_F32),
                                   .values = i % 2 == 0 ? nan_first : nan_second,
                                   .class_weights = weights,
                                   .labels = labels,
                                   .scale = 1});
    if (isnan(out.value) != (i < 2)) fail_msg("%s: case %d: %g", on->name, i, out.value);
    room_close(room);
  }
}

static void large_logits_stay_finite(void **state)
{
  const float logits[4] = {1000, -1000, -1000, 1000}, weights[2] = {1, 1};
  const uint8_t labels[2] = {0, 0};
  FOR_EACH_TWIN(on)
  {
    Room *room = room_open(on);
    Input in = {.loss = {.class_count = 2},
                .logits = image_shape(1, 1, 2, 2, ELEMENT_F32),
                .values = logits,
                .class_weights = weights,
                .labels = labels,
                .scale = 1};
    const Output out = run(room, on, in);
    assert_true(out.value == 1000.0); /* the mean of 0 and 2000 */
    expect_floats((Expectation){on, ELEMENT_F32, "dlogits", 0}, 4, out.dlogits,
                  (float[]){0, 0, -0.5F, 0.5F});
    in.loss.focal_gamma = 0.5F; /* (1 - p)^(gamma - 1) has a pole where p is 1 */
    const Output focal = run(room, on, in);
    for (int i = 0; i < 4; ++i)
      assert_true(isfinite(focal.dlogits[i]));
    room_close(room);
  }
}

static Input formula_input(Room *room, const char *name, Shape logits, uint32_t most,
                           SegmentationLoss loss)
{
  const int64_t count = shape_elements(logits);
  float *values = room_formula(room, room_name(room, "%s.logits", name), count);
  float *weights = room_formula(room, room_name(room, "%s.weights", name), loss.class_count);
  for (int64_t i = 0; i < count; ++i)
    values[i] *= 3.0F;
  for (int32_t c = 0; c < loss.class_count; ++c)
    weights[c] += 1.5F;
  const uint32_t label_seed = formula_seed(room_name(room, "%s.labels", name));
  const uint32_t ignored_seed = formula_seed(room_name(room, "%s.ignored", name));
  uint8_t *labels = room_host(room, shape_pixels(logits), 1);
  for (uint32_t i = 0; i < (uint32_t)shape_pixels(logits); ++i)
    labels[i] = formula_bits(ignored_seed, i) % 5U == 0
                    ? LABEL_IGNORE
                    : (uint8_t)(formula_bits(label_seed, i) % most);
  return (Input){.loss = loss,
                 .logits = logits,
                 .values = values,
                 .class_weights = weights,
                 .labels = labels,
                 .scale = 1};
}

static void values_are_those_of_pytorch(void **state)
{
  FOR_EACH_BACKEND(on)
  {
    Golden *golden = golden_open("op_segmentation_loss.txt");
    for (int i = 0; i < 8; ++i) {
      const GoldenTensor *row = golden_find(golden, "case%d", i);
      const Shape logits =
          image_shape((int32_t)row->values[0], (int32_t)row->values[1], (int32_t)row->values[2],
                      (int32_t)row->values[3], ELEMENT_F32);
      const SegmentationLoss loss = {.class_count = logits.channels,
                                     .focal_gamma = (float)row->values[5],
                                     .dice_fraction = (float)row->values[6]};
      Room *room = room_open(on);
      const Output out = run(room, on,
                             formula_input(room, room_name(room, "loss%d", i), logits,
                                           (uint32_t)row->values[4], loss));
      const double expected = golden_value(golden_find(golden, "loss%d.value", i), 0);
      if (fabs(out.value - expected) > 1e-6 * expected)
        fail_msg("%s: loss %d is %.9g, expected %.9g", on->name, i, out.value, expected);
      expect_golden((Expectation){.on = on, .element = ELEMENT_F32, .tolerance = 2e-6},
                    golden_find(golden, "loss%d.dlogits", i), out.dlogits, 0);
      room_close(room);
    }
    golden_close(golden);
  }
}

typedef struct Case {
  int32_t n, h, w, classes;
  uint32_t most;
  float gamma, fraction;
} Case;

static const Case cases[] = {
    {1, 1, 1, 2, 2, 0, 0},      {4, 7, 9, 3, 3, 0, 0},      {4, 5, 5, 17, 17, 2, 0.5F},
    {2, 33, 17, 5, 4, 0.5F, 1}, {4, 3, 4, 64, 8, 0, 0.25F}, {2, 64, 65, 2, 2, 1, 0.5F},
    {1, 9, 8, 254, 254, 0, 0},
};
enum { CASE_COUNT = sizeof cases / sizeof cases[0] };

static Input case_input(Room *room, Case row, Element element)
{
  const SegmentationLoss loss = {
      .class_count = row.classes, .focal_gamma = row.gamma, .dice_fraction = row.fraction};
  Input in = formula_input(room, "random", image_shape(row.n, row.h, row.w, row.classes, element),
                           row.most, loss);
  in.scale = 0.25F;
  return in;
}

/* Float32: a softmax over up to 254 classes is a sum of as many roundings. bfloat16: a gradient is
 * rounded to 2^-8 of itself. */
static void expect_same(const TestBackend *on, const Input *in, const Output *got,
                        const Output *expected)
{
  const int64_t sums_count = segmentation_sums_count(in->loss.class_count);
  const int64_t count = shape_elements(in->logits);
  const double share = in->logits.element == ELEMENT_F32 ? 2e-5 : 0x1p-7;
  Expectation e = {.on = on, .element = in->logits.element};
  e.what = "sums";
  e.tolerance = 2e-6 * largest_float(sums_count, expected->sums);
  expect_floats(e, sums_count, got->sums, expected->sums);
  e.what = "dlogits";
  e.tolerance = share * largest_float(count, expected->dlogits);
  expect_floats(e, count, got->dlogits, expected->dlogits);
}

static void values_are_those_of_plain_loops(void **state)
{
  FOR_EACH_TWIN(on)
  FOR_EACH_ELEMENT(element)
  for (int i = 0; i < CASE_COUNT; ++i) {
    Room *truth = room_open(backends_naive());
    Room *room = room_open(on);
    const Input in = case_input(room, cases[i], element);
    const Output expected = run(truth, backends_naive(), in);
    const Output got = run(room, on, in);
    expect_same(on, &in, &got, &expected);
    room_close(room);
    room_close(truth);
  }
}

static void ranks_that_add_their_sums_compute_what_one_does(void **state)
{
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  for (int i = 0; i < CASE_COUNT; ++i)
    for (int rank_count = 2; rank_count <= 4; rank_count += 2) {
      if (cases[i].n % rank_count != 0) continue;
      Room *truth = room_open(backends_naive());
      Room *room = room_open(on);
      Input in = case_input(room, cases[i], element);
      const Output expected = run(truth, backends_naive(), in);
      in.rank_count = rank_count;
      const Output got = run(room, on, in);
      expect_same(on, &in, &got, &expected);
      room_close(room);
      room_close(truth);
    }
}

static void sums_are_the_same_bits_each_time(void **state)
{
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Input in = case_input(room, cases[5], ELEMENT_F32);
    const Output first = run(room, on, in), second = run(room, on, in);
    assert_true(memcmp(first.sums, second.sums,
                       sizeof(float) * (size_t)segmentation_sums_count(in.loss.class_count)) == 0);
    room_close(room);
  }
}

/* Of the loss from its float32 sums: a step of 1/32 leaves about 1e-3 of the largest slope. */
static void gradients_are_the_slopes_of_the_loss(void **state)
{
  static const SegmentationLoss losses[] = {{3, 0, 0}, {3, 2, 0}, {3, 0, 1}, {3, 1.5F, 0.5F}};
  const float step = 0x1p-5F;
  FOR_EACH_BACKEND(on)
  for (int k = 0; k < 4; ++k) {
    Room *room = room_open(on);
    const Shape logits = image_shape(1, 3, 3, 3, ELEMENT_F32);
    const Input in = formula_input(room, "slopes", logits, 3, losses[k]);
    float *values = (float *)in.values;
    const Output out = run(room, on, in);
    const double tolerance = 4e-3 * largest_float(27, out.dlogits);
    for (int i = 0; i < 27; ++i) {
      Room *inner = room_open(on);
      const float centre = values[i];
      values[i] = centre + step;
      const double above = run(inner, on, in).value;
      values[i] = centre - step;
      const double below = run(inner, on, in).value;
      values[i] = centre;
      expect_doubles((Expectation){on, ELEMENT_F32, "dlogits", tolerance}, 1, out.dlogits + i,
                     &(double){(above - below) / (2.0 * (double)step)});
      room_close(inner);
    }
    room_close(room);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plan_refuses_what_makes_no_sense),
      cmocka_unit_test(equal_logits_give_log_two),
      cmocka_unit_test(sums_are_laid_out_by_class),
      cmocka_unit_test(without_labels_loss_and_gradient_are_zero),
      cmocka_unit_test(a_nan_reaches_the_loss_unless_its_pixel_is_ignored),
      cmocka_unit_test(large_logits_stay_finite),
      cmocka_unit_test(values_are_those_of_pytorch),
      cmocka_unit_test(values_are_those_of_plain_loops),
      cmocka_unit_test(ranks_that_add_their_sums_compute_what_one_does),
      cmocka_unit_test(sums_are_the_same_bits_each_time),
      cmocka_unit_test(gradients_are_the_slopes_of_the_loss),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
