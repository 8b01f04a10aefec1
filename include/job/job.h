#pragma once

#include <stddef.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/option.h"
#include "comm/comm.h"

/* What every tool is given. */
typedef struct Job {
  const Comm *comm;
  const Log *log;
  Arena *arena;        /* lives as long as the job */
  const char *command; /* the command line, for provenance */
} Job;

struct Plan; /* src/job/plan.h */

/* A tool: its options as data, and one function.
 * Collective. run returns the same status on all ranks. */
typedef struct Tool {
  const OptionTable *table;
  size_t values_bytes; /* of its struct of options */
  Status (*run)(const Job *job, const void *values);
  /* Collective. Says what a run would take, of plan's figures; NULL: plan does not take this tool. */
  Status (*plan)(const Job *job, const void *values, const struct Plan *plan);
  /* Local. Reads the arguments behind the tool's name, where the table alone does not say how; NULL:
   * a job file, then options. */
  Status (*read)(int argument_count, char *const *arguments, Arena *arena, void *values);
  const char *words; /* of such arguments, in the usage line: "<tool> "; NULL: none */
} Tool;

/* All tools in the order of a project's work; count of them. */
const Tool *const *job_tools(size_t *count);
