#pragma once

/* cmocka on several ranks. Rank 0 shows its report; another rank speaks only when a test of it
 * fails. A failure on any rank ends the job at once, since the other ranks may stand in a
 * collective that the failed one will not reach. So ctest sees one exit code for all ranks. */
#include "comm/comm.h"
#include "support/check.h"

#include <stdio.h>
#include <unistd.h>

static Comm *ranks_world; /* of the tests; from ranks_run_tests on */

typedef struct RanksSilence {
  FILE *kept;
  int real_stderr;
} RanksSilence;

static inline RanksSilence ranks_silence(void)
{
  RanksSilence silence = {.kept = tmpfile(), .real_stderr = dup(STDERR_FILENO)};
  if (silence.kept == NULL || silence.real_stderr < 0) comm_abort(ranks_world, 1);
  (void)fflush(NULL);
  (void)dup2(fileno(silence.kept), STDOUT_FILENO);
  (void)dup2(fileno(silence.kept), STDERR_FILENO);
  return silence;
}

static inline void ranks_tell(RanksSilence silence)
{
  char line[1024];
  (void)fflush(NULL);
  rewind(silence.kept);
  (void)dprintf(silence.real_stderr, "rank %d:\n", comm_rank(ranks_world));
  while (fgets(line, sizeof line, silence.kept) != NULL)
    (void)dprintf(silence.real_stderr, "%s", line);
}

static inline int ranks_run_tests(int argument_count, char **arguments,
                                  const struct CMUnitTest *tests, size_t count)
{
  RanksSilence silence = {NULL, -1};
  if (comm_start(&argument_count, &arguments, &ranks_world) != STATUS_OK) {
    (void)fprintf(stderr, "%s\n", status_message());
    return 1;
  }
  if (comm_rank(ranks_world) != 0) silence = ranks_silence();
  for (size_t i = 0; i < count; ++i) {
    const struct CMUnitTest one[] = {tests[i]};
    if (cmocka_run_group_tests_name(tests[i].name, one, NULL, NULL) == 0) continue;
    if (silence.kept != NULL) ranks_tell(silence);
    comm_abort(ranks_world, 1);
  }
  if (silence.kept != NULL) (void)fclose(silence.kept);
  comm_stop(ranks_world);
  return 0;
}

#define RANKS_RUN_TESTS(argument_count, arguments, tests)                                          \
  ranks_run_tests(argument_count, arguments, tests, sizeof(tests) / sizeof((tests)[0]))
