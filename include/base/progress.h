#pragma once

#include <stdint.h>

#include "base/log.h"

/* One line that shows how far long work is: done of total, rate, time left. On a terminal it is
 * rewritten in place; in a file a line appears every 30 s. Speaks on rank 0 only. */
typedef struct Progress {
  const Log *log;
  const char *what; /* "classify" */
  const char *unit; /* "tiles" */
  int64_t total;
  int64_t done_at_start; /* of an earlier run that this one continues */
  double started_s;
  double shown_s;
} Progress;

Progress progress_start(const Log *log, const char *what, const char *unit, int64_t total,
                        int64_t done_at_start);
/* note: further words for the line, or NULL. */
void progress_show(Progress *progress, int64_t done, const char *note);
void progress_end(Progress *progress, int64_t done);
