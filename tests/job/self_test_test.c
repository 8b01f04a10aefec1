#include <math.h>

#include "self_test.h"
#include "support/check.h"
#include "support/naive_ops.h"

static Device *cpu;

static int open_cpu(void **state)
{
  return device_open(-1, &cpu) == STATUS_OK ? 0 : 1;
}

static int close_cpu(void **state)
{
  device_close(cpu);
  return 0;
}

/* Judged as doctor does it: float32 by the known numbers, bfloat16 by the float32 of reference. */
static void judge(const Backend *ops, Element element, const SelfTest *reference,
                  SelfTestResult *results)
{
  SelfTest *test;
  CHECK_OK(self_test_run(ops, cpu, element, &test));
  if (reference == NULL)
    self_test_judge_known(test, results);
  else
    self_test_judge(test, reference, results);
  self_test_close(test);
}

static int failures(const SelfTestResult *results)
{
  int count = 0;
  for (int op = 0; op < self_test_op_count(); ++op)
    count += results[op].outcome == SELF_TEST_FAIL;
  return count;
}

/* may_refuse: a processor that is not for bfloat16 may have no convolutions in it. */
static void expect_all_pass(const SelfTestResult *results, Element element, bool may_refuse)
{
  for (int op = 0; op < self_test_op_count(); ++op) {
    if (results[op].outcome == SELF_TEST_FAIL)
      fail_msg("%s in %s: %s", self_test_op(op), element_name(element), results[op].why);
    if (results[op].outcome == SELF_TEST_REFUSED && may_refuse) continue;
    assert_int_equal(results[op].outcome, element == ELEMENT_F32 || self_test_op_has_element(op)
                                              ? SELF_TEST_PASS
                                              : SELF_TEST_NOT_RUN);
  }
}

static const SelfTestResult *result_of(const SelfTestResult *results, const char *name)
{
  for (int op = 0; op < self_test_op_count(); ++op)
    if (strcmp(self_test_op(op), name) == 0) return &results[op];
  fail_msg("there is no op %s", name);
  return NULL;
}

/* The known numbers are those of plain loops, to the last digit that float32 gives. */
static void plain_loops_give_the_known_numbers(void **state)
{
  SelfTest *test;
  size_t count;
  const SelfTestDigest *known = self_test_known(&count);
  CHECK_OK(self_test_run(&naive_backend, cpu, ELEMENT_F32, &test));
  assert_int_equal(self_test_digest_count(test), count);
  for (size_t i = 0; i < count; ++i) {
    const SelfTestDigest digest = self_test_digest(test, i);
    assert_string_equal(digest.op, known[i].op);
    if (!(fabs(digest.sum - known[i].sum) <= 1e-6 * known[i].largest) ||
        !(fabs(digest.largest - known[i].largest) <= 1e-6 * known[i].largest))
      fail_msg("output %d, of %s: %.9g, %.9g", (int)i, digest.op, digest.sum, digest.largest);
    assert_true(known[i].largest > 0 && known[i].sum != 0); /* else zeros would pass */
  }
  self_test_close(test);
}

static void every_backend_passes_in_both_precisions(void **state)
{
  const Backend *backends[] = {&naive_backend, backend_of(cpu)};
  for (int i = 0; i < 2; ++i) {
    SelfTest *reference;
    SelfTestResult results[SELF_TEST_OPS_MOST];
    CHECK_OK(self_test_run(backends[i], cpu, ELEMENT_F32, &reference));
    self_test_judge_known(reference, results);
    expect_all_pass(results, ELEMENT_F32, false);
    judge(backends[i], ELEMENT_BF16, reference, results);
    expect_all_pass(results, ELEMENT_BF16,
                    i == 1 && backends[i]->preferred_element(cpu) != ELEMENT_BF16);
    self_test_close(reference);
  }
}

/* In place of any entry: computes nothing; as an open function it refuses. */
static int do_nothing(void)
{
  return STATUS_UNSUPPORTED;
}

/* Those that compute nothing: they say, size or close. */
static bool is_no_op(size_t at)
{
  static const size_t others[] = {
      offsetof(Backend, preferred_element),
      offsetof(Backend, autotune),
      offsetof(Backend, library),
      offsetof(Backend, conv2d_close),
      offsetof(Backend, decoder_conv2d_close),
      offsetof(Backend, conv_transpose2d_close),
      offsetof(Backend, batch_norm2d_close),
      offsetof(Backend, segmentation_loss_scratch_bytes),
      offsetof(Backend, rpn_proposals_scratch_bytes),
      offsetof(Backend, rpn_match_scratch_bytes),
      offsetof(Backend, rpn_sample_scratch_bytes),
      offsetof(Backend, rpn_loss_scratch_bytes),
      offsetof(Backend, roi_align_backward_scratch_bytes),
      offsetof(Backend, roi_sample_scratch_bytes),
      offsetof(Backend, box_loss_scratch_bytes),
      offsetof(Backend, detections_scratch_bytes),
      offsetof(Backend, mask_loss_scratch_bytes),
      offsetof(Backend, clip_scratch_bytes),
  };
  for (size_t i = 0; i < sizeof others / sizeof *others; ++i)
    if (others[i] == at) return true;
  return false;
}

/* An op that is new in the table has a case, or this fails. */
static void every_entry_of_the_table_is_tested(void **state)
{
  int (*const nothing)(void) = do_nothing;
  int entries = 0;
  for (size_t at = offsetof(Backend, preferred_element); at < sizeof(Backend);
       at += sizeof nothing) {
    SelfTestResult results[SELF_TEST_OPS_MOST];
    Backend without = naive_backend;
    if (is_no_op(at)) continue;
    memcpy((char *)&without + at, &nothing, sizeof nothing);
    judge(&without, ELEMENT_F32, NULL, results);
    if (failures(results) == 0) fail_msg("the entry at byte %zu of the table is not tested", at);
    ++entries;
  }
  assert_in_range(entries, self_test_op_count(), SELF_TEST_OPS_MOST);
}

/* relu of numbers below -0.9 only: a slip of few elements. */
static void almost_relu(Device *device, Shape shape, const void *x, void *y)
{
  naive_backend.relu_forward(device, shape, x, y);
  for (int64_t i = 0; shape.element == ELEMENT_F32 && i < shape_elements(shape); ++i)
    if (((const float *)x)[i] < -0.99F) ((float *)y)[i] = ((const float *)x)[i];
}

/* The last row is one too few. */
static void short_sgd(Device *device, const SgdStep *step, int64_t count, const float *scale,
                      const float *g, float *w, float *v)
{
  naive_backend.sgd_step(device, step, count - 1, scale, g, w, v);
}

static void wrong_argmax(Device *device, Shape shape, const void *logits, int32_t class_count,
                         uint8_t *classes)
{
  naive_backend.argmax(device, shape, logits, class_count, classes);
  classes[7] = (uint8_t)((classes[7] + 1) % class_count);
}

static void a_slip_of_few_numbers_fails_its_op_alone(void **state)
{
  SelfTestResult results[SELF_TEST_OPS_MOST];
  Backend wrong = naive_backend;
  wrong.relu_forward = almost_relu;
  wrong.sgd_step = short_sgd;
  wrong.argmax = wrong_argmax;
  judge(&wrong, ELEMENT_F32, NULL, results);
  const char *const names[] = {"relu_forward", "sgd_step", "argmax"};
  for (int i = 0; i < 3; ++i) {
    const SelfTestResult *result = result_of(results, names[i]);
    assert_int_equal(result->outcome, SELF_TEST_FAIL);
    assert_true(result->difference > 1e-4);
    assert_non_null(strstr(result->why, "differs by"));
  }
  assert_int_equal(failures(results), 3);
}

/* What is written late, or not at all, is NaN and no match. */
static void half_convert(Device *device, int64_t count, Element x_element, const void *x,
                         Element y_element, void *y)
{
  naive_backend.convert(device, count / 2, x_element, x, y_element, y);
}

static void what_is_not_written_fails(void **state)
{
  SelfTestResult results[SELF_TEST_OPS_MOST];
  Backend wrong = naive_backend;
  wrong.convert = half_convert;
  judge(&wrong, ELEMENT_F32, NULL, results);
  assert_int_equal(result_of(results, "convert")->outcome, SELF_TEST_FAIL);
  assert_int_equal(failures(results), 1);
}

/* Against another device number by number: 2 % of one of 630 numbers. */
static void tilted_relu(Device *device, Shape shape, const void *x, void *y)
{
  naive_backend.relu_forward(device, shape, x, y);
  uint16_t *bits = y;
  for (int64_t i = 0; i < shape_elements(shape); ++i)
    if (bits[i] > 0x3F78) { /* the upper end */
      bits[i] = (uint16_t)(bits[i] - 6);
      return;
    }
}

static void one_wrong_bfloat16_is_found(void **state)
{
  SelfTest *reference;
  SelfTestResult results[SELF_TEST_OPS_MOST];
  Backend wrong = naive_backend;
  wrong.relu_forward = tilted_relu;
  CHECK_OK(self_test_run(&naive_backend, cpu, ELEMENT_F32, &reference));
  judge(&wrong, ELEMENT_BF16, reference, results);
  assert_int_equal(result_of(results, "relu_forward")->outcome, SELF_TEST_FAIL);
  assert_int_equal(failures(results), 1);
  self_test_close(reference);
}

static void a_kernel_that_cannot_be_opened_says_why(void **state)
{
  SelfTestResult results[SELF_TEST_OPS_MOST];
  int (*const nothing)(void) = do_nothing;
  Backend without = naive_backend;
  memcpy((char *)&without + offsetof(Backend, conv2d_open), &nothing, sizeof nothing);
  (void)status_set(STATUS_UNSUPPORTED, "there is no engine");
  judge(&without, ELEMENT_F32, NULL, results);
  assert_string_equal(result_of(results, "conv2d_backward_data")->why, "there is no engine");
  assert_true(isnan(result_of(results, "conv2d_backward_data")->difference));
  assert_int_equal(failures(results), 3);
}

static Element prefers_bf16(const Device *device)
{
  return ELEMENT_BF16;
}

/* A device need not have all of a precision that it does not prefer; wrong numbers stay wrong. */
static void a_precision_that_is_not_preferred_may_be_refused(void **state)
{
  SelfTest *reference;
  SelfTestResult results[SELF_TEST_OPS_MOST];
  int (*const nothing)(void) = do_nothing;
  Backend without = naive_backend;
  memcpy((char *)&without + offsetof(Backend, conv2d_open), &nothing, sizeof nothing);
  without.relu_forward = tilted_relu;
  CHECK_OK(self_test_run(&naive_backend, cpu, ELEMENT_F32, &reference));
  judge(&without, ELEMENT_BF16, reference, results);
  assert_int_equal(result_of(results, "conv2d_forward")->outcome, SELF_TEST_REFUSED);
  assert_int_equal(result_of(results, "relu_forward")->outcome, SELF_TEST_FAIL);
  assert_int_equal(failures(results), 1);
  without.preferred_element = prefers_bf16;
  judge(&without, ELEMENT_BF16, reference, results);
  assert_int_equal(result_of(results, "conv2d_forward")->outcome, SELF_TEST_FAIL);
  assert_int_equal(failures(results), 4);
  self_test_close(reference);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plain_loops_give_the_known_numbers),
      cmocka_unit_test(every_backend_passes_in_both_precisions),
      cmocka_unit_test(every_entry_of_the_table_is_tested),
      cmocka_unit_test(a_slip_of_few_numbers_fails_its_op_alone),
      cmocka_unit_test(what_is_not_written_fails),
      cmocka_unit_test(one_wrong_bfloat16_is_found),
      cmocka_unit_test(a_kernel_that_cannot_be_opened_says_why),
      cmocka_unit_test(a_precision_that_is_not_preferred_may_be_refused),
  };
  return cmocka_run_group_tests(tests, open_cpu, close_cpu);
}
