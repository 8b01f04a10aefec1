#include <math.h>
#include <stdio.h>

#include "comm/gradients.h"
#include "device/device.h"
#include "device/recording.h"
#include "support/ranks.h"

/* The plug-in's own use of NCCL and the watchdog over it, on the emulated GPU with an NCCL over
 * shared memory (tests/op/cuda/emulator/nccl.h), which can be told to fail. */

enum { COUNT = 40000, BUCKET = 15000 }; /* a bucket is more than a piece of the emulated NCCL's */

static int rank(void)
{
  return comm_rank(ranks_world);
}

static int last(void)
{
  return comm_rank_count(ranks_world) - 1;
}

/* Values whose sum depends on the order of the ranks. */
static float gradient(int of_rank, size_t i)
{
  return 1.0F / (float)(3 + i % 1000 + 7 * (size_t)of_rank);
}

static float gradient_sum(size_t i)
{
  float sum = gradient(0, i);
  for (int r = 1; r <= last(); ++r)
    sum += gradient(r, i);
  return sum;
}

/* A block of gradients in device memory, and its copy on the host. */
typedef struct Trial {
  Device *device;
  float *block, *other, *host, *few;
  Gradients *gradients;
} Trial;

static void set_fault(const char *format, int of_rank)
{
  char fault[64];
  (void)snprintf(fault, sizeof fault, format, of_rank);
  CHECK_OK(setenv("EMULATED_NCCL_FAULT", fault, 1) == 0 ? STATUS_OK : STATUS_IO);
}

static Trial open_trial(const char *fault, int of_rank)
{
  Trial t = {NULL, NULL, NULL, NULL, NULL, NULL};
  void *memory[4];
  const size_t bytes = COUNT * sizeof(float);
  CHECK_OK(device_open(0, &t.device));
  CHECK_OK(device_allocate(t.device, bytes, "gradients", &memory[0]));
  CHECK_OK(device_allocate(t.device, bytes, "a copy", &memory[1]));
  CHECK_OK(device_allocate_host(t.device, bytes, "a copy", &memory[2]));
  CHECK_OK(device_allocate(t.device, sizeof(float), "a number", &memory[3]));
  t.few = memory[3];
  t.block = memory[0];
  t.other = memory[1];
  t.host = memory[2];
  set_fault(fault, of_rank);
  CHECK_OK(
      gradients_open(ranks_world, t.device, t.block, COUNT, BUCKET * sizeof(float), &t.gradients));
  return t;
}

static void close_trial(Trial t)
{
  gradients_close(t.gradients);
  device_release(t.device, t.block);
  device_release(t.device, t.other);
  device_release(t.device, t.few);
  device_release_host(t.device, t.host);
  device_close(t.device);
  CHECK_OK(comm_barrier(ranks_world)); /* nobody's fault reaches into the next test */
}

/* All of it issued like ops, with no wait in between. */
static void issue_step(Trial t, int64_t step)
{
  for (size_t i = 0; i < COUNT; ++i)
    t.host[i] = gradient(rank(), i);
  device_upload(t.device, t.other, t.host, COUNT * sizeof(float));
  device_copy(t.device, t.block, t.other, COUNT * sizeof(float));
  gradients_begin_step(t.gradients, step);
}

static void check_step(Trial t, int64_t step)
{
  issue_step(t, step);
  CHECK_OK(gradients_ready(t.gradients, COUNT - BUCKET));
  CHECK_OK(gradients_ready(t.gradients, COUNT / 10));
  CHECK_OK(gradients_finish(t.gradients));
  device_copy(t.device, t.other, t.block, COUNT * sizeof(float));
  device_clear(t.device, t.block, COUNT * sizeof(float));
  device_download(t.device, t.host, t.other, COUNT * sizeof(float));
  CHECK_OK(device_synchronize(t.device));
  for (size_t i = 0; i < COUNT; ++i)
    if (t.host[i] != gradient_sum(i))
      fail_msg("element %zu is %a, not %a", i, (double)t.host[i], (double)gradient_sum(i));
}

static void sums_come_between_the_work_before_and_behind_them(void **state)
{
  const Trial t = open_trial("", 0);
  assert_string_equal(gradients_backend(t.gradients),
                      last() == 0 ? "one rank, nothing to sum" : "NCCL 2.0.0");
  for (int64_t step = 0; step < 5; ++step)
    check_step(t, step);
  close_trial(t);
}

static void calls_that_are_in_progress_for_a_while_are_waited_for(void **state)
{
  const Trial t = open_trial("slow", 0);
  assert_string_equal(gradients_backend(t.gradients),
                      last() == 0 ? "one rank, nothing to sum" : "NCCL 2.0.0");
  for (int64_t step = 0; step < 2; ++step)
    check_step(t, step);
  close_trial(t);
}

/* Two ranks on one GPU, on all ranks or, as the others see it, on one. */
static void a_refusal_leads_over_the_host_and_gives_the_same_bytes(void **state)
{
  static const char *const faults[] = {"refuse", "refuse@%d", "missing"};
  static const char *const whys[] = {"Duplicate GPU detected", "connect the ranks",
                                     "NCCL cannot be loaded: it is not emulated"};
  for (int f = 0; f < 3 && last() > 0; ++f) {
    const Trial t = open_trial(faults[f], last());
    assert_non_null(strstr(gradients_backend(t.gradients), "MPI on the host, since "));
    assert_non_null(strstr(gradients_backend(t.gradients), whys[f]));
    for (int64_t step = 0; step < 2; ++step)
      check_step(t, step);
    close_trial(t);
  }
}

static void a_rank_that_never_connects_is_waited_for_until_the_deadline(void **state)
{
  if (last() == 0) return;
  const Trial t = open_trial("absent@%d", last());
  assert_non_null(strstr(gradients_backend(t.gradients), "connect the ranks: no end after 1 s"));
  check_step(t, 0);
  close_trial(t);
}

static void expect_words(const char *const *words)
{
  for (; *words != NULL; ++words)
    if (strstr(status_message(), *words) == NULL)
      fail_msg("“%s” does not say “%s”", status_message(), *words);
}

/* Sum 5 is bucket 2 of the second step, step 8 to a reader. */
static Status run_two_steps(Trial t)
{
  check_step(t, 6);
  issue_step(t, 7);
  TRY(gradients_finish(t.gradients));
  return device_synchronize(t.device);
}

static void a_sum_that_hangs_is_named_on_all_ranks(void **state)
{
  static const char *const words[] = {
      "step 8, the sum of gradients, bucket 2 (sum 5 of this run): NCCL has not ended it after 1 s",
      "; all ranks came to it", NULL};
  if (last() == 0) return;
  const Trial t = open_trial("hang:5@%d", last());
  assert_int_equal(run_two_steps(t), STATUS_COMM);
  expect_words(words);
  assert_int_equal(device_synchronize(t.device), STATUS_OK); /* its kernels were ended */
  assert_int_equal(gradients_sum(t.gradients, "the sum of a few", t.block, 1), STATUS_COMM);
  expect_words(words);
  close_trial(t);
}

/* One rank is told, by its watchdog or when it issues the next sum; the others see that nothing
 * comes. */
static void a_failure_in_the_background_is_named_where_it_is_found(void **state)
{
  static const char *const here[] = {
      "step 8, the sum of gradients, bucket 2 (sum 5 of this run): NCCL, ",
      ": remote process exited or there was a network error", NULL};
  static const char *const there[] = {"step 8, the sum of gradients, bucket 2 (sum 5 of this run):",
                                      "has not ended it after 1 s", NULL};
  if (last() == 0) return;
  const Trial t = open_trial("remote:5@%d", last());
  assert_int_equal(run_two_steps(t), STATUS_COMM);
  expect_words(rank() == last() ? here : there);
  close_trial(t);
}

/* The last rank's host does something else, and its watchdog says where it is. */
static void a_rank_that_does_not_come_is_named_by_the_others(void **state)
{
  char missing[32];
  const char *const words[] = {
      "step 8, the sum of gradients, bucket 1 (sum 4 of this run):", missing,
      "has not come to it: its host is behind sum 3, the sum of gradients, bucket 3, of step 7",
      NULL};
  if (last() == 0) return;
  const Trial t = open_trial("", 0);
  (void)snprintf(missing, sizeof missing, "; rank %d on ", last());
  check_step(t, 6);
  if (rank() != last()) {
    issue_step(t, 7);
    CHECK_OK(gradients_finish(t.gradients));
    assert_int_equal(device_synchronize(t.device), STATUS_COMM);
    expect_words(words);
  } else {
    gradients_begin_step(t.gradients, 7);
  }
  CHECK_OK(comm_barrier(ranks_world));
  close_trial(t);
}

/* 30 sums of 0.1 s each are issued at once, under a deadline of 1 s. */
static void a_host_that_runs_ahead_or_rests_is_no_hang(void **state)
{
  if (last() == 0) return;
  const Trial t = open_trial("drag:100", 0);
  check_step(t, 0);
  (void)sleep(2); /* longer than the deadline, with nothing under way */
  for (int64_t step = 1; step < 11; ++step) {
    gradients_begin_step(t.gradients, step);
    CHECK_OK(gradients_finish(t.gradients));
  }
  CHECK_OK(device_synchronize(t.device));
  close_trial(t);
}

/* A step's sums, as they are recorded: the gradients come from other, which the host fills. */
static Status issue_sums(void *trial)
{
  const Trial *t = trial;
  device_copy(t->device, t->block, t->other, COUNT * sizeof(float));
  gradients_begin_step(t->gradients, 0);
  TRY(gradients_sum(t->gradients, "the sum of a few", t->few, 1));
  TRY(gradients_ready(t->gradients, COUNT / 2));
  TRY(gradients_finish(t->gradients));
  device_copy(t->device, t->other, t->block, COUNT * sizeof(float));
  return STATUS_OK;
}

static Status play(const Trial *t, Recording *recording, int64_t step)
{
  for (size_t i = 0; i < COUNT; ++i)
    t->host[i] = gradient(rank(), i + (size_t)step);
  device_upload(t->device, t->other, t->host, COUNT * sizeof(float));
  gradients_begin_step(t->gradients, step);
  gradients_replayed(t->gradients);
  recording_play(recording);
  device_download(t->device, t->host, t->other, COUNT * sizeof(float));
  return device_synchronize(t->device);
}

/* In the recording are sums 5 to 8 of the first play, 9 to 12 of the second, 13 to 16 of the third.
 */
static void run_recorded(const char *fault, Status expected, const char *const *words)
{
  Recording *recording;
  Trial t = open_trial(fault, last());
  device_clear(t.device, t.few, sizeof(float));
  device_clear(t.device, t.other, COUNT * sizeof(float));
  assert_true(gradients_can_be_recorded(t.gradients));
  CHECK_OK(issue_sums(&t));
  CHECK_OK(recording_make(t.device, issue_sums, &t, &recording));
  Status status = STATUS_OK;
  for (int64_t step = 1; step < 4 && status == STATUS_OK; ++step) {
    status = play(&t, recording, step);
    for (size_t i = 0; i < COUNT && status == STATUS_OK; ++i)
      if (t.host[i] != gradient_sum(i + (size_t)step))
        fail_msg("step %d, element %zu is %a", (int)step, i, (double)t.host[i]);
  }
  assert_int_equal(status, expected);
  if (expected != STATUS_OK) expect_words(words);
  recording_close(recording);
  close_trial(t);
}

static void sums_in_a_recording_are_right_each_time_that_it_is_played(void **state)
{
  run_recorded("", STATUS_OK, NULL);
  run_recorded("slow", STATUS_OK, NULL);
}

static void a_recording_that_fails_on_one_rank_costs_only_the_recording(void **state)
{
  if (last() == 0) return;
  Recording *recording;
  Trial t = open_trial("unrecorded@%d", last());
  check_step(t, 0);
  device_clear(t.device, t.few, sizeof(float));
  device_clear(t.device, t.other, COUNT * sizeof(float));
  const Status recorded = recording_make(t.device, issue_sums, &t, &recording);
  if (rank() == last())
    CHECK_FAILS(STATUS_UNSUPPORTED, "NCCL's sums, NCCL, sum over the ranks: unhandled", recorded);
  else
    CHECK_OK(recorded);
  recording_close(recording);
  CHECK_OK(gradients_give_up_recording(t.gradients));
  assert_false(gradients_can_be_recorded(t.gradients));
  assert_string_equal(gradients_backend(t.gradients), "NCCL 2.0.0");
  for (int64_t step = 1; step < 3; ++step)
    check_step(t, step);
  close_trial(t);
}

static void a_sum_that_hangs_in_a_recording_is_named(void **state)
{
  static const char *const words[] = {"step 4, the sum of gradients, bucket 1 (sum 14 of this "
                                      "run): NCCL has not ended it after 1 s",
                                      NULL};
  if (last() > 0) run_recorded("hang:14@%d", STATUS_COMM, words);
}

static void a_deadline_that_is_no_number_of_seconds_is_refused(void **state)
{
  static const char *const bad[] = {"soon", "0", "-1", "100000", "5s", "nan"};
  Device *device;
  Gradients *gradients;
  float few[2] = {0, 0};
  CHECK_OK(device_open(0, &device));
  for (size_t i = 0; i < sizeof bad / sizeof *bad && last() > 0; ++i) {
    (void)setenv("QUADRAT_NCCL_TIMEOUT_S", bad[i], 1);
    CHECK_FAILS(STATUS_BAD_OPTION, "seconds from 1 to 86400",
                gradients_open(ranks_world, device, few, 2, 8, &gradients));
  }
  (void)setenv("QUADRAT_NCCL_TIMEOUT_S", "1", 1);
  device_close(device);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sums_come_between_the_work_before_and_behind_them),
      cmocka_unit_test(calls_that_are_in_progress_for_a_while_are_waited_for),
      cmocka_unit_test(a_refusal_leads_over_the_host_and_gives_the_same_bytes),
      cmocka_unit_test(a_rank_that_never_connects_is_waited_for_until_the_deadline),
      cmocka_unit_test(a_sum_that_hangs_is_named_on_all_ranks),
      cmocka_unit_test(a_failure_in_the_background_is_named_where_it_is_found),
      cmocka_unit_test(a_rank_that_does_not_come_is_named_by_the_others),
      cmocka_unit_test(a_host_that_runs_ahead_or_rests_is_no_hang),
      cmocka_unit_test(sums_in_a_recording_are_right_each_time_that_it_is_played),
      cmocka_unit_test(a_recording_that_fails_on_one_rank_costs_only_the_recording),
      cmocka_unit_test(a_sum_that_hangs_in_a_recording_is_named),
      cmocka_unit_test(a_deadline_that_is_no_number_of_seconds_is_refused),
  };
  (void)setenv("QUADRAT_NCCL_TIMEOUT_S", "1", 1);
  return RANKS_RUN_TESTS(argc, argv, tests);
}
