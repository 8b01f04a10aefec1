#pragma once

#include <stdbool.h>

/* SIGINT, SIGTERM and SIGUSR1 (Slurm's warning before the time limit) ask a job to stop at the next
 * safe place; the second SIGINT ends it at once. */
void interrupt_watch(void);
bool interrupt_requested(void);
