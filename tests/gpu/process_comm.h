#pragma once

#include "comm/comm.h"

/* As much of comm as gradients.c and its watchdog use, between processes of one machine over a file
 * that all map: the suite for a GPU has no MPI. Waits have a deadline. */
enum { PROCESSES_MOST = 8 };

/* path: a file that the first to come makes; the same for all, and of this group only. */
Status process_comm_open(const char *path, int rank, int rank_count, Comm **comm);
