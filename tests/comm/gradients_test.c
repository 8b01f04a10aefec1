#include <stdio.h>

#include "gradients_ways.h"
#include "support/ranks.h"

enum { COUNT = 1000 };

/* A stand-in for NCCL, over MPI on the host: what gradients.c must call, and in which order. */
struct Nccl {
  int sums;          /* not joined yet */
  int sums_in_all;   /* since the last look */
  size_t last_count; /* of the last sum */
};

static struct Nccl fake;
static int fake_opens, fake_closes, fake_aborts;
static const char *fake_missing;
static int fake_refusing_rank = -1, fake_failing_sum = -1;

static const char *fake_why_not(void)
{
  return fake_missing;
}

static const char *fake_version(void)
{
  return "NCCL 0.0";
}

static Status fake_make_id(unsigned char id[NCCL_ID_BYTES])
{
  memset(id, 7, NCCL_ID_BYTES);
  return STATUS_OK;
}

static Status fake_open(void *cuda_device, const unsigned char id[NCCL_ID_BYTES], int rank,
                        int rank_count, double deadline_s, Nccl **nccl)
{
  *nccl = NULL;
  if (rank == fake_refusing_rank)
    return status_set(STATUS_UNSUPPORTED, "NCCL refuses two ranks on one GPU");
  if (id[0] != 7 || id[NCCL_ID_BYTES - 1] != 7 || rank != comm_rank(ranks_world) ||
      rank_count != comm_rank_count(ranks_world))
    return status_set(STATUS_COMM, "not what rank 0 sent");
  memset(&fake, 0, sizeof fake);
  ++fake_opens;
  *nccl = &fake;
  return STATUS_OK;
}

static Status fake_sum(Nccl *nccl, float *values, size_t count)
{
  if (nccl->sums_in_all == fake_failing_sum) return status_set(STATUS_COMM, "the link is down");
  ++nccl->sums;
  ++nccl->sums_in_all;
  nccl->last_count = count;
  return comm_sum_float(ranks_world, values, count);
}

static Status fake_join(Nccl *nccl)
{
  nccl->sums = 0;
  return STATUS_OK;
}

static bool fake_is_recording(const Nccl *nccl)
{
  return false;
}

static uint32_t fake_ended(const Nccl *nccl)
{
  return (uint32_t)nccl->sums_in_all;
}

static Status fake_check(Nccl *nccl)
{
  return STATUS_OK;
}

static void fake_watch(Nccl *nccl, Status (*ask)(void *context), void *context)
{
}

static void fake_abort(Nccl *nccl)
{
  ++fake_aborts;
}

static void fake_close(Nccl *nccl)
{
  ++fake_closes;
}

static const NcclDriver fake_driver = {.why_not = fake_why_not,
                                       .version = fake_version,
                                       .make_id = fake_make_id,
                                       .open = fake_open,
                                       .sum = fake_sum,
                                       .join = fake_join,
                                       .is_recording = fake_is_recording,
                                       .ended = fake_ended,
                                       .check = fake_check,
                                       .watch = fake_watch,
                                       .abort = fake_abort,
                                       .close = fake_close};

typedef enum Route { ROUTE_HOST, ROUTE_STAGED, ROUTE_MIXED, ROUTE_NCCL, ROUTE_COUNT } Route;

static Status open_route(Route route, Device *device, float *block, size_t count,
                         size_t bucket_bytes, Gradients **gradients)
{
  const bool on_gpu =
      route == ROUTE_MIXED ? comm_rank(ranks_world) == 0 : route != ROUTE_HOST; /* so they say */
  return gradients_open_by(ranks_world, device, on_gpu, route == ROUTE_NCCL ? &fake_driver : NULL,
                           block, count, bucket_bytes, gradients);
}

/* Quarters, so that every sum is exact. */
static float gradient(int rank, size_t i)
{
  return 0.25F * (float)((i + 1) * (size_t)(rank + 1));
}

static float gradient_sum(size_t i)
{
  const int n = comm_rank_count(ranks_world);
  return 0.25F * (float)((i + 1) * (size_t)(n * (n + 1) / 2));
}

static void fill(float block[COUNT])
{
  for (size_t i = 0; i < COUNT; ++i)
    block[i] = gradient(comm_rank(ranks_world), i);
}

static void check_sums(const float block[COUNT], size_t count)
{
  for (size_t i = 0; i < COUNT; ++i) {
    const float expected = i < count ? gradient_sum(i) : gradient(comm_rank(ranks_world), i);
    if (block[i] != expected)
      fail_msg("element %zu is %g, not %g", i, (double)block[i], (double)expected);
  }
}

static void sums_are_exact_for_any_bucket_and_any_steps_of_the_backward_pass(void **state)
{
  const size_t buckets[] = {1, 4 * 10, 4 * 333, 4 * COUNT, 4 * COUNT * 10};
  const size_t counts[] = {1, 7, COUNT - 1};
  /* In order, with repeats, backwards, all at once, and never. */
  const size_t steps[][4] = {
      {900, 500, 20, 0}, {700, 700, 900, 10}, {0, 100, 200, 999}, {999, 998, 997, 996}};
  Device *device;
  CHECK_OK(device_open(-1, &device));
  for (int route = 0; route < ROUTE_COUNT; ++route)
    for (size_t b = 0; b < 5; ++b)
      for (size_t c = 0; c < 3; ++c) {
        float block[COUNT];
        Gradients *gradients;
        if (buckets[b] < 4 && counts[c] > 10) continue; /* one element to a bucket: slow */
        CHECK_OK(open_route((Route)route, device, block, counts[c], buckets[b], &gradients));
        for (size_t s = 0; s < 5; ++s) { /* the fifth time without a word before the end */
          fill(block);
          for (size_t k = 0; s < 4 && k < 4; ++k)
            CHECK_OK(gradients_ready(gradients, steps[s][k] < counts[c] ? steps[s][k] : counts[c]));
          CHECK_OK(gradients_finish(gradients));
          CHECK_OK(device_synchronize(device));
          check_sums(block, counts[c]);
        }
        gradients_close(gradients);
      }
  device_close(device);
}

static void a_bucket_is_summed_only_when_all_of_it_is_ready(void **state)
{
  if (comm_rank_count(ranks_world) == 1) return;
  Device *device;
  float block[COUNT];
  Gradients *gradients;
  CHECK_OK(device_open(-1, &device));
  CHECK_OK(open_route(ROUTE_HOST, device, block, COUNT, 4 * 300, &gradients));
  fill(block);
  CHECK_OK(gradients_ready(gradients, 701));
  for (size_t i = 0; i < COUNT; ++i)
    assert_true(block[i] == gradient(comm_rank(ranks_world), i));
  CHECK_OK(gradients_ready(gradients, 650)); /* 700 … 999 is whole, 400 … 699 is not */
  for (size_t i = 0; i < COUNT; ++i)
    assert_true(block[i] == (i < 700 ? gradient(comm_rank(ranks_world), i) : gradient_sum(i)));
  CHECK_OK(gradients_ready(gradients, 0)); /* the short one at the start, too */
  check_sums(block, COUNT);
  CHECK_OK(gradients_finish(gradients));
  check_sums(block, COUNT);
  gradients_close(gradients);
  device_close(device);
}

static void a_few_values_are_summed_between_buckets(void **state)
{
  Device *device;
  CHECK_OK(device_open(-1, &device));
  for (int route = 0; route < ROUTE_COUNT; ++route) {
    float block[COUNT];
    float few[3] = {gradient(comm_rank(ranks_world), 0), gradient(comm_rank(ranks_world), 1), 0};
    Gradients *gradients;
    CHECK_OK(open_route((Route)route, device, block, COUNT, 4 * 99, &gradients));
    fill(block);
    CHECK_OK(gradients_ready(gradients, 900));
    CHECK_OK(gradients_sum(gradients, "the sum of a few", few, 3));
    CHECK_OK(device_synchronize(device));
    assert_true(few[0] == gradient_sum(0) && few[1] == gradient_sum(1) && few[2] == 0);
    CHECK_OK(gradients_finish(gradients));
    CHECK_OK(device_synchronize(device));
    check_sums(block, COUNT);
    gradients_close(gradients);
  }
  device_close(device);
}

/* Values whose sum rounds differently in another order. */
static void run_rounding(Route route, size_t bucket_bytes, float block[COUNT])
{
  Device *device;
  Gradients *gradients;
  for (size_t i = 0; i < COUNT; ++i)
    block[i] = 1.0F / (float)(3 + i + 7 * (size_t)comm_rank(ranks_world));
  CHECK_OK(device_open(-1, &device));
  CHECK_OK(open_route(route, device, block, COUNT, bucket_bytes, &gradients));
  CHECK_OK(gradients_ready(gradients, COUNT / 2));
  CHECK_OK(gradients_finish(gradients));
  CHECK_OK(device_synchronize(device));
  gradients_close(gradients);
  device_close(device);
}

static void the_bytes_are_the_same_in_every_run_bucket_and_rank(void **state)
{
  float first[COUNT], again[COUNT], all[4][COUNT];
  run_rounding(ROUTE_HOST, 4 * COUNT, first);
  for (int run = 0; run < 3; ++run) {
    run_rounding(run == 2 ? ROUTE_STAGED : ROUTE_HOST, (size_t)(200 + 400 * run), again);
    assert_memory_equal(first, again, sizeof first);
  }
  CHECK_OK(comm_gather(ranks_world, first, sizeof first, all));
  for (int rank = 1; rank < comm_rank_count(ranks_world); ++rank)
    assert_memory_equal(all[rank], first, sizeof first);
}

static void nccl_sums_while_the_pass_goes_on_and_is_joined_at_its_end(void **state)
{
  if (comm_rank_count(ranks_world) == 1) return;
  Device *device;
  float block[COUNT];
  Gradients *gradients;
  CHECK_OK(device_open(-1, &device));
  fake_opens = fake_closes = fake_aborts = 0;
  CHECK_OK(open_route(ROUTE_NCCL, device, block, COUNT, 4 * 300, &gradients));
  assert_string_equal(gradients_backend(gradients), "NCCL 0.0");
  fill(block);
  CHECK_OK(gradients_ready(gradients, 400));
  assert_int_equal(fake.sums, 2); /* two whole buckets, on their way */
  CHECK_OK(gradients_finish(gradients));
  assert_int_equal(fake.sums, 0);
  assert_int_equal(fake.sums_in_all, 4);
  assert_int_equal(fake.last_count, 100);
  gradients_close(gradients);
  assert_true(fake_opens == 1 && fake_closes == 1 && fake_aborts == 0);
  device_close(device);
}

static void ranks_that_nccl_refuses_go_over_the_host_and_say_why(void **state)
{
  const int last = comm_rank_count(ranks_world) - 1;
  if (last == 0) return;
  Device *device;
  float block[COUNT];
  Gradients *gradients;
  CHECK_OK(device_open(-1, &device));
  fake_opens = fake_closes = fake_aborts = 0;
  fake_refusing_rank = last;
  CHECK_OK(open_route(ROUTE_NCCL, device, block, COUNT, 4 * 300, &gradients));
  fake_refusing_rank = -1;
  assert_non_null(strstr(gradients_backend(gradients), "MPI on the host, since rank "));
  assert_non_null(strstr(gradients_backend(gradients), "NCCL refuses two ranks on one GPU"));
  fill(block);
  CHECK_OK(gradients_finish(gradients));
  CHECK_OK(device_synchronize(device));
  check_sums(block, COUNT);
  gradients_close(gradients);
  const int opened = comm_rank(ranks_world) == last ? 0 : 1;
  assert_true(fake_opens == opened && fake_aborts == opened && fake_closes == opened);
  device_close(device);
}

/* No driver of NCCL in the plug-in, no library of NCCL on the machine, or a rank on the CPU. */
static void ranks_without_nccl_go_over_the_host_and_say_why(void **state)
{
  static const char *const whys[] = {"the CUDA plug-in was built without NCCL", "no libnccl.so.2",
                                     "it has no GPU"};
  if (comm_rank_count(ranks_world) == 1) return;
  for (int way = 0; way < 3; ++way) {
    const bool last = comm_rank(ranks_world) == comm_rank_count(ranks_world) - 1;
    Device *device;
    float block[COUNT];
    Gradients *gradients;
    CHECK_OK(device_open(-1, &device));
    fake_missing = way == 1 && last ? whys[1] : NULL;
    CHECK_OK(gradients_open_by(ranks_world, device, way != 2 || !last,
                               way == 0 ? NULL : &fake_driver, block, COUNT, 4 * 300, &gradients));
    fake_missing = NULL;
    assert_non_null(strstr(gradients_backend(gradients), "MPI on the host, since "));
    assert_non_null(strstr(gradients_backend(gradients), whys[way]));
    fill(block);
    CHECK_OK(gradients_finish(gradients));
    CHECK_OK(device_synchronize(device));
    check_sums(block, COUNT);
    gradients_close(gradients);
    device_close(device);
  }
}

static void a_failure_of_nccl_is_an_error_from_then_on(void **state)
{
  if (comm_rank_count(ranks_world) == 1) return;
  Device *device;
  float block[COUNT] = {0};
  Gradients *gradients;
  CHECK_OK(device_open(-1, &device));
  fake_aborts = fake_closes = 0;
  CHECK_OK(open_route(ROUTE_NCCL, device, block, COUNT, 4 * 300, &gradients));
  fake_failing_sum = 1;
  CHECK_FAILS(STATUS_COMM, "the link is down", gradients_ready(gradients, 0));
  fake_failing_sum = -1;
  CHECK_FAILS(STATUS_COMM, "NCCL has failed before", gradients_finish(gradients));
  gradients_close(gradients);
  assert_true(fake_aborts == 1 && fake_closes == 1);
  device_close(device);
}

/* The others must not wait for ever in the sum. */
static void a_device_that_fails_on_one_rank_fails_on_all(void **state)
{
  const int last = comm_rank_count(ranks_world) - 1;
  if (last == 0) return;
  Device *device;
  float block[COUNT];
  Gradients *gradients;
  CHECK_OK(device_open(-1, &device));
  CHECK_OK(open_route(ROUTE_STAGED, device, block, COUNT, 4 * 300, &gradients));
  fill(block);
  if (comm_rank(ranks_world) == last)
    device_fail(device, status_set(STATUS_DEVICE, "a kernel met a bad address"));
  CHECK_FAILS(STATUS_DEVICE, "a kernel met a bad address", gradients_finish(gradients));
  gradients_close(gradients);
  device_close(device);
}

static void the_public_door_finds_the_host_for_a_cpu(void **state)
{
  Device *device;
  float block[COUNT];
  Gradients *gradients;
  CHECK_OK(device_open(-1, &device));
  CHECK_OK(gradients_open(ranks_world, device, block, COUNT, 1 << 20, &gradients));
  assert_string_equal(gradients_backend(gradients), comm_rank_count(ranks_world) == 1
                                                        ? "one rank, nothing to sum"
                                                        : "MPI on the host");
  fill(block);
  CHECK_OK(gradients_finish(gradients));
  check_sums(block, COUNT);
  gradients_close(gradients);
  gradients_close(NULL);
  device_close(device);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sums_are_exact_for_any_bucket_and_any_steps_of_the_backward_pass),
      cmocka_unit_test(a_bucket_is_summed_only_when_all_of_it_is_ready),
      cmocka_unit_test(a_few_values_are_summed_between_buckets),
      cmocka_unit_test(the_bytes_are_the_same_in_every_run_bucket_and_rank),
      cmocka_unit_test(nccl_sums_while_the_pass_goes_on_and_is_joined_at_its_end),
      cmocka_unit_test(ranks_that_nccl_refuses_go_over_the_host_and_say_why),
      cmocka_unit_test(ranks_without_nccl_go_over_the_host_and_say_why),
      cmocka_unit_test(a_failure_of_nccl_is_an_error_from_then_on),
      cmocka_unit_test(a_device_that_fails_on_one_rank_fails_on_all),
      cmocka_unit_test(the_public_door_finds_the_host_for_a_cpu),
  };
  return RANKS_RUN_TESTS(argc, argv, tests);
}
