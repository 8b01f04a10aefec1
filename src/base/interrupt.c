#include "base/interrupt.h"

#include <signal.h>
#include <string.h>

static volatile sig_atomic_t requested = 0;

static void request(int signal_number)
{
  if (requested && signal_number == SIGINT) {
    (void)signal(SIGINT, SIG_DFL);
    (void)raise(SIGINT);
  }
  requested = 1;
}

void interrupt_watch(void)
{
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = request;
  action.sa_flags = SA_RESTART;
  (void)sigemptyset(&action.sa_mask);
  (void)sigaction(SIGINT, &action, NULL);
  (void)sigaction(SIGTERM, &action, NULL);
  (void)sigaction(SIGUSR1, &action, NULL);
}

bool interrupt_requested(void)
{
  return requested != 0;
}
