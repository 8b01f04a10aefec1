#pragma once

/* Private to comm: what stands behind a Comm. MPI's own types go no further than this folder. */
#include <mpi.h>

#include "comm/comm.h"

struct Comm {
  MPI_Comm mpi;
  int rank;
  int rank_count;
  int rank_on_node;
  int rank_count_on_node;
  void *scratch; /* SCRATCH_BYTES at least; of sums whose order is fixed. NULL on one rank */
  size_t scratch_bytes;
  int *lengths; /* 4 lists of rank_count: lengths and places of what is sent and received */
};

enum { SCRATCH_BYTES = 4 << 20, PIECE_BYTES = 1 << 30 };

/* Puts MPI's text for its code into the sentence. call: the source of the call; its name is kept.
 */
Status comm_mpi_error(int mpi_code, const char *call);

#define TRY_MPI(call)                                                                              \
  do {                                                                                             \
    const int code_of_call = (call);                                                               \
    if (code_of_call != MPI_SUCCESS) return comm_mpi_error(code_of_call, #call);                   \
  } while (0)

/* Local. Waits for a request without keeping a core busy: tests for 50 µs, then naps for a
 * sixteenth of the time waited so far (50 µs to 2 ms). MPI's own waits spin, and the core is
 * another rank's or rank 0's, which the others are waiting for. */
Status comm_wait(MPI_Request *request);
/* Collective. Returns when all ranks have come; waits as comm_wait. Stands before calls of MPI that
 * would spin until the last rank arrives. */
Status comm_meet(const Comm *comm);
