#include <stdio.h>

#include "nccl_driver.h"
#include "nccl_ranks.h"
#include "support/backends.h"

/* NCCL with one rank: every call of the driver, and that sums wait for the compute stream's work
 * and its later work for them. Then gradients and their watchdog with two and four ranks on one
 * GPU, as processes of their own, which are killed after a deadline. */
enum { COUNT = 1 << 20 };

static const double deadline_s = 150;

static void fail_with_outputs(int count, const RankEnd *ends, const char *why)
{
  for (int rank = 0; rank < count; ++rank)
    (void)fprintf(stderr, "rank %d left with %d: %s\n", rank, ends[rank].exit_code,
                  ends[rank].output);
  fail_msg("%s", why);
}

static void sums_of_ranks_that_share_a_gpu_are_right(void **state)
{
  for (int count = 2; count <= 4; count += 2) {
    RankEnd ends[4] = {{.exit_code = -1}};
    if (!ranks_run(count, "sum", deadline_s, ends))
      fail_with_outputs(count, ends, "not all ranks left in time");
    for (int rank = 0; rank < count; ++rank)
      if (ends[rank].exit_code != 0) fail_with_outputs(count, ends, "a rank failed");
  }
}

/* The others leave with the exit code of STATUS_COMM and name the step, and which sum. */
static void check_who_is_left(const char *trial, int lost_code)
{
  enum { RANKS = 3 };
  RankEnd ends[RANKS] = {{.exit_code = -1}};
  if (!ranks_run(RANKS, trial, deadline_s, ends))
    fail_with_outputs(RANKS, ends, "not all ranks left in time");
  if (lost_code != 0 && ends[RANKS - 1].exit_code != lost_code)
    fail_with_outputs(RANKS, ends, "the lost rank left otherwise");
  for (int rank = 0; rank < RANKS - 1; ++rank)
    if (ends[rank].exit_code != status_exit_code(STATUS_COMM) ||
        strstr(ends[rank].output, "step 4, the sum of gradients, bucket ") == NULL)
      fail_with_outputs(RANKS, ends, "a rank that is left does not say what it waits for");
}

static void a_rank_that_is_killed_ends_the_others(void **state)
{
  check_who_is_left("kill", 128 + 9);
}

static void a_rank_that_stays_away_ends_the_others(void **state)
{
  check_who_is_left("absent", 0);
}

static const TestBackend *gpu(void)
{
  const TestBackend *found = NULL;
  FOR_EACH_TWIN(on)
  if (device_kind(on->device) == DEVICE_CUDA) found = on;
  assert_non_null(found);
  return found;
}

static const NcclDriver *driver(void)
{
  const NcclDriver *found = device_plugin_symbol(NCCL_DRIVER_SYMBOL);
  assert_non_null(found);
  return found;
}

static Nccl *open_alone(const TestBackend *on)
{
  unsigned char id[NCCL_ID_BYTES];
  Nccl *nccl = NULL;
  CHECK_OK(driver()->make_id(id));
  CHECK_OK(driver()->open(device_driver(on->device), id, 0, 1, 60.0, &nccl));
  return nccl;
}

static void the_sum_of_one_rank_is_its_own(void **state)
{
  const TestBackend *on = gpu();
  Room *room = room_open(on);
  Nccl *nccl = open_alone(on);
  float *numbers = room_numbers(room, COUNT);
  for (int i = 0; i < COUNT; ++i)
    numbers[i] = (float)i;
  float *values = room_upload_floats(room, numbers, COUNT);
  for (int turn = 0; turn < 3; ++turn) { /* doubled on the compute stream before each sum */
    on->ops->add_forward(on->device, image_shape(1, 1, COUNT / 8, 8, ELEMENT_F32), values, values,
                         values);
    CHECK_OK(driver()->sum(nccl, values, COUNT / 2));
    CHECK_OK(driver()->sum(nccl, values + COUNT / 2, COUNT / 2));
    CHECK_OK(driver()->join(nccl));
  }
  CHECK_OK(driver()->check(nccl));
  CHECK_OK(device_synchronize(on->device));
  assert_int_equal(driver()->ended(nccl), 6);
  assert_false(driver()->is_recording(nccl));
  const float *got = room_download_floats(room, values, COUNT);
  for (int i = 0; i < COUNT; ++i)
    if (got[i] != 8.0F * (float)i) fail_msg("value %d is %g", i, (double)got[i]);
  driver()->close(nccl);
  room_close(room);
}

static void a_communicator_that_was_aborted_leaves_the_device_usable(void **state)
{
  const TestBackend *on = gpu();
  Room *room = room_open(on);
  Nccl *nccl = open_alone(on);
  float *values = room_upload_floats(room, room_numbers(room, 8), 8);
  CHECK_OK(driver()->sum(nccl, values, 8));
  driver()->abort(nccl);
  CHECK_FAILS(STATUS_COMM, "was ended", driver()->sum(nccl, values, 8));
  driver()->close(nccl);
  CHECK_OK(device_synchronize(on->device));
  room_close(room);
}

int main(int argument_count, char **arguments)
{
  const struct CMUnitTest tests[] = {
      /* Processes first: from here on this one has CUDA in it. */
      cmocka_unit_test(sums_of_ranks_that_share_a_gpu_are_right),
      cmocka_unit_test(a_rank_that_is_killed_ends_the_others),
      cmocka_unit_test(a_rank_that_stays_away_ends_the_others),
      cmocka_unit_test(the_sum_of_one_rank_is_its_own),
      cmocka_unit_test(a_communicator_that_was_aborted_leaves_the_device_usable),
  };
  if (argument_count == 6 && strcmp(arguments[1], "rank") == 0)
    return rank_main((int)strtol(arguments[2], NULL, 10), (int)strtol(arguments[3], NULL, 10),
                     arguments[4], arguments[5]);
  (void)setenv("QUADRAT_NCCL_TIMEOUT_S", "20", 0);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
