#include "doctor_parts.h"
#include "support/naive_ops.h"
#include "support/ranks.h"

static void wrong_add(Device *device, Shape shape, const void *a, const void *b, void *y)
{
  naive_backend.add_forward(device, shape, a, a, y);
}

/* One run of the self-test on all ranks with the plain loops as the CPU's ops; wrong_rank's are
 * broken
 * (-1: no rank's). */
typedef struct Trial {
  Status status;
  Document *report;
} Trial;

static Trial run(int wrong_rank)
{
  const Log log = log_open(comm_rank(ranks_world), comm_rank_count(ranks_world), true);
  const Job job = {.comm = ranks_world, .log = &log};
  Backend ops = naive_backend;
  Doctor doctor = {.job = &job};
  if (comm_rank(ranks_world) == wrong_rank) ops.add_forward = wrong_add;
  CHECK_OK(device_open(-1, &doctor.cpu));
  doctor.device = doctor.cpu;
  CHECK_OK(document_new_object(&doctor.report));
  const Trial trial = {.status = doctor_self_test(&doctor, &ops), .report = doctor.report};
  device_close(doctor.cpu);
  return trial;
}

static void all_ranks_agree_that_all_is_well(void **state)
{
  const Trial trial = run(-1);
  int64_t failed = -1, checks = 0;
  CHECK_OK(trial.status);
  if (comm_rank(ranks_world) == 0) {
    CHECK_OK(document_get_int(trial.report, "checks_failed", &failed, NULL));
    CHECK_OK(document_get_int(trial.report, "checks", &checks, NULL));
    assert_int_equal(failed, 0);
    assert_in_range(checks, 80, 200);
  }
  document_close(trial.report);
}

static void expect_failed_rank(const Document *list, int64_t rank)
{
  bool found = false;
  for (size_t i = 0; i < document_count(list); ++i) {
    const Document *line = document_item(list, i), *ranks;
    const char *op, *result;
    int64_t first = -1;
    CHECK_OK(document_get_text(line, "op", &op, NULL));
    CHECK_OK(document_get_text(line, "result", &result, NULL));
    CHECK_OK(document_get_list(line, "failed_ranks", &ranks, NULL));
    if (strcmp(op, "add_forward") != 0) {
      assert_string_equal(result, "PASS");
      assert_int_equal(document_count(ranks), 0);
      continue;
    }
    found = true;
    if (strcmp(result, "PASS") == 0) continue; /* bfloat16: as wrong as the float32 beside it */
    assert_int_equal(document_count(ranks), 1);
    CHECK_OK(document_as_int(document_item(ranks, 0), &first));
    assert_int_equal(first, rank);
  }
  assert_true(found);
}

/* Each rank in turn. */
static void one_rank_with_a_wrong_kernel_fails_the_job_on_all(void **state)
{
  for (int wrong = 0; wrong < comm_rank_count(ranks_world); ++wrong) {
    const Trial trial = run(wrong);
    const Document *list;
    assert_int_equal(trial.status, STATUS_DEVICE);
    assert_non_null(strstr(status_message(), "the first is add_forward on the cpu in float32"));
    if (comm_rank(ranks_world) == 0) {
      CHECK_OK(document_get_list(trial.report, "self_test", &list, NULL));
      expect_failed_rank(list, wrong);
    }
    document_close(trial.report);
  }
}

int main(int argument_count, char **arguments)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_ranks_agree_that_all_is_well),
      cmocka_unit_test(one_rank_with_a_wrong_kernel_fails_the_job_on_all),
  };
  return RANKS_RUN_TESTS(argument_count, arguments, tests);
}
