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

/* A tool: its options as data, and one function.
 * Collective. run returns the same status on all ranks. */
typedef struct Tool {
  const OptionTable *table;
  size_t values_bytes; /* of its struct of options */
  Status (*run)(const Job *job, const void *values);
} Tool;

/* All tools in the order of a project's work; count of them. */
const Tool *const *job_tools(size_t *count);
