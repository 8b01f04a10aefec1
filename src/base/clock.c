#include "base/clock.h"

#include <time.h>

double clock_seconds(void)
{
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void clock_utc(char text[21])
{
  const time_t now = time(NULL);
  struct tm utc;
  (void)gmtime_r(&now, &utc);
  (void)strftime(text, 21, "%Y-%m-%dT%H:%M:%SZ", &utc);
}
