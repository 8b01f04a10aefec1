/* The tool detect with an engine that knows, for tests of all that is not the network:
 *
 *   detect_oracle --raster=… --model=words.txt …      as quadrat detect */
#include <stdio.h>
#include <stdlib.h>

#include "base/interrupt.h"
#include "detect.h"
#include "oracle_engine.h"

static Status run(int argument_count, char **arguments, const Comm *comm, const Log *log,
                  Arena *arena)
{
  DetectOptions given = {0};
  const Job job = {.comm = comm, .log = log, .arena = arena, .command = "detect_oracle"};
  TRY(comm_agree(
      comm, options_parse(&detect_table, NULL, argument_count - 1, arguments + 1, arena, &given)));
  return detect_run(&job, &given, &oracle_engine);
}

int main(int argument_count, char **arguments)
{
  Comm *world;
  Arena *arena;
  if (comm_start(&argument_count, &arguments, &world) != STATUS_OK) return 1;
  const Log log =
      log_open(comm_rank(world), comm_rank_count(world), getenv("QUADRAT_QUIET") != NULL);
  interrupt_watch();
  Status status = arena_open(&arena);
  if (status == STATUS_OK) status = run(argument_count, arguments, world, &log, arena);
  if (status != STATUS_OK && comm_rank(world) == 0)
    (void)fprintf(stderr, "quadrat detect: %s\n", status_message());
  arena_close(arena);
  comm_stop(world);
  return status_exit_code(status);
}
