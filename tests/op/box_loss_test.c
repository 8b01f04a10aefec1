#include <math.h>

#include "support/backends.h"

typedef struct Input {
  int32_t rows, class_count;
  Element element;
  const float *logits, *deltas, *targets; /* rows x classes, rows x 4 classes, rows x 4 */
  const int32_t *classes;
  float scale;
  int rank_count; /* above 1: the rows are shared out, and the sums added */
} Input;

typedef struct Output {
  float sums[BOX_SUMS];
  double classifier, box;
  float *dlogits, *ddeltas;
} Output;

typedef struct Part {
  BoxHead head;
  TestImage logits, deltas;
  const int32_t *classes;
  const float *targets;
} Part;

static Part upload(Room *room, const Input *in, int32_t first, int32_t rows)
{
  const int32_t classes = in->class_count;
  Part part = {
      .logits = room_image(room, image_shape(rows, 1, 1, classes, in->element),
                           in->logits + (int64_t)first * classes),
      .deltas = room_image(room, image_shape(rows, 1, 1, 4 * classes, in->element),
                           in->deltas + (int64_t)first * 4 * classes),
      .classes = room_upload(room, in->classes + first, (size_t)rows * sizeof *in->classes),
      .targets = room_upload_floats(room, in->targets + 4 * (int64_t)first, 4 * (int64_t)rows)};
  CHECK_OK(box_head_plan(classes, part.logits.shape, part.deltas.shape, &part.head));
  return part;
}

static void add_sums(Room *room, const TestBackend *on, const Part *part, float *sums)
{
  float *there = room_device(room, BOX_SUMS * sizeof *there);
  void *scratch = room_device(room, on->ops->box_loss_scratch_bytes(&part->head));
  on->ops->box_loss_sums(on->device, &part->head, part->logits.memory, part->deltas.memory,
                         part->classes, part->targets, there, scratch);
  const float *here = room_download_floats(room, there, BOX_SUMS);
  for (int i = 0; i < BOX_SUMS; ++i)
    sums[i] += here[i];
}

static Output run(Room *room, const TestBackend *on, const Input *in)
{
  enum { RANKS_MOST = 4 };
  const int rank_count = in->rank_count == 0 ? 1 : in->rank_count;
  const int32_t rows = in->rows / rank_count, classes = in->class_count;
  Output out = {.dlogits = room_numbers(room, (int64_t)in->rows * classes),
                .ddeltas = room_numbers(room, (int64_t)in->rows * 4 * classes)};
  Part parts[RANKS_MOST];
  for (int rank = 0; rank < rank_count; ++rank) {
    parts[rank] = upload(room, in, rank * rows, rows);
    add_sums(room, on, &parts[rank], out.sums);
  }
  const float *sums = room_upload_floats(room, out.sums, BOX_SUMS);
  for (int rank = 0; rank < rank_count; ++rank) {
    const Part *part = &parts[rank];
    const TestImage dlogits = room_image(room, image_shape(rows, 1, 1, classes, in->element), NULL);
    const TestImage ddeltas =
        room_image(room, image_shape(rows, 1, 1, 4 * classes, in->element), NULL);
    on->ops->box_loss_backward(on->device, &part->head, part->logits.memory, part->deltas.memory,
                               part->classes, part->targets, sums, scale_on(room, in->scale),
                               dlogits.memory, ddeltas.memory);
    const int64_t first = (int64_t)rank * rows * classes, count = (int64_t)rows * classes;
    memcpy(out.dlogits + first, room_numbers_of(room, dlogits), (size_t)count * sizeof(float));
    memcpy(out.ddeltas + 4 * first, room_numbers_of(room, ddeltas),
           (size_t)(4 * count) * sizeof(float));
  }
  out.classifier = out.sums[2] > 0 ? (double)out.sums[0] / (double)out.sums[2] : 0;
  out.box = out.sums[2] > 0 ? (double)out.sums[1] / (double)out.sums[2] : 0;
  return out;
}

/* Equal logits of two classes: log 2 each, and gradients of 1/2. The row of class 1 has differences
 * on either side of beta; what stands at class 0 and in rows without a class means nothing. */
static void sums_and_gradients_of_a_few_rows(void **state)
{
  const float logits[8] = {3, 3, -1, -1, 5, -5, 0, 0};
  const float deltas[32] = {9, 9, 9, 9, 0.0625F, 1, 4, -2, 9, 9, 9, 9, 9, 9, 9, 9,
                            9, 9, 9, 9, 9,       9, 9, 9,  9, 9, 9, 9, 9, 9, 9, 9};
  const float targets[16] = {0, 1.0625F, 1, 1, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, 0, 0, 0, 0};
  const int32_t classes[4] = {1, 0, -1, 2}; /* the last: past the classes */
  const float dlogits[8] = {0.25F, -0.25F, -0.25F, 0.25F};
  const float ddeltas[32] = {0, 0, 0, 0, 0.28125F, -0.28125F, 0.5F, -0.5F};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Room *room = room_open(on);
    const Input in = {4, 2, element, logits, deltas, targets, classes, 1, 1};
    const Output out = run(room, on, &in);
    const double sums[BOX_SUMS] = {2 * log(2.0), 2 * 0.5 * 9 / 256 + 3 + 3 - 1.0 / 9, 2, 1};
    expect_doubles((Expectation){on, element, "sums", 1e-6}, BOX_SUMS, out.sums, sums);
    expect_floats((Expectation){on, element, "dlogits", 0}, 8, out.dlogits, dlogits);
    expect_floats((Expectation){on, element, "ddeltas", element == ELEMENT_F32 ? 1e-7 : 0x1p-10},
                  32, out.ddeltas, ddeltas);
    room_close(room);
  }
}

static void without_rows_loss_and_gradients_are_zero(void **state)
{
  const float logits[4] = {1, NAN, 3, 4}, numbers[16] = {NAN};
  const float zeros[16] = {0};
  const int32_t classes[2] = {-1, -1};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Room *room = room_open(on);
    const Input in = {2, 2, element, logits, numbers, numbers, classes, 1, 1};
    const Output out = run(room, on, &in);
    expect_floats((Expectation){on, element, "sums", 0}, BOX_SUMS, out.sums, zeros);
    expect_floats((Expectation){on, element, "dlogits", 0}, 4, out.dlogits, zeros);
    expect_floats((Expectation){on, element, "ddeltas", 0}, 16, out.ddeltas, zeros);
    room_close(room);
  }
}

static void a_nan_reaches_the_loss_of_its_row(void **state)
{
  const float logits[4] = {0, NAN, 1, 1}, deltas[16] = {0, 0, 0, 0, 0, NAN}, targets[8] = {0};
  const int32_t classes[2] = {1, 0}, other[2] = {-1, 0};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Input in = {2, 2, ELEMENT_F32, logits, deltas, targets, classes, 1, 1};
    const Output bad = run(room, on, &in);
    assert_true(isnan(bad.classifier) && isnan(bad.box));
    assert_true(isnan(bad.dlogits[0]) && isnan(bad.ddeltas[5]) && !isnan(bad.dlogits[2]));
    const Input without = {2, 2, ELEMENT_F32, logits, deltas, targets, other, 1, 1};
    const Output good = run(room, on, &without);
    assert_true(fabs(good.classifier - log(2.0)) < 1e-6 && good.box == 0.0);
    room_close(room);
  }
}

static void large_logits_stay_finite(void **state)
{
  const float logits[4] = {1000, -1000, -1000, 1000}, zeros[16] = {0};
  const int32_t classes[2] = {0, 0};
  FOR_EACH_TWIN(on)
  {
    Room *room = room_open(on);
    const Input in = {2, 2, ELEMENT_F32, logits, zeros, zeros, classes, 1, 1};
    const Output out = run(room, on, &in);
    assert_true(out.sums[0] == 2000.0F);
    expect_floats((Expectation){on, ELEMENT_F32, "dlogits", 0}, 4, out.dlogits,
                  (float[]){0, 0, -0.5F, 0.5F});
    room_close(room);
  }
}

static Input formula_input(Room *room, const char *name, int32_t rows, int32_t class_count,
                           Element element)
{
  float *logits =
      room_formula(room, room_name(room, "%s.logits", name), (int64_t)rows * class_count);
  for (int64_t i = 0; i < (int64_t)rows * class_count; ++i)
    logits[i] *= 2.0F;
  int32_t *classes = room_host(room, rows, sizeof *classes);
  const uint32_t seed = formula_seed(room_name(room, "%s.labels", name));
  for (uint32_t i = 0; i < (uint32_t)rows; ++i)
    classes[i] = (int32_t)(formula_bits(seed, i) % (uint32_t)(class_count + 2)) - 1;
  return (Input){
      .rows = rows,
      .class_count = class_count,
      .element = element,
      .logits = logits,
      .deltas =
          room_formula(room, room_name(room, "%s.deltas", name), 4 * (int64_t)rows * class_count),
      .targets = room_formula(room, room_name(room, "%s.targets", name), 4 * (int64_t)rows),
      .classes = classes,
      .scale = 0.5F};
}

static const struct {
  int32_t rows, class_count;
} cases[] = {{1, 2}, {1024, 3}, {200, 91}, {8, 254}, {514, 9}};
enum { CASE_COUNT = sizeof cases / sizeof cases[0] };

/* Float32: a softmax over up to 254 classes is a sum of as many roundings. bfloat16: a gradient is
 * rounded to 2^-8 of itself. */
static void expect_same(const TestBackend *on, const Input *in, const Output *got,
                        const Output *expected)
{
  const int64_t count = (int64_t)in->rows * in->class_count;
  const double share = in->element == ELEMENT_F32 ? 1e-5 : 0x1p-7;
  for (int i = 0; i < BOX_SUMS; ++i)
    expect_floats((Expectation){on, in->element, "sums", 2e-6 * (double)expected->sums[i]}, 1,
                  got->sums + i, expected->sums + i);
  Expectation e = {on, in->element, "dlogits", share * largest_float(count, expected->dlogits)};
  expect_floats(e, count, got->dlogits, expected->dlogits);
  e = (Expectation){on, in->element, "ddeltas",
                    share * largest_float(4 * count, expected->ddeltas)};
  expect_floats(e, 4 * count, got->ddeltas, expected->ddeltas);
}

static void expect_plain_loops(int rank_count)
{
  FOR_EACH_TWIN(on)
  FOR_EACH_ELEMENT(element)
  for (int i = 0; i < CASE_COUNT; ++i) {
    if (cases[i].rows % rank_count != 0) continue;
    Room *truth = room_open(backends_naive());
    Room *room = room_open(on);
    Input in = formula_input(room, "boxes", cases[i].rows, cases[i].class_count, element);
    const Output expected = run(truth, backends_naive(), &in);
    in.rank_count = rank_count;
    const Output got = run(room, on, &in);
    expect_same(on, &in, &got, &expected);
    room_close(room);
    room_close(truth);
  }
}

static void values_are_those_of_plain_loops(void **state)
{
  expect_plain_loops(1);
}

static void ranks_that_add_their_sums_compute_what_one_does(void **state)
{
  expect_plain_loops(2);
}

static void sums_are_the_same_bits_each_time(void **state)
{
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Input in = formula_input(room, "bits", 1000, 5, ELEMENT_F32);
    const Output first = run(room, on, &in), second = run(room, on, &in);
    assert_memory_equal(first.sums, second.sums, sizeof first.sums);
    room_close(room);
  }
}

static double loss_at(const TestBackend *on, const Input *in, float *value, float at)
{
  Room *room = room_open(on);
  const float centre = *value;
  *value = at;
  const Output out = run(room, on, in);
  *value = centre;
  room_close(room);
  return (double)in->scale * (out.classifier + out.box);
}

/* Within a step of a corner of smooth L1 the slope changes by up to 9 times the step. */
static void gradients_are_the_slopes_of_the_loss(void **state)
{
  enum { ROWS = 6, CLASSES = 3 };
  const float step = 0x1p-8F;
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Input in = formula_input(room, "slopes", ROWS, CLASSES, ELEMENT_F32);
    const Output out = run(room, on, &in);
    assert_true(out.sums[3] > 0 && out.sums[2] > out.sums[3]);
    for (int i = 0; i < 5 * ROWS * CLASSES; ++i) {
      const int logits = ROWS * CLASSES;
      float *value = i < logits ? (float *)in.logits + i : (float *)in.deltas + (i - logits);
      const float *slope = i < logits ? out.dlogits + i : out.ddeltas + (i - logits);
      const double above = loss_at(on, &in, value, *value + step);
      const double below = loss_at(on, &in, value, *value - step);
      expect_doubles((Expectation){on, ELEMENT_F32, "slope", 0.02 / (double)out.sums[2]}, 1, slope,
                     &(double){(above - below) / (2.0 * (double)step)});
    }
    room_close(room);
  }
}

static void values_are_those_of_torchvision(void **state)
{
  FOR_EACH_BACKEND(on)
  {
    Golden *golden = golden_open("op_box_loss.txt");
    for (int i = 0; i < 3; ++i) {
      const GoldenTensor *row = golden_find(golden, "boxloss%d.case", i);
      Room *room = room_open(on);
      Input in = formula_input(room, room_name(room, "boxloss%d", i), (int32_t)row->values[0],
                               (int32_t)row->values[1], ELEMENT_F32);
      int32_t *classes = room_host(room, in.rows, sizeof *classes);
      for (int32_t r = 0; r < in.rows; ++r)
        classes[r] = (int32_t)golden_value(golden_find(golden, "boxloss%d.labels", i), r);
      in.classes = classes;
      in.scale = 1;
      const Output out = run(room, on, &in);
      const double classifier = golden_value(golden_find(golden, "boxloss%d.class_loss", i), 0);
      const double box = golden_value(golden_find(golden, "boxloss%d.box_loss", i), 0);
      if (fabs(out.classifier - classifier) > 1e-6 * classifier || fabs(out.box - box) > 1e-6 * box)
        fail_msg("%s: losses %d are %.9g and %.9g, expected %.9g and %.9g", on->name, i,
                 out.classifier, out.box, classifier, box);
      const Expectation e = {.on = on, .element = ELEMENT_F32, .tolerance = 2e-6};
      expect_golden(e, golden_find(golden, "boxloss%d.dlogits", i), out.dlogits, 0);
      expect_golden(e, golden_find(golden, "boxloss%d.ddeltas", i), out.ddeltas, 0);
      room_close(room);
    }
    golden_close(golden);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sums_and_gradients_of_a_few_rows),
      cmocka_unit_test(without_rows_loss_and_gradients_are_zero),
      cmocka_unit_test(a_nan_reaches_the_loss_of_its_row),
      cmocka_unit_test(large_logits_stay_finite),
      cmocka_unit_test(values_are_those_of_torchvision),
      cmocka_unit_test(values_are_those_of_plain_loops),
      cmocka_unit_test(ranks_that_add_their_sums_compute_what_one_does),
      cmocka_unit_test(sums_are_the_same_bits_each_time),
      cmocka_unit_test(gradients_are_the_slopes_of_the_loss),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
