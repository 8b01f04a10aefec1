#include "binding.h"

#include <stdio.h>

#include "support/check.h"

static Seat seat(const char *host, size_t first_core, size_t core_count, int node_core_count,
                 int threads)
{
  Seat made;
  memset(&made, 0, sizeof made);
  (void)snprintf(made.host, sizeof made.host, "%s", host);
  for (size_t core = first_core; core < first_core + core_count; ++core)
    CPU_SET(core, &made.cores);
  made.node_core_count = node_core_count;
  made.threads = threads;
  return made;
}

static void check_fault(const Seat *seats, int count, const char *words)
{
  char text[BINDING_TEXT_BYTES];
  const bool fault = binding_fault(seats, count, text);
  assert_int_equal(fault, words != NULL);
  if (words == NULL)
    assert_string_equal(text, "");
  else if (strstr(text, words) == NULL)
    fail_msg("“%s” does not say “%s”", text, words);
}

static void cores_are_listed_as_runs(void **state)
{
  const size_t cores[] = {0, 1, 2, 5, 7, 8};
  cpu_set_t set;
  CPU_ZERO(&set);
  char text[32];
  binding_core_list(&set, text, sizeof text);
  assert_string_equal(text, "");
  for (size_t i = 0; i < 6; ++i)
    CPU_SET(cores[i], &set);
  binding_core_list(&set, text, sizeof text);
  assert_string_equal(text, "0-2,5,7-8");
  CPU_SET(CPU_SETSIZE - 1, &set);
  binding_core_list(&set, text, sizeof text);
  assert_string_equal(text, "0-2,5,7-8,1023");
  binding_core_list(&set, text, 13);
  assert_string_equal(text, "0-2,5,7-8…"); /* 9 bytes, 3 and the end */
}

static void ranks_that_share_their_cores_fairly_are_no_fault(void **state)
{
  const Seat alone[] = {seat("a", 0, 2, 2, 2)};
  const Seat halves[] = {seat("a", 0, 1, 2, 1), seat("a", 1, 1, 2, 1)};
  const Seat unbound[] = {seat("a", 0, 64, 64, 16), seat("a", 0, 64, 64, 16),
                          seat("b", 0, 64, 64, 32)};
  const Seat few_threads[] = {seat("a", 0, 32, 64, 8)};
  check_fault(alone, 1, NULL);
  check_fault(halves, 2, NULL);
  check_fault(unbound, 3, NULL);
  check_fault(few_threads, 1, NULL);
}

static void a_rank_on_one_core_beside_idle_ones_is_told_how_to_start(void **state)
{
  const Seat one[] = {seat("a", 0, 1, 2, 1)};
  const Seat second_node[] = {seat("a", 0, 64, 64, 64), seat("b", 0, 2, 64, 2)};
  check_fault(one, 1, "rank 0 on a is bound to 1 of 2 cores and 1 of them stand idle");
  check_fault(one, 1, "--bind-to none or --map-by slot:PE=N");
  check_fault(second_node, 2, "rank 1 on b is bound to 2 of 64 cores and 62 of them stand idle");
}

static void more_threads_than_cores_of_a_rank_are_a_fault(void **state)
{
  const Seat bound[] = {seat("a", 0, 1, 2, 2)};
  check_fault(bound, 1, "rank 0 on a is bound to 1 core and will run 2 threads on it");
}

static void more_threads_than_cores_of_a_node_are_a_fault(void **state)
{
  const Seat ranks[] = {seat("a", 0, 8, 8, 8), seat("b", 0, 8, 8, 8), seat("b", 0, 8, 8, 8)};
  check_fault(ranks, 1, NULL);
  check_fault(ranks, 3, "the 2 ranks on b will run 16 threads on 8 cores");
  check_fault(ranks, 3, "set OMP_NUM_THREADS=4");
  const Seat crowd[] = {seat("a", 0, 2, 2, 1), seat("a", 0, 2, 2, 1), seat("a", 0, 2, 2, 1)};
  check_fault(crowd, 3, "start at most 2 there");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cores_are_listed_as_runs),
      cmocka_unit_test(ranks_that_share_their_cores_fairly_are_no_fault),
      cmocka_unit_test(a_rank_on_one_core_beside_idle_ones_is_told_how_to_start),
      cmocka_unit_test(more_threads_than_cores_of_a_rank_are_a_fault),
      cmocka_unit_test(more_threads_than_cores_of_a_node_are_a_fault),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
