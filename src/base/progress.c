#include "base/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

static const double terminal_period_s = 0.25;
static const double file_period_s = 30.0;

Progress progress_start(const Log *log, const char *what, const char *unit, int64_t total,
                        int64_t done_at_start)
{
  const double now_s = clock_seconds();
  return (Progress){.log = log,
                    .what = what,
                    .unit = unit,
                    .total = total,
                    .done_at_start = done_at_start,
                    .started_s = now_s,
                    .shown_s = now_s};
}

static void format_duration(double seconds, char text[32])
{
  const long s = seconds < 0 ? 0 : (long)(seconds + 0.5);
  if (s >= 3600)
    (void)snprintf(text, 32, "%ld h %02ld min", s / 3600, s % 3600 / 60);
  else if (s >= 60)
    (void)snprintf(text, 32, "%ld min %02ld s", s / 60, s % 60);
  else
    (void)snprintf(text, 32, "%ld s", s);
}

static void print_line(const Progress *progress, int64_t done, const char *note, double now_s,
                       bool last)
{
  const double elapsed_s = now_s - progress->started_s;
  const double rate = elapsed_s > 0 ? (double)(done - progress->done_at_start) / elapsed_s : 0;
  char left[32] = "?";
  if (last)
    format_duration(elapsed_s, left);
  else if (rate > 0)
    format_duration((double)(progress->total - done) / rate, left);

  const bool terminal = isatty(STDERR_FILENO) != 0;
  char line[512];
  (void)snprintf(line, sizeof line, "%s%s: %lld of %lld %s (%.0f %%), %.3g %s/s, %s %s%s%s%s",
                 terminal ? "\r" : "", progress->what, (long long)done, (long long)progress->total,
                 progress->unit,
                 progress->total > 0 ? 100.0 * (double)done / (double)progress->total : 100.0, rate,
                 progress->unit, left, last ? "in all" : "left", note != NULL ? ", " : "",
                 note != NULL ? note : "", !terminal || last ? "\n" : "\x1b[K");
  (void)fputs(line, stderr);
  (void)fflush(stderr);
}

void progress_show(Progress *progress, int64_t done, const char *note)
{
  if (progress->log->rank != 0 || progress->log->quiet) return;
  const double now_s = clock_seconds();
  const double period_s = isatty(STDERR_FILENO) != 0 ? terminal_period_s : file_period_s;
  if (now_s - progress->shown_s < period_s) return;
  progress->shown_s = now_s;
  print_line(progress, done, note, now_s, false);
}

void progress_end(Progress *progress, int64_t done)
{
  if (progress->log->rank != 0 || progress->log->quiet) return;
  print_line(progress, done, NULL, clock_seconds(), true);
}
