#include "base/log.h"

#include <stdarg.h>
#include <unistd.h>

Log log_open(int rank, int rank_count, bool quiet)
{
  Log log = {.rank = rank, .rank_count = rank_count, .quiet = quiet};
  if (gethostname(log.host, sizeof log.host - 1) != 0) log.host[0] = '\0';
  return log;
}

/* One write per line, so that lines of several ranks do not mix. */
static void write_line(const char *prefix, const char *format, va_list arguments)
{
  char line[2048];
  int length = snprintf(line, sizeof line, "%s", prefix);
  length += vsnprintf(line + length, sizeof line - (size_t)length - 1, format, arguments);
  if (length > (int)sizeof line - 2) length = (int)sizeof line - 2;
  line[length] = '\n';
  (void)fwrite(line, 1, (size_t)length + 1, stderr);
  (void)fflush(stderr);
}

void log_once(const Log *log, const char *format, ...)
{
  if (log->rank != 0 || log->quiet) return;
  va_list arguments;
  va_start(arguments, format);
  write_line("", format, arguments);
  va_end(arguments);
}

void log_rank(const Log *log, const char *format, ...)
{
  char prefix[128];
  (void)snprintf(prefix, sizeof prefix, "[rank %d, %s] ", log->rank, log->host);
  va_list arguments;
  va_start(arguments, format);
  write_line(prefix, format, arguments);
  va_end(arguments);
}

void log_warning(const Log *log, const char *format, ...)
{
  if (log->rank != 0) return;
  va_list arguments;
  va_start(arguments, format);
  write_line("warning: ", format, arguments);
  va_end(arguments);
}
