#pragma once

#include <stdbool.h>
#include <stdio.h>

/* Where a job's words go. log_once speaks on rank 0 only, log_rank on every rank, with rank and
 * host before the line. Lines go to stderr, so that stdout holds results only. */
typedef struct Log {
  int rank;
  int rank_count;
  char host[64];
  bool quiet; /* only warnings and errors */
} Log;

Log log_open(int rank, int rank_count, bool quiet);
void log_once(const Log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_rank(const Log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Rank 0, also when quiet. */
void log_warning(const Log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
