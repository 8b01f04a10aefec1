#pragma once

/* Private to comm: what is said about where ranks sit. Apart from MPI, so that tests can place
 * ranks on machines that are not there. */
#include <stdbool.h>
#include <stddef.h>

#include <sched.h>

/* One rank's place. */
typedef struct Seat {
  char host[64];
  char device[64];
  cpu_set_t cores;     /* those it may run on */
  int node_core_count; /* those that the job has on this node, as far as the rank can see */
  int threads;
} Seat;

enum { BINDING_TEXT_BYTES = 512 };

/* "0-3,8"; ends in "…" where it does not fit. */
void binding_core_list(const cpu_set_t *cores, char *text, size_t bytes);

/* Why the ranks will be slow where they sit, and what to do; false, and an empty text, if nothing
 * is wrong. The first node with a fault speaks for all. */
bool binding_fault(const Seat *seats, int count, char text[BINDING_TEXT_BYTES]);
