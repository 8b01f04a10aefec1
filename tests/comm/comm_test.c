#include <math.h>
#include <sched.h>

#include "base/memory.h"
#include "pieces.h"
#include "support/ranks.h"

static int rank(void)
{
  return comm_rank(ranks_world);
}

static int rank_count(void)
{
  return comm_rank_count(ranks_world);
}

static void every_rank_has_a_place_in_the_job(void **state)
{
  int64_t seen[4] = {0};
  assert_in_range(rank(), 0, rank_count() - 1);
  assert_in_range(rank_count(), 1, 4);
  seen[rank()] = 1;
  CHECK_OK(comm_reduce_int64(ranks_world, COMM_SUM, seen, 4));
  for (int i = 0; i < 4; ++i)
    assert_int_equal(seen[i], i < rank_count() ? 1 : 0);
}

typedef struct Place {
  char host[64];
  int rank_on_node;
  int rank_count_on_node;
} Place;

static void ranks_of_one_host_are_counted_as_one_node(void **state)
{
  Place mine = {.rank_on_node = comm_rank_on_node(ranks_world),
                .rank_count_on_node = comm_rank_count_on_node(ranks_world)};
  Place all[4];
  (void)gethostname(mine.host, sizeof mine.host - 1);
  CHECK_OK(comm_gather(ranks_world, &mine, sizeof mine, all));
  int before = 0, together = 0;
  for (int r = 0; r < rank_count(); ++r) {
    if (strcmp(all[r].host, mine.host) != 0) continue;
    assert_int_equal(all[r].rank_on_node, together);
    ++together;
    if (r < rank()) ++before;
  }
  assert_int_equal(mine.rank_on_node, before);
  assert_int_equal(mine.rank_count_on_node, together);
}

static void ranks_agree_that_all_is_well(void **state)
{
  CHECK_OK(comm_agree(ranks_world, STATUS_OK));
}

static void the_lowest_failed_rank_speaks_on_all_ranks(void **state)
{
  /* All ranks from 1 on fail, each in its own way; on one rank, rank 0 does. */
  const int first_failed = rank_count() > 1 ? 1 : 0;
  Status mine = STATUS_OK;
  if (rank() >= first_failed)
    mine =
        status_set(rank() == first_failed ? STATUS_IO : STATUS_MISMATCH, "disk %d is full", rank());
  else
    (void)status_set(STATUS_OK, "nothing");
  const Status agreed = comm_agree(ranks_world, mine);
  char expected[64];
  (void)snprintf(expected, sizeof expected, "disk %d is full", first_failed);
  assert_int_equal(agreed, STATUS_IO);
  assert_non_null(strstr(status_message(), expected));
  assert_int_equal(strncmp(status_message(), "rank 1 on ", 10) == 0, rank_count() > 1);
}

static void a_sentence_that_was_agreed_on_stays_as_it_is(void **state)
{
  const int last = rank_count() - 1;
  const Status mine = rank() == last ? status_set(STATUS_IO, "no file") : STATUS_OK;
  const Status agreed = comm_agree(ranks_world, mine);
  char once[256];
  (void)snprintf(once, sizeof once, "%s", status_message());
  assert_int_equal(comm_agree(ranks_world, agreed), STATUS_IO);
  assert_string_equal(status_message(), once);
}

static void rank_0_speaks_for_the_job(void **state)
{
  const Status mine = rank() == 0 ? status_set(STATUS_BAD_INPUT, "a.tif is cut short") : STATUS_OK;
  assert_int_equal(comm_agree(ranks_world, mine), STATUS_BAD_INPUT);
  assert_string_equal(status_message(), "a.tif is cut short");
}

static void a_broadcast_gives_the_bytes_of_its_root_in_pieces_of_any_size(void **state)
{
  const size_t pieces[] = {1, 3, 7, 8, 1000};
  for (int root = 0; root < rank_count(); ++root)
    for (size_t p = 0; p < 5; ++p) {
      unsigned char bytes[8];
      for (size_t i = 0; i < sizeof bytes; ++i)
        bytes[i] = (unsigned char)(rank() == root ? 10 * (size_t)root + i : 255);
      CHECK_OK(comm_broadcast_pieces(ranks_world, root, bytes, 7, pieces[p]));
      for (size_t i = 0; i < 7; ++i)
        assert_int_equal(bytes[i], 10 * (size_t)root + i);
      assert_int_equal(bytes[7], rank() == root ? 10 * root + 7 : 255);
    }
}

static void a_text_of_rank_0_reaches_all_ranks(void **state)
{
  const char *const texts[] = {"", "a", "{\"classes\": [\"roof\", \"Straße\"]}"};
  for (size_t i = 0; i < 3; ++i) {
    char *copy;
    CHECK_OK(comm_broadcast_text(ranks_world, rank() == 0 ? texts[i] : NULL, &copy));
    assert_string_equal(copy, texts[i]);
    memory_free(copy);
  }
}

static void whole_numbers_are_reduced_exactly(void **state)
{
  const int64_t large = INT64_C(1) << 60; /* beyond a double's 53 bits */
  int64_t sum[2] = {large + rank(), -1};
  int64_t most[2] = {rank(), -rank()};
  int64_t least[2] = {rank(), -rank()};
  CHECK_OK(comm_reduce_int64(ranks_world, COMM_SUM, sum, 2));
  CHECK_OK(comm_reduce_int64(ranks_world, COMM_MAX, most, 2));
  CHECK_OK(comm_reduce_int64(ranks_world, COMM_MIN, least, 2));
  const int64_t n = rank_count();
  assert_true(sum[0] == n * large + n * (n - 1) / 2 && sum[1] == -n);
  assert_true(most[0] == n - 1 && most[1] == 0);
  assert_true(least[0] == 0 && least[1] == 1 - n);
}

static void doubles_are_reduced_and_a_nan_of_any_rank_wins(void **state)
{
  double sum[2] = {0.25 * (rank() + 1), rank() == rank_count() - 1 ? NAN : 1};
  double most[2] = {rank() - 10, rank() == 0 ? NAN : 1};
  double least[2] = {rank() - 10, rank() == rank_count() - 1 ? NAN : 1};
  CHECK_OK(comm_reduce_double(ranks_world, COMM_SUM, sum, 2));
  CHECK_OK(comm_reduce_double(ranks_world, COMM_MAX, most, 2));
  CHECK_OK(comm_reduce_double(ranks_world, COMM_MIN, least, 2));
  assert_true(sum[0] == 0.125 * rank_count() * (rank_count() + 1) && isnan(sum[1]));
  assert_true(most[0] == rank_count() - 11 && isnan(most[1]));
  assert_true(least[0] == -10 && isnan(least[1]));
}

/* 3 MiB of doubles on 4 ranks are more than the scratch holds. */
static void long_lists_of_doubles_are_summed_in_pieces(void **state)
{
  const size_t count = 400001;
  double *values = calloc(count, sizeof *values);
  assert_non_null(values);
  for (size_t i = 0; i < count; ++i)
    values[i] = (double)(i + (size_t)rank());
  CHECK_OK(comm_reduce_double(ranks_world, COMM_SUM, values, count));
  const double n = rank_count();
  for (size_t i = 0; i < count; ++i)
    assert_true(values[i] == n * (double)i + n * (n - 1) / 2);
  free(values);
}

/* Numbers whose sum depends on the order: 1 is lost beside 2^24 unless the ranks are added in
 * theirs. Held against the same additions in a loop. */
static float part(int of_rank, size_t i)
{
  const float parts[4] = {1.0F, 16777216.0F, 1.0F, -16777216.0F};
  return parts[of_rank] + (float)(i % 97) * (of_rank % 2 == 0 ? 0.001F : 1.0F);
}

static void check_float_sum(size_t count)
{
  float *values = calloc(count + 1, sizeof *values);
  assert_non_null(values);
  for (size_t i = 0; i < count; ++i)
    values[i] = part(rank(), i);
  values[count] = 42;
  CHECK_OK(comm_sum_float(ranks_world, values, count));
  for (size_t i = 0; i < count; ++i) {
    float expected = part(0, i);
    for (int r = 1; r < rank_count(); ++r)
      expected += part(r, i);
    if (values[i] != expected)
      fail_msg("element %zu of %zu is %a, not %a", i, count, (double)values[i], (double)expected);
  }
  assert_true(values[count] == 42);
  free(values);
}

static void floats_are_added_in_the_order_of_ranks_whatever_their_number(void **state)
{
  /* None, few (one gather), many (slices), more than one piece of scratch; not divisible. */
  const size_t counts[] = {0, 1, 2, 3, 5, 4096, 16385, 100003, 1048573, 2500001};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; ++i)
    check_float_sum(counts[i]);
}

static void a_gather_puts_pieces_in_the_order_of_ranks(void **state)
{
  const size_t piece_bytes[] = {1, 5,
                                1000}; /* 12 bytes: from one rank after the other, or at once */
  for (size_t p = 0; p < 3; ++p) {
    const int32_t mine[3] = {rank(), 10 * rank(), 7};
    int32_t all[4][3] = {{0}};
    CHECK_OK(comm_gather_pieces(ranks_world, mine, sizeof mine, all, piece_bytes[p]));
    for (int r = 0; r < 4; ++r)
      for (int i = 0; i < 3; ++i) {
        const int32_t expected[3] = {r, 10 * r, 7};
        assert_int_equal(all[r][i], r < rank_count() ? expected[i] : 0);
      }
  }
}

static void a_duplicate_has_the_same_ranks_and_its_own_messages(void **state)
{
  Comm *copy;
  CHECK_OK(comm_duplicate(ranks_world, &copy));
  assert_int_equal(comm_rank(copy), rank());
  assert_int_equal(comm_rank_count(copy), rank_count());
  assert_int_equal(comm_rank_on_node(copy), comm_rank_on_node(ranks_world));
  CHECK_OK(comm_barrier(copy));
  float values[2] = {1, 0.5F};
  CHECK_OK(comm_sum_float(copy, values, 2));
  assert_true(values[0] == (float)rank_count() && values[1] == 0.5F * (float)rank_count());
  comm_close(copy);
  comm_close(NULL);
}

static void an_error_of_mpi_becomes_a_sentence(void **state)
{
  if (rank_count() == 1) return;
  float value = 0;
  /* MPI refuses a negative count before it sends anything, so all ranks fail alike. */
  const Status status =
      comm_broadcast_pieces(ranks_world, 0, &value, (size_t)INT32_MAX + 1, (size_t)INT32_MAX + 1);
  assert_int_equal(status, STATUS_COMM);
  assert_non_null(strstr(status_message(), "MPI_Bcast failed: MPI_ERR_COUNT"));
}

static void usable_cores_are_those_of_the_affinity_mask(void **state)
{
  cpu_set_t all, one;
  assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
  assert_int_equal(comm_usable_cores(), CPU_COUNT(&all));
  size_t first = 0;
  while (!CPU_ISSET(first, &all))
    ++first;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
  assert_int_equal(comm_usable_cores(), 1);
  assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
}

static void the_binding_is_printed_by_all_ranks_together(void **state)
{
  const Log log = log_open(rank(), rank_count(), false);
  CHECK_OK(comm_print_binding(ranks_world, &log, 1, "a device"));
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_rank_has_a_place_in_the_job),
      cmocka_unit_test(ranks_of_one_host_are_counted_as_one_node),
      cmocka_unit_test(ranks_agree_that_all_is_well),
      cmocka_unit_test(the_lowest_failed_rank_speaks_on_all_ranks),
      cmocka_unit_test(a_sentence_that_was_agreed_on_stays_as_it_is),
      cmocka_unit_test(rank_0_speaks_for_the_job),
      cmocka_unit_test(a_broadcast_gives_the_bytes_of_its_root_in_pieces_of_any_size),
      cmocka_unit_test(a_text_of_rank_0_reaches_all_ranks),
      cmocka_unit_test(whole_numbers_are_reduced_exactly),
      cmocka_unit_test(doubles_are_reduced_and_a_nan_of_any_rank_wins),
      cmocka_unit_test(long_lists_of_doubles_are_summed_in_pieces),
      cmocka_unit_test(floats_are_added_in_the_order_of_ranks_whatever_their_number),
      cmocka_unit_test(a_gather_puts_pieces_in_the_order_of_ranks),
      cmocka_unit_test(a_duplicate_has_the_same_ranks_and_its_own_messages),
      cmocka_unit_test(an_error_of_mpi_becomes_a_sentence),
      cmocka_unit_test(usable_cores_are_those_of_the_affinity_mask),
      cmocka_unit_test(the_binding_is_printed_by_all_ranks_together),
  };
  return RANKS_RUN_TESTS(argc, argv, tests);
}
