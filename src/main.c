#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/bundle.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/memory.h"
#include "comm/comm.h"
#include "job/job.h"

#define VERSION QUADRAT_VERSION

static void print_usage(FILE *stream)
{
  size_t count;
  const Tool *const *tools = job_tools(&count);
  (void)fprintf(
      stream,
      "quadrat %s: deep learning on georeferenced rasters, on every core and GPU of every node\n\n"
      "  quadrat <tool> [job.ini] [--option=value ...]\n"
      "  mpirun -n 4 quadrat <tool> ...      on 4 ranks\n\n",
      VERSION);
  for (size_t i = 0; i < count; ++i)
    (void)fprintf(stream, "  %-10s %s\n", tools[i]->table->tool, tools[i]->table->summary);
  (void)fprintf(
      stream,
      "\nquadrat <tool> --help lists a tool's options. Exit codes: 0 done, 1 internal error, 2 bad "
      "option, "
      "3 file or disk,\n4 bad input, 5 inputs that do not fit each other, 6 no memory, 7 not "
      "supported here, 8 "
      "device, 9 MPI or NCCL,\n10 training diverged, 99 stopped by a signal, to be run again.\n");
}

static const Tool *find_tool(const char *name)
{
  size_t count;
  const Tool *const *tools = job_tools(&count);
  for (size_t i = 0; i < count; ++i)
    if (strcmp(tools[i]->table->tool, name) == 0) return tools[i];
  return NULL;
}

static Status join_command(int argument_count, char **arguments, Arena *arena, char **command)
{
  size_t bytes = 1;
  for (int i = 0; i < argument_count; ++i)
    bytes += strlen(arguments[i]) + 1;
  void *text;
  TRY(arena_allocate(arena, bytes, &text));
  char *end = text;
  for (int i = 0; i < argument_count; ++i) {
    if (i > 0) *end++ = ' ';
    end = stpcpy(end, arguments[i]);
  }
  *command = text;
  return STATUS_OK;
}

/* The job file is the first argument after the tool, if it is no option. */
static Status parse(const Tool *tool, int argument_count, char **arguments, Arena *arena,
                    void **values, char **command)
{
  const bool has_file = argument_count > 2 && arguments[2][0] != '-';
  const int first = has_file ? 3 : 2;
  TRY(join_command(argument_count, arguments, arena, command));
  TRY(arena_allocate(arena, tool->values_bytes, values));
  if (tool->read != NULL) return tool->read(argument_count - 2, arguments + 2, arena, *values);
  return options_parse(tool->table, has_file ? arguments[2] : NULL, argument_count - first,
                       arguments + first, arena, *values);
}

static Status run(const Tool *tool, int argument_count, char **arguments, const Comm *comm,
                  const Log *log, Arena *arena)
{
  void *values;
  Job job = {.comm = comm, .log = log, .arena = arena};
  char *command = NULL;
  TRY(comm_agree(comm, parse(tool, argument_count, arguments, arena, &values, &command)));
  job.command = command;
  return tool->run(&job, values);
}

/* All ranks come here together, unless one failed by itself: then the others may wait for it for
 * ever, so it speaks for itself and ends them. */
static int end_together(const Tool *tool, const Comm *comm, const Log *log, Status mine)
{
  const double others_s = 10;
  bool all = mine != STATUS_COMM;
  Status status = mine;
  if (all)
    status = comm_agree_within(comm, mine, mine == STATUS_OK ? (double)INFINITY : others_s, &all);
  if (!all) {
    (void)fprintf(stderr, "quadrat %s: rank %d on %s: %s\n", tool->table->tool, comm_rank(comm),
                  log->host, status_message());
    (void)fflush(stderr);
    comm_abort_after_words(comm, status_exit_code(status));
  }
  if (status != STATUS_OK && comm_rank(comm) == 0)
    (void)fprintf(stderr, "quadrat %s: %s\n", tool->table->tool, status_message());
  return status_exit_code(status);
}

static int run_job(const Tool *tool, int argument_count, char **arguments, const Comm *comm)
{
  const Log log = log_open(comm_rank(comm), comm_rank_count(comm), getenv("QUADRAT_QUIET") != NULL);
  Arena *arena = NULL;
  Status status = comm_agree(comm, arena_open(&arena));
  interrupt_watch();
  if (status == STATUS_OK) status = run(tool, argument_count, arguments, comm, &log, arena);
  const int code = end_together(tool, comm, &log, status);
  arena_close(arena);
  return code;
}

/* What needs no ranks: help, the version, a tool that does not exist. -1: go on. */
static int answer_at_once(int argument_count, char **arguments, const Tool **tool)
{
  const char *first = argument_count > 1 ? arguments[1] : "";
  if (strcmp(first, "--version") == 0) return printf("quadrat %s\n", VERSION) < 0;
  if (argument_count < 2 || strcmp(first, "--help") == 0 || strcmp(first, "help") == 0) {
    print_usage(argument_count < 2 ? stderr : stdout);
    return argument_count < 2 ? status_exit_code(STATUS_BAD_OPTION) : 0;
  }
  *tool = find_tool(first);
  if (*tool == NULL) {
    (void)fprintf(stderr, "quadrat: there is no tool “%s”; quadrat --help lists them\n", first);
    return status_exit_code(STATUS_BAD_OPTION);
  }
  for (int i = 2; i < argument_count; ++i)
    if (strcmp(arguments[i], "--help") == 0) {
      options_print_help((*tool)->table, (*tool)->words == NULL ? "" : (*tool)->words, stdout);
      return 0;
    }
  return -1;
}

int main(int argument_count, char **arguments)
{
  const Tool *tool = NULL;
  Comm *world;
  const int answer = answer_at_once(argument_count, arguments, &tool);
  if (answer >= 0) return answer;
  Status started = bundle_enter();
  memory_start();
  if (started == STATUS_OK) started = comm_start(&argument_count, &arguments, &world);
  if (started != STATUS_OK) {
    (void)fprintf(stderr, "quadrat: %s\n", status_message());
    return status_exit_code(started);
  }
  const int code = run_job(tool, argument_count, arguments, world);
  comm_stop(world);
  return code;
}
