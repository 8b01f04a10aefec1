#include "base/require.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void (*end_job_handler)(void) = NULL;

void require_set_handler(void (*end_job)(void))
{
  end_job_handler = end_job;
}

void require_failed(const char *condition, const char *file, int line)
{
  char host[64] = "";
  (void)gethostname(host, sizeof host - 1);
  (void)fprintf(stderr, "quadrat: internal error on %s at %s:%d: %s does not hold\n", host, file,
                line, condition);
  (void)fflush(stderr);
  if (end_job_handler != NULL) end_job_handler();
  abort();
}
