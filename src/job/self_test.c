#include "self_test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "self_test_cases.h"

enum { OPS_OF_CASE_MOST = 6, OUTPUTS_MOST = 160 };

/* A family of ops: has_element as in self_test_op_has_element. */
typedef struct Case {
  Status (*run)(Bench *bench);
  bool has_element;
  const char *ops[OPS_OF_CASE_MOST];
} Case;

static const Case cases[] = {
    {case_conv2d, true, {"conv2d_forward", "conv2d_backward_data", "conv2d_backward_weight"}},
    {case_decoder_conv2d,
     true,
     {"decoder_conv2d_forward", "decoder_conv2d_backward_data", "decoder_conv2d_backward_weight"}},
    {case_conv_transpose2d,
     true,
     {"conv_transpose2d_forward", "conv_transpose2d_backward_data",
      "conv_transpose2d_backward_weight"}},
    {case_batch_norm2d,
     true,
     {"batch_norm2d_forward", "batch_norm2d_sums", "batch_norm2d_forward_from_sums",
      "batch_norm2d_backward", "batch_norm2d_backward_sums", "batch_norm2d_backward_from_sums"}},
    {case_max_pool2d, true, {"max_pool2d_forward", "max_pool2d_backward"}},
    {case_relu, true, {"relu_forward", "relu_backward"}},
    {case_add, true, {"add_forward", "accumulate"}},
    {case_upsample_nearest, true, {"upsample_nearest_forward", "upsample_nearest_backward"}},
    {case_concat, true, {"concat_forward", "concat_backward"}},
    {case_convert, false, {"convert"}},
    {case_normalize, true, {"normalize"}},
    {case_segmentation_loss, true, {"segmentation_loss_sums", "segmentation_loss_backward"}},
    {case_prediction, true, {"softmax", "argmax"}},
    {case_confusion, false, {"confusion"}},
    {case_rpn_proposals, true, {"rpn_proposals"}},
    {case_rpn_match, false, {"rpn_match", "rpn_sample"}},
    {case_rpn_loss, true, {"rpn_loss_sums", "rpn_loss_backward"}},
    {case_roi_align, true, {"roi_align_forward", "roi_align_backward"}},
    {case_roi_sample, false, {"roi_sample"}},
    {case_box_loss, true, {"box_loss_sums", "box_loss_backward"}},
    {case_detections, true, {"detections"}},
    {case_detection_regions, false, {"detection_regions"}},
    {case_mask_targets, false, {"mask_targets"}},
    {case_mask_loss, true, {"mask_loss_sums", "mask_loss_backward", "mask_select"}},
    {case_mask_paste, false, {"mask_paste"}},
    {case_resize_bilinear, true, {"resize_bilinear"}},
    {case_resize_boxes, false, {"resize_boxes"}},
    {case_optimizer, false, {"clip_scale", "sgd_step", "adamw_step", "loss_scale_step"}},
};

enum { CASE_COUNT = sizeof cases / sizeof *cases };

/* What one call of one op wrote, as numbers. */
typedef struct Output {
  const char *op;
  uint64_t stream; /* of its digest's weights: op and place among its outputs, whatever others do */
  bool exact;      /* whole numbers */
  int64_t count;
  float *numbers;
} Output;

struct SelfTest {
  Arena *arena;
  Element element;
  Output outputs[OUTPUTS_MOST];
  size_t output_count;
  char faults[CASE_COUNT][SELF_TEST_WHY_BYTES]; /* "": it ran */
  bool refused[CASE_COUNT];                     /* and may be: see SELF_TEST_REFUSED */
  bool may_refuse;
};

/* The case of the index-th op, and which of its ops that is. */
static const Case *find_op(int index, int *within)
{
  for (int c = 0; c < CASE_COUNT; ++c)
    for (int i = 0; i < OPS_OF_CASE_MOST && cases[c].ops[i] != NULL; ++i)
      if (index-- == 0) {
        *within = i;
        return &cases[c];
      }
  return NULL;
}

int self_test_op_count(void)
{
  int count = 0, within;
  while (find_op(count, &within) != NULL)
    ++count;
  return count;
}

const char *self_test_op(int index)
{
  int within;
  const Case *of = find_op(index, &within);
  return of == NULL ? NULL : of->ops[within];
}

bool self_test_op_has_element(int index)
{
  int within;
  const Case *of = find_op(index, &within);
  return of != NULL && of->has_element;
}

static uint64_t stream_of(const SelfTest *test, const char *op)
{
  enum { OUTPUTS_OF_OP_MOST = 64 };
  uint64_t index = 0, before = 0;
  while (self_test_op((int)index) != NULL && strcmp(self_test_op((int)index), op) != 0)
    ++index;
  for (size_t i = 0; i < test->output_count; ++i)
    before += strcmp(test->outputs[i].op, op) == 0;
  return index * OUTPUTS_OF_OP_MOST + before;
}

static Status keep(SelfTest *test, const BenchTake *take)
{
  void *numbers;
  const int64_t count = take->pixels * take->channels;
  if (test->output_count == OUTPUTS_MOST)
    return status_set(STATUS_NO_MEMORY, "the self-test has more than %d outputs", OUTPUTS_MOST);
  TRY(arena_allocate(test->arena, (size_t)count * sizeof(float), &numbers));
  bench_take_numbers(take, numbers);
  const uint64_t stream = stream_of(test, take->op);
  test->outputs[test->output_count++] =
      (Output){.op = take->op,
               .stream = stream,
               .exact = take->element != ELEMENT_F32 && take->element != ELEMENT_BF16,
               .count = count,
               .numbers = numbers};
  return STATUS_OK;
}

/* A failure is the case's, and no reason to stop. */
static void run_case(Bench *bench, int index, SelfTest *test)
{
  Status status = bench_begin(bench, index);
  if (status == STATUS_OK) status = cases[index].run(bench);
  const Status done = device_synchronize(bench->device);
  if (status == STATUS_OK) status = done;
  for (int i = 0; i < bench->take_count && status == STATUS_OK; ++i)
    status = keep(test, &bench->takes[i]);
  if (status != STATUS_OK)
    (void)snprintf(test->faults[index], SELF_TEST_WHY_BYTES, "%s", status_message());
  test->refused[index] = bench->refused && test->may_refuse;
  bench_end(bench);
}

static Status fill(const Backend *ops, Device *device, Element element, SelfTest *test)
{
  Bench bench;
  test->element = element;
  test->may_refuse = element != ELEMENT_F32 && ops->preferred_element(device) != element;
  Status status = arena_open(&test->arena);
  if (status != STATUS_OK) return status;
  status = bench_open(ops, device, element, &bench);
  for (int i = 0; i < CASE_COUNT && status == STATUS_OK; ++i)
    if (element == ELEMENT_F32 || cases[i].has_element) run_case(&bench, i, test);
  bench_close(&bench);
  return status;
}

Status self_test_run(const Backend *ops, Device *device, Element element, SelfTest **test)
{
  void *memory;
  *test = NULL;
  TRY(memory_allocate(1, sizeof **test, "the self-test", &memory));
  const Status status = fill(ops, device, element, memory);
  if (status == STATUS_OK)
    *test = memory;
  else
    self_test_close(memory);
  return status;
}

void self_test_close(SelfTest *test)
{
  if (test == NULL) return;
  arena_close(test->arena);
  memory_free(test);
}

static double largest_of(const Output *output)
{
  double largest = 0;
  for (int64_t i = 0; i < output->count; ++i)
    largest = fmax(largest, fabs((double)output->numbers[i]));
  return largest;
}

size_t self_test_digest_count(const SelfTest *test)
{
  return test->output_count;
}

SelfTestDigest self_test_digest(const SelfTest *test, size_t index)
{
  const Output *output = &test->outputs[index];
  Random random = random_stream(5, output->stream);
  SelfTestDigest digest = {.op = output->op, .largest = largest_of(output)};
  for (int64_t i = 0; i < output->count; ++i) {
    const double weight = random_between(&random, -0.5, 0.5);
    digest.sum += (weight < 0 ? weight - 0.5 : weight + 0.5) * (double)output->numbers[i];
  }
  return digest;
}

double self_test_tolerance(Element element, bool known)
{
  if (element == ELEMENT_BF16) return 0x1p-7;
  return known ? 5e-5 : 1e-4;
}

static void set_fail(SelfTestResult *result, const char *why, const char *detail)
{
  if (result->outcome == SELF_TEST_FAIL) return; /* the first reason counts */
  result->outcome = SELF_TEST_FAIL;
  (void)snprintf(result->why, sizeof result->why, "%s%.150s", why, detail);
}

/* One more output of the op. A NaN is above every tolerance. */
static void add_difference(SelfTestResult *result, double difference, double tolerance, int output)
{
  char why[120];
  const bool worse = !(difference <= result->difference);
  if (worse && !isnan(result->difference)) result->difference = difference;
  if (difference <= tolerance) return;
  (void)snprintf(why, sizeof why, "output %d differs by %.3g of its largest value, %.3g is allowed",
                 output, difference, tolerance);
  set_fail(result, why, "");
}

/* The next output of op from *at on; NULL behind the last. */
static const Output *next_output(const SelfTest *test, const char *op, size_t *at)
{
  while (*at < test->output_count)
    if (strcmp(test->outputs[(*at)++].op, op) == 0) return &test->outputs[*at - 1];
  return NULL;
}

static const SelfTestDigest *next_known(const char *op, size_t *at)
{
  size_t count;
  const SelfTestDigest *known = self_test_known(&count);
  while (*at < count)
    if (strcmp(known[(*at)++].op, op) == 0) return &known[*at - 1];
  return NULL;
}

static double digest_difference(const SelfTest *test, size_t index, const SelfTestDigest *known)
{
  const SelfTestDigest got = self_test_digest(test, index);
  const double by_sum = fabs(got.sum - known->sum), by_largest = fabs(got.largest - known->largest);
  return (isnan(by_sum) ? by_sum : fmax(by_sum, by_largest)) / known->largest;
}

static double number_difference(const Output *got, const Output *expected)
{
  double most = 0;
  const double largest = largest_of(expected);
  for (int64_t i = 0; i < expected->count; ++i) {
    const double difference = fabs((double)got->numbers[i] - (double)expected->numbers[i]);
    if (!(difference <= most)) most = difference;
    if (isnan(difference)) return difference;
  }
  return most == 0 ? 0 : most / largest;
}

static void judge_op(const SelfTest *test, const SelfTest *reference, const char *op,
                     SelfTestResult *result)
{
  size_t at = 0, of_reference = 0;
  const Output *got, *expected = NULL;
  const SelfTestDigest *known = NULL;
  int output = 0;
  for (;;) {
    got = next_output(test, op, &at);
    if (reference == NULL)
      known = next_known(op, &of_reference);
    else
      expected = next_output(reference, op, &of_reference);
    const bool awaited = known != NULL || expected != NULL;
    if (got == NULL && !awaited) break;
    if (got == NULL || !awaited || (expected != NULL && expected->count != got->count)) {
      set_fail(result, "its outputs are not those it is to be compared with", "");
      break;
    }
    const double most = got->exact ? 1e-9 : self_test_tolerance(test->element, reference == NULL);
    add_difference(result,
                   reference == NULL ? digest_difference(test, at - 1, known)
                                     : number_difference(got, expected),
                   most, ++output);
  }
  if (output == 0) set_fail(result, "it gave nothing", "");
}

void self_test_judge(const SelfTest *test, const SelfTest *reference, SelfTestResult *results)
{
  for (int c = 0, index = 0; c < CASE_COUNT; ++c)
    for (int i = 0; i < OPS_OF_CASE_MOST && cases[c].ops[i] != NULL; ++i, ++index) {
      SelfTestResult *result = &results[index];
      *result = (SelfTestResult){.outcome = SELF_TEST_NOT_RUN};
      if (test->element != ELEMENT_F32 && !cases[c].has_element) continue;
      result->outcome = SELF_TEST_PASS;
      if (test->faults[c][0] != '\0')
        set_fail(result, "", test->faults[c]);
      else if (reference != NULL && reference->faults[c][0] != '\0')
        set_fail(result, "nothing to compare with; the CPU: ", reference->faults[c]);
      else
        judge_op(test, reference, cases[c].ops[i], result);
      if (test->faults[c][0] != '\0') result->difference = NAN;
      if (test->refused[c]) result->outcome = SELF_TEST_REFUSED;
    }
}

void self_test_judge_known(const SelfTest *test, SelfTestResult *results)
{
  self_test_judge(test, NULL, results);
}
